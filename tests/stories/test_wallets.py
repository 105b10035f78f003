"""Wallets in real life: bought, used, run low, filled up by themselves, and paid back."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from domain.adapters.memory import MemoryMailer
from domain.contracts.prepaying import service as prepaying
from domain.credits.top_up import (
    NothingToPayBack,
    PauseReason,
    TooManyTopUps,
    TopUp,
    TopUpEnded,
    TopUpInvoiceRefused,
    TopUpMalformed,
    TopUpState,
    TopUpTrigger,
)
from domain.credits.wallet import Wallet
from domain.credits.wallets import service as wallets
from domain.credits.wallets.reading import service as reading
from domain.customers.customer import Customer
from domain.invoices.credit_note import CreditKind, CreditReason
from domain.invoices.crediting import service as crediting
from domain.invoices.invoice import Invoice, State
from domain.invoices.opening.service import write_off_invoice
from domain.invoices.topping import service as topping
from domain.invoices.verification import Outcome
from domain.invoices.verifying.service import verify_invoice
from domain.journal.store import billing_event
from domain.kernel.call import Environment
from domain.kernel.errors import DomainError
from domain.kernel.money import CurrencyMismatch, Money
from domain.ledger import service as ledger
from domain.payments import service as payments
from domain.payments.keeping import service as keeping
from tests.world import World, llm_call

DAY = "2026-01-31"
_DECLINED = "pm_card_chargeDeclinedInsufficientFunds"


def _usd(minor: int) -> Money:
    return Money(minor, "USD")


async def _wallet(world: World, owner: Customer, **chosen: Any) -> Wallet:
    async with world.runtime.db.transaction() as tx:
        return await wallets.create_wallet(tx, world.call, owner.id, name="Prepaid", currency="USD", **chosen)


async def _ordered(world: World, into: Wallet, minor: int) -> TopUp:
    async with world.runtime.db.transaction() as tx:
        return await topping.order(tx, world.call, into.customer_id, into.id, _usd(minor))


async def _bought(world: World, into: Wallet, minor: int) -> TopUp:
    made = await _ordered(world, into, minor)
    await world.drain()
    return made


async def _rule(world: World, of: Wallet, **chosen: Any) -> None:
    async with world.runtime.db.transaction() as tx:
        await prepaying.save_rule(tx, world.call, of.customer_id, of.id, threshold=_usd(1_000), **chosen)
    await world.drain()


async def _left(world: World, owner: Customer) -> int:
    async with world.runtime.db.transaction() as tx:
        [found] = await reading.list_wallets(tx, world.call, owner.id)
    return found.purse.balance_minor


async def _top_ups(world: World, owner: Customer) -> list[tuple[str, int, str]]:
    async with world.runtime.db.transaction() as tx:
        found = await prepaying.list_top_ups(tx, world.call, owner.id)
    return [(str(each.trigger), each.amount.minor, str(each.state)) for each in reversed(found)]


async def _paused(world: World, owner: Customer) -> PauseReason | None:
    async with world.runtime.db.transaction() as tx:
        [(rule, currency)] = await prepaying.list_rules(tx, world.call, owner.id)
    assert currency == "USD"
    return rule.paused


async def _books(world: World, owner: Customer) -> dict[str, int]:
    """Return what is not zero of a customer's books, and see that all hold and what is prepaid is what is left."""
    async with world.runtime.db.transaction() as tx:
        assert (await ledger.check_books(tx, Environment.TEST)).hold
        balances = dict(await ledger.trial_balance(tx, Environment.TEST))
        prepaid = await reading.prepaid_total(tx, Environment.TEST)
        found = await ledger.balances(tx, owner.id)
    assert sum(each.minor for each in prepaid) == -sum(m.minor for a, m in balances.items() if a == "prepaid")
    return {str(account): amount.minor for account, amount in found if amount.minor}


async def _told(world: World, owner: Customer) -> set[str]:
    async with world.runtime.db.transaction() as tx:
        rows = await tx.rows(sa.select(billing_event.c.type).where(billing_event.c.customer_id == owner.id))
    return {row.type for row in rows}


async def test_what_is_bought_can_be_used_once_it_is_paid(world: World) -> None:
    ada = await world.customer(on=DAY)
    own = await _wallet(world, ada, valid_days=30)
    await _ordered(world, own, 10_000)
    assert await _left(world, ada) == 0
    assert await _books(world, ada) == {"receivable": 10_000, "prepaid_pending": -10_000}
    await world.drain()
    assert await _left(world, ada) == 10_000
    assert await _books(world, ada) == {"cash": 10_000, "prepaid": -10_000}
    assert await _top_ups(world, ada) == [("staff", 10_000, "paid")]
    [bought] = await world.invoices(ada)
    assert (bought.state, bought.total, bought.tax.minor) == (State.PAID, _usd(10_000), 0)
    async with world.runtime.db.transaction() as tx:
        assert (await verify_invoice(tx, world.call, bought.id)).outcome is Outcome.EQUAL
    await world.subscribe(ada, "pro")  # 79.00 a month
    assert (await world.invoices(ada))[1].applied_minor == 7_900
    assert await _books(world, ada) == {"cash": 10_000, "prepaid": -2_100, "revenue": -7_900}
    await world.advance(to="2026-03-02")  # 30 days after the payment what was left is lost; a second fee was 79.00
    assert await _left(world, ada) == 0
    # The second fee of 28 February had drawn 21.00, and 58.00 were collected.
    assert await _books(world, ada) == {"cash": 15_800, "revenue": -15_800}


async def test_what_is_not_used_in_its_days_is_breakage(world: World) -> None:
    ada = await world.customer(on=DAY)
    await _bought(world, await _wallet(world, ada, valid_days=10), 5_000)
    await world.advance(to="2026-02-10")  # the tenth day ends then
    assert await _books(world, ada) == {"cash": 5_000, "breakage": -5_000}
    assert "wallet_credit_expired" in await _told(world, ada)


async def test_a_lost_reply_buys_once(world: World) -> None:
    ada = await world.customer(on=DAY)
    world.gateway.lose("pay", "after")
    await _bought(world, await _wallet(world, ada), 10_000)
    assert await _left(world, ada) == 10_000
    assert await _books(world, ada) == {"cash": 10_000, "prepaid": -10_000}
    assert await _top_ups(world, ada) == [("staff", 10_000, "paid")]


async def test_a_declined_top_up_ends_with_a_void_invoice_and_nobody_is_dunned(world: World) -> None:
    ada = await world.customer(on=DAY, card=_DECLINED)
    own = await _wallet(world, ada)
    made = await _bought(world, own, 10_000)
    assert await _top_ups(world, ada) == [("staff", 10_000, "failed")]
    assert [each.state for each in await world.invoices(ada)] == [State.VOID]
    assert await _books(world, ada) == {}
    await world.advance(to="2026-03-31")
    assert [each.state for each in await world.invoices(ada)] == [State.VOID]
    assert "top_up_failed" in await _told(world, ada)
    # Nobody is dunned: one mail over the invoice, one over the failure.
    assert isinstance(world.runtime.mailer, MemoryMailer)
    assert [each.subject for each in world.runtime.mailer.sent] == [
        "Invoice TEST-2026-000001 from Example: 100.00 USD",
        "Your top-up of 100.00 USD failed, invoice TEST-2026-000001",
    ]
    with pytest.raises(TopUpEnded):
        async with world.runtime.db.transaction() as tx:
            await topping.cancel(tx, world.call, ada.id, made.id)


async def test_a_top_up_without_a_method_waits_and_can_be_canceled(world: World) -> None:
    ada = await world.customer(on=DAY, card=None)
    own = await _wallet(world, ada)
    made = [await _bought(world, own, 1_000 + number) for number in range(5)]
    assert {state for _, _, state in await _top_ups(world, ada)} == {"open"}
    with pytest.raises(TooManyTopUps):
        await _ordered(world, own, 1_000)
    for _ in range(2):
        async with world.runtime.db.transaction() as tx:
            after = await topping.cancel(tx, world.call, ada.id, made[0].id)
    assert after.state is TopUpState.CANCELED
    await world.attach(ada.id, "pm_card_visa")  # what is open is collected then
    await world.drain()
    assert [state for _, _, state in await _top_ups(world, ada)] == ["canceled", *["paid"] * 4]
    assert await _left(world, ada) == 1_001 + 1_002 + 1_003 + 1_004


async def _refused(world: World, error: type[DomainError], into: Wallet, amount: Money) -> None:
    with pytest.raises(error):
        async with world.runtime.db.transaction() as tx:
            await topping.order(tx, world.call, into.customer_id, into.id, amount)


async def test_what_could_not_be_collected_is_not_ordered(world: World) -> None:
    ada = await world.customer(on=DAY)
    own = await _wallet(world, ada)
    await _refused(world, TopUpMalformed, own, _usd(49))
    await _refused(world, CurrencyMismatch, own, Money(5_000, "EUR"))
    assert await world.invoices(ada) == []


async def test_a_wallet_that_runs_low_is_filled_up_by_itself_once(world: World) -> None:
    ada = await world.customer(on=DAY)
    own = await _wallet(world, ada)
    await _bought(world, own, 8_000)
    await _rule(world, own, target=_usd(8_000))
    assert len(await _top_ups(world, ada)) == 1  # 80.00 are more than the threshold of 10.00
    await world.subscribe(ada, "pro")  # draws 79.00, 1.00 is left: 79.00 are missing to 80.00
    assert (await _top_ups(world, ada))[1:] == [("automatic", 7_900, "paid")]
    assert await _left(world, ada) == 8_000
    assert await _books(world, ada) == {"cash": 15_900, "prepaid": -8_000, "revenue": -7_900}


async def test_running_usage_counts_before_it_is_billed(world: World) -> None:
    ada = await world.customer(on=DAY)
    own = await _wallet(world, ada)
    subscription = await world.subscribe(ada, "pro")
    await _bought(world, own, 3_000)
    await _rule(world, own, amount=_usd(5_000))
    # 2,000,000 tokens at 10.00 the million are 20.00: 10.00 are left, which is the threshold.
    await world.use("llm", llm_call(ada, subscription.started_at, output_tokens=2_000_000))
    async with world.runtime.db.transaction() as tx:
        [ongoing] = await prepaying.list_ongoing(tx, world.call, ada.id)
    assert (ongoing.balance_minor, ongoing.unbilled_minor, ongoing.left_minor) == (3_000, 2_000, 1_000)
    await world.drain()
    assert (await _top_ups(world, ada))[1:] == [("automatic", 5_000, "paid")]
    assert await _left(world, ada) == 8_000


async def test_two_workers_at_once_make_one_top_up(world: World) -> None:
    ada = await world.customer(on=DAY)
    own = await _wallet(world, ada)
    async with world.runtime.db.transaction() as tx:
        await prepaying.save_rule(tx, world.call, ada.id, own.id, threshold=_usd(1_000), amount=_usd(5_000))

    async def look() -> int:
        async with world.runtime.db.transaction() as tx:
            return len(await prepaying.check(tx, world.call, ada.id))

    assert sorted(await asyncio.gather(look(), look(), look())) == [0, 0, 1]
    await world.drain()
    assert await _top_ups(world, ada) == [("automatic", 5_000, "paid")]


async def test_a_failed_payment_pauses_the_rule_until_it_is_saved_again(world: World) -> None:
    ada = await world.customer(on=DAY, card=_DECLINED)
    own = await _wallet(world, ada)
    await _rule(world, own, amount=_usd(5_000))
    assert await _top_ups(world, ada) == [("automatic", 5_000, "failed")]
    assert await _paused(world, ada) is PauseReason.PAYMENT_FAILED
    assert {"top_up_failed", "automatic_top_up_paused"} <= await _told(world, ada)
    async with world.runtime.db.transaction() as tx:
        assert await prepaying.check(tx, world.call, ada.id) == []
    await _rule(world, own, amount=_usd(5_000))
    assert [state for _, _, state in await _top_ups(world, ada)] == ["failed", "failed"]
    async with world.runtime.db.transaction() as tx:
        await prepaying.remove_rule(tx, world.call, ada.id, own.id)
        assert await prepaying.list_rules(tx, world.call, ada.id) == []


async def test_without_a_payment_method_nothing_is_ordered_by_itself(world: World) -> None:
    ada = await world.customer(on=DAY, card=None)
    await _rule(world, await _wallet(world, ada), amount=_usd(5_000))
    assert await _top_ups(world, ada) == []
    assert await _paused(world, ada) is PauseReason.NO_PAYMENT_METHOD


async def test_a_burst_is_held_within_a_day_and_goes_on_after_it(world: World) -> None:
    ada = await world.customer(on=DAY)
    own = await _wallet(world, ada)
    await _rule(world, own, amount=_usd(500), count_max=3)  # each leaves 5.00, 10.00: still the threshold; then 15.00
    assert await _top_ups(world, ada) == [("automatic", 500, "paid")] * 3
    await world.subscribe(ada, "pro")  # draws all of it
    assert await _left(world, ada) == 0
    assert len(await _top_ups(world, ada)) == 3


async def test_what_is_left_of_a_paid_grant_is_paid_back_once_by_a_credit_note(world: World) -> None:
    ada = await world.customer(on=DAY)
    own = await _wallet(world, ada)
    await _bought(world, own, 10_000)
    await world.subscribe(ada, "pro")
    async with world.runtime.db.transaction() as tx:
        [found] = await reading.list_wallets(tx, world.call, ada.id)
        note = await topping.pay_back(tx, world.call, ada.id, own.id, found.shown[0].id, kind=CreditKind.REFUND)
    assert (note.refund_minor, note.total) == (2_100, _usd(2_100))
    assert await _left(world, ada) == 0
    # A refund that is owed stands as a receivable below zero until the money has left.
    assert await _books(world, ada) == {"cash": 10_000, "revenue": -7_900, "receivable": -2_100}
    with pytest.raises(NothingToPayBack):
        async with world.runtime.db.transaction() as tx:
            await topping.pay_back(tx, world.call, ada.id, own.id, found.shown[0].id, kind=CreditKind.REFUND)


async def test_the_invoice_of_a_top_up_is_neither_credited_nor_written_off_by_itself(world: World) -> None:
    ada = await world.customer(on=DAY)
    made = await _bought(world, await _wallet(world, ada), 10_000)
    before = await _books(world, ada)
    with pytest.raises(TopUpInvoiceRefused):
        await _credited(world, made)
    with pytest.raises(TopUpInvoiceRefused):
        async with world.runtime.db.transaction() as tx:
            await write_off_invoice(tx, world.call, made.created_at, customer_id=ada.id, invoice_id=made.invoice_id)
    assert await _books(world, ada) == before
    assert made.trigger is TopUpTrigger.STAFF


async def _credited(world: World, of: TopUp) -> Invoice:
    async with world.runtime.db.transaction() as tx:
        await crediting.credit_lines(
            tx,
            world.call,
            of.created_at,
            customer_id=of.customer_id,
            invoice_id=of.invoice_id,
            parts=(),
            reason=CreditReason.GOODWILL,
            kind=CreditKind.REFUND,
        )
    raise AssertionError("it was credited")


async def test_a_top_up_that_is_not_confirmed_lapses_and_the_next_one_can_be_made(world: World) -> None:
    ada = await world.customer(on=DAY, card="pm_card_authenticationRequired")
    own = await _wallet(world, ada)
    await _rule(world, own, amount=_usd(5_000))
    await world.advance(to="2026-01-31T22:59")
    assert await _top_ups(world, ada) == [("automatic", 5_000, "open")]
    world.gateway.lose("void_invoice", "after")
    await world.advance(to="2026-02-01")
    assert await _top_ups(world, ada) == [("automatic", 5_000, "failed")]
    [invoice] = await world.invoices(ada)
    assert (invoice.state, await _books(world, ada)) == (State.VOID, {})
    assert [copy.state for copy in world.gateway.copies.values()] == ["void"]
    assert await _paused(world, ada) is PauseReason.PAYMENT_FAILED
    assert {"payment_action_required", "top_up_failed", "automatic_top_up_paused"} <= await _told(world, ada)
    assert isinstance(world.runtime.mailer, MemoryMailer)
    assert [each.subject for each in world.runtime.mailer.sent][1:] == [
        "Please confirm the payment of invoice TEST-2026-000001",
        "Your top-up of 50.00 USD failed, invoice TEST-2026-000001",
    ]
    await _rule(world, own, amount=_usd(5_000))
    assert [state for _, _, state in await _top_ups(world, ada)] == ["failed", "open"]


async def test_a_top_up_that_was_confirmed_unheard_does_not_lapse(world: World) -> None:
    ada = await world.customer(on=DAY, card="pm_card_authenticationRequired")
    await _rule(world, await _wallet(world, ada), amount=_usd(5_000))
    [copy_id] = world.gateway.copies
    world.gateway.settle(copy_id, succeeds=True)
    await world.advance(to="2026-02-01")
    assert await _top_ups(world, ada) == [("automatic", 5_000, "paid")]
    assert (await _left(world, ada), await _paused(world, ada)) == (5_000, None)


async def test_a_debit_that_is_late_pauses_the_rule_and_is_waited_for(world: World) -> None:
    ada = await world.customer(on=DAY, card="pm_usBankAccount_success")
    await _rule(world, await _wallet(world, ada), amount=_usd(5_000))
    await world.advance(to="2026-02-13T23:59")
    assert await _paused(world, ada) is None
    await world.advance(to="2026-02-14T12:00")
    assert await _top_ups(world, ada) == [("automatic", 5_000, "open")]
    assert await _paused(world, ada) is PauseReason.PAYMENT_FAILED
    [copy_id] = world.gateway.copies
    world.gateway.settle(copy_id, succeeds=True)
    await payments.settle_from_gateway(world.runtime.db, world.gateway, world.call, copy_id)
    await world.drain()
    assert await _top_ups(world, ada) == [("automatic", 5_000, "paid")]


async def test_a_top_up_that_nothing_can_be_charged_for_any_more_lapses(world: World) -> None:
    ada = await world.customer(on=DAY)
    own = await _wallet(world, ada)
    async with world.runtime.db.transaction() as tx:
        await prepaying.save_rule(tx, world.call, ada.id, own.id, threshold=_usd(1_000), amount=_usd(5_000))
        [ordered] = await prepaying.check(tx, world.call, ada.id)
        [method] = await payments.list_methods(tx, world.call, ada.id)
        await keeping.detach(tx, world.call, customer_id=ada.id, method_id=method.id)
    await world.advance(to="2026-02-01")
    assert (ordered.state, await _top_ups(world, ada)) == (TopUpState.OPEN, [("automatic", 5_000, "failed")])
    assert await _paused(world, ada) is PauseReason.NO_PAYMENT_METHOD
