"""Whether what an invoice asks for has ended: then nothing is charged for it by itself any more (SEMANTICS 8.3)."""

from collections.abc import Sequence
from datetime import datetime

from domain.invoices.invoice import Invoice
from domain.kernel.values import dataclass
from domain.payments.attempt import Attempt, is_lost


@dataclass(frozen=True, slots=True)
class Share:
    """A subscription with lines on an invoice: when it ended (None: it has not), and from when on they charge it."""

    ended_at: datetime | None
    starts_at: datetime


def have_ended(shares: Sequence[Share]) -> bool:
    """Whether there is a subscription on an invoice, and all of them have ended."""
    return bool(shares) and all(each.ended_at is not None for each in shares)


def is_over(
    invoice: Invoice, shares: Sequence[Share], attempts: Sequence[Attempt], *, had_method: bool = False
) -> bool:
    """Whether an open invoice is charged no more unless a person orders it, also where a new payment method is given.

    "What has ended or is void is never charged" (SEMANTICS 8.3). Every subscription on it has ended, and it asks for
    time after the end (a cancel for non-payment is as of the first instant not paid for), was tried, or was due before
    the end and could not be: there was nothing to charge it to, which counts as a failure. What is left is charged
    once: the last invoice, over what was used until the end, and whatever else was not due by then, when it is due or
    when there is first something to charge it to; and what a method that was there in time (`had_method`) has not been
    charged with yet. Its customer can pay any of them.
    """
    ends = [each.ended_at for each in shares if each.ended_at is not None]
    if not have_ended(shares):
        return False
    is_tried = any(not is_lost(each) for each in attempts)
    is_after = all(each.ended_at is not None and each.ended_at <= each.starts_at for each in shares)
    due_at = invoice.due_at or invoice.issued_at
    was_due = due_at is not None and due_at < max(ends)
    return is_tried or is_after or (was_due and not had_method)
