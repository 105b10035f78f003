"""What follows when a payment fails, told by a calendar that moves.

Edge Starter costs 29.00 USD a month. Retries come after 2, 5 and 7 days: on days 2, 7 and 14.
"""

import asyncio

import pytest
import sqlalchemy as sa

from domain.adapters.memory import MemoryMailer
from domain.dunning import service
from domain.dunning.case import CaseState
from domain.dunning.reading import service as reading
from domain.invoices.invoice import VoidReason
from domain.invoices.voiding.service import void_invoice
from domain.journal.store import audit_entry
from domain.kernel.call import Environment
from domain.kernel.ids import encode
from domain.ledger import service as ledger
from domain.payments import store as payments
from domain.subscriptions.subscription import AccessState, Status
from domain.usage.event import UsageEvent
from tests import make
from tests.stories.owing import (
    CONFIRM,
    LOST,
    NO_FUNDS,
    STARTER_MINOR,
    attempts,
    case_of,
    follow,
    live,
    mail,
    owing,
    settle_debit,
    steps,
)
from tests.world import World


async def test_a_failed_card_is_retried_three_times_then_falls_back_to_free(world: World) -> None:
    ada = await world.customer(on="2026-03-01", card=NO_FUNDS)
    await follow(world, ada, after_last="fall_back")
    starter = await world.subscribe(ada, "starter", product="edge")
    await world.use(
        "edge",
        UsageEvent("m1", "edge.module", encode("customer", ada.id), None, "2026-03-01T00:00:00+00:00", {"delta": 8}),
    )
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    await world.advance(to="2026-03-07T23:59:59")
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    await world.advance(to="2026-03-08")
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.RESTRICTED)]
    await world.advance(to="2026-03-21")
    assert mail(world) == [
        "Payment failed for invoice TEST-2026-000001",
        "Payment failed again for invoice TEST-2026-000001",
        "Payment failed again for invoice TEST-2026-000001",
        "Last notice: invoice TEST-2026-000001 is not paid",
        "You were moved to the free plan: invoice TEST-2026-000001 was not paid",
    ]
    assert await attempts(world, ada) == [
        ("03-01", "billing", "failed"),
        ("03-03", "retry", "failed"),
        ("03-08", "retry", "failed"),
        ("03-15", "retry", "failed"),
    ]
    assert await live(world, ada) == [("free", Status.ACTIVE, AccessState.FULL)]
    # The first month was not paid for: it ends where it began, and the free plan starts there.
    ended = await world.subscription(starter)
    assert (ended.status, ended.ended_at) == (Status.CANCELED, make.at("2026-03-01"))
    assert await steps(world, ada) == [
        "03-01 opened",
        "03-03 retry_ordered",
        "03-03 attempt_failed",
        "03-08 retry_ordered",
        "03-08 attempt_failed",
        "03-13 last_notice",
        "03-15 retry_ordered",
        "03-15 attempt_failed",
    ]
    assert (await case_of(world, ada)).case.state is CaseState.GIVEN_UP
    assert world.gateway.charges == []
    # Its eight modules stand in the free plan, which has room for fewer.
    async with world.runtime.db.transaction() as tx:
        levels = """SELECT l.quantity FROM usage_level l JOIN subscription s ON s.id = l.subscription_id
            WHERE s.ended_at IS NULL"""
        assert {int(row.quantity) for row in await tx.rows(sa.text(levels))} == {8}
        assert sum(money.minor for _, money in await ledger.trial_balance(tx, Environment.TEST)) == 0


async def test_a_card_replaced_in_the_middle_is_charged_at_once_and_clears_everything(world: World) -> None:
    ada, _ = await owing(world)
    await world.advance(to="2026-03-10")
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.RESTRICTED)]
    await world.attach(ada.id, "pm_card_visa")
    await world.drain()
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]
    assert (await attempts(world, ada))[-1] == ("03-10", "new_method", "succeeded")
    case = await case_of(world, ada)
    assert (case.case.state, case.recovered_by, case.due_at) == (CaseState.RECOVERED, "new_method", None)
    await world.advance(to="2026-03-20")
    assert [minor for _, minor in world.gateway.charges] == [STARTER_MINOR]
    assert mail(world)[-1] == "Payment received for invoice TEST-2026-000001"
    async with world.runtime.db.transaction() as tx:
        [figures] = await reading.recovery(
            tx, world.call, start=make.at("2026-03-01"), end=make.at("2026-04-01"), environment=Environment.TEST
        )
    # 9 days from 1 to 10 March.
    assert [figures.rate, figures.amount_rate, figures.mean_hours] == [1, 1, 216]
    assert (figures.recovered.minor, figures.tally.lost) == (STARTER_MINOR, 0)


async def test_after_a_hard_decline_nothing_is_charged_and_the_last_day_makes_it_unpaid(world: World) -> None:
    ada, _ = await owing(world, LOST)
    await world.advance(to="2026-03-14T23:59:59")
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.RESTRICTED)]
    await world.advance(to="2026-03-15")
    assert await live(world, ada) == [("starter", Status.UNPAID, AccessState.SUSPENDED)]
    assert await attempts(world, ada) == [("03-01", "billing", "failed")]
    assert mail(world) == [
        "Payment failed for invoice TEST-2026-000001",
        "Your access is restricted: invoice TEST-2026-000001 is not paid",
        "Last notice: invoice TEST-2026-000001 is not paid",
        "Your access is suspended: invoice TEST-2026-000001 was not paid",
    ]
    assert isinstance(world.runtime.mailer, MemoryMailer)
    first = next(each for each in world.runtime.mailer.sent if each.subject.startswith("Payment failed"))
    assert (
        "We do not charge this payment method again by ourselves. Please pay by 15 Mar 2026, 00:00 UTC." in first.text
    )
    assert "Until 8 Mar 2026, 00:00 UTC you can use everything;" in first.text
    assert "Pay the invoice: https://pay.example.com/in_memory" in first.text
    # The money that comes after all brings everything back.
    await world.attach(ada.id, "pm_card_visa")
    await world.drain()
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]


async def test_a_new_card_that_fails_softly_goes_on_with_the_days_that_are_left(world: World) -> None:
    ada, _ = await owing(world, LOST)
    await world.advance(to="2026-03-04")
    await world.attach(ada.id, NO_FUNDS)
    await world.drain()
    assert (await case_of(world, ada)).case.next_attempt_at == make.at("2026-03-08")
    await world.advance(to="2026-03-20")
    assert await attempts(world, ada) == [
        ("03-01", "billing", "failed"),
        ("03-04", "new_method", "failed"),
        ("03-08", "retry", "failed"),
        ("03-15", "retry", "failed"),
    ]
    assert await live(world, ada) == [("starter", Status.UNPAID, AccessState.SUSPENDED)]


async def test_a_debit_returned_for_insufficient_funds_is_sent_again_twice_and_no_more(world: World) -> None:
    ada, _ = await owing(world, "pm_usBankAccount_insufficientFunds")
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]
    await world.advance(to="2026-03-05")
    await settle_debit(world, ada, succeeds=False)
    await world.advance(to="2026-03-07")
    # Four days at the bank; neither clock goes while it is there.
    await world.advance(to="2026-03-11")
    assert [each[2] for each in await attempts(world, ada)] == ["failed", "processing"]
    await settle_debit(world, ada, succeeds=False)
    await world.advance(to="2026-03-13")
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    await world.advance(to="2026-03-16")
    await settle_debit(world, ada, succeeds=False)
    assert await attempts(world, ada) == [
        ("03-01", "billing", "failed"),
        ("03-07", "retry", "failed"),
        ("03-16", "retry", "failed"),
    ]
    case = (await case_of(world, ada)).case
    assert (case.next_attempt_at, case.waits_until) == (None, make.at("2026-03-19"))
    await world.advance(to="2026-03-19")
    assert await live(world, ada) == [("starter", Status.UNPAID, AccessState.SUSPENDED)]


async def test_a_debit_of_a_closed_account_is_not_sent_again(world: World) -> None:
    ada, _ = await owing(world, "pm_usBankAccount_accountClosed")
    await world.advance(to="2026-03-05")
    await settle_debit(world, ada, succeeds=False)
    await world.advance(to="2026-03-18")
    assert await attempts(world, ada) == [("03-01", "billing", "failed")]
    assert (await case_of(world, ada)).case.waits_until == make.at("2026-03-19")


async def test_a_payment_that_waits_for_its_customer_is_told_and_not_tried_without_it(world: World) -> None:
    ada, _ = await owing(world, CONFIRM)
    assert mail(world) == ["Please confirm the payment of invoice TEST-2026-000001"]
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    await world.advance(to="2026-03-09")
    assert await attempts(world, ada) == [("03-01", "billing", "action_required")]
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.RESTRICTED)]
    await settle_debit(world, ada, succeeds=True)
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED


async def test_a_void_invoice_is_never_charged_and_frees_its_subscription(world: World) -> None:
    ada, _ = await owing(world)
    [invoice] = await world.invoices(ada)
    async with world.runtime.db.transaction() as tx:
        await void_invoice(
            tx,
            world.call,
            make.at("2026-03-01"),
            customer_id=ada.id,
            invoice_id=invoice.id,
            reason=VoidReason.MISTAKE,
        )
    await world.advance(to="2026-03-20")
    assert await attempts(world, ada) == [("03-01", "billing", "failed")]
    assert (await case_of(world, ada)).case.state is CaseState.DROPPED
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]


async def test_however_many_workers_run_a_due_case_one_attempt_is_ordered(world: World) -> None:
    ada, _ = await owing(world)
    async with world.runtime.db.transaction() as tx:
        await tx.execute(sa.text("UPDATE test_clock SET now_at = '2026-03-03T00:00:00Z'"))
    case = await case_of(world, ada)

    async def run() -> None:
        async with world.runtime.db.transaction() as tx:
            await service.run_case(tx, world.call, customer_id=ada.id, case_id=case.id)

    await asyncio.gather(*(run() for _ in range(6)))
    assert [each[1:] for each in await attempts(world, ada)] == [("billing", "failed"), ("retry", "planned")]
    await world.drain()
    assert [each[1:] for each in await attempts(world, ada)] == [("billing", "failed"), ("retry", "failed")]
    async with world.runtime.db.transaction() as tx:
        ordered = sa.select(sa.func.count()).where(audit_entry.c.action == "dunning_retry_ordered")
        assert await tx.value(ordered) == 1


async def test_a_step_that_is_rolled_back_is_done_once_by_the_next_worker(world: World) -> None:
    ada, _ = await owing(world)
    async with world.runtime.db.transaction() as tx:
        await tx.execute(sa.text("UPDATE test_clock SET now_at = '2026-03-03T00:00:00Z'"))
    case = await case_of(world, ada)

    class Killed(Exception):
        pass

    async def run_and_die() -> None:
        async with world.runtime.db.transaction() as tx:
            await service.run_case(tx, world.call, customer_id=ada.id, case_id=case.id)
            raise Killed

    with pytest.raises(Killed):
        await run_and_die()
    assert [each[1] for each in await attempts(world, ada)] == ["billing"]
    assert (await case_of(world, ada)).case == case.case
    # The next look finds it due again; a reply that is lost afterwards is found out, not repeated.
    world.gateway.lose("pay", "after")
    await world.advance(to="2026-03-07")
    assert [each[1:] for each in await attempts(world, ada)] == [("billing", "failed"), ("retry", "failed")]


async def test_news_that_are_followed_twice_and_late_count_once(world: World) -> None:
    ada, _ = await owing(world)
    await world.advance(to="2026-03-04")
    [invoice] = await world.invoices(ada)
    before = await case_of(world, ada)
    async with world.runtime.db.transaction() as tx:
        found = (await payments.list_attempts_of(tx, [(ada.id, invoice.id)]))[invoice.id]
        for each in [*found, *reversed(found)]:
            await service.note_settled(tx, world.call, customer_id=ada.id, attempt_id=each.id)
    assert await case_of(world, ada) == before
    await world.drain()
    assert len(mail(world)) == 2
