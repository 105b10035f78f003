"""Invoices and credit notes as rows of CSV files, in the order of their numbers."""

from collections.abc import Callable, Sequence
from datetime import datetime

from domain.invoices.credit_note import CreditNote
from domain.invoices.invoice import Invoice
from domain.kernel.ids import encode
from domain.kernel.money import Money

# The name of each column, and what it says of an invoice. Amounts are in major units.
INVOICE_COLUMNS: dict[str, Callable[[Invoice], str]] = {
    "number": lambda each: each.number or "",
    "invoice_id": lambda each: encode("invoice", each.id),
    "customer_id": lambda each: encode("customer", each.customer_id),
    "issued_at": lambda each: _instant(each.issued_at),
    "due_at": lambda each: _instant(each.due_at),
    "state": lambda each: each.state,
    "currency": lambda each: each.currency,
    "net": lambda each: each.net.major,
    "tax": lambda each: each.tax.major,
    "total": lambda each: each.total.major,
    "credit_applied": lambda each: each.applied.major,
    "credited": lambda each: each.offset.major,
    "amount_paid": lambda each: each.amount_paid.major,
    "amount_due": lambda each: each.amount_due.major,
    "paid_at": lambda each: _instant(each.paid_at),
    "voided_at": lambda each: _instant(each.voided_at),
    "written_off_at": lambda each: _instant(each.written_off_at),
    "purchase_order": lambda each: each.purchase_order or "",
}
NOTE_COLUMNS: dict[str, Callable[[CreditNote], str]] = {
    "number": lambda each: each.number,
    "credit_note_id": lambda each: encode("credit_note", each.id),
    "invoice_id": lambda each: encode("invoice", each.invoice_id),
    "customer_id": lambda each: encode("customer", each.customer_id),
    "issued_at": lambda each: _instant(each.issued_at),
    "kind": lambda each: each.kind,
    "reason": lambda each: each.reason,
    "currency": lambda each: each.currency,
    "net": lambda each: (each.total - each.tax).major,
    "tax": lambda each: each.tax.major,
    "total": lambda each: each.total.major,
    "offset": lambda each: Money(each.offset_minor, each.currency).major,
    "credited": lambda each: Money(each.credit_minor, each.currency).major,
    "refund": lambda each: Money(each.refund_minor, each.currency).major,
    "to_wallets": lambda each: Money(each.wallet_minor, each.currency).major,
}


def rows_of_invoices(found: Sequence[Invoice]) -> list[list[str]]:
    """Return a row for each invoice."""
    return [[column(each) for column in INVOICE_COLUMNS.values()] for each in found]


def rows_of_notes(found: Sequence[CreditNote]) -> list[list[str]]:
    """Return a row for each credit note."""
    return [[column(each) for column in NOTE_COLUMNS.values()] for each in found]


def _instant(at: datetime | None) -> str:
    return at.isoformat() if at is not None else ""
