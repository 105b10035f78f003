"""What a document says: texts in order, written for the customer; pages are made of it elsewhere."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from babel import Locale

from domain.customers.customer import Customer
from domain.customers.profiles.profile import Profile
from domain.invoices.credit_note import CreditNote, CreditNoteLine
from domain.invoices.documents import formats
from domain.invoices.documents.labels import labels_of, language_of
from domain.invoices.invoice import Invoice, Line
from domain.invoices.tax import NoTax, Rate
from domain.invoices.taxing.statement import TaxStatement
from domain.invoices.taxing.treatment import Registration
from domain.kernel.call import Environment
from domain.kernel.ids import LineId
from domain.kernel.money import Money
from domain.kernel.values import dataclass

# Units of fees, which are ours; units of meters are the catalogue's.
_UNITS = frozenset(("month", "year", "unit"))


@dataclass(frozen=True, slots=True)
class Seller:
    """The merchant as documents name it."""

    name: str
    address: tuple[str, ...] = ()
    registrations: tuple[Registration, ...] = ()


@dataclass(frozen=True, slots=True)
class Sold:
    """All that an invoice's document is made of. Lines stand in their order.

    `pay_to` is where its customer transfers to, as names in the gateway's words and values; empty: it is charged, or
    paid on its page.
    """

    seller: Seller
    customer: Customer
    profile: Profile
    invoice: Invoice
    lines: Sequence[Line]
    taxes: Sequence[TaxStatement]
    pay_to: Sequence[tuple[str, str]] = ()


def invoice_content(sold: Sold) -> dict[str, Any]:
    """Return what the document of an opened invoice says, as it was when it was opened; payments are not on it."""
    invoice, locale = sold.invoice, formats.locale_of(sold.customer.locale)
    assert invoice.number is not None, "an opened invoice has a number"
    assert invoice.issued_at is not None, "and was issued"
    assert invoice.due_at is not None, "and is due"
    zone, said = sold.customer.zone, labels_of(locale)
    return {
        "lang": language_of(locale),
        "title": said["invoice"],
        "number": invoice.number,
        "facts": [
            [said["invoice_number"], invoice.number],
            [said["issued"], formats.day(invoice.issued_at, zone, locale)],
            [said["due"], formats.day(invoice.due_at, zone, locale)],
            *([[said["purchase_order"], invoice.purchase_order]] if invoice.purchase_order else []),
        ],
        **parties(sold.seller, sold.customer, sold.profile),
        "head": [said[each] for each in ("description", "quantity", "tax", "amount")],
        "lines": [_row(line, sold, locale) for line in sold.lines if line.amount.minor],
        "totals": _totals(sold, locale),
        "payment": _payment(sold, locale),
        "notes": [*([invoice.memo] if invoice.memo else []), *_notes(sold, locale)],
    }


def _payment(sold: Sold, locale: Locale) -> dict[str, Any] | None:
    """Say how much to transfer until when and where to, and the reference; None where nothing is to be transferred."""
    invoice, said = sold.invoice, labels_of(locale)
    if not sold.pay_to:
        return None
    assert invoice.due_at is not None, "an opened invoice is due"
    amount = formats.money(invoice.total - invoice.applied, locale)
    until = formats.day(invoice.due_at, sold.customer.zone, locale)
    return {
        "title": said["pay_by_transfer"],
        "text": said["transfer_until"].format(amount=amount, until=until),
        "facts": [
            *([said.get(name, name.replace("_", " ").capitalize()), value] for name, value in sold.pay_to),
            [said["reference"], invoice.number],
        ],
    }


@dataclass(frozen=True, slots=True)
class Credited:
    """All that a credit note's document is made of: the note with its lines, and what it takes back of."""

    sold: Sold
    note: CreditNote
    lines: Sequence[CreditNoteLine]


def credit_note_content(credited: Credited) -> dict[str, Any]:
    """Return what the document of a credit note says: what is given back, with its tax, and what becomes of it."""
    note, sold = credited.note, credited.sold
    locale = formats.locale_of(sold.customer.locale)
    said = labels_of(locale)
    return {
        "lang": language_of(locale),
        "title": said["credit_note"],
        "number": note.number,
        "facts": [
            [said["credit_note_number"], note.number],
            [said["issued"], formats.day(note.issued_at, sold.customer.zone, locale)],
            [said["invoice_number"], sold.invoice.number or ""],
            *([[said["purchase_order"], sold.invoice.purchase_order]] if sold.invoice.purchase_order else []),
        ],
        **parties(sold.seller, sold.customer, sold.profile),
        "head": [said[each] for each in ("description", "quantity", "tax", "amount")],
        "lines": [_credited_row(line, sold, locale) for line in credited.lines],
        "totals": _credited_totals(credited, locale),
        "notes": _notes(sold, locale),
    }


def _credited_row(line: CreditNoteLine, sold: Sold, locale: Locale) -> dict[str, Any]:
    """Write a line. A discount that goes back with it lowers what is given back."""
    name, amount = labels_of(locale)["discount"], formats.money(-line.discount, locale)
    discounts = [{"name": name, "amount": amount}] if line.discount.minor else []
    return {
        "text": line.description,
        "quantity": _quantity(line.quantity, line.unit, locale),
        "tax": _rates_of(line.line_id, sold, locale),
        "amount": formats.money(line.amount, locale),
        "discounts": discounts,
    }


def _credited_totals(credited: Credited, locale: Locale) -> list[dict[str, Any]]:
    """Return subtotal, discounts, the tax of each set of rates with its base, the total, and where it goes."""
    note, sold, said = credited.note, credited.sold, labels_of(locale)
    rows = [(said["subtotal"], note.subtotal, False)]
    if note.discount.minor:
        rows.append((said["discounts"], -note.discount, False))
    together: dict[str, list[CreditNoteLine]] = {}
    for line in credited.lines:
        together.setdefault(_taxes_named(line, sold, locale), []).append(line)
    for named, lines in together.items():
        base = Money(sum(_net_minor(line) for line in lines), note.currency)
        tax = Money(sum(line.tax.minor for line in lines), note.currency)
        rows.append((said["tax_on"].format(tax=named, base=formats.money(base, locale)), tax, False))
    rows.append((said["total"], note.total, True))
    for label, minor in (
        (said["taken_off"], note.offset_minor),
        (said["kept"], note.credit_minor),
        (said["refunded"], note.refund_minor),
        (said["to_wallet"], note.wallet_minor),
    ):
        if minor:
            rows.append((label, Money(minor, note.currency), False))
    return [
        {"label": label, "amount": formats.money(amount, locale), "strong": strong} for label, amount, strong in rows
    ]


def _net_minor(line: CreditNoteLine) -> int:
    net = line.amount.minor - line.discount.minor
    return net - line.tax.minor if line.tax_inclusive else net


def _taxes_named(line: CreditNoteLine, sold: Sold, locale: Locale) -> str:
    names = [
        labels_of(locale)[each.stated] if isinstance(each.stated, NoTax) else _rate_named(each.stated, locale)
        for each in sold.taxes
        if line.line_id in each.lines
    ]
    return " + ".join(names) or labels_of(locale)[NoTax.NOT_REGISTERED]


def parties(seller: Seller, customer: Customer, profile: Profile) -> dict[str, Any]:
    """Return who sells and who buys, with the numbers under which both are taxed."""
    address = profile.address
    place = " ".join(part for part in (address.postal_code, address.city) if part)
    country = " ".join(part for part in (address.region, address.country) if part)
    number = _number_for(seller, address.country, address.region)
    locale = formats.locale_of(customer.locale)
    said = labels_of(locale)
    return {
        "seller": {
            "name": seller.name,
            "lines": [*seller.address, *([said["tax_number"].format(number=number)] if number else [])],
        },
        "buyer": {
            "name": customer.name,
            "lines": [
                *(line for line in (address.line1, address.line2, place, country) if line),
                *([said["vat_number"].format(number=profile.vat_number)] if profile.vat_number else []),
            ],
            # Chinese, Japanese and Korean write some letters of one code differently.
            "lang": locale.language,
        },
    }


def _number_for(seller: Seller, country: str | None, region: str | None) -> str | None:
    """Return the merchant's number where the customer is, else its first one."""
    numbered = [each for each in seller.registrations if each.number]
    there = [each for each in numbered if each.country == country and each.region in {None, region}]
    return next((each.number for each in (*there, *numbered)), None)


def _row(line: Line, sold: Sold, locale: Locale) -> dict[str, Any]:
    discounts = [
        {"name": each.name, "amount": formats.money(-each.amount, locale)}
        for each in line.discounts
        if each.amount.minor
    ]
    return {
        "text": line.description,
        "quantity": _quantity(line.quantity, line.unit, locale),
        "tax": _rates_of(line.id, sold, locale),
        "amount": formats.money(line.amount, locale),
        "discounts": discounts,
    }


def _quantity(quantity: Decimal, unit: str, locale: Locale) -> str:
    """Write a quantity and what it counts; what the catalogue names keeps its name.

    A fee for three seats is three times the fee of a month, and not of three months.
    """
    number, is_ours = formats.quantity(quantity, locale), unit in _UNITS
    name = labels_of(locale).get(unit, unit) if is_ours else unit
    return f"{number} x {name}" if is_ours and abs(quantity) != 1 else f"{number} {name}"


def _rates_of(line_id: LineId, sold: Sold, locale: Locale) -> str:
    return " + ".join(
        formats.percent(each.stated.percent, locale) if isinstance(each.stated, Rate) else "–"  # noqa: RUF001
        for each in sold.taxes
        if line_id in each.lines
    )


def _totals(sold: Sold, locale: Locale) -> list[dict[str, Any]]:
    """Return subtotal, discounts, each tax with its base, and what is to be paid."""
    invoice, said = sold.invoice, labels_of(locale)
    rows = [(said["subtotal"], invoice.subtotal, False)]
    if invoice.discount.minor:
        rows.append((said["discounts"], -invoice.discount, False))
    for each in sold.taxes:
        base = formats.money(Money(each.base_minor, invoice.currency), locale)
        rows.append((_tax_label(each, base, locale), Money(each.tax_minor, invoice.currency), False))
    rows.append((said["total"], invoice.total, True))
    if invoice.applied_minor:
        rows.append((said["paid_from_balance"], -invoice.applied, False))
        rows.append((said["amount_due"], invoice.total - invoice.applied, True))
    return [
        {"label": label, "amount": formats.money(amount, locale), "strong": strong} for label, amount, strong in rows
    ]


def _tax_label(statement: TaxStatement, base: str, locale: Locale) -> str:
    if isinstance(statement.stated, NoTax):
        return f"{labels_of(locale)[statement.stated]} ({base})"
    return labels_of(locale)["tax_on"].format(tax=_rate_named(statement.stated, locale), base=base)


def _rate_named(rate: Rate, locale: Locale) -> str:
    place = "-".join(part for part in (rate.country, rate.region) if part)
    named = " ".join(part for part in (rate.name, place, formats.percent(rate.percent, locale)) if part)
    return labels_of(locale)["includes"].format(tax=named) if rate.inclusive else named


def _notes(sold: Sold, locale: Locale) -> list[str]:
    said = labels_of(locale)
    stated = {each.stated for each in sold.taxes}
    notes = []
    if NoTax.EXEMPT in stated and sold.profile.certificate:
        notes.append(said["exemption"].format(certificate=sold.profile.certificate))
    if NoTax.REVERSE_CHARGE in stated and sold.profile.vat_number:
        notes.append(said["reverse_note"].format(number=sold.profile.vat_number))
    if sold.invoice.environment is Environment.TEST:
        notes.append(said["test"])
    return notes
