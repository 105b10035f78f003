"""Coupons and customers' coupons as values."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from domain.credits.coupon import AppliedCoupon, Coupon, CouponUse, Duration, Right
from domain.kernel.ids import AppliedCouponId, CouponId, CustomerId, InvoiceId
from domain.kernel.money import Money
from tests import make

CUSTOMER = CustomerId(make.new_id())
APPLIED_AT = make.at("2026-01-01")


def coupon(**changed: Any) -> Coupon:
    """Make a coupon of ten per cent for ever, or another one."""
    plain = Coupon(
        id=CouponId(make.new_id()),
        key="welcome",
        name="Welcome",
        percent_off=Decimal(10),
        amount_off=None,
        duration=Duration.FOREVER,
        periods=None,
        redemptions_max=None,
        per_customer_max=1,
        redeem_by=None,
        product_ids=frozenset(),
        plan_ids=frozenset(),
        first_purchase=False,
        is_active=True,
        created_at=APPLIED_AT,
    )
    if "amount_off" in changed:
        changed = {"percent_off": None, **changed}
    return replace(plain, **changed)


def usd(minor: int) -> Money:
    """Make an amount in USD."""
    return Money(minor, "USD")


def applied(number: int = 1, **changed: Any) -> AppliedCoupon:
    """Give a coupon to the customer on 1 January 2026."""
    own = {name: changed.pop(name) for name in ("subscription_id", "zone", "removed_at") if name in changed}
    plain = AppliedCoupon(
        customer_id=CUSTOMER,
        id=AppliedCouponId(make.new_id()),
        coupon=coupon(**changed),
        code=None,
        subscription_id=None,
        number=number,
        zone="UTC",
        applied_at=APPLIED_AT,
        removed_at=None,
    )
    return replace(plain, **own)


def right(number: int = 1, *, left_minor: int | None = None, **changed: Any) -> Right:
    """Make what a coupon may take off now."""
    given = applied(number, **changed)
    amount = given.coupon.amount_off
    if left_minor is None and amount is not None:
        left_minor = amount.minor
    return Right(given, APPLIED_AT, left_minor)


def use(of: AppliedCoupon, minor: int, month: str) -> CouponUse:
    """Take something of a coupon in one of its months."""
    return CouponUse(of.id, InvoiceId(make.new_id()), usd(minor), make.at(month))
