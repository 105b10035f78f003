"""Coupons, promotion codes and what customers have of them, as they are shown."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import strawberry

from api.graphql import ids
from api.graphql.enums import name_enum
from api.graphql.fields import reading
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Money, exact, money_of
from domain.access.roles import Permission
from domain.credits import coupon as coupons
from domain.kernel import money

name_enum(
    coupons.Duration,
    "CouponDuration",
    "For how long a coupon gives its discount.",
    ONCE="One invoice; a fixed amount keeps what it could not use for the next ones.",
    REPEATING="So many months in which it is used.",
    FOREVER="Every invoice.",
)


@guarded_type(Permission.CREDIT_READ, "A text by which customers take up a coupon.")
class PromotionCode:
    """A promotion code."""

    id: strawberry.ID = strawberry.field(description="`promo_…`")
    code: str = strawberry.field(description="In capitals; customers may write it in any case.")
    is_active: bool = strawberry.field(description="Whether it can be used.")
    expires_at: datetime | None = strawberry.field(description="The first instant at which it cannot, business time.")
    redemptions_max: int | None = strawberry.field(description="How often it can be used; null for no limit.")
    redeemed: int = strawberry.field(description="How often it was.")
    customer_id: strawberry.ID | None = strawberry.field(description="`cus_…` of the only customer who can use it.")


@guarded_type(Permission.CREDIT_READ, "An offer that lowers invoices. Its terms stay as they are for life.")
class Coupon:
    """A coupon."""

    id: strawberry.ID = strawberry.field(description="`cpn_…`")
    key: str = strawberry.field(description="Unique, for programs.")
    name: str = strawberry.field(description="For people; it stands on invoices.")
    percent_off: Decimal | None = strawberry.field(description="Of each line, rounded half-up; or `amountOff`.")
    amount_off: Money | None = strawberry.field(description="Spread over the lines; each month of a repeating one.")
    duration: coupons.Duration = strawberry.field(description="For how long.")
    periods: int | None = strawberry.field(description="In how many months, for a repeating one.")
    redemptions_max: int | None = strawberry.field(description="How often it can be taken up; null for no limit.")
    per_customer_max: int | None = strawberry.field(description="How often by one customer; null for no limit.")
    redeemed: int = strawberry.field(description="How often it was taken up.")
    redeem_by: datetime | None = strawberry.field(description="The first instant at which it is too late.")
    product_ids: list[strawberry.ID] = strawberry.field(
        description="`prod_…` whose lines it lowers; every line where these and `planIds` are empty."
    )
    plan_ids: list[strawberry.ID] = strawberry.field(description="`plan_…` whose lines it lowers.")
    first_purchase: bool = strawberry.field(description="Whether it is only for who has had no invoice yet.")
    is_active: bool = strawberry.field(description="Whether it can be taken up.")
    codes: list[PromotionCode] = strawberry.field(description="Its newest codes, at most 100; staff only.")


@guarded_type(Permission.CREDIT_READ, "What one invoice took of a coupon. Gone where the invoice is void.")
class CouponUse:
    """A use."""

    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`")
    amount: Money = strawberry.field(description="What it was lowered by.")
    month_at: datetime = strawberry.field(description="Start of the coupon's own month, counted from its application.")


@guarded_type(Permission.CREDIT_READ, "A coupon that a customer has.")
class AppliedCoupon:
    """An applied coupon."""

    id: strawberry.ID = strawberry.field(description="`apc_…`")
    coupon: Coupon = strawberry.field(description="The offer.")
    code: str | None = strawberry.field(description="The promotion code, where one was used.")
    subscription_id: strawberry.ID | None = strawberry.field(description="`sub_…`; null for all of the customer's.")
    number: int = strawberry.field(description="Invoices take coupons in the order of these.")
    applied_at: datetime = strawberry.field(description="In business time.")
    removed_at: datetime | None = strawberry.field(description="In business time.")
    gives: bool = strawberry.field(description="Whether an invoice that is opened now would be lowered.")
    left: Money | None = strawberry.field(description="What is left of a fixed amount, now; null for a percentage.")
    uses: list[CouponUse] = strawberry.field(description="What invoices took, oldest first.")


@guarded_type(Permission.CREDIT_WRITE, "The coupon, as it now is.")
class CouponSaved:
    """Success of createCoupon and setCouponActive."""

    coupon: Coupon = strawberry.field(description="The coupon.")


@guarded_type(Permission.CREDIT_WRITE, "The promotion code, as it now is.")
class PromotionCodeSaved:
    """Success of createPromotionCode and setPromotionCodeActive."""

    promotion_code: PromotionCode = strawberry.field(description="The code.")


@guarded_type(Permission.CREDIT_WRITE, "The customer has the coupon.")
class CouponApplied:
    """Success of applyCoupon."""

    applied: AppliedCoupon = strawberry.field(description="What the customer has.")


@guarded_type(Permission.CREDIT_REDEEM, "The code's coupon is taken up.")
class PromotionCodeRedeemed:
    """Success of redeemPromotionCode."""

    applied_coupon: strawberry.Private[AppliedCoupon]

    @reading(Permission.CREDIT_READ, "What the customer has.")
    async def applied(self) -> AppliedCoupon:
        """Show it."""
        return self.applied_coupon


@guarded_type(Permission.CREDIT_WRITE, "The coupon is no longer the customer's.")
class CouponRemoved:
    """Success of removeCoupon."""

    applied: AppliedCoupon = strawberry.field(description="What the customer had.")


def code_of(value: coupons.PromotionCode) -> PromotionCode:
    """Wrap a promotion code."""
    return PromotionCode(
        id=ids.id_of("promotion_code", value.id),
        code=value.code,
        is_active=value.is_active,
        expires_at=value.expires_at,
        redemptions_max=value.redemptions_max,
        redeemed=value.redeemed,
        customer_id=ids.id_of("customer", value.customer_id) if value.customer_id else None,
    )


def coupon_of(value: coupons.Coupon, codes: Sequence[coupons.PromotionCode] = ()) -> Coupon:
    """Wrap a coupon; customers are not shown its codes."""
    return Coupon(
        id=ids.id_of("coupon", value.id),
        key=value.key,
        name=value.name,
        percent_off=exact(value.percent_off) if value.percent_off is not None else None,
        amount_off=money_of(value.amount_off) if value.amount_off else None,
        duration=value.duration,
        periods=value.periods,
        redemptions_max=value.redemptions_max,
        per_customer_max=value.per_customer_max,
        redeemed=value.redeemed,
        redeem_by=value.redeem_by,
        product_ids=[ids.id_of("product", each) for each in sorted(value.product_ids)],
        plan_ids=[ids.id_of("plan", each) for each in sorted(value.plan_ids)],
        first_purchase=value.first_purchase,
        is_active=value.is_active,
        codes=[code_of(each) for each in codes],
    )


def applied_of(
    value: coupons.AppliedCoupon, uses: Sequence[coupons.CouponUse], right: coupons.Right | None
) -> AppliedCoupon:
    """Wrap what a customer has of a coupon."""
    amount = value.coupon.amount_off
    left_minor = (right.left_minor or 0) if right else 0
    return AppliedCoupon(
        id=ids.id_of("applied_coupon", value.id),
        coupon=coupon_of(value.coupon),
        code=value.code,
        subscription_id=ids.id_of("subscription", value.subscription_id) if value.subscription_id else None,
        number=value.number,
        applied_at=value.applied_at,
        removed_at=value.removed_at,
        gives=right is not None and right.left_minor != 0,
        left=money_of(money.Money(left_minor, amount.currency)) if amount else None,
        uses=[
            CouponUse(
                invoice_id=ids.id_of("invoice", use.invoice_id), amount=money_of(use.amount), month_at=use.month_at
            )
            for use in uses
        ],
    )
