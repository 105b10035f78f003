"""What invoices carry besides their lines: when they are due, a memo, and the customer's purchase-order number."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain.customers.customer import CollectionMethod
from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass
from domain.plans.plan import NET_DAYS_MAX

# Of an invoice that is sent to its customer, where nothing else is set: nobody transfers money within the instant.
SENT_NET_DAYS_DEFAULT = 30
MEMO_LENGTH_MAX = 500
ORDER_LENGTH_MAX = 60
# Orders of several subscriptions on one invoice are written one after the other.
ORDERS_LENGTH_MAX = 500
_BETWEEN = ", "


@dataclass(eq=False)
class NetDaysOutOfBounds(DomainError):
    """An invoice is due 0 to {days_max} days after it is issued."""

    code = "net_days_out_of_bounds"
    kind = Kind.INVALID
    days_max: int


@dataclass(eq=False)
class HeadingMalformed(DomainError):
    """The {what} has 1 to {length_max} printable characters; leave it out for none."""

    code = "heading_malformed"
    kind = Kind.INVALID
    what: str
    length_max: int


@dataclass(frozen=True, slots=True)
class Heading:
    """What is set for a customer, or for one of its subscriptions; None leaves it to the customer, or to nothing.

    What is left to nothing of terms is left to the plan. `net_days` is how many days after its issue an invoice is due.
    """

    net_days: int | None = None
    memo: str | None = None
    purchase_order: str | None = None


NOTHING = Heading()


@dataclass(frozen=True, slots=True)
class Headed:
    """What one invoice carries."""

    net_days: int
    memo: str | None
    purchase_order: str | None
    collection: CollectionMethod = CollectionMethod.CHARGE

    def due_at(self, issued_at: datetime) -> datetime:
        """Return when an invoice of this instant is due: elapsed days later, so that no zone moves it."""
        return issued_at + timedelta(days=self.net_days)


# Due as it is issued, with nothing else said.
AT_ONCE = Headed(0, None, None)


def check(heading: Heading) -> Heading:
    """Return a heading with its texts trimmed. Raises NetDaysOutOfBounds, HeadingMalformed."""
    if heading.net_days is not None and not 0 <= heading.net_days <= NET_DAYS_MAX:
        raise NetDaysOutOfBounds(NET_DAYS_MAX)
    return Heading(
        heading.net_days,
        _text(heading.memo, "memo", MEMO_LENGTH_MAX),
        _text(heading.purchase_order, "purchase-order number", ORDER_LENGTH_MAX),
    )


def _text(text: str | None, what: str, length_max: int) -> str | None:
    if text is None:
        return None
    trimmed = text.strip()
    if not 1 <= len(trimmed) <= length_max or not trimmed.isprintable():
        raise HeadingMalformed(what, length_max)
    return trimmed


def heading_of(
    own: Heading,
    customer: Heading,
    subscriptions: Sequence[Heading],
    plan_days: Sequence[int | None] = (),
    *,
    collection: CollectionMethod = CollectionMethod.CHARGE,
) -> Headed:
    """Say what an invoice carries: what was set for itself, else for its subscriptions, else for its customer.

    `subscriptions` are those with a line on it, in their order, and `plan_days` the terms of each one's plan version,
    which count where no others are set; left out, no plan has any. The shortest of their terms counts for all of it;
    each purchase order is named once. A memo of a subscription is shown where all of them have the same. One that is
    sent (`collection`) is due after SENT_NET_DAYS_DEFAULT days where nothing says otherwise.
    """
    on_it = subscriptions or (NOTHING,)
    held = [
        Heading(
            next((days for days in (each.net_days, customer.net_days, of_plan) if days is not None), None),
            each.memo or customer.memo,
            each.purchase_order or customer.purchase_order,
        )
        for each, of_plan in zip(on_it, plan_days or [None] * len(on_it), strict=True)
    ]
    default = SENT_NET_DAYS_DEFAULT if collection is CollectionMethod.SEND else 0
    terms = [default if each.net_days is None else each.net_days for each in held]
    days = own.net_days if own.net_days is not None else min(terms)
    memos = {each.memo for each in held}
    memo = own.memo or (memos.pop() if len(memos) == 1 else customer.memo)
    return Headed(days, memo, own.purchase_order or _orders(held), collection)


def _orders(held: Sequence[Heading]) -> str | None:
    orders = dict.fromkeys(each.purchase_order for each in held if each.purchase_order)
    written = ""
    for order in orders:
        longer = f"{written}{_BETWEEN}{order}" if written else order
        if len(longer) > ORDERS_LENGTH_MAX:
            break
        written = longer
    return written or None
