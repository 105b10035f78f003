"""What earlier invoices of a period took is taken off the later ones: `domain/invoices/derivation.py`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from api.conformance.case import Found, Given
from domain.invoices.derivation import WantedLine, changes
from domain.invoices.invoice import Identity, Line, LineKind
from domain.kernel.ids import CustomerId, InvoiceId, LineId, SegmentId, SubscriptionId
from domain.kernel.money import Money
from domain.kernel.period import Period

CURRENCY = "USD"
_PERIOD = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))


def _wanted(number: int, minor: int) -> WantedLine:
    identity = Identity(
        LineKind.USAGE, SubscriptionId(UUID(int=1)), None, SegmentId(UUID(int=1)), _PERIOD, dimension_key=str(number)
    )
    derivation = {"quantity": "1", "amount_minor": minor}
    return WantedLine(identity, "Usage", Decimal(1), "unit", minor, derivation)


def _issued(of: WantedLine, minor: int) -> Line:
    """Put a part of a line on an invoice that was opened within the period."""
    amount, nothing = Money(minor, CURRENCY), Money(0, CURRENCY)
    own = (LineId(UUID(int=1)), InvoiceId(UUID(int=1)), CustomerId(UUID(int=1)))
    return Line(*own, of.identity, 0, of.description, of.quantity, of.unit, amount, nothing, of.derivation)


def progressive_offset(given: Given) -> Found:
    """Bill what threshold invoices took of the largest line before."""
    amounts: Sequence[int] = given["lines_minor"]
    wanted = [_wanted(number, minor) for number, minor in enumerate(amounts)]
    largest = max(wanted, key=lambda each: each.amount_minor)
    found = changes(wanted, [_issued(largest, given["already_invoiced_minor"])], [])
    return {"due_minor": sum(line.amount_minor for line in found.add)}
