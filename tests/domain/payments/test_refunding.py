"""What a credit note owes goes back once, at both gateways, whatever reply is lost, and is booked once it has gone."""

import asyncio
import contextlib
import dataclasses

import pytest

from domain.adapters.memory import MemoryGateway, When
from domain.adapters.stripe import StripeGateway
from domain.db import Database
from domain.kernel.ids import AttemptId, CreditNoteId, RefundId
from domain.kernel.money import Money
from domain.kernel.period import Period
from domain.ledger import service as ledger
from domain.payments import store as payments
from domain.payments.port import GatewayRefused, GatewayUnavailable, PaymentGateway, PayOutcome, PayState
from domain.payments.refund import (
    NO_TRACE,
    CreditNoteNotFound,
    Refund,
    RefundReason,
    RefundState,
    RefundTooLarge,
    RefundUnsupported,
)
from domain.payments.refunding import service
from tests import make
from tests.domain.payments.gateways import Probe, SandboxProbe
from tests.domain.payments.paying_back import carry, give_back, order, owing, pay, refunds
from tests.domain.payments.till import Till, system

NEXT_DAY = "2026-01-16T12:00"


async def _balances(till: Till) -> dict[str, int]:
    async with till.db.transaction() as tx:
        found = await ledger.balances(tx, till.customer.id)
    return {str(account): amount.minor for account, amount in found if amount.minor}


async def _sent_back(gateway: PaymentGateway) -> list[int]:
    """Return what the gateway has sent back."""
    ever = Period(make.at("2020-01-01T00:00"), make.at("2100-01-01T00:00"))
    return [each.amount_minor for each in (await gateway.listing.list_refunds(ever, after=None)).items]


async def test_what_a_note_owes_goes_back_and_is_booked(db: Database, gateway: PaymentGateway) -> None:
    till, note = await owing(db, gateway)
    # 29.00 came; 9.00 of revenue are taken back and owed.
    assert await _balances(till) == {"cash": 2_900, "revenue": -2_000, "receivable": -900}
    ordered = await order(till, note)
    assert await till.staged("carry_refund") == 1
    assert (await till.posted("refund_succeeded"), await _sent_back(gateway)) == (0, [])
    done = await carry(till, gateway, ordered)
    assert (done.state, done.amount) == (RefundState.SUCCEEDED, Money(900, "USD"))
    assert await carry(till, gateway, ordered) == done
    assert await _sent_back(gateway) == [900]
    assert await _balances(till) == {"cash": 2_000, "revenue": -2_000}
    assert [await till.audited(each) for each in ("order_refund", "refund_succeeded")] == [1, 1]


async def test_a_refund_is_found_among_more_than_one_page_of_them(
    db: Database, stripe_gateway: StripeGateway, sandbox: SandboxProbe
) -> None:
    till, note = await owing(db, stripe_gateway)
    done = await carry(till, stripe_gateway, await order(till, note))
    for _ in range(100):
        await sandbox.ask("POST", "/v1/refunds", data={"payment_intent": done.gateway_payment_id, "amount": 1})
    found = await stripe_gateway.refunds.find_refund(done.gateway_payment_id, done.id)
    assert found is not None
    assert found.id == done.gateway_refund_id


async def test_a_lost_reply_sends_no_second_refund(db: Database, gateway: PaymentGateway, probe: Probe) -> None:
    till, note = await owing(db, gateway)
    ordered = await order(till, note)
    await probe.lose("create_refund", "after")
    # Stripe's package sends the key again by itself and is then told the answer; the gateway in memory leaves it to us.
    with contextlib.suppress(GatewayUnavailable):
        await carry(till, gateway, ordered)
    done = await carry(till, gateway, ordered)
    assert (done.state, await _sent_back(gateway)) == (RefundState.SUCCEEDED, [900])
    # It can be found again by what we wrote on it.
    found = await gateway.refunds.find_refund(done.gateway_payment_id, done.id)
    assert found is not None
    assert (found.id, found.customer_id) == (done.gateway_refund_id, till.customer.id)
    assert await gateway.refunds.fetch_refund(found.id) == found
    assert await gateway.refunds.find_refund(done.gateway_payment_id, RefundId(make.new_id())) is None


async def test_a_lost_reply_is_unknown_and_counts_as_gone(db: Database, memory_gateway: MemoryGateway) -> None:
    till, note = await owing(db, memory_gateway)
    ordered = await order(till, note)
    memory_gateway.lose("create_refund", "after")
    with pytest.raises(GatewayUnavailable):
        await carry(till, memory_gateway, ordered)
    assert [each.state for each in await refunds(till)] == [RefundState.UNKNOWN]
    assert await till.posted("refund_succeeded") == 0
    with pytest.raises(RefundTooLarge):
        await order(till, note, 1)
    assert (await carry(till, memory_gateway, ordered)).state is RefundState.SUCCEEDED
    assert await _sent_back(memory_gateway) == [900]


async def test_once_the_key_is_old_the_gateway_is_searched(db: Database, memory_gateway: MemoryGateway) -> None:
    till, note = await owing(db, memory_gateway)
    gone, never = await order(till, note, 400), await order(till, note, 500)
    cases: tuple[tuple[Refund, When], ...] = ((gone, "after"), (never, "before"))
    for refund, when in cases:
        memory_gateway.lose("create_refund", when)
        with pytest.raises(GatewayUnavailable):
            await carry(till, memory_gateway, refund)
    # 24 hours later no key is sent again.
    assert (await carry(till, memory_gateway, gone, NEXT_DAY)).state is RefundState.SUCCEEDED
    lost = await carry(till, memory_gateway, never, NEXT_DAY)
    assert (lost.state, lost.failure) == (RefundState.FAILED, NO_TRACE)
    assert await _sent_back(memory_gateway) == [400]
    # What failed is owed still, and can be ordered anew.
    assert await _balances(till) == {"cash": 2_500, "revenue": -2_000, "receivable": -500}
    again = await carry(till, memory_gateway, await order(till, note), NEXT_DAY)
    assert (again.state, again.amount) == (RefundState.SUCCEEDED, Money(500, "USD"))


async def test_of_two_staff_who_refund_the_same_note_one_is_refused(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till, note = await owing(db, memory_gateway)
    both = await asyncio.gather(order(till, note, 600), order(till, note, 600), return_exceptions=True)
    assert [type(each) for each in both if isinstance(each, BaseException)] == [RefundTooLarge]
    assert [each.amount.minor for each in await refunds(till)] == [600]
    assert await till.staged("carry_refund") == 1


async def test_two_workers_send_a_refund_once(db: Database, memory_gateway: MemoryGateway) -> None:
    till, note = await owing(db, memory_gateway)
    ordered = await order(till, note)
    await asyncio.gather(carry(till, memory_gateway, ordered), carry(till, memory_gateway, ordered))
    assert await _sent_back(memory_gateway) == [900]
    assert await till.posted("refund_succeeded") == 1
    assert await _balances(till) == {"cash": 2_000, "revenue": -2_000}


async def test_a_refund_that_comes_back_is_owed_again_once(db: Database, memory_gateway: MemoryGateway) -> None:
    till, note = await owing(db, memory_gateway)
    done = await carry(till, memory_gateway, await order(till, note))
    assert done.gateway_refund_id is not None
    memory_gateway.refunds.end(done.gateway_refund_id, "failed", "lost_or_stolen_card")
    for _ in range(2):
        owner = await service.settle_from_gateway(db, memory_gateway, system(NEXT_DAY), done.gateway_refund_id)
        assert owner == till.customer.id
    assert [(each.state, each.failure) for each in await refunds(till)] == [(RefundState.FAILED, "lost_or_stolen_card")]
    assert [await till.posted(each) for each in ("refund_succeeded", "refund_failed")] == [1, 1]
    assert await _balances(till) == {"cash": 2_900, "revenue": -2_000, "receivable": -900}


async def test_a_refund_on_its_way_is_booked_when_it_has_gone(db: Database, memory_gateway: MemoryGateway) -> None:
    till, note = await owing(db, memory_gateway)
    memory_gateway.refunds.next_status = "pending"
    pending = await carry(till, memory_gateway, await order(till, note))
    assert (pending.state, await till.posted("refund_succeeded")) == (RefundState.PENDING, 0)
    assert pending.gateway_refund_id is not None
    memory_gateway.refunds.end(pending.gateway_refund_id, "succeeded")
    done = await carry(till, memory_gateway, pending)
    assert (done.state, await till.posted("refund_succeeded")) == (RefundState.SUCCEEDED, 1)


async def test_a_refund_that_the_gateway_does_not_show_any_more_stays_on_its_way(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till, note = await owing(db, memory_gateway)
    memory_gateway.refunds.next_status = "pending"
    pending = await carry(till, memory_gateway, await order(till, note))
    memory_gateway.listing.refunds.clear()
    with pytest.raises(GatewayUnavailable):
        await carry(till, memory_gateway, pending)
    assert [each.state for each in await refunds(till)] == [RefundState.PENDING]


async def test_news_before_the_answer_settle_a_refund(db: Database, memory_gateway: MemoryGateway) -> None:
    till, note = await owing(db, memory_gateway)
    ordered = await order(till, note)
    memory_gateway.lose("create_refund", "after")
    with pytest.raises(GatewayUnavailable):
        await carry(till, memory_gateway, ordered)
    [seen] = memory_gateway.listing.refunds
    assert await service.settle_from_gateway(db, memory_gateway, system(), seen.id) == till.customer.id
    assert [each.state for each in await refunds(till)] == [RefundState.SUCCEEDED]
    assert await service.settle_from_gateway(db, memory_gateway, system(), "re_of_another") is None


async def test_a_refusal_fails_the_refund_and_books_nothing(db: Database, memory_gateway: MemoryGateway) -> None:
    till, note = await owing(db, memory_gateway)
    memory_gateway.refusals["create_refund"] = GatewayRefused("charge_disputed")
    failed = await carry(till, memory_gateway, await order(till, note))
    assert (failed.state, failed.failure) == (RefundState.FAILED, "charge_disputed")
    assert await _balances(till) == {"cash": 2_900, "revenue": -2_000, "receivable": -900}
    assert await till.audited("refund_failed") == 1


async def test_the_sweep_finds_out_what_became_of_lost_replies(db: Database, memory_gateway: MemoryGateway) -> None:
    till, note = await owing(db, memory_gateway)
    ordered = await order(till, note)
    memory_gateway.lose("create_refund", "after")
    with pytest.raises(GatewayUnavailable):
        await carry(till, memory_gateway, ordered)
    assert await service.reconcile_stale(db, memory_gateway, system(), limit=10) == 0
    memory_gateway.lose("create_refund", "before")
    assert await service.reconcile_stale(db, memory_gateway, system("2026-01-15T12:03"), limit=10) == 0
    assert await service.reconcile_stale(db, memory_gateway, system("2026-01-15T12:04"), limit=10) == 1
    assert [each.state for each in await refunds(till)] == [RefundState.SUCCEEDED]


async def test_what_cannot_be_refunded_is_refused_and_nothing_is_written(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till, note = await owing(db, memory_gateway)
    with pytest.raises(RefundTooLarge):
        await order(till, note, 901)
    with pytest.raises(CreditNoteNotFound):
        await order(till, dataclasses.replace(note, id=CreditNoteId(make.new_id())))
    assert await refunds(till) == []
    assert [await till.staged("carry_refund"), await till.audited("order_refund")] == [0, 0]


async def test_money_that_came_past_the_gateway_does_not_go_back_through_it(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await pay(db, memory_gateway)
    [paid] = await till.attempt_rows()
    async with db.transaction() as tx:
        await payments.save_attempt(tx, paid, dataclasses.replace(paid, gateway_payment_id=None))
    note = await give_back(till, 900)
    with pytest.raises(RefundUnsupported):
        await order(till, note)
    assert await refunds(till) == []


async def _paid_twice(db: Database, gateway: MemoryGateway) -> Till:
    """Have 20.00 of an invoice paid by one payment and 9.00 by another."""
    till = await pay(db, gateway)
    [first] = await till.attempt_rows()
    [copy] = gateway.copies.values()
    outcome = PayOutcome(PayState.PAID, gateway_payment_id="pi_second")
    gateway.copies["in_second"] = dataclasses.replace(copy, id="in_second", outcome=outcome, paid_minor=900)
    second = dataclasses.replace(
        first,
        id=AttemptId(make.new_id()),
        number=2,
        key="second",
        amount=Money(900, "USD"),
        gateway_payment_id="pi_second",
    )
    async with db.transaction() as tx:
        await payments.save_attempt(tx, first, dataclasses.replace(first, amount=Money(2_000, "USD")))
        await payments.insert_attempt(tx, second)
    return till


async def test_several_payments_give_a_part_each_and_one_that_fails_is_ordered_again(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await _paid_twice(db, memory_gateway)
    note = await give_back(till, 2_900)
    async with db.transaction() as tx:
        both = await service.order(tx, system(), note.id, amount=None, reason=RefundReason.DUPLICATE)
    # Both are written before anything is sent.
    assert [(each.amount.minor, each.state) for each in both] == [(2_000, "planned"), (900, "planned")]
    assert (len({each.key for each in both}), await till.staged("carry_refund"), await _sent_back(memory_gateway)) == (
        2,
        2,
        [],
    )
    memory_gateway.refusals["create_refund"] = GatewayRefused("charge_disputed")
    assert (await carry(till, memory_gateway, both[0])).state is RefundState.FAILED
    memory_gateway.refusals.clear()
    assert (await carry(till, memory_gateway, both[1])).state is RefundState.SUCCEEDED
    # 29.00 were given back, of which 9.00 have gone: 20.00 are owed, and come from the payment that has them.
    assert await _balances(till) == {"cash": 2_000, "receivable": -2_000}
    rest = await order(till, note)
    assert (rest.amount.minor, rest.gateway_payment_id) == (2_000, both[0].gateway_payment_id)
    await carry(till, memory_gateway, rest)
    assert await _balances(till) == {}
    assert sorted(await _sent_back(memory_gateway)) == [900, 2_000]


async def test_what_the_payments_do_not_cover_together_is_refused_whole(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await _paid_twice(db, memory_gateway)
    first = (await till.attempt_rows())[-1]
    async with db.transaction() as tx:
        await payments.save_attempt(tx, first, dataclasses.replace(first, gateway_payment_id=None))
    note = await give_back(till, 2_900)
    with pytest.raises(RefundUnsupported):
        await order(till, note)
    assert await refunds(till) == []
    assert await till.staged("carry_refund") == 0
