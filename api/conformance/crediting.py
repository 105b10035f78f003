"""Credit notes and what is due after them: `invoices/credit_note.py`, `invoices/invoice.py` and `invoices/tax.py`."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from api.conformance.case import Found, Given, number
from domain.credits.discount import Discount
from domain.invoices.credit_note import (
    Credited,
    CreditNoteLine,
    CreditPart,
    credited_lines,
    taxes_back,
)
from domain.invoices.invoice import Identity, Invoice, InvoiceKind, Line, LineKind, State
from domain.invoices.tax import TaxableLine, taxes
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, InvoiceId, LineId, SubscriptionId
from domain.kernel.money import Money, round_half_up, split
from domain.kernel.period import Period

_CURRENCY = "USD"
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_PERIOD = Period(_AT, datetime(2026, 2, 1, tzinfo=UTC))
_CUSTOMER = CustomerId(UUID(int=0))


def _line(index: int, amount_minor: int, discount_minor: int, tax_minor: int) -> Line:
    discount = Discount("", "", "", Money(discount_minor, _CURRENCY))
    return Line(
        id=LineId(UUID(int=index)),
        invoice_id=InvoiceId(UUID(int=0)),
        customer_id=_CUSTOMER,
        identity=Identity(LineKind.FEE, SubscriptionId(UUID(int=index)), None, None, _PERIOD),
        revision=0,
        description="",
        quantity=Decimal(1),
        unit="",
        amount=Money(amount_minor, _CURRENCY),
        tax=Money(tax_minor, _CURRENCY),
        derivation={},
        discounts=(discount,) if discount_minor else (),
    )


def _lines(amounts: Sequence[int], rates: Sequence[str], discounts: Sequence[int] | None = None) -> list[Line]:
    """Make lines with the taxes of their rates after discounts."""
    off = discounts or [0] * len(amounts)
    borne = taxes(
        [TaxableLine(amount - less, Decimal(rate)) for amount, less, rate in zip(amounts, off, rates, strict=True)]
    )
    return [
        _line(index, amount, less, tax)
        for index, (amount, less, tax) in enumerate(zip(amounts, off, borne, strict=True))
    ]


def _invoice(lines: Sequence[Line], *, offset_minor: int = 0, applied_minor: int = 0) -> Invoice:
    return Invoice(
        customer_id=_CUSTOMER,
        id=InvoiceId(UUID(int=0)),
        environment=Environment.TEST,
        currency=_CURRENCY,
        kind=InvoiceKind.INVOICE,
        state=State.OPEN,
        number="",
        created_at=_AT,
        grace_ends_at=_AT,
        issued_at=_AT,
        due_at=_AT,
        paid_at=None,
        subtotal=Money(sum(line.amount.minor for line in lines), _CURRENCY),
        discount=Money(sum(line.discount.minor for line in lines), _CURRENCY),
        tax=Money(sum(line.tax.minor for line in lines), _CURRENCY),
        version=1,
        offset_minor=offset_minor,
        applied_minor=applied_minor,
    )


def _credit_note_on_invoice(given: Given) -> Found:
    """Lower what is due by the note, after tax; what is refunded does not lower it."""
    lines = _lines([given["fees_minor"]], [given["rate_percent"]])
    invoice = _invoice(lines, offset_minor=given["credit_note_minor"])
    return {"tax_minor": invoice.tax.minor, "due_minor": invoice.amount_due.minor}


def _credit_note_prorated(given: Given) -> Found:
    lines = _lines([given["invoice_amount_minor"]], [given["rate_percent"]])
    item = round_half_up(given["invoice_amount_minor"] * number(given["unused_fraction"]))
    [part] = credited_lines(_invoice(lines), lines, {}, [CreditPart(lines[0].id, item)])
    return {"item_minor": part.amount.minor, "tax_minor": part.tax.minor, "total_minor": part.total_minor}


def _credit_notes_sum_to_invoice(given: Given) -> Found:
    lines = _lines(given["invoice_lines_minor"], [given["rate_percent"]] * len(given["invoice_lines_minor"]))
    invoice, before, notes = _invoice(lines), Credited(), list[Mapping[str, int]]()
    for amount in given["credits_minor"]:
        [part] = credited_lines(invoice, lines, {lines[0].id: before}, [CreditPart(lines[0].id, amount)])
        before = Credited(before.amount_minor + part.amount.minor, 0, before.tax_minor + part.tax.minor)
        notes.append({"tax_minor": part.tax.minor, "total_minor": part.total_minor})
    return {"notes": notes, "invoice_tax_minor": invoice.tax.minor}


def _credit_note_with_coupon(given: Given) -> Found:
    amounts = [line["amount_minor"] for line in given["lines"]]
    discounts = [0] * len(amounts)
    chosen = given["coupon"]["only_lines"]
    shares = split(given["coupon"]["fixed_minor"], [number(amounts[index]) for index in chosen])
    for index, share in zip(chosen, shares, strict=True):
        discounts[index] = share
    lines = _lines(amounts, [line["rate_percent"] for line in given["lines"]], discounts)
    invoice = _invoice(lines)
    parts = [CreditPart(lines[each["line"]].id, each["amount_minor"]) for each in given["credit"]]
    credited = credited_lines(invoice, lines, {}, parts)
    return {
        "invoice_tax_minor": invoice.tax.minor,
        "invoice_total_minor": invoice.total.minor,
        "coupon_adjustment_minor": sum(line.discount.minor for line in credited),
        "subtotal_minor": sum(line.amount.minor - line.discount.minor for line in credited),
        "tax_minor": sum(line.tax.minor for line in credited),
        "total_minor": _total(credited),
    }


def _total(lines: Sequence[CreditNoteLine]) -> int:
    return sum(line.total_minor for line in lines)


def _credit_note_line(given: Given) -> Found:
    parts = taxes_back([tax["tax_minor"] for tax in given["taxes"]], given["amount_minor"], given["credit_minor"])
    named = {tax["name"]: part for tax, part in zip(given["taxes"], parts, strict=True)}
    return {"taxes_minor": named, "tax_minor": sum(parts)}


KINDS: dict[str, Callable[[Given], Found]] = {
    "credit_note_on_invoice": _credit_note_on_invoice,
    "credit_note_prorated": _credit_note_prorated,
    "credit_notes_sum_to_invoice": _credit_notes_sum_to_invoice,
    "credit_note_with_coupon": _credit_note_with_coupon,
    "credit_note_line": _credit_note_line,
}
