"""Set up taxes, and take the taxes of drafts."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from domain.access.roles import Permission
from domain.customers.profiles import service as profiles
from domain.customers.service import EnvironmentRefused
from domain.db import Tx
from domain.invoices.invoice import Invoice, Line
from domain.invoices.tax import NoTax, Taxable, tax_invoice
from domain.invoices.taxing import store
from domain.invoices.taxing.asking import service as asking
from domain.invoices.taxing.statement import TaxStatement, statements_of, taxes_of_lines
from domain.invoices.taxing.treatment import (
    Merchant,
    Registration,
    RegistrationMalformed,
    TaxRate,
    TaxRateMalformed,
    TaxSource,
    check_place,
    check_rate,
    check_registration,
    tax_point,
    treatment_of,
)
from domain.journal import service as journal
from domain.kernel.call import Call, Environment
from domain.kernel.ids import CustomerId, InvoiceId, RegistrationId, TaxRateId, encode

LOOKUP_MAX = 1_000


async def set_merchant(tx: Tx, call: Call, environment: Environment, *, country: str, source: TaxSource) -> Merchant:
    """Say where the merchant sits and what computes taxes from now on, in one environment. Safe to repeat.

    Raises Forbidden, EnvironmentRefused, CountryMalformed.
    """
    call.need(Permission.TAX_WRITE)
    _need_environment(call, environment)
    check_place(country, None)
    before = await store.find_merchant(tx, environment)
    after = Merchant(country, source, before.registrations if before else tuple(await store.list_registrations(tx)))
    if after != before:
        await store.save_merchant(tx, environment, after, call.at)
        facts = {"environment": environment, "country": country, "source": source}
        await journal.audit(tx, call, "set_merchant_tax", f"merchant_tax:{environment}", facts=facts)
    return after


async def find_merchant(tx: Tx, call: Call, environment: Environment) -> Merchant | None:
    """Return how the merchant is taxed, or None where that was never set up.

    Raises Forbidden, EnvironmentRefused.
    """
    call.need(Permission.TAX_READ)
    _need_environment(call, environment)
    return await store.find_merchant(tx, environment)


async def register(
    tx: Tx,
    call: Call,
    *,
    country: str,
    valid_from: datetime,
    valid_to: datetime | None = None,
    region: str | None = None,
    number: str | None = None,
) -> Registration:
    """Note that the merchant collects tax in a place from an instant on, or until when, or under which number.

    One of the same place and start is changed. Safe to repeat. Raises Forbidden, CountryMalformed, RegionMalformed,
    RegistrationMalformed, also where it overlaps another one of the place.
    """
    call.need(Permission.TAX_WRITE)
    new = Registration(RegistrationId(call.new_id()), country, region, number, valid_from, valid_to)
    check_registration(new)
    await store.hold_rates(tx)
    standing = await store.list_registrations(tx)
    if any(replace(new, id=each.id) == each for each in standing):
        return next(each for each in standing if replace(new, id=each.id) == each)
    others = [each for each in standing if (each.country, each.region) == (country, region)]
    if any(_overlap(new, each) for each in others if each.valid_from != valid_from):
        raise RegistrationMalformed("it overlaps another one of this place; end that one first")
    saved = await store.save_registration(tx, new)
    facts = {"country": country, "region": region, "from": valid_from.isoformat()}
    until = {"to": valid_to.isoformat() if valid_to else None}
    await journal.audit(tx, call, "set_tax_registration", encode("registration", saved.id), facts=facts | until)
    return saved


async def list_registrations(tx: Tx, call: Call) -> Sequence[Registration]:
    """Return where the merchant collects tax, by place and time. Raises Forbidden."""
    call.need(Permission.TAX_READ)
    return await store.list_registrations(tx)


async def set_rate(
    tx: Tx,
    call: Call,
    *,
    country: str,
    name: str,
    percent: Decimal,
    valid_from: datetime,
    valid_to: datetime | None = None,
    region: str | None = None,
    tax_code: str | None = None,
    inclusive: bool = False,
) -> TaxRate:
    """Put a rate on the table from an instant on; the open one of the same place, code and name ends there.

    What is issued keeps its taxes. Safe to repeat, also once a later rate has ended it. Raises Forbidden,
    CountryMalformed, RegionMalformed, and TaxRateMalformed, also where rows would overlap or prices would contain only
    some of a line's rates.
    """
    call.need(Permission.TAX_WRITE)
    name = name.strip()
    given = TaxRate(TaxRateId(call.new_id()), country, region, tax_code, name, percent, inclusive, valid_from, valid_to)
    check_rate(given)
    await store.hold_rates(tx)
    standing = await store.list_rates(tx, country=country)
    for each in standing:
        if each.is_written_as(given):
            return each
    standing = [await _ended(tx, each, given) for each in standing]
    _check_beside(given, standing)
    await store.insert_rate(tx, given)
    facts = {"country": country, "region": region, "tax_code": tax_code, "name": name, "percent": str(percent)}
    await journal.audit(tx, call, "set_tax_rate", encode("tax_rate", given.id), facts=facts)
    return given


async def list_rates(tx: Tx, call: Call, *, country: str | None = None) -> Sequence[TaxRate]:
    """Return the table of rates, by place, code, name and time. Raises Forbidden."""
    call.need(Permission.TAX_READ)
    return await store.list_rates(tx, country=country)


async def tax_draft(
    tx: Tx, draft: Invoice, lines: Sequence[Line], *, issued_at: datetime
) -> Sequence[TaxStatement] | None:
    """Write the taxes of a draft as they are if it is issued at an instant, and return them.

    None where a foreign service has to be asked first: until then the draft states none. Where the merchant was never
    set up nothing is stated and nothing written.
    """
    merchant = await store.find_merchant(tx, draft.environment)
    if merchant is None:
        return ()
    stated = await _taxes(tx, merchant, draft, lines, issued_at)
    await _write(tx, draft, lines, stated or ())
    return stated


async def statements_by_invoice_ids(
    tx: Tx, ids: Collection[InvoiceId], *, scope: CustomerId | None
) -> dict[InvoiceId, list[TaxStatement]]:
    """Return what at most LOOKUP_MAX invoices in the scope state of taxes: one statement, for loaders."""
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    return await store.statements_by_invoice_ids(tx, ids, scope=scope)


def stated_or_none(invoice: Invoice, stated: Sequence[TaxStatement]) -> Sequence[TaxStatement]:
    """Return what an invoice states; one from before taxes were set up states that the merchant is not registered."""
    return stated or (TaxStatement(NoTax.NOT_REGISTERED, invoice.net.minor, 0),)


def _need_environment(call: Call, environment: Environment) -> None:
    if call.principal.environment not in {None, environment}:
        raise EnvironmentRefused(str(call.principal.environment))


async def _taxes(
    tx: Tx, merchant: Merchant, draft: Invoice, lines: Sequence[Line], issued_at: datetime
) -> Sequence[TaxStatement] | None:
    profile = await profiles.load_profile(tx, draft.customer_id)
    codes = await store.tax_codes_of_lines(tx, draft.customer_id, draft.id)
    if merchant.source is TaxSource.STRIPE and profile.address.country is not None:
        return await asking.answered(tx, draft, lines, codes, profile, at=issued_at)
    country = profile.address.country
    rates = await store.list_rates(tx, country=country) if country and merchant.registrations else []
    taxable = [
        Taxable(
            line.taxable.minor,
            treatment_of(merchant, profile, rates, codes.get(line.id), tax_point(issued_at, line.period)),
        )
        for line in lines
    ]
    return statements_of(tax_invoice(taxable), [line.id for line in lines])


async def _write(tx: Tx, draft: Invoice, lines: Sequence[Line], stated: Sequence[TaxStatement]) -> None:
    """Write what differs from what the draft states already."""
    found = await store.statements_by_invoice_ids(tx, [draft.id], scope=draft.customer_id)
    if found[draft.id] != list(stated):
        await store.replace_statements(tx, draft.customer_id, draft.id, stated)
    wanted = taxes_of_lines(stated)
    differing = {
        line.id: wanted.get(line.id, (0, False))
        for line in lines
        if (line.tax.minor, line.tax_inclusive) != wanted.get(line.id, (0, False))
    }
    if differing:
        await store.save_line_taxes(tx, draft.customer_id, differing)


async def _ended(tx: Tx, rate: TaxRate, by: TaxRate) -> TaxRate:
    """End the open row that a new one of its key follows."""
    if rate.key != by.key or rate.valid_to is not None or rate.valid_from >= by.valid_from:
        return rate
    await store.end_rate(tx, rate, by.valid_from)
    return replace(rate, valid_to=by.valid_from)


def _check_beside(new: TaxRate, standing: Sequence[TaxRate]) -> None:
    """Refuse a row that overlaps one of its key, or that is taken with others of which prices contain only some."""
    beside = [each for each in standing if each.key[:3] == new.key[:3] and _overlap(new, each)]
    if any(each.name == new.name for each in beside):
        raise TaxRateMalformed("another one of this place, tax code and name is in force then")
    if any(each.inclusive != new.inclusive for each in beside):
        raise TaxRateMalformed("prices contain all rates that are taken together, or none")


def _overlap(one: TaxRate | Registration, other: TaxRate | Registration) -> bool:
    begins = max(one.valid_from, other.valid_from)
    return all(each.valid_to is None or begins < each.valid_to for each in (one, other))
