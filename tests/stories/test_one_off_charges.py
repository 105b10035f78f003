"""One-off charges in real life: collected, and followed up where the card declines."""

from decimal import Decimal

from domain.adapters.memory import MemoryMailer
from domain.contracts.charging import service as charging
from domain.customers.customer import Customer
from domain.invoices.invoice import State
from domain.invoices.one_off_charge import ChargeWish
from domain.payments import service as payments
from domain.payments.keeping import service as keeping
from tests.world import World

DAY = "2026-01-31"


async def _charged(world: World, owner: Customer) -> None:
    wish = ChargeWish("USD", "Set-up", Decimal(100))
    async with world.runtime.db.transaction() as tx:
        await charging.charge(tx, world.call, customer_id=owner.id, wish=wish, at_once=True)
    await world.drain()


async def test_a_charge_whose_card_declines_is_retried_and_ends_nothing_but_itself(world: World) -> None:
    ada = await world.customer(on=DAY)
    subscription = await world.subscribe(ada, "pro")
    await world.attach(ada.id, "pm_card_chargeDeclinedInsufficientFunds")
    async with world.runtime.db.transaction() as tx:
        [other] = [each for each in await payments.list_methods(tx, world.call, ada.id) if not each.is_default]
        await keeping.set_default(tx, world.call, customer_id=ada.id, method_id=other.id)
    await _charged(world, ada)
    # Retries on days 2, 7 and 14; the month's own invoice is of 28 February.
    await world.advance(to="2026-02-20")
    invoice = (await world.invoices(ada))[-1]
    assert (invoice.state, invoice.total.minor) == (State.OPEN, 10_000)
    assert (await world.subscription(subscription)).status == "active"
    assert isinstance(world.runtime.mailer, MemoryMailer)
    about = [each.subject for each in world.runtime.mailer.sent if invoice.number and invoice.number in each.subject]
    assert about == [
        "Invoice TEST-2026-000002 from Example: 100.00 USD",
        "Payment failed for invoice TEST-2026-000002",
        "Payment failed again for invoice TEST-2026-000002",
        "Payment failed again for invoice TEST-2026-000002",
    ]
