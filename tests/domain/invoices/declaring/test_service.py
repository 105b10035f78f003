"""Tax reports on real Postgres: to the cent what the account of taxes payable moved by."""

from datetime import datetime
from decimal import Decimal

import pytest

from domain.access.roles import Permission
from domain.customers.profiles import service as profiles
from domain.customers.profiles.profile import Address
from domain.customers.service import EnvironmentRefused
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.credit_note import CreditKind, CreditPart, CreditReason
from domain.invoices.crediting import service as crediting
from domain.invoices.declaring import service
from domain.invoices.declaring.report import Figures, Row, Stated
from domain.invoices.invoice import Invoice, VoidReason
from domain.invoices.tax import NoTax
from domain.invoices.taxing import service as taxing
from domain.invoices.taxing.treatment import TaxSource
from domain.kernel.call import Environment, Forbidden
from domain.kernel.ids import CustomerId
from domain.kernel.period import Period
from domain.ledger import service as ledger
from domain.ledger.account import Account
from tests import make
from tests.domain.invoices.world import STARTED, World, found_world, system_call

_JANUARY, _FEBRUARY, _MARCH, _APRIL = (make.at(f"2026-0{month}-01") for month in (1, 2, 3, 4))
_VAT = Stated("USD", "DE", None, "VAT", Decimal(19))


async def _in_germany(db: Database, *, inclusive: bool) -> World:
    """Subscribe a test customer in Germany to Pro on 1 January 2026: 79 USD a month, with 19 percent of tax."""
    world = await found_world(db)
    async with db.transaction() as tx:
        call = system_call()
        await taxing.set_merchant(tx, call, Environment.TEST, country="DE", source=TaxSource.TABLE)
        await taxing.register(tx, call, country="DE", number="DE136695976", valid_from=make.at("2020-01-01"))
        await taxing.set_rate(
            tx,
            call,
            country="DE",
            name="VAT",
            percent=Decimal(19),
            valid_from=make.at("2020-01-01"),
            inclusive=inclusive,
        )
        await profiles.change_profile(tx, call, world.customer.id, address=Address(country="DE"), vat_number=None)
    return world


async def _credit(world: World, of: Invoice, minor: int, now: datetime) -> None:
    async with world.db.transaction() as tx:
        [line] = (await invoices.lines_by_invoice_ids(tx, [of.id], scope=None))[of.id]
        await crediting.credit_lines(
            tx,
            system_call(now),
            now,
            customer_id=world.customer.id,
            invoice_id=of.id,
            parts=[CreditPart(line.id, minor)],
            reason=CreditReason.GOODWILL,
            kind=CreditKind.OFFSET,
        )


async def _void(world: World, of: Invoice, now: datetime) -> None:
    async with world.db.transaction() as tx:
        await invoices.void_invoice(
            tx, system_call(now), now, customer_id=world.customer.id, invoice_id=of.id, reason=VoidReason.MISTAKE
        )


async def _report(world: World, start: datetime, end: datetime) -> list[Row]:
    async with world.db.transaction() as tx:
        return await service.report(tx, system_call(), Environment.TEST, Period(start, end))


async def _moved(world: World, start: datetime, end: datetime) -> Figures:
    """Return what revenue and taxes payable moved by, as the figures of a report."""
    async with world.db.transaction() as tx:
        before = dict(await ledger.trial_balance(tx, Environment.TEST, before=start))
        after = dict(await ledger.trial_balance(tx, Environment.TEST, before=end))
    moved = [
        (before[account].minor if account in before else 0) - (after[account].minor if account in after else 0)
        for account in (Account.REVENUE, Account.TAX_PAYABLE)
    ]
    return Figures(*moved)


async def test_each_month_holds_what_was_issued_credited_and_voided_in_it(db: Database) -> None:
    world = await _in_germany(db, inclusive=False)
    opened = await world.open_first()
    await _credit(world, opened, 1_000, _FEBRUARY)
    await _void(world, opened, _MARCH)
    # 79.00 x 0.19 = 15.01; of 10.00 it is 1.90; what is left to be voided is 69.00 with 13.11.
    months = [
        (_JANUARY, _FEBRUARY, Row(_VAT, Figures(7_900, 1_501), Figures())),
        (_FEBRUARY, _MARCH, Row(_VAT, Figures(), Figures(1_000, 190))),
        (_MARCH, _APRIL, Row(_VAT, Figures(), Figures(6_900, 1_311))),
    ]
    for start, end, row in months:
        assert await _report(world, start, end) == [row]
        assert await _moved(world, start, end) == row.remains
    # Over the whole quarter nothing remains.
    [quarter] = await _report(world, _JANUARY, _APRIL)
    assert (quarter.invoiced, quarter.taken_back) == (Figures(7_900, 1_501), Figures(7_900, 1_501))
    assert await _report(world, _APRIL, make.at("2026-05-01")) == []


async def test_a_price_that_contains_its_tax_is_reported_without_it(db: Database) -> None:
    world = await _in_germany(db, inclusive=True)
    opened = await world.open_first()
    await _credit(world, opened, 1_190, _JANUARY)
    # 79.00 / 1.19 = 66.39 and 12.61 of tax; of 11.90 it is 10.00 and 1.90.
    [row] = await _report(world, _JANUARY, _FEBRUARY)
    assert row.stated.inclusive
    assert (row.invoiced, row.taken_back) == (Figures(6_639, 1_261), Figures(1_000, 190))
    assert await _moved(world, _JANUARY, _FEBRUARY) == row.remains


async def test_what_bears_no_tax_is_reported_with_its_reason_or_as_not_set_up(db: Database) -> None:
    world = await found_world(db)
    opened = await world.open_first()
    assert await _report(world, _JANUARY, _FEBRUARY) == [Row(Stated("USD"), Figures(7_900), Figures())]
    await _credit(world, opened, 900, STARTED)
    assert await _report(world, _JANUARY, _FEBRUARY) == [Row(Stated("USD"), Figures(7_900), Figures(900))]
    async with db.transaction() as tx:
        call = system_call()
        await taxing.set_merchant(tx, call, Environment.TEST, country="DE", source=TaxSource.TABLE)
    await world.open(await world.draft(_FEBRUARY), _FEBRUARY)
    nowhere = Stated("USD", reason=NoTax.NOT_REGISTERED)
    assert await _report(world, _FEBRUARY, _MARCH) == [Row(nowhere, Figures(7_900), Figures())]


async def test_only_staff_who_read_the_books_of_the_environment_are_shown_it(db: Database) -> None:
    january = Period(_JANUARY, _FEBRUARY)
    async with db.transaction() as tx:
        live = make.call(by=make.principal(Permission.LEDGER_READ, environment=Environment.LIVE))
        with pytest.raises(EnvironmentRefused):
            await service.report(tx, live, Environment.TEST, january)
        assert await service.report(tx, live, Environment.LIVE, january) == []
        reader = make.call(by=make.principal(Permission.TAX_READ))
        with pytest.raises(Forbidden):
            await service.report(tx, reader, Environment.TEST, january)
        owner = CustomerId(make.call().new_id())
        bound = make.call(by=make.principal(Permission.LEDGER_READ, customer_id=owner))
        with pytest.raises(Forbidden):
            await service.report(tx, bound, Environment.TEST, january)
