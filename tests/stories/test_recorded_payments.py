"""Money that came beside or against an invoice: recorded and taken back, or for what was void; up to the end."""

from domain.alerts.staffing import service as staffing
from domain.credits.wallets import service as wallets
from domain.credits.wallets.reading import service as reading
from domain.customers.collecting import service as collecting
from domain.customers.customer import CollectionMethod, Customer
from domain.dunning.case import CaseState
from domain.invoices import service as invoices
from domain.invoices.heading import Heading
from domain.invoices.headings import service as headings
from domain.invoices.invoice import Invoice, VoidReason
from domain.invoices.topping import service as topping
from domain.kernel.call import Environment
from domain.kernel.money import Money
from domain.ledger import service as ledger
from domain.payments.receiving import service as receiving
from domain.payments.receiving.receipt import ReceiptMethod, Received, ReversalReason
from domain.payments.reversing import service as reversing
from domain.subscriptions.subscription import AccessState, Status
from tests import make
from tests.stories.owing import NO_FUNDS, case_of, live
from tests.world import World


async def _books(world: World, ada: Customer) -> dict[str, int]:
    async with world.runtime.db.transaction() as tx:
        assert (await ledger.check_books(tx, Environment.TEST)).hold
        found = await ledger.balances(tx, ada.id)
    return {str(account): amount.minor for account, amount in found if amount.minor}


async def _record(world: World, invoice: Invoice, minor: int, on: str) -> Received:
    async with world.runtime.db.transaction() as tx:
        recorded = await receiving.record_payment(
            tx,
            world.call,
            invoice_id=invoice.id,
            amount=Money(minor, "USD"),
            method=ReceiptMethod.CHEQUE,
            reference="Cheque 17",
            received_at=make.at(on),
        )
    await world.drain()
    return recorded


async def _reverse(world: World, recorded: Received) -> None:
    await reversing.look_first(world.runtime.db, world.gateway, world.call, recorded.attempt_id)
    async with world.runtime.db.transaction() as tx:
        await reversing.reverse(tx, world.call, recorded.attempt_id, reason=ReversalReason.BOUNCED)
    await world.drain()


async def _left(world: World, ada: Customer) -> int:
    async with world.runtime.db.transaction() as tx:
        [found] = await reading.list_wallets(tx, world.call, ada.id)
    return found.purse.balance_minor


async def test_of_a_top_up_whose_cheque_bounced_what_is_left_is_taken_back_and_what_was_used_is_owed(
    world: World,
) -> None:
    ada = await world.customer(on="2026-03-01", card=None)
    async with world.runtime.db.transaction() as tx:
        own = await wallets.create_wallet(tx, world.call, ada.id, name="Prepaid", currency="USD")
        await topping.order(tx, world.call, ada.id, own.id, Money(10_000, "USD"))
    await world.drain()
    [top_up] = await world.invoices(ada)
    recorded = await _record(world, top_up, 10_000, "2026-03-01")
    # 100.00 are bought, and a month of Starter takes 29.00 of them.
    await world.subscribe(ada, "starter", product="edge")
    assert await _books(world, ada) == {"cash": 10_000, "prepaid": -7_100, "revenue": -2_900}
    await _reverse(world, recorded)
    [top_up, _] = await world.invoices(ada)
    # 100.00 less the note of 71.00.
    assert (await _left(world, ada), top_up.state, top_up.amount_due.minor) == (0, "open", 2_900)
    assert await _books(world, ada) == {"receivable": 2_900, "revenue": -2_900}
    await world.attach(ada.id, "pm_card_visa")
    await world.drain()
    assert [each.state for each in await world.invoices(ada)] == ["paid", "paid"]
    assert [minor for _, minor in world.gateway.charges] == [2_900]
    assert await _books(world, ada) == {"cash": 2_900, "revenue": -2_900}


async def test_a_sent_invoice_whose_payment_was_taken_back_is_overdue_on_its_own_day(world: World) -> None:
    ada = await world.customer(on="2026-03-01", card=None)
    async with world.runtime.db.transaction() as tx:
        await collecting.set_collection(tx, world.call, ada.id, CollectionMethod.SEND)
        await headings.set_heading(tx, world.call, ada.id, Heading(net_days=14))
    await world.subscribe(ada, "starter", product="edge")
    [invoice] = await world.invoices(ada)
    recorded = await _record(world, invoice, 2_900, "2026-03-01")
    await world.advance(to="2026-03-12")
    await _reverse(world, recorded)
    # It is due on the 15th: nobody is dunned before.
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]
    copies = [(copy.pushed.number, str(copy.state)) for copy in world.gateway.copies.values()]
    assert copies == [("TEST-2026-000001", "paid"), ("TEST-2026-000001-R1", "open")]
    await world.advance(to="2026-03-15")
    case = (await case_of(world, ada)).case
    assert case.state is CaseState.OPEN
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    [again] = [each for each in world.gateway.copies.values() if each.pushed.number.endswith("-R1")]
    assert (again.pushed.total_minor, again.pushed.days_until_due) == (2_900, 14)
    assert await _books(world, ada) == {"receivable": 2_900, "revenue": -2_900}


async def test_money_that_crosses_a_void_recovers_nothing_and_staff_are_told(world: World) -> None:
    ada = await world.customer(on="2026-03-01", card=NO_FUNDS)
    await world.subscribe(ada, "starter", product="edge")
    [invoice] = await world.invoices(ada)
    async with world.runtime.db.transaction() as tx:
        await invoices.void_invoice(
            tx, world.call, make.at("2026-03-01"), customer_id=ada.id, invoice_id=invoice.id, reason=VoidReason.MISTAKE
        )
    [copy_id] = world.gateway.copies
    world.gateway.pay_outside(copy_id)
    await world.drain()
    await world.advance(to="2026-03-04")
    assert (await case_of(world, ada)).case.state is CaseState.DROPPED
    assert await _books(world, ada) == {"cash": 2_900, "unapplied_cash": -2_900}
    async with world.runtime.db.transaction() as tx:
        told = [each.kind.value for each in await staffing.list_alerts(tx, world.call)]
    assert told == ["payment_unapplied"]
