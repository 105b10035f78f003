"""What an invoice and its lines are, which states follow which, and what becomes of a draft."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from domain.credits.discount import Discount, total_of
from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, InvoiceId, LineId, PriceId, SegmentId, SubscriptionId
from domain.kernel.money import Money
from domain.kernel.period import Period

# The origin of a line that the derivation made; a one-off charge will carry its own id instead.
DERIVED = "derived"

# The least amounts that the gateway charges, in minor units, where they are not MINIMUM_DEFAULT.
MINIMUM_DEFAULT = 50
MINIMUMS = {
    "AED": 200,
    "CZK": 1_500,
    "DKK": 250,
    "GBP": 30,
    "HKD": 400,
    "HUF": 17_500,
    "MXN": 1_000,
    "MYR": 200,
    "NOK": 300,
    "PLN": 200,
    "RON": 200,
    "SEK": 300,
    "THB": 1_000,
}
_SERIES_PREFIX = {Environment.LIVE: "", Environment.TEST: "TEST-"}
_NUMBER_DIGITS = 6


class State(StrEnum):
    """Where an invoice stands."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"


class InvoiceKind(StrEnum):
    """A statement shows lines that are all zero; nothing is owed by it and it has no number."""

    INVOICE = "invoice"
    STATEMENT = "statement"


class LineKind(StrEnum):
    """A fee is billed in advance, usage in arrears; a cap takes off what lies above a monthly cost cap.

    Proration is what a change inside a fee period takes back of the old fee and adds for the new one.
    """

    FEE = "fee"
    PRORATION = "proration"
    USAGE = "usage"
    CAP = "cap"


# What comes of fee periods rather than of usage.
FEE_KINDS = frozenset((LineKind.FEE, LineKind.PRORATION))

FOLLOWING = {
    State.DRAFT: frozenset((State.OPEN, State.PAID)),  # paid at once: a statement
    State.OPEN: frozenset((State.PAID, State.VOID, State.UNCOLLECTIBLE)),
    State.UNCOLLECTIBLE: frozenset((State.PAID, State.VOID)),
    State.PAID: frozenset[State](),
    State.VOID: frozenset[State](),
}


class Opening(StrEnum):
    """What becomes of a draft that is to be opened."""

    INVOICE = "invoice"
    STATEMENT = "statement"
    WAIT = "wait"


@dataclass(eq=False)
class InvoiceNotFound(DomainError):
    """There is no such invoice. See the list of invoices."""

    code = "invoice_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class InvoiceStateRefused(DomainError):
    """An invoice that is {state} cannot become {wanted}."""

    code = "invoice_state_refused"
    kind = Kind.CONFLICT
    state: str
    wanted: str


@dataclass(eq=False)
class PaymentDiffers(DomainError):
    """The payment of {paid} {paid_currency} is not the {due} {due_currency} that the invoice is due."""

    code = "payment_differs"
    kind = Kind.CONFLICT
    paid: str
    paid_currency: str
    due: str
    due_currency: str


@dataclass(frozen=True, slots=True)
class Invoice:
    """What one customer owes in one currency. Once opened only its state changes.

    `subtotal` is the sum of the lines, `discount` what coupons take off them; `total` has the tax on top, of which the
    lines contain `tax_included_minor` already.
    `grace_ends_at` is when a draft may be opened.
    """

    customer_id: CustomerId
    id: InvoiceId
    environment: Environment
    currency: str
    kind: InvoiceKind
    state: State
    number: str | None
    created_at: datetime
    grace_ends_at: datetime
    issued_at: datetime | None
    due_at: datetime | None
    paid_at: datetime | None
    subtotal: Money
    discount: Money
    tax: Money
    version: int
    tax_included_minor: int = 0

    @property
    def total(self) -> Money:
        """What is to be paid in all, tax included; may be negative on a draft."""
        return self.net + self.tax

    @property
    def net(self) -> Money:
        """The sum of the lines after discounts, without any tax."""
        return self.subtotal - self.discount - Money(self.tax_included_minor, self.currency)

    @property
    def amount_due(self) -> Money:
        """What is still to be paid: all of it while it is open, nothing otherwise."""
        return self.total if self.state is State.OPEN else Money(0, self.currency)

    @property
    def amount_paid(self) -> Money:
        """What was paid: all of it or nothing."""
        return self.total if self.state is State.PAID else Money(0, self.currency)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a line charges. Together with a revision it exists once among lines whose invoice is not void.

    `period` is the service period. `dimension_key` is the canonical text of the dimensions, or a cap's key, or which
    side of a proration it is; empty where there is none. Fees and prorations have no segment, caps no price.
    """

    kind: LineKind
    subscription_id: SubscriptionId
    price_id: PriceId | None
    segment_id: SegmentId | None
    period: Period
    dimension_key: str = ""
    origin: str = DERIVED


@dataclass(frozen=True, slots=True)
class Line:
    """One amount on an invoice, and how it came about.

    `quantity` is whole, also where the amount is a share of time. `derivation` is JSON of texts and whole numbers;
    exact amounts in it are in major units. `discounts` are what coupons take off, in order; they are no part of the
    identity or the derivation. `tax_inclusive` says that the amount contains the tax.
    """

    id: LineId
    invoice_id: InvoiceId
    customer_id: CustomerId
    identity: Identity
    revision: int
    description: str
    quantity: Decimal
    unit: str
    amount: Money
    tax: Money
    derivation: dict[str, Any]
    discounts: tuple[Discount, ...] = ()
    tax_inclusive: bool = False

    @property
    def discount(self) -> Money:
        """What coupons take off. It has the sign of the amount and never passes it."""
        return total_of(self.discounts, self.amount.currency)

    @property
    def taxable(self) -> Money:
        """What taxes are taken of: the amount less its discounts."""
        return self.amount - self.discount

    @property
    def net(self) -> Money:
        """What is charged without any tax."""
        return self.taxable - self.tax if self.tax_inclusive else self.taxable

    @property
    def period(self) -> Period:
        """The time that the line charges: its service period."""
        return self.identity.period


def minimum(currency: str) -> Money:
    """Return the least amount that the gateway charges in a currency: 50 minor units where no other is published."""
    return Money(MINIMUMS.get(currency, MINIMUM_DEFAULT), currency)


def opening_of(draft: Invoice, lines: Sequence[Line]) -> Opening:
    """Say what becomes of a draft: lines that are all zero make a statement, too little waits for the next one."""
    if not lines:
        return Opening.WAIT
    if not any(line.net.minor for line in lines):
        return Opening.STATEMENT
    return Opening.INVOICE if draft.total >= minimum(draft.currency) else Opening.WAIT


def _become(before: Invoice, state: State) -> Invoice:
    if state not in FOLLOWING[before.state]:
        raise InvoiceStateRefused(before.state, state)
    return replace(before, state=state)


def opened(draft: Invoice, now: datetime, number: str) -> Invoice:
    """Issue a draft under its number; it is due at once. Raises InvoiceStateRefused."""
    return replace(_become(draft, State.OPEN), number=number, issued_at=now, due_at=now)


def stated(draft: Invoice, now: datetime) -> Invoice:
    """Keep a draft whose lines are all zero as a statement: nothing is owed. Raises InvoiceStateRefused."""
    return replace(_become(draft, State.PAID), kind=InvoiceKind.STATEMENT, issued_at=now, paid_at=now)


def paid(before: Invoice, now: datetime, amount: Money) -> Invoice:
    """Mark an invoice paid in full; one that is paid stays as it is.

    Raises InvoiceStateRefused for a draft or a void one, PaymentDiffers where the amount is not its total.
    """
    if before.state is State.PAID:
        return before
    if before.state is State.DRAFT:
        raise InvoiceStateRefused(before.state, State.PAID)
    after = replace(_become(before, State.PAID), paid_at=now)
    if amount != before.total:
        raise PaymentDiffers(amount.major, amount.currency, before.total.major, before.currency)
    return after


def series_year(now: datetime) -> int:
    """Return the year of the number series that an invoice issued at business time `now` belongs to, in UTC."""
    return now.year


def number_text(environment: Environment, year: int, number: int) -> str:
    """Write an invoice number: 2026-000001, TEST-2026-000001 for test customers. More digits follow after 999,999."""
    return f"{_SERIES_PREFIX[environment]}{year}-{number:0{_NUMBER_DIGITS}d}"
