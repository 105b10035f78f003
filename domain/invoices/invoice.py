"""What an invoice and its lines are, which states follow which, and what becomes of a draft."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from domain.credits.discount import Discount, total_of
from domain.customers.customer import CollectionMethod
from domain.invoices.heading import AT_ONCE, Headed
from domain.invoices.minimums import MINIMUM_DEFAULT, MINIMUMS
from domain.invoices.number import number_text
from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, InvoiceId, LineId, PriceId, SegmentId, SubscriptionId, TopUpId
from domain.kernel.money import Money
from domain.kernel.period import Period
from domain.kernel.values import dataclass

# The origin of a line that follows from a subscription; that of a one-off charge or a top-up is its own id.
DERIVED = "derived"


class State(StrEnum):
    """Where an invoice stands."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"
    CHARGED_BACK = "charged_back"


class InvoiceKind(StrEnum):
    """A statement shows lines that are all zero; nothing is owed by it and it has no number."""

    INVOICE = "invoice"
    STATEMENT = "statement"


class LineKind(StrEnum):
    """A fee is billed in advance, usage in arrears; a cap takes off what lies above a monthly cost cap.

    A one-off charge is what staff charge once beside them, of a subscription or of none; a top-up is prepaid credit,
    of no subscription.

    Proration is what a change inside a fee period takes back of the old fee and adds for the new one.
    """

    FEE = "fee"
    PRORATION = "proration"
    USAGE = "usage"
    CAP = "cap"
    ONE_OFF = "one_off"
    TOP_UP = "top_up"


# What comes of fee periods rather than of usage.
FEE_KINDS = frozenset((LineKind.FEE, LineKind.PRORATION))


class VoidReason(StrEnum):
    """Why an invoice was taken back."""

    MISTAKE = "mistake"
    DUPLICATE = "duplicate"
    FRAUDULENT = "fraudulent"
    ORDER_CHANGE = "order_change"
    LAPSED = "lapsed"
    OTHER = "other"


FOLLOWING = {
    State.DRAFT: frozenset((State.OPEN, State.PAID)),  # paid at once: a statement
    State.OPEN: frozenset((State.PAID, State.VOID, State.UNCOLLECTIBLE)),
    State.UNCOLLECTIBLE: frozenset((State.PAID, State.VOID)),
    State.PAID: frozenset((State.CHARGED_BACK, State.OPEN)),  # open again: its bank debit was returned
    State.CHARGED_BACK: frozenset((State.PAID, State.OPEN)),
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
class PaymentUnderWay(DomainError):
    """A payment of this invoice is under way. Wait for its outcome, then do this again."""

    code = "payment_under_way"
    kind = Kind.CONFLICT


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
    lines contain `tax_included_minor` already. `grace_ends_at` is when a draft may be opened. `applied_minor` was paid
    by the customer's balances when it was opened, `offset_minor` taken off by credit notes before it was paid. While
    an attempt is under way (`charging`), what is to be collected stays as it is. `memo` and `purchase_order` are
    printed on it. One with a `top_up_id` asks for prepaid credit and nothing else. Of what was paid, banks hold
    `disputed_minor` until disputes are decided; once they took some for good, `kept_minor` is what is left of it.
    `reopened` counts how often it was asked for again after it had been paid. `collection` is how it is paid.
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
    applied_minor: int = 0
    offset_minor: int = 0
    charging: bool = False
    voided_at: datetime | None = None
    void_reason: VoidReason | None = None
    written_off_at: datetime | None = None
    top_up_id: TopUpId | None = None
    memo: str | None = None
    purchase_order: str | None = None
    disputed_minor: int = 0
    kept_minor: int = 0
    reopened: int = 0
    collection: CollectionMethod = CollectionMethod.CHARGE

    @property
    def is_sent(self) -> bool:
        """Whether its customer pays it without being charged."""
        return self.collection is CollectionMethod.SEND

    @property
    def total(self) -> Money:
        """What is to be paid in all, tax included; may be negative on a draft."""
        return self.net + self.tax

    @property
    def net(self) -> Money:
        """The sum of the lines after discounts, without any tax."""
        return self.subtotal - self.discount - Money(self.tax_included_minor, self.currency)

    @property
    def applied(self) -> Money:
        """What the customer's balances paid when it was opened."""
        return Money(self.applied_minor, self.currency)

    @property
    def offset(self) -> Money:
        """What credit notes took off before it was paid."""
        return Money(self.offset_minor, self.currency)

    @property
    def collectable(self) -> Money:
        """What is to be collected, or was: the total less balances and credit notes; never below zero."""
        return Money(max(self.total.minor, 0) - self.applied_minor - self.offset_minor, self.currency)

    @property
    def outstanding(self) -> Money:
        """What of the collectable is not here, unless it is paid: all of it, or what banks have taken back."""
        return Money(self.collectable.minor - self.kept_minor, self.currency)

    @property
    def amount_due(self) -> Money:
        """What is still to be paid: all that is outstanding while it is open, nothing otherwise."""
        return self.outstanding if self.state is State.OPEN else Money(0, self.currency)

    @property
    def amount_paid(self) -> Money:
        """What was paid in money, and is not gone: all that was collectable, or what banks have left of it."""
        return self.collectable if self.state is State.PAID else Money(self.kept_minor, self.currency)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a line charges. Together with a revision it exists once among lines whose invoice is not void.

    `period` is the service period. `dimension_key` is the canonical text of the dimensions, or a cap's key, or which
    side of a proration it is; empty where there is none. Fees and prorations have no segment, caps no price,
    one-off charges neither of these, top-ups no subscription either.
    """

    kind: LineKind
    subscription_id: SubscriptionId | None
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


def opening_of(draft: Invoice, lines: Sequence[Line], *, balance_minor: int = 0, is_last: bool = False) -> Opening:
    """Say what becomes of a draft: lines that are all zero make a statement, too little waits for the next one.

    Too little is less than the gateway's minimum once `balance_minor`, what the customer's balances can pay, is taken
    off; what they pay whole is opened. Where no next one will come (`is_last`), nothing waits.
    """
    if not lines:
        return Opening.WAIT
    # Not by their net: what they contain of taxes is told anew once they are known.
    if not any(line.taxable.minor for line in lines):
        return Opening.STATEMENT
    left = draft.total.minor - min(max(balance_minor, 0), max(draft.total.minor, 0))
    is_covered = not left and draft.total.minor > 0
    return Opening.INVOICE if is_covered or is_last or left >= minimum(draft.currency).minor else Opening.WAIT


def _become(before: Invoice, state: State) -> Invoice:
    if state not in FOLLOWING[before.state]:
        raise InvoiceStateRefused(before.state, state)
    return replace(before, state=state)


def opened(draft: Invoice, now: datetime, *, headed: Headed = AT_ONCE, applied_minor: int = 0) -> Invoice:
    """Issue a draft with what it carries, of which balances pay a part; it gets its number last.

    Raises InvoiceStateRefused.
    """
    if draft.state is not State.DRAFT:
        raise InvoiceStateRefused(draft.state, State.OPEN)
    return replace(
        _become(draft, State.OPEN),
        issued_at=now,
        due_at=headed.due_at(now),
        memo=headed.memo,
        purchase_order=headed.purchase_order,
        collection=headed.collection,
        applied_minor=applied_minor,
    )


def numbered(issued: Invoice, year: int, number: int) -> Invoice:
    """Give an issued invoice its number."""
    return replace(issued, number=number_text(issued.environment, year, number))


def charged(before: Invoice) -> Invoice:
    """Note that an attempt to collect it is under way. Raises InvoiceStateRefused."""
    if before.state is not State.OPEN:
        raise InvoiceStateRefused(before.state, State.PAID)
    return replace(before, charging=True)


def released(before: Invoice) -> Invoice:
    """Note that no attempt is under way any more."""
    return replace(before, charging=False)


def stated(draft: Invoice, now: datetime) -> Invoice:
    """Keep a draft whose lines are all zero as a statement: nothing is owed. Raises InvoiceStateRefused."""
    return replace(_become(draft, State.PAID), kind=InvoiceKind.STATEMENT, issued_at=now, paid_at=now)


def paid(before: Invoice, now: datetime, amount: Money) -> Invoice:
    """Mark an invoice paid in full; one that is paid stays as it is.

    Raises InvoiceStateRefused for a draft or a void one, PaymentDiffers where the amount is not what is outstanding.
    """
    if before.state is State.PAID:
        return before
    if before.state is State.DRAFT:
        raise InvoiceStateRefused(before.state, State.PAID)
    after = replace(_become(before, State.PAID), paid_at=now, charging=False, kept_minor=0)
    if amount != before.outstanding:
        raise PaymentDiffers(amount.major, amount.currency, before.outstanding.major, before.currency)
    return after


def covered(opened: Invoice, now: datetime) -> Invoice:
    """Mark an invoice paid of which nothing is left to collect: balances or credit notes took it all."""
    assert not opened.outstanding.minor, "something is left to collect"
    return paid(opened, now, opened.outstanding)


def voided(before: Invoice, now: datetime, reason: VoidReason) -> Invoice:
    """Take an open or written-off invoice back; it keeps its number. One that is void stays as it is.

    Raises InvoiceStateRefused for a draft or a paid one, PaymentUnderWay.
    """
    if before.state is State.VOID:
        return before
    after = replace(_become(before, State.VOID), voided_at=now, void_reason=reason)
    if before.charging:
        raise PaymentUnderWay
    return after


def written_off(before: Invoice, now: datetime) -> Invoice:
    """Give an open invoice up; it can still be paid. One that is written off stays as it is.

    Raises InvoiceStateRefused, PaymentUnderWay.
    """
    if before.state is State.UNCOLLECTIBLE:
        return before
    after = replace(_become(before, State.UNCOLLECTIBLE), written_off_at=now)
    if before.charging:
        raise PaymentUnderWay
    return after


def too_little(invoice: Invoice) -> bool:
    """Whether what is collectable is more than nothing and less than the gateway charges."""
    return 0 < invoice.outstanding.minor < minimum(invoice.currency).minor
