"""A customer in Germany whose invoices are taxed: by the table of rates, and by a service that answers late."""

from datetime import datetime
from decimal import Decimal

from domain.adapters.memory_tax import MemoryTax
from domain.customers.customer import Customer
from domain.customers.profiles import service as profiles
from domain.customers.profiles.profile import Address
from domain.invoices.documents import service as documents
from domain.invoices.invoice import State
from domain.invoices.taxing import service as taxing
from domain.invoices.taxing.treatment import TaxSource
from domain.kernel.call import Environment
from domain.kernel.money import Money
from tests import make
from tests.world import World

_SINCE = make.at("2020-01-01")


async def _in_germany(world: World, source: TaxSource, *, on: str = "2026-01-01") -> Customer:
    ada = await world.customer(on=on)
    async with world.runtime.db.transaction() as tx:
        await taxing.set_merchant(tx, world.call, Environment.TEST, country="DE", source=source)
        await taxing.register(tx, world.call, country="DE", valid_from=_SINCE)
        await profiles.change_profile(tx, world.call, ada.id, address=Address(country="DE"), vat_number=None)
    return ada


async def _set_vat(world: World, percent: str, since: datetime) -> None:
    async with world.runtime.db.transaction() as tx:
        await taxing.set_rate(tx, world.call, country="DE", name="VAT", percent=Decimal(percent), valid_from=since)


async def test_a_month_is_taxed_collected_with_its_tax_and_written_as_a_document(world: World) -> None:
    ada = await _in_germany(world, TaxSource.TABLE)
    await _set_vat(world, "19", _SINCE)
    await world.subscribe(ada, "pro")
    await _set_vat(world, "16", make.at("2026-02-01"))
    await world.advance(to="2026-02-02")
    first, second = await world.invoices(ada)
    # 79.00 x 0.19 = 15.01; 79.00 x 0.16 = 12.64.
    assert [(each.state, each.total) for each in (first, second)] == [
        (State.PAID, Money(9_401, "USD")),
        (State.PAID, Money(9_164, "USD")),
    ]
    assert [amount for _, amount in world.gateway.charges] == [9_401, 9_164]
    async with world.runtime.db.transaction() as tx:
        written = await documents.documents_of_invoices(tx, [first.id, second.id], scope=ada.id)
    assert {document.name for document in written.values()} == {first.number, second.number}


async def test_an_invoice_waits_for_the_tax_service_and_is_then_opened_and_paid(world: World) -> None:
    calculator = MemoryTax("20")
    calculator.fails = 1
    world.runtime.tax = calculator
    ada = await _in_germany(world, TaxSource.STRIPE)
    # The first answer is lost; the job is tried again, and the draft waits meanwhile.
    await world.subscribe(ada, "pro")
    [paid] = await world.invoices(ada)
    # 79.00 x 0.2 = 15.80.
    assert paid.total == Money(9_480, "USD")
    assert (paid.state, [amount for _, amount in world.gateway.charges]) == (State.PAID, [9_480])
    [first, second] = [key for key, _ in calculator.asked]
    assert first == second
