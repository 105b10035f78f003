"""Taxes of drafts and issued invoices on real Postgres."""

from datetime import datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from domain.access.roles import Permission
from domain.adapters.memory_tax import MemoryTax
from domain.credits.coupon import Duration
from domain.credits.coupons import service as coupons
from domain.credits.coupons.service import Offer
from domain.customers import service as customers
from domain.customers.customer import LocaleMalformed
from domain.customers.profiles import service as profiles
from domain.customers.profiles.profile import Address, TaxStatus, VatNumberMissing
from domain.customers.profiles.store import billing_profile
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.invoice import Invoice, State
from domain.invoices.one_off import service as one_off
from domain.invoices.one_off_charge import ChargeWish
from domain.invoices.tax import NoTax, Rate
from domain.invoices.taxing import service
from domain.invoices.taxing.asking import service as asking
from domain.invoices.taxing.port import TaxUnavailable
from domain.invoices.taxing.treatment import RegistrationMalformed, TaxRateMalformed, TaxSource
from domain.invoices.verification import Outcome
from domain.invoices.verifying import service as verifying
from domain.journal.store import audit_entry
from domain.kernel.call import Environment, Forbidden
from domain.kernel.money import Money
from domain.ledger import service as ledger
from domain.ledger.account import Account
from tests import make
from tests.domain.invoices.world import STARTED, World, found_world, system_call

_FEBRUARY = make.at("2026-02-01")


@pytest.fixture
async def world(db: Database) -> World:
    """Subscribe a test customer in Germany to Pro on 1 January 2026: 79 USD a month."""
    return await _in_germany(await found_world(db))


async def _in_germany(world: World, source: TaxSource = TaxSource.TABLE) -> World:
    async with world.db.transaction() as tx:
        call = system_call()
        await service.set_merchant(tx, call, Environment.TEST, country="DE", source=source)
        await service.register(tx, call, country="DE", number="DE136695976", valid_from=make.at("2020-01-01"))
        await profiles.change_profile(tx, call, world.customer.id, address=Address(country="DE"), vat_number=None)
    return world


async def _set_rate(world: World, percent: str, *, since: datetime, inclusive: bool = False) -> None:
    async with world.db.transaction() as tx:
        await service.set_rate(
            tx,
            system_call(),
            country="DE",
            name="VAT",
            percent=Decimal(percent),
            valid_from=since,
            inclusive=inclusive,
        )


async def _stated(world: World, invoice: Invoice) -> list[tuple[Rate | NoTax, int, int]]:
    async with world.db.transaction() as tx:
        found = await service.statements_by_invoice_ids(tx, [invoice.id], scope=world.customer.id)
    return [(each.stated, each.base_minor, each.tax_minor) for each in found[invoice.id]]


async def _ask(world: World, calculator: MemoryTax) -> bool:
    """Ask for the taxes of the draft."""
    async with world.db.transaction() as tx:
        [draft] = await invoices.list_invoices(tx, system_call(), customer_id=world.customer.id)
    return await asking.calculate(
        world.db, calculator, system_call(), customer_id=world.customer.id, invoice_id=draft.id
    )


async def test_an_invoice_bears_the_rate_of_the_customers_country_and_posts_it(world: World) -> None:
    await _set_rate(world, "19", since=make.at("2020-01-01"))
    opened = await world.open_first()
    # 79.00 x 0.19 = 15.01.
    assert (opened.net, opened.tax, opened.total) == (Money(7900, "USD"), Money(1501, "USD"), Money(9401, "USD"))
    assert await _stated(world, opened) == [(Rate("VAT", Decimal(19), country="DE"), 7900, 1501)]
    async with world.db.transaction() as tx:
        [line] = (await invoices.lines_by_invoice_ids(tx, [opened.id], scope=None))[opened.id]
        assert (line.tax, line.net, line.tax_inclusive) == (Money(1501, "USD"), Money(7900, "USD"), False)
        assert await ledger.balances(tx, world.customer.id) == [
            (Account.RECEIVABLE, Money(9401, "USD")),
            (Account.REVENUE, Money(-7900, "USD")),
            (Account.TAX_PAYABLE, Money(-1501, "USD")),
        ]
        assert (await verifying.verify_invoice(tx, system_call(), opened.id)).sums == ()


async def test_a_one_off_charge_bears_the_rate_of_its_own_code_after_the_coupons_that_may_reduce_it(
    world: World,
) -> None:
    call, since = system_call(), make.at("2020-01-01")
    await _set_rate(world, "19", since=since)
    async with world.db.transaction() as tx:
        await service.set_rate(
            tx, call, country="DE", name="VAT", percent=Decimal(7), valid_from=since, tax_code="books"
        )
        offer = Offer("tenth", "Tenth", Duration.FOREVER, percent_off=Decimal(10))
        await coupons.apply_coupon(tx, call, world.customer.id, (await coupons.create_coupon(tx, call, offer)).id)
        book = ChargeWish("USD", "Book", Decimal(50), tax_code="books")
        for wish in (book, ChargeWish("USD", "Deposit", Decimal(10), discountable=False)):
            await one_off.add(tx, call, STARTED, world.customer, wish)
    opened = await world.open_first()
    # 79.00 - 7.90 and 10.00 at 19 %: 81.10 x 0.19 = 15.409; 50.00 - 5.00 at 7 %: 3.15.
    assert (opened.subtotal.minor, opened.discount.minor, opened.tax.minor) == (13_900, 1_290, 1_541 + 315)
    assert sorted((base, tax) for _, base, tax in await _stated(world, opened)) == [(4_500, 315), (8_110, 1_541)]
    async with world.db.transaction() as tx:
        lines = (await invoices.lines_by_invoice_ids(tx, [opened.id], scope=None))[opened.id]
        assert [(line.description, line.discount.minor) for line in lines if line.identity.kind == "one_off"] == [
            ("Book", 500),
            ("Deposit", 0),
        ]
        assert (await verifying.verify_invoice(tx, call, opened.id)).outcome is Outcome.EQUAL


async def test_a_price_that_contains_the_tax_is_not_raised_by_it(world: World) -> None:
    await _set_rate(world, "19", since=make.at("2020-01-01"), inclusive=True)
    opened = await world.open_first()
    # 79.00 / 1.19 = 66.3866 -> 66.39 net, 12.61 tax.
    assert (opened.net, opened.tax, opened.total) == (Money(6639, "USD"), Money(1261, "USD"), Money(7900, "USD"))
    async with world.db.transaction() as tx:
        assert (await verifying.verify_invoice(tx, system_call(), opened.id)).sums == ()


async def test_usage_bears_the_rate_of_its_month_and_the_new_fee_that_of_its_issue(world: World) -> None:
    await world.open_first()
    await _set_rate(world, "19", since=make.at("2020-01-01"))
    await _set_rate(world, "16", since=_FEBRUARY)
    await world.count("cost", "10", at=make.at("2026-01-10"))
    opened = await world.open(await world.draft(_FEBRUARY), _FEBRUARY)
    # 10.00 x 0.19 = 1.90; 79.00 x 0.16 = 12.64.
    assert await _stated(world, opened) == [
        (Rate("VAT", Decimal(19), country="DE"), 1000, 190),
        (Rate("VAT", Decimal(16), country="DE"), 7900, 1264),
    ]
    assert opened.tax == Money(1454, "USD")


async def test_a_draft_is_taxed_by_what_is_known_when_it_is_opened(world: World) -> None:
    await _set_rate(world, "19", since=make.at("2020-01-01"))
    draft = await world.draft(STARTED, grace_s=3600)
    assert draft is not None
    assert draft.tax == Money(1501, "USD")
    async with world.db.transaction() as tx:
        await profiles.set_tax_status(
            tx, system_call(), world.customer.id, status=TaxStatus.EXEMPT, certificate="No. 4711"
        )
    opened = await world.open(draft, STARTED)
    assert (opened.tax, opened.total) == (Money(0, "USD"), Money(7900, "USD"))
    assert await _stated(world, opened) == [(NoTax.EXEMPT, 7900, 0)]


async def test_what_an_opened_invoice_states_cannot_be_changed(world: World) -> None:
    await _set_rate(world, "19", since=make.at("2020-01-01"))
    opened = await world.open_first()
    for change in (
        "UPDATE invoice_tax SET tax_minor = 0",
        "DELETE FROM invoice_tax",
        "UPDATE invoice_line_tax SET tax_minor = 0",
        "INSERT INTO invoice_line_tax SELECT customer_id, invoice_id, position, invoice_id, 1 FROM invoice_line_tax",
    ):
        with pytest.raises(DBAPIError, match="immutable"):
            async with world.db.transaction() as tx:
                await tx.execute(sa.text(change))
    await _set_rate(world, "16", since=STARTED)
    assert await _stated(world, opened) == [(Rate("VAT", Decimal(19), country="DE"), 7900, 1501)]


async def test_a_rate_follows_the_open_one_and_overlaps_none(world: World) -> None:
    await _set_rate(world, "19", since=make.at("2020-01-01"))
    await _set_rate(world, "16", since=make.at("2026-07-01"))
    # Sent again they change nothing, the first one too.
    await _set_rate(world, "19", since=make.at("2020-01-01"))
    await _set_rate(world, "16", since=make.at("2026-07-01"))
    with pytest.raises(TaxRateMalformed):
        await _set_rate(world, "18", since=make.at("2021-01-01"))
    async with world.db.transaction() as tx:
        rows = await service.list_rates(tx, system_call(), country="DE")
    assert [(row.percent, row.valid_from, row.valid_to) for row in rows] == [
        (Decimal(19), make.at("2020-01-01"), make.at("2026-07-01")),
        (Decimal(16), make.at("2026-07-01"), None),
    ]
    with pytest.raises(DBAPIError, match="tax_rate_overlap_excl"):
        async with world.db.transaction() as tx:
            await tx.execute(
                sa.text("""INSERT INTO tax_rate SELECT gen_random_uuid(), country, region, tax_code, name, 18, false,
                    '2021-01-01', '2022-01-01' FROM tax_rate LIMIT 1""")
            )


async def test_prices_contain_all_rates_that_are_taken_together_or_none(world: World) -> None:
    await _set_rate(world, "19", since=make.at("2020-01-01"))
    async with world.db.transaction() as tx:
        with pytest.raises(TaxRateMalformed):
            await service.set_rate(
                tx,
                system_call(),
                country="DE",
                name="Levy",
                percent=Decimal(1),
                valid_from=STARTED,
                inclusive=True,
            )
        assert len(await service.list_rates(tx, system_call())) == 1


async def test_a_registration_is_changed_by_its_start_and_overlaps_none(world: World) -> None:
    async with world.db.transaction() as tx:
        call = system_call()
        start = make.at("2020-01-01")
        ended = await service.register(tx, call, country="DE", number="x", valid_from=start, valid_to=_FEBRUARY)
        with pytest.raises(RegistrationMalformed):
            await service.register(tx, call, country="DE", valid_from=make.at("2026-01-31"))
        again = await service.register(tx, call, country="DE", valid_from=_FEBRUARY)
        assert await service.list_registrations(tx, call) == [ended, again]
        merchant = await service.find_merchant(tx, call, Environment.TEST)
        assert merchant is not None
        assert merchant.registrations == (ended, again)


async def test_personal_values_of_a_profile_are_sealed_and_audited_without_them(world: World) -> None:
    address = Address("Allee 1", "", "Berlin", "10115", "BE", "DE")
    async with world.db.transaction() as tx:
        call = system_call()
        given = await profiles.change_profile(tx, call, world.customer.id, address=address, vat_number="DE136695976")
        assert await profiles.get_profile(tx, call, world.customer.id) == given
        assert (given.address, given.vat_number) == (address, "DE136695976")
        # The same again is no change.
        assert (
            await profiles.change_profile(tx, call, world.customer.id, address=address, vat_number="DE 136695976")
            == given
        )
        row = await tx.row(sa.select(billing_profile))
        facts = await tx.rows(sa.select(audit_entry.c.facts).where(audit_entry.c.action == "change_billing_profile"))
    assert row is not None
    assert b"Berlin" not in row.address
    assert b"DE1366" not in row.vat_number
    assert [fact.facts["has_vat_number"] for fact in facts] == [False, True]
    assert "Berlin" not in str(facts)


async def test_the_language_is_changed_with_the_profile_or_stays(world: World) -> None:
    async with world.db.transaction() as tx:
        call, address = system_call(), Address(country="DE")
        for locale, expected in (("de-CH", "de-CH"), (None, "de-CH"), ("de-CH", "de-CH")):
            await profiles.change_profile(tx, call, world.customer.id, address=address, vat_number=None, locale=locale)
            assert (await customers.load_customer(tx, call, world.customer.id)).locale == expected
        with pytest.raises(LocaleMalformed):
            await profiles.change_profile(
                tx, call, world.customer.id, address=Address(country="AT"), vat_number=None, locale="Deutsch!"
            )
        assert (await profiles.load_profile(tx, world.customer.id)).address == address
        audited = await tx.rows(sa.select(audit_entry.c.facts).where(audit_entry.c.action == "change_locale"))
    assert [row.facts for row in audited] == [{"locale": "de-CH"}]


async def test_a_customers_member_gives_the_address_and_only_staff_the_tax_status(world: World) -> None:
    member = make.principal(Permission.PROFILE_WRITE, customer_id=world.customer.id)
    async with world.db.transaction() as tx:
        call = make.call(by=member)
        await profiles.change_profile(tx, call, world.customer.id, address=Address(country="AT"), vat_number=None)
        with pytest.raises(Forbidden):
            await profiles.set_tax_status(tx, call, world.customer.id, status=TaxStatus.EXEMPT, certificate="mine")
        with pytest.raises(VatNumberMissing):
            await profiles.set_tax_status(tx, system_call(), world.customer.id, status=TaxStatus.REVERSE_CHARGE)
        assert (await profiles.load_profile(tx, world.customer.id)).status is TaxStatus.TAXABLE


async def test_a_draft_stays_one_until_the_tax_service_has_answered(db: Database) -> None:
    world = await _in_germany(await found_world(db), TaxSource.STRIPE)
    draft = await world.draft(STARTED)
    waiting = await world.open(draft, STARTED)
    assert (waiting.state, waiting.tax, waiting.number) == (State.DRAFT, Money(0, "USD"), None)
    calculator = MemoryTax("8.875")
    calculator.fails = 1
    with pytest.raises(TaxUnavailable):
        await _ask(world, calculator)
    assert (await world.open(waiting, STARTED)).state is State.DRAFT
    # The lost answer is asked for under the same key, and known once it came.
    assert await _ask(world, calculator)
    assert not await _ask(world, calculator)
    [first, second] = [key for key, _ in calculator.asked]
    assert first == second
    opened = await world.open(waiting, STARTED)
    # 79.00 x 0.08875 = 7.01125.
    assert (opened.state, opened.tax, opened.total) == (State.OPEN, Money(701, "USD"), Money(8601, "USD"))
    assert await _stated(world, opened) == [(Rate("Sales tax", Decimal("8.875"), country="DE"), 7900, 701)]


async def test_an_answer_holds_for_the_draft_that_it_was_given_for_only(db: Database) -> None:
    world = await _in_germany(await found_world(db), TaxSource.STRIPE)
    draft = await world.draft(STARTED)
    assert draft is not None
    calculator, call = MemoryTax(), system_call()
    assert await _ask(world, calculator)
    async with db.transaction() as tx:
        await profiles.change_profile(tx, call, world.customer.id, address=Address(country="AT"), vat_number=None)
    assert (await world.open(draft, STARTED)).state is State.DRAFT
    assert await _ask(world, calculator)
    assert (await world.open(draft, STARTED)).state is State.OPEN
    assert len({key for key, _ in calculator.asked}) == 2
    assert not await _ask(world, calculator)


async def test_nothing_is_asked_without_a_country_and_where_the_table_computes(db: Database) -> None:
    world = await found_world(db)
    async with db.transaction() as tx:
        await service.set_merchant(tx, system_call(), Environment.TEST, country="DE", source=TaxSource.STRIPE)
    calculator = MemoryTax()
    draft = await world.draft(STARTED)
    assert draft is not None
    assert not await _ask(world, calculator)
    opened = await world.open(draft, STARTED)
    assert await _stated(world, opened) == [(NoTax.NOT_REGISTERED, 7900, 0)]
    assert calculator.asked == []
