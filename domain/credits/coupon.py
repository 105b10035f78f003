"""What a coupon is, whom it is given to, and what is left of it: pure rules."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import (
    AppliedCouponId,
    CouponId,
    CustomerId,
    InvoiceId,
    PlanId,
    ProductId,
    PromotionCodeId,
    SubscriptionId,
)
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.subscriptions.schedule import Interval, period_containing

NAME_LENGTH_MAX = 200
PERIODS_MAX = 120
REDEMPTIONS_MAX = 1_000_000_000
RESTRICTIONS_MAX = 100
AMOUNT_MINOR_MAX = 10**15
PERCENT_DIGITS_MAX = 4
_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_CODE = re.compile(r"[A-Z0-9][A-Z0-9_-]{0,63}")


class Duration(StrEnum):
    """For how long a coupon gives its discount."""

    ONCE = "once"
    REPEATING = "repeating"
    FOREVER = "forever"


@dataclass(eq=False)
class CouponMalformed(DomainError):
    """The coupon was not created: {what}."""

    code = "coupon_malformed"
    kind = Kind.INVALID
    what: str


@dataclass(eq=False)
class CouponKeyTaken(DomainError):
    """There is a coupon with the key {key} already. Choose another key."""

    code = "coupon_key_taken"
    kind = Kind.CONFLICT
    key: str


@dataclass(eq=False)
class CouponNotFound(DomainError):
    """There is no such coupon. See the list of coupons."""

    code = "coupon_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class AppliedCouponNotFound(DomainError):
    """The customer has no such coupon. See the coupons of the customer."""

    code = "applied_coupon_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class PromotionCodeMalformed(DomainError):
    """A promotion code has 1 to 64 letters, digits, dashes and underscores, and begins with a letter or digit."""

    code = "promotion_code_malformed"
    kind = Kind.INVALID


@dataclass(eq=False)
class PromotionCodeTaken(DomainError):
    """There is a promotion code {code_text} already. Choose another one."""

    code = "promotion_code_taken"
    kind = Kind.CONFLICT
    code_text: str


@dataclass(eq=False)
class PromotionCodeInvalid(DomainError):
    """This code is not valid. Check how it is written."""

    code = "promotion_code_invalid"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class CouponExpired(DomainError):
    """This offer has ended: it could be taken up until {until}."""

    code = "coupon_expired"
    kind = Kind.CONFLICT
    until: str


@dataclass(eq=False)
class CouponUsedUp(DomainError):
    """This offer was taken up as often as it could be."""

    code = "coupon_used_up"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class CouponAlreadyApplied(DomainError):
    """You have taken up this offer as often as a customer can."""

    code = "coupon_already_applied"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class CouponForFirstPurchase(DomainError):
    """This offer is for a first purchase only."""

    code = "coupon_for_first_purchase"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class CouponNotForPlan(DomainError):
    """This offer is not for the plan {plan}, or not in its currency. Leave the code out, or choose another plan."""

    code = "coupon_not_for_plan"
    kind = Kind.CONFLICT
    plan: str


@dataclass(eq=False)
class TooManyCoupons(DomainError):
    """A customer has at most {coupons_max} coupons at a time. Remove one first."""

    code = "too_many_coupons"
    kind = Kind.TOO_LARGE
    coupons_max: int


@dataclass(frozen=True, slots=True)
class Coupon:
    """An offer: `percent_off` of each line, or `amount_off` spread over the lines, and never both.

    A repeating one lasts for `periods` months in which it is used, a fixed amount is given in each of them; a fixed
    amount that is given once keeps what it could not use. Without products and plans it touches every line.
    """

    id: CouponId
    key: str
    name: str
    percent_off: Decimal | None
    amount_off: Money | None
    duration: Duration
    periods: int | None
    redemptions_max: int | None
    per_customer_max: int | None
    redeem_by: datetime | None
    product_ids: frozenset[ProductId]
    plan_ids: frozenset[PlanId]
    first_purchase: bool
    is_active: bool
    created_at: datetime
    redeemed: int = 0


@dataclass(frozen=True, slots=True)
class PromotionCode:
    """A text by which a customer takes up a coupon; kept in capitals. `customer_id`: only this customer can."""

    id: PromotionCodeId
    coupon_id: CouponId
    code: str
    is_active: bool
    expires_at: datetime | None
    redemptions_max: int | None
    customer_id: CustomerId | None
    created_at: datetime
    redeemed: int = 0


@dataclass(frozen=True, slots=True)
class AppliedCoupon:
    """A coupon that a customer has, for all of their subscriptions or for one. `number` is the order of application."""

    customer_id: CustomerId
    id: AppliedCouponId
    coupon: Coupon
    code: str | None
    subscription_id: SubscriptionId | None
    number: int
    zone: str
    applied_at: datetime
    removed_at: datetime | None


@dataclass(frozen=True, slots=True)
class CouponUse:
    """What an opened invoice took of an applied coupon; `month_at` is the start of the coupon's own month.

    It is below zero where more went back to a lasting fixed coupon than was taken.
    """

    applied_id: AppliedCouponId
    invoice_id: InvoiceId
    amount: Money
    month_at: datetime


@dataclass(frozen=True, slots=True)
class Right:
    """What an applied coupon may take off one invoice: a percentage, or at most `left_minor`, which may be 0."""

    applied: AppliedCoupon
    month_at: datetime
    left_minor: int | None


def check_coupon(new: Coupon) -> None:
    """Refuse a coupon that could not work. Raises CouponMalformed."""
    for is_wrong, what in _faults(new):
        if is_wrong:
            raise CouponMalformed(what)


def _faults(new: Coupon) -> list[tuple[bool, str]]:
    counts = (new.redemptions_max, new.per_customer_max)
    return [
        (not _KEY.fullmatch(new.key), "a key has 1 to 64 small letters, digits, dashes and underscores"),
        (not _is_name(new.name), f"a name has 1 to {NAME_LENGTH_MAX} printable characters"),
        ((new.percent_off is None) == (new.amount_off is None), "it needs either a percentage or an amount"),
        (new.percent_off is not None and not _is_percent(new.percent_off), "a percentage is above 0 and at most 100"),
        (
            new.amount_off is not None and not 0 < new.amount_off.minor <= AMOUNT_MINOR_MAX,
            "an amount is above 0 and within what can be billed",
        ),
        ((new.periods is not None) != (new.duration is Duration.REPEATING), "only a repeating coupon has periods"),
        (new.periods is not None and not 1 <= new.periods <= PERIODS_MAX, f"it lasts for 1 to {PERIODS_MAX} periods"),
        (any(each is not None and not 1 <= each <= REDEMPTIONS_MAX for each in counts), "a limit is at least 1"),
        (len(new.product_ids) + len(new.plan_ids) > RESTRICTIONS_MAX, f"at most {RESTRICTIONS_MAX} products and plans"),
    ]


def _is_name(text: str) -> bool:
    return 0 < len(text.strip()) <= NAME_LENGTH_MAX and text.isprintable()


def _is_percent(percent: Decimal) -> bool:
    exponent = percent.as_tuple().exponent
    return isinstance(exponent, int) and -exponent <= PERCENT_DIGITS_MAX and 0 < percent <= 100


def normal_code(text: str) -> str:
    """Write a promotion code as it is kept: in capitals, without spaces around. Raises PromotionCodeMalformed."""
    code = text.strip().upper()
    if not _CODE.fullmatch(code):
        raise PromotionCodeMalformed
    return code


def check_redeemable(coupon: Coupon, code: PromotionCode | None, customer_id: CustomerId, at: datetime) -> None:
    """Refuse what cannot be taken up at a business instant, as far as it does not depend on what others do.

    A code that is off, or another customer's, is as unknown. Raises PromotionCodeInvalid, CouponExpired.
    """
    if not coupon.is_active or (code is not None and not code.is_active):
        raise PromotionCodeInvalid
    if code is not None and code.customer_id not in {None, customer_id}:
        raise PromotionCodeInvalid
    for until in (coupon.redeem_by, code.expires_at if code is not None else None):
        if until is not None and at >= until:
            raise CouponExpired(until.date().isoformat())


def fits(coupon: Coupon, product_id: ProductId, plan_id: PlanId, currency: str) -> bool:
    """Whether a coupon can lower lines of a plan that is billed in a currency."""
    is_for_all = not coupon.product_ids and not coupon.plan_ids
    is_in_currency = coupon.amount_off is None or coupon.amount_off.currency == currency
    return is_in_currency and (is_for_all or product_id in coupon.product_ids or plan_id in coupon.plan_ids)


def rights(applied: Sequence[AppliedCoupon], uses: Collection[CouponUse], now: datetime, currency: str) -> list[Right]:
    """Return what applied coupons may take off an invoice at business time `now`, in the order of application.

    `uses` are those of invoices that are not void. A repeating coupon is over once it was used in as many of its own
    months as it has periods; a month of it begins where it was applied, in the customer's zone.
    """
    found = (_right(each, [use for use in uses if use.applied_id == each.id], now, currency) for each in applied)
    return sorted((right for right in found if right is not None), key=lambda right: right.applied.number)


def _right(applied: AppliedCoupon, uses: Sequence[CouponUse], now: datetime, currency: str) -> Right | None:
    coupon = applied.coupon
    is_over = applied.removed_at is not None and applied.removed_at <= now
    if is_over or now < applied.applied_at or (coupon.amount_off and coupon.amount_off.currency != currency):
        return None
    month_at = period_containing(applied.applied_at, applied.zone, Interval.MONTH, now).start
    months = {use.month_at for use in uses if use.amount.minor > 0}
    if coupon.duration is Duration.REPEATING and month_at not in months and len(months) >= (coupon.periods or 0):
        return None
    if coupon.amount_off is None:
        return None if coupon.duration is Duration.ONCE and uses else Right(applied, month_at, None)
    counted = uses if coupon.duration is Duration.ONCE else [use for use in uses if use.month_at == month_at]
    left_minor = coupon.amount_off.minor - sum(use.amount.minor for use in counted)
    is_lasting = coupon.duration is not Duration.ONCE  # what goes back to it with a credit can be given again
    return Right(applied, month_at, max(left_minor, 0)) if left_minor > 0 or is_lasting else None


def is_exhausted(right: Right, taken_minor: int) -> bool:
    """Whether nothing is left of a right once so much was taken: a percentage is given once as a whole."""
    coupon = right.applied.coupon
    if coupon.duration is not Duration.ONCE:
        return False
    return taken_minor != 0 if right.left_minor is None else taken_minor >= right.left_minor


def removed(applied: AppliedCoupon, now: datetime) -> AppliedCoupon:
    """Take a coupon from a customer: invoices opened from now on are without it. One that is removed stays so."""
    return applied if applied.removed_at is not None else replace(applied, removed_at=now)
