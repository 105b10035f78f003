"""Payments that are disputed or returned: what the customer, the staff and the books see of it, up to the end."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.adapters.memory import MemoryMailer
from domain.alerts.staffing import service as staffing
from domain.contracts import service as contracts
from domain.credits.wallets import service as wallets
from domain.credits.wallets.reading import service as reading
from domain.customers.customer import Customer
from domain.dunning.case import CaseState
from domain.invoices.topping import service as topping
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.store import billing_event
from domain.kernel.call import Environment
from domain.kernel.money import Money
from domain.ledger import service as ledger
from domain.payments import store as payments
from domain.payments.disputing import service as disputing
from domain.payments.methods import service as methods
from domain.subscriptions.subscription import AccessState, Status
from domain.webhooks import service as webhooks
from tests import make
from tests.domain.payments.gateways import MemoryProbe
from tests.domain.webhooks.examples import event
from tests.stories.owing import NO_FUNDS, attempts, case_of, live, mail, settle_debit, steps
from tests.world import World

_DEBIT = "pm_usBankAccount_success"
_VISA = "pm_card_visa"
_EVENTS = {
    "opened": ("charge.dispute.created", "charge.dispute.funds_withdrawn"),
    "won": ("charge.dispute.closed", "charge.dispute.funds_reinstated"),
    "lost": ("charge.dispute.closed",),
    "returned": ("charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed"),
}


async def _payment_of(world: World, ada: Customer) -> str:
    """Return the gateway's id of the newest payment of the customer's first invoice."""
    [invoice, *_] = await world.invoices(ada)
    async with world.runtime.db.transaction() as tx:
        [newest, *_] = (await payments.list_attempts_of(tx, [(ada.id, invoice.id)]))[invoice.id]
    assert newest.gateway_payment_id is not None
    return newest.gateway_payment_id


async def _news(world: World, dispute_id: str, word: str) -> None:
    """Let the events of a change arrive, the last one first and each twice, and be followed."""
    for number, event_type in enumerate(reversed(_EVENTS[word] * 2)):
        told = event(event_type, dispute_id, f"evt_{dispute_id}_{word}_{number}", object_kind="dispute")
        async with world.runtime.db.transaction() as tx:
            await webhooks.receive(tx, world.call, told)
        await world.drain()


async def _books(world: World, ada: Customer) -> dict[str, int]:
    """Return what is not zero of a customer's books, and see that all hold and what is prepaid is what is left."""
    async with world.runtime.db.transaction() as tx:
        assert (await ledger.check_books(tx, Environment.TEST)).hold
        balances = dict(await ledger.trial_balance(tx, Environment.TEST))
        assert sum(each.minor for each in balances.values()) == 0
        prepaid = await reading.prepaid_total(tx, Environment.TEST)
        found = await ledger.balances(tx, ada.id)
    assert sum(each.minor for each in prepaid) == -sum(m.minor for a, m in balances.items() if a == "prepaid")
    return {str(account): amount.minor for account, amount in found if amount.minor}


async def _alerts(world: World) -> list[str]:
    async with world.runtime.db.transaction() as tx:
        return [each.kind.value for each in reversed(await staffing.list_alerts(tx, world.call))]


async def _told(world: World, owner: Customer) -> set[str]:
    async with world.runtime.db.transaction() as tx:
        rows = await tx.rows(sa.select(billing_event.c.type).where(billing_event.c.customer_id == owner.id))
    return {row.type for row in rows}


@pytest.mark.parametrize("end", ["won", "lost"])
async def test_a_disputed_card_payment(world: World, end: str) -> None:
    probe = MemoryProbe(world.gateway)
    ada, bob = await world.customer(on="2026-03-01"), await world.customer(on="2026-03-01")
    await world.subscribe(ada, "starter", product="edge")
    await world.subscribe(bob, "starter", product="edge")
    before = await _books(world, ada)
    dispute_id = await probe.dispute(await _payment_of(world, ada), "fraudulent")
    await _news(world, dispute_id, "opened")
    [invoice] = await world.invoices(ada)
    assert (invoice.state, invoice.disputed_minor) == ("paid", 2_900)
    assert await _books(world, ada) == {"disputed": 2_900, "revenue": -2_900}
    assert await _alerts(world) == ["dispute_opened"]
    await probe.decide(dispute_id, end)
    await _news(world, dispute_id, end)
    [invoice] = await world.invoices(ada)
    if end == "won":
        assert (invoice.state, invoice.disputed_minor) == ("paid", 0)
        assert await _books(world, ada) == before
        assert await _alerts(world) == ["dispute_opened"]
    else:
        assert invoice.state == "charged_back"
        assert await _books(world, ada) == {"bad_debt": 2_900, "revenue": -2_900}
        assert await _alerts(world) == ["dispute_opened", "dispute_lost"]
    # Nobody is dunned and nothing is taken from the customer: that is for staff to say.
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]
    assert [subject for subject in mail(world) if "failed" in subject] == []
    assert {each for each in await _told(world, bob) if "dispute" in each} == set()
    assert {"dispute_opened", f"dispute_{end}"} <= await _told(world, ada)


async def test_a_debit_that_is_returned_after_it_was_paid_is_dunned_and_recovered(world: World) -> None:
    probe = MemoryProbe(world.gateway)
    ada = await world.customer(on="2026-03-01", card=_DEBIT)
    await world.subscribe(ada, "starter", product="edge")
    await settle_debit(world, ada, succeeds=True)
    await world.advance(to="2026-03-04")
    dispute_id = await probe.dispute(await _payment_of(world, ada), "insufficient_funds")
    await _news(world, dispute_id, "returned")
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    assert await _books(world, ada) == {"receivable": 2_900, "revenue": -2_900}
    assert (await case_of(world, ada)).case.next_attempt_at == make.at("2026-03-06")
    assert mail(world)[-1] == "Payment failed for invoice TEST-2026-000001"
    assert await _alerts(world) == []
    # The grace begins with the return; two days later it is sent again, by another copy with another number.
    await world.advance(to="2026-03-06")
    await settle_debit(world, ada, succeeds=True)
    assert await attempts(world, ada) == [("03-01", "billing", "returned"), ("03-06", "retry", "succeeded")]
    numbers = [copy.pushed.number for copy in world.gateway.copies.values()]
    assert numbers == ["TEST-2026-000001", "TEST-2026-000001-R1"]
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED
    assert await _books(world, ada) == {"cash": 2_900, "revenue": -2_900}


async def test_a_case_that_was_recovered_begins_anew_when_that_payment_is_returned(world: World) -> None:
    probe = MemoryProbe(world.gateway)
    ada = await world.customer(on="2026-03-01", card="pm_usBankAccount_insufficientFunds")
    await world.subscribe(ada, "starter", product="edge")
    await settle_debit(world, ada, succeeds=False)
    await world.advance(to="2026-03-03")
    await settle_debit(world, ada, succeeds=True)
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED
    await world.advance(to="2026-03-05")
    await _news(world, await probe.dispute(await _payment_of(world, ada), "insufficient_funds"), "returned")
    case = (await case_of(world, ada)).case
    # Its calendar begins again; of the two retries of a debit one is used.
    assert (case.state, case.first_failed_at, case.next_attempt_at) == (
        CaseState.OPEN,
        make.at("2026-03-05"),
        make.at("2026-03-07"),
    )
    assert (await steps(world, ada))[-1] == "03-05 begun_anew"
    await world.advance(to="2026-03-07")
    await settle_debit(world, ada, succeeds=False)
    case = (await case_of(world, ada)).case
    assert (case.next_attempt_at, case.waits_until) == (None, make.at("2026-03-19"))
    await world.advance(to="2026-03-12")
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.RESTRICTED)]


async def test_a_debit_that_nobody_authorised_is_not_sent_again(world: World) -> None:
    probe = MemoryProbe(world.gateway)
    ada = await world.customer(on="2026-03-01", card=_DEBIT)
    await world.subscribe(ada, "starter", product="edge")
    await settle_debit(world, ada, succeeds=True)
    await _news(world, await probe.dispute(await _payment_of(world, ada), "debit_not_authorized"), "returned")
    case = (await case_of(world, ada)).case
    assert (case.next_attempt_at, case.waits_until) == (None, make.at("2026-03-15"))
    await world.advance(to="2026-03-09")
    assert await attempts(world, ada) == [("03-01", "billing", "returned")]
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.RESTRICTED)]
    await world.attach(ada.id, _VISA)
    await world.drain()
    assert [each[2] for each in await attempts(world, ada)] == ["returned", "succeeded"]
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]
    assert await _books(world, ada) == {"cash": 2_900, "revenue": -2_900}


async def test_a_debit_that_is_returned_after_the_end_is_owed_and_nobody_promises_to_try_again(world: World) -> None:
    probe = MemoryProbe(world.gateway)
    ada = await world.customer(on="2026-03-01", card=_DEBIT)
    ended = await world.subscribe(ada, "starter", product="edge")
    await settle_debit(world, ada, succeeds=True)
    await world.advance(to="2026-03-04")
    async with world.runtime.db.transaction() as tx:
        await contracts.cancel(tx, world.call, subscription_id=ended.id, at_period_end=False)
    await world.drain()
    await _news(world, await probe.dispute(await _payment_of(world, ada), "insufficient_funds"), "returned")
    assert (await case_of(world, ada)).case.state is CaseState.DROPPED
    assert isinstance(world.runtime.mailer, MemoryMailer)
    [told] = [each.text for each in world.runtime.mailer.sent if each.subject.startswith("Payment failed")]
    assert "the payment of 29.00 USD for invoice TEST-2026-000001 failed" in told
    assert "try again" not in told
    assert "you can use everything" not in told
    assert "collected at once" not in told
    # Another copy is open, to be paid on its page.
    [again] = [each for each in world.gateway.copies.values() if each.pushed.number.endswith("-R1")]
    assert str(again.state) == "open"
    # Staff are told once, however often the news come, and also after they have read it.
    async with world.runtime.db.transaction() as tx:
        [alert] = await staffing.list_alerts(tx, world.call)
        assert alert.kind.value == "debit_returned"
        assert alert.subject.startswith("A debit of 29.00 USD came back after the end: cus_")
        await staffing.mark_read(tx, world.call, alert.id)
        [dispute] = await disputing.list_disputes(tx, world.call, customer_id=ada.id)
        moved = jobs.DisputeMoved(ada.id, dispute.id)
        await journal.stage(tx, world.call, moved)
    await world.drain()
    assert await _alerts(world) == ["debit_returned"]
    await world.advance(to="2026-03-30")
    assert await attempts(world, ada) == [("03-01", "billing", "returned")]
    assert await _books(world, ada) == {"receivable": 2_900, "revenue": -2_900}


@pytest.mark.parametrize("card", [_VISA, NO_FUNDS, None])
async def test_what_staff_ask_for_again_without_a_method_is_followed_as_a_payment_that_failed(
    world: World, card: str | None
) -> None:
    probe = MemoryProbe(world.gateway)
    ada = await world.customer(on="2026-03-01", card=card)
    await world.subscribe(ada, "starter", product="edge")
    if card != _VISA:
        await world.advance(to="2026-03-02")
        await world.attach(ada.id, _VISA)
        await world.drain()
    dispute_id = await probe.dispute(await _payment_of(world, ada), "general")
    await probe.decide(dispute_id, "lost")
    await _news(world, dispute_id, "opened")
    for each in list(world.gateway.methods):
        world.gateway.detach(each)
        await methods.record_from_gateway(world.runtime.db, world.gateway, world.call, each)
    [invoice] = await world.invoices(ada)
    async with world.runtime.db.transaction() as tx:
        await disputing.ask_again(tx, world.call, invoice.id)
    await world.drain()
    # A case that there was begins anew; either way its customer is asked, can pay on a page, and has 14 days.
    now = await world.now()
    case = (await case_of(world, ada)).case
    assert (case.state, case.first_failed_at, case.waits_until) == (CaseState.OPEN, now, now + timedelta(days=14))
    # Who was asked in the beginning, too, is asked again.
    asked = "Please add a payment method: invoice TEST-2026-000001 is not paid"
    assert (mail(world)[-1], mail(world).count(asked)) == (asked, 2 if card is None else 1)
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    [again] = [each for each in world.gateway.copies.values() if each.pushed.number.endswith("-R1")]
    assert str(again.state) == "open"
    await world.attach(ada.id, "pm_card_mastercard")
    await world.drain()
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]
    assert await _books(world, ada) == {"cash": 2_900, "revenue": -2_900}


async def test_dunning_of_an_invoice_stands_still_while_another_part_of_it_is_disputed(world: World) -> None:
    probe = MemoryProbe(world.gateway)
    ada = await world.customer(on="2026-03-01")
    await world.subscribe(ada, "starter", product="edge")
    payment_id = await _payment_of(world, ada)
    lost = await probe.dispute(payment_id, "general", 1_000)
    await probe.decide(lost, "lost")
    await _news(world, lost, "opened")
    # Staff have 10.00 collected again, and the card is declined now.
    [method_id] = world.gateway.methods
    world.gateway.tokens[method_id] = NO_FUNDS
    [invoice] = await world.invoices(ada)
    async with world.runtime.db.transaction() as tx:
        await disputing.ask_again(tx, world.call, invoice.id)
    await world.drain()
    case = (await case_of(world, ada)).case
    assert (case.next_attempt_at, case.paused_at) == (make.at("2026-03-03"), None)
    other = await probe.dispute(payment_id, "general", 500)
    await _news(world, other, "opened")
    assert (await case_of(world, ada)).case.paused_at == make.at("2026-03-01")
    await world.advance(to="2026-03-05")
    assert [each[2] for each in await attempts(world, ada)] == ["succeeded", "failed"]
    await probe.decide(other, "won")
    await _news(world, other, "won")
    case = (await case_of(world, ada)).case
    # All comes four days later.
    assert (case.next_attempt_at, case.paused_at) == (make.at("2026-03-07"), None)
    assert [each for each in await steps(world, ada) if each.endswith(("frozen", "thawed"))] == [
        "03-01 frozen",
        "03-05 thawed",
    ]
    assert await _books(world, ada) == {"cash": 1_900, "receivable": 1_000, "revenue": -2_900}


async def _prepaid(world: World, card: str) -> Customer:
    """Have 100.00 bought into a wallet, of which a month of Starter took 29.00."""
    ada = await world.customer(on="2026-03-01", card=card)
    async with world.runtime.db.transaction() as tx:
        own = await wallets.create_wallet(tx, world.call, ada.id, name="Prepaid", currency="USD")
        await topping.order(tx, world.call, ada.id, own.id, Money(10_000, "USD"))
    await world.drain()
    if card == _DEBIT:
        await settle_debit(world, ada, succeeds=True)
    await world.subscribe(ada, "starter", product="edge")
    assert await _books(world, ada) == {"cash": 10_000, "prepaid": -7_100, "revenue": -2_900}
    return ada


async def _left(world: World, ada: Customer) -> int:
    async with world.runtime.db.transaction() as tx:
        [found] = await reading.list_wallets(tx, world.call, ada.id)
    return found.purse.balance_minor


async def test_a_returned_top_up_takes_back_what_is_left_and_what_was_used_is_owed(world: World) -> None:
    probe = MemoryProbe(world.gateway)
    ada = await _prepaid(world, _DEBIT)
    await _news(world, await probe.dispute(await _payment_of(world, ada), "insufficient_funds"), "returned")
    assert await _left(world, ada) == 0
    [top_up, _] = await world.invoices(ada)
    # 100.00 less the note of 71.00.
    assert (top_up.state, top_up.amount_due.minor) == ("open", 2_900)
    assert await _books(world, ada) == {"receivable": 2_900, "revenue": -2_900}
    await world.attach(ada.id, _VISA)
    await world.drain()
    assert [each.state for each in await world.invoices(ada)] == ["paid", "paid"]
    assert [minor for _, minor in world.gateway.charges] == [10_000, 2_900]
    assert await _books(world, ada) == {"cash": 2_900, "revenue": -2_900}
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED


async def test_a_returned_top_up_of_which_nothing_was_used_leaves_nothing_owed(world: World) -> None:
    probe = MemoryProbe(world.gateway)
    ada = await world.customer(on="2026-03-01", card=_DEBIT)
    async with world.runtime.db.transaction() as tx:
        own = await wallets.create_wallet(tx, world.call, ada.id, name="Prepaid", currency="USD")
        await topping.order(tx, world.call, ada.id, own.id, Money(10_000, "USD"))
    await world.drain()
    await settle_debit(world, ada, succeeds=True)
    await _news(world, await probe.dispute(await _payment_of(world, ada), "debit_not_authorized"), "returned")
    [top_up] = await world.invoices(ada)
    assert (await _left(world, ada), top_up.amount_due.minor, await _books(world, ada)) == (0, 0, {})
    assert isinstance(world.runtime.mailer, MemoryMailer)
    assert [each.subject for each in world.runtime.mailer.sent if "failed" in each.subject] == []


@pytest.mark.parametrize(
    ("end", "left", "books"),
    [
        ("won", 7_100, {"cash": 10_000, "prepaid": -7_100, "revenue": -2_900}),
        # What was used is gone: 29.00.
        ("lost", 0, {"bad_debt": 2_900, "revenue": -2_900}),
    ],
)
async def test_a_disputed_top_up_cannot_be_used_until_it_is_won(
    world: World, end: str, left: int, books: dict[str, int]
) -> None:
    probe = MemoryProbe(world.gateway)
    ada = await _prepaid(world, _VISA)
    dispute_id = await probe.dispute(await _payment_of(world, ada), "fraudulent")
    await _news(world, dispute_id, "opened")
    assert await _left(world, ada) == 0
    assert await _books(world, ada) == {"disputed": 10_000, "prepaid_pending": -7_100, "revenue": -2_900}
    await probe.decide(dispute_id, end)
    await _news(world, dispute_id, end)
    assert (await _left(world, ada), await _books(world, ada)) == (left, books)


async def test_what_a_won_dispute_gives_back_after_its_days_becomes_customer_credit(world: World) -> None:
    probe = MemoryProbe(world.gateway)
    ada = await world.customer(on="2026-03-01")
    async with world.runtime.db.transaction() as tx:
        own = await wallets.create_wallet(tx, world.call, ada.id, name="Prepaid", currency="USD", valid_days=10)
        await topping.order(tx, world.call, ada.id, own.id, Money(10_000, "USD"))
    await world.drain()
    dispute_id = await probe.dispute(await _payment_of(world, ada), "fraudulent")
    await _news(world, dispute_id, "opened")
    await world.advance(to="2026-03-15")
    await probe.decide(dispute_id, "won")
    await _news(world, dispute_id, "won")
    assert (await _left(world, ada), await _books(world, ada)) == (0, {"cash": 10_000, "customer_credit": -10_000})
    await world.subscribe(ada, "starter", product="edge")
    assert await _books(world, ada) == {"cash": 10_000, "customer_credit": -7_100, "revenue": -2_900}
