"""One-off charges: what staff charge a customer once beside plans and usage, and the line that each becomes."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from domain.invoices.derivation import Changes, WantedLine, changes
from domain.invoices.document import describe_charge
from domain.invoices.invoice import Identity, Line, LineKind
from domain.invoices.rating import rounded, stretch
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, InvoiceId, OneOffChargeId, SubscriptionId, encode
from domain.kernel.money import Money, exact_text, to_minor
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.plans.definition import TAX_CODE_LENGTH_MAX, is_tax_code

NOUN = "one_off_charge"
QUANTITY_MAX = 10**9
# In major units.
UNIT_PRICE_MAX = 10**12
# Digits after the point of a quantity and of a unit price.
DIGITS_MAX = 18
AMOUNT_MINOR_MAX = 10**12
DESCRIPTION_LENGTH_MAX = 300
UNIT_LENGTH_MAX = 40
UNIT_DEFAULT = "unit"
# Charges of one customer in one currency that wait for an invoice.
PENDING_MAX = 500
# How long a service lasts at most, and how far from now it may begin or end.
SERVICE_MAX = timedelta(days=3_660)
# A service period has an end; what is for an instant is for this long.
_INSTANT = timedelta(seconds=1)


class ChargeState(StrEnum):
    """Where a charge stands. While its line is on a draft it still waits; a void invoice lets it wait again."""

    PENDING = "pending"
    INVOICED = "invoiced"
    CANCELED = "canceled"


@dataclass(eq=False)
class ChargeMalformed(DomainError):
    """The charge was not made: {what}."""

    code = "charge_malformed"
    kind = Kind.INVALID
    what: str


@dataclass(eq=False)
class ChargeNegative(DomainError):
    """A charge is never below zero. Give back by a credit note on the invoice, or grant credit into a wallet."""

    code = "charge_negative"
    kind = Kind.INVALID


@dataclass(eq=False)
class ChargeNotFound(DomainError):
    """There is no such charge. See the one-off charges of the customer."""

    code = "charge_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class ChargeInvoiced(DomainError):
    """The charge stands on an invoice already. Give it back by a credit note, or void that invoice first."""

    code = "charge_invoiced"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class TooManyCharges(DomainError):
    """{pending_max} charges of this customer wait for an invoice in this currency. Invoice or cancel some first."""

    code = "too_many_charges"
    kind = Kind.TOO_LARGE
    pending_max: int


@dataclass(frozen=True, slots=True)
class ChargeWish:
    """What is to be charged: `quantity` times `unit_price`, exact major units of `currency`, rounded once.

    It is for the time from `service_start_at` to `service_end_at`; without an end it is for an instant, and without a
    start that is the one at which it is made. Coupons reduce it only where it is `discountable`. Without a tax code it
    has its subscription's.
    """

    currency: str
    description: str
    unit_price: Decimal
    quantity: Decimal = Decimal(1)
    unit: str = UNIT_DEFAULT
    tax_code: str | None = None
    discountable: bool = True
    subscription_id: SubscriptionId | None = None
    service_start_at: datetime | None = None
    service_end_at: datetime | None = None

    @property
    def exact(self) -> Fraction:
        """What it comes to in major units, before it is rounded."""
        return Fraction(self.quantity) * Fraction(self.unit_price)


@dataclass(frozen=True, slots=True)
class OneOffCharge:
    """A charge of one customer. `invoice_id` is the opened invoice that its line stands on; instants are business time.

    It is never changed: one that is wrong is canceled and made anew.
    """

    customer_id: CustomerId
    id: OneOffChargeId
    wish: ChargeWish
    created_at: datetime
    state: ChargeState = ChargeState.PENDING
    invoice_id: InvoiceId | None = None
    canceled_at: datetime | None = None

    @property
    def amount(self) -> Money:
        """What is charged, before discounts and tax."""
        return Money(to_minor(self.wish.exact, self.wish.currency), self.wish.currency)

    @property
    def service(self) -> Period:
        """What time it is for; an instant is a second."""
        start = self.wish.service_start_at or self.created_at
        return Period(start, self.wish.service_end_at or start + _INSTANT)

    @property
    def origin(self) -> str:
        """What its line names as its origin."""
        return encode(NOUN, self.id)


def check(wish: ChargeWish, now: datetime) -> ChargeWish:
    """Return a wish with its texts trimmed. Raises ChargeMalformed, ChargeNegative, CurrencyUnknown."""
    if not (wish.unit_price.is_finite() and wish.quantity.is_finite()):
        raise ChargeMalformed("its numbers are finite")
    if wish.unit_price < 0 or wish.quantity < 0:
        raise ChargeNegative
    trimmed = replace(wish, description=wish.description.strip(), unit=wish.unit.strip())
    for fault, is_wrong in _faults(trimmed).items():
        if is_wrong:
            raise ChargeMalformed(fault)
    _check_service(wish, now)
    if to_minor(wish.exact, wish.currency) > AMOUNT_MINOR_MAX:
        most = Money(AMOUNT_MINOR_MAX, wish.currency)
        raise ChargeMalformed(f"it comes to at most {most.major} {most.currency}")
    return trimmed


def _faults(wish: ChargeWish) -> dict[str, bool]:
    return {
        f"a description has 1 to {DESCRIPTION_LENGTH_MAX} printable characters": not _is_text(
            wish.description, DESCRIPTION_LENGTH_MAX
        ),
        f"a unit has 1 to {UNIT_LENGTH_MAX} printable characters": not _is_text(wish.unit, UNIT_LENGTH_MAX),
        f"a quantity is above 0, at most {QUANTITY_MAX}, with at most {DIGITS_MAX} digits after the point": not (
            0 < wish.quantity <= QUANTITY_MAX and _digits(wish.quantity) <= DIGITS_MAX
        ),
        f"a unit price is at most {UNIT_PRICE_MAX}, with at most {DIGITS_MAX} digits after the point": not (
            wish.unit_price <= UNIT_PRICE_MAX and _digits(wish.unit_price) <= DIGITS_MAX
        ),
        f"a tax code has at most {TAX_CODE_LENGTH_MAX} small letters, digits and . _ -": wish.tax_code is not None
        and not is_tax_code(wish.tax_code),
    }


def _is_text(text: str, length_max: int) -> bool:
    return 1 <= len(text) <= length_max and text.isprintable()


def _digits(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), "it is finite"
    return -exponent


def _check_service(wish: ChargeWish, now: datetime) -> None:
    start, end = wish.service_start_at, wish.service_end_at
    if end is not None and (start is None or end <= start):
        raise ChargeMalformed("a service period ends after it begins")
    instants = [each for each in (start, end) if each is not None]
    if any(abs(each - now) > SERVICE_MAX for each in instants):
        raise ChargeMalformed(f"its service lies at most {SERVICE_MAX.days} days from now")


def wanted_line(charge: OneOffCharge, zone: str) -> WantedLine:
    """Return the line that a charge should have. Its service period is named in the customer's zone."""
    wish = charge.wish
    return WantedLine(
        identity=Identity(LineKind.ONE_OFF, wish.subscription_id, None, None, charge.service, origin=charge.origin),
        description=describe_charge(wish.description, charge.service if wish.service_end_at else None, zone),
        quantity=wish.quantity,
        unit=wish.unit,
        amount_minor=charge.amount.minor,
        derivation={
            NOUN: charge.origin,
            "quantity": exact_text(wish.quantity),
            "unit_price": exact_text(wish.unit_price),
            **rounded(wish.exact, wish.currency),
            "period": stretch(charge.service),
            "tax_code": wish.tax_code,
            "discountable": wish.discountable,
        },
    )


def changes_of(pending: Sequence[OneOffCharge], drafted: Iterable[Line], now: datetime, zone: str) -> Changes:
    """Return what makes a draft right about charges: those made by `now`, or on it already, and no others.

    What stands on opened invoices is on neither side: a charge is invoiced once, and a credit note on it brings nothing
    back. A draft that is derived for an earlier instant keeps what it has.
    """
    present = list(drafted)
    known = origins_of(present)
    due = [each for each in pending if each.created_at <= now or each.origin in known]
    return changes([wanted_line(each, zone) for each in due], (), present)


def origins_of(lines: Collection[Line]) -> frozenset[str]:
    """Return which charges have their line among these."""
    return frozenset(line.identity.origin for line in lines if line.identity.kind is LineKind.ONE_OFF)
