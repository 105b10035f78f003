"""Until when an invoice that is not due yet may be paid instead."""

from dataclasses import replace
from datetime import datetime, timedelta

from domain.invoices.invoice import Invoice, PaymentUnderWay, State
from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass

# As long as the longest net terms, counted from the day on which it is given.
EXTENSION_DAYS_MAX = 365


@dataclass(eq=False)
class DueDateRefused(DomainError):
    """The due date stays as it is: {fault}."""

    code = "due_date_refused"
    kind = Kind.CONFLICT
    fault: str


def extended(before: Invoice, due_at: datetime, now: datetime) -> Invoice:
    """Return an invoice that is due later; one that is due then already stays as it is.

    What is due is asked for by then, and its dunning has a grace of its own. Raises DueDateRefused, PaymentUnderWay.
    """
    if before.state is not State.OPEN or before.due_at is None:
        raise _refused(f"the invoice is {before.state}, not open")
    if before.due_at <= now:
        raise _refused("it is due already; extend the grace of its dunning case instead (extendDunningGrace)")
    if due_at == before.due_at:
        return before
    if due_at < before.due_at:
        raise _refused("the one that it has is later")
    if due_at > now + timedelta(days=EXTENSION_DAYS_MAX):
        raise _refused(f"it would lie more than {EXTENSION_DAYS_MAX} days ahead")
    if before.charging:
        raise PaymentUnderWay
    return replace(before, due_at=due_at)


def _refused(fault: str) -> DueDateRefused:
    return DueDateRefused(fault)
