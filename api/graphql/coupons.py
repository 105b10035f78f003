"""Offer coupons, take them up, and see what is left of them."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, TypeVar
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.coupon_views import (
    AppliedCoupon,
    Coupon,
    CouponApplied,
    CouponRemoved,
    CouponSaved,
    PromotionCodeRedeemed,
    PromotionCodeSaved,
    applied_of,
    code_of,
    coupon_of,
)
from api.graphql.fields import changing, reading
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.problems import AnyProblem
from api.graphql.scalars import MoneyInput, money_from
from domain.access.roles import Permission
from domain.credits import coupon as coupons
from domain.credits.coupon import Duration
from domain.credits.coupons import service
from domain.credits.coupons.service import Offer
from domain.customers.service import CustomerNotFound
from domain.db import Tx
from domain.kernel.ids import AppliedCouponId, CouponId, CustomerId, PlanId, ProductId, PromotionCodeId, decode

T = TypeVar("T")


@strawberry.input(description="A new offer: a percentage or an amount, for how long, and for whom.")
class CreateCouponInput:
    """Input of createCoupon."""

    key: str = strawberry.field(description="1 to 64 small letters, digits, dashes and underscores; unique.")
    name: str = strawberry.field(description="1 to 200 characters; it stands on invoices.")
    duration: Duration = strawberry.field(description="For how long.")
    percent_off: Decimal | None = strawberry.field(
        description="Above 0, at most 100, at most 4 digits after the point; or `amountOff`.", default=None
    )
    amount_off: MoneyInput | None = strawberry.field(description="Above 0; or `percentOff`.", default=None)
    periods: int | None = strawberry.field(description="1 to 120 months, for a repeating one only.", default=None)
    redemptions_max: int | None = strawberry.field(description="At least 1; null for no limit.", default=None)
    per_customer_max: int | None = strawberry.field(description="At least 1; null for no limit.", default=1)
    redeem_by: datetime | None = strawberry.field(
        description="The first instant at which it is too late.", default=None
    )
    product_ids: list[strawberry.ID] = strawberry.field(
        description="`prod_…`, at most 100 with the plans; every line where both are empty.", default_factory=list
    )
    plan_ids: list[strawberry.ID] = strawberry.field(description="`plan_…`", default_factory=list)
    first_purchase: bool = strawberry.field(description="Only for who has had no invoice yet.", default=False)


@strawberry.input(description="Whether a coupon can be taken up.")
class SetCouponActiveInput:
    """Input of setCouponActive."""

    id: strawberry.ID = strawberry.field(description="`cpn_…`")
    is_active: bool = strawberry.field(description="Who has it keeps it.")


@strawberry.input(description="A new code of a coupon.")
class CreatePromotionCodeInput:
    """Input of createPromotionCode."""

    coupon_id: strawberry.ID = strawberry.field(description="`cpn_…`")
    code: str = strawberry.field(description="1 to 64 letters, digits, dashes and underscores; unique in any case.")
    expires_at: datetime | None = strawberry.field(
        description="The first instant at which it cannot be used.", default=None
    )
    redemptions_max: int | None = strawberry.field(description="At least 1; null for no limit.", default=None)
    customer_id: strawberry.ID | None = strawberry.field(description="`cus_…`: only they can use it.", default=None)


@strawberry.input(description="Whether a promotion code can be used.")
class SetPromotionCodeActiveInput:
    """Input of setPromotionCodeActive."""

    id: strawberry.ID = strawberry.field(description="`promo_…`")
    is_active: bool = strawberry.field(description="Who has its coupon keeps it.")


@strawberry.input(description="What to give a customer, without a code.")
class ApplyCouponInput:
    """Input of applyCoupon."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    coupon_id: strawberry.ID = strawberry.field(description="`cpn_…`")
    subscription_id: strawberry.ID | None = strawberry.field(
        description="`sub_…` that it lowers; all of the customer's without one.", default=None
    )
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="A code that a customer has.")
class RedeemPromotionCodeInput:
    """Input of redeemPromotionCode."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    code: str = strawberry.field(description="In any case of letters.")
    subscription_id: strawberry.ID | None = strawberry.field(
        description="`sub_…` that it lowers; all of the customer's without one.", default=None
    )
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="What to take from a customer.")
class RemoveCouponInput:
    """Input of removeCoupon."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    id: strawberry.ID = strawberry.field(description="`apc_…`")


CreateCouponResult = Annotated[
    CouponSaved | AnyProblem, strawberry.union("CreateCouponResult", description="What became of createCoupon.")
]
SetCouponActiveResult = Annotated[
    CouponSaved | AnyProblem, strawberry.union("SetCouponActiveResult", description="What became of setCouponActive.")
]
CreatePromotionCodeResult = Annotated[
    PromotionCodeSaved | AnyProblem,
    strawberry.union("CreatePromotionCodeResult", description="What became of createPromotionCode."),
]
SetPromotionCodeActiveResult = Annotated[
    PromotionCodeSaved | AnyProblem,
    strawberry.union("SetPromotionCodeActiveResult", description="What became of setPromotionCodeActive."),
]
ApplyCouponResult = Annotated[
    CouponApplied | AnyProblem, strawberry.union("ApplyCouponResult", description="What became of applyCoupon.")
]
RedeemPromotionCodeResult = Annotated[
    PromotionCodeRedeemed | AnyProblem,
    strawberry.union("RedeemPromotionCodeResult", description="What became of redeemPromotionCode."),
]
RemoveCouponResult = Annotated[
    CouponRemoved | AnyProblem, strawberry.union("RemoveCouponResult", description="What became of removeCoupon.")
]


def _coupon_id(text: str) -> CouponId:
    return CouponId(decode("coupon", text))


async def _shown(tx: Tx, context: Context, customer_id: CustomerId, applied_id: AppliedCouponId) -> AppliedCoupon:
    """Show one of a customer's coupons as it now is."""
    return applied_of(*await service.load_applied(tx, context.call, customer_id, applied_id))


async def _take_up(
    wish: Wish, take: Callable[[Tx], Awaitable[coupons.AppliedCoupon]], success: Callable[[AppliedCoupon], T]
) -> T | AnyProblem:
    """Give the customer of a wish a coupon, once, and show it as it now is."""

    async def act(tx: Tx) -> tuple[T, Mapping[str, str]]:
        applied = await take(tx)
        return success(await _shown(tx, wish.context, wish.customer_id, applied.id)), {"applied": str(applied.id)}

    async def again(tx: Tx, kept: Mapping[str, str]) -> T:
        applied_id = AppliedCouponId(ids.uuid_of(kept["applied"]))
        return success(await _shown(tx, wish.context, wish.customer_id, applied_id))

    return await once(wish, act, again)


@strawberry.type
class CouponQuery:
    """Queries about coupons."""

    @reading(Permission.CREDIT_WRITE, "What is offered, newest first; for staff.")
    async def coupons(
        self, info: Info[Context, None], first: First = PAGE_DEFAULT, after: After = None
    ) -> Connection[Coupon]:
        """List a page, with the codes."""
        context = info.context

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, Coupon]]:
            before = CouponId(last) if last else None
            async with context.runtime.db.transaction() as tx:
                found = await service.list_coupons(tx, context.call, before=before, limit=limit)
                codes = await service.codes_by_coupon_ids(tx, context.call, [each.id for each in found])
            return [(each.id, coupon_of(each, codes[each.id])) for each in found]

        return await page(context, first, after, load)

    @reading(Permission.CREDIT_READ, "A customer's coupons in the order in which invoices take them, with their uses.")
    async def applied_coupons(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
    ) -> list[AppliedCoupon] | None:
        """List them; null for an unknown customer."""
        try:
            async with info.context.runtime.db.transaction() as tx:
                found = await service.list_applied(tx, info.context.call, ids.customer_id(customer_id))
        except CustomerNotFound:
            return None
        return [applied_of(*each) for each in found]


@strawberry.type
class CouponMutation:
    """Changes of coupons."""

    @changing(Permission.CREDIT_WRITE, "Offer a coupon. Its key makes it once.")
    async def create_coupon(
        self,
        info: Info[Context, None],
        input: Annotated[CreateCouponInput, strawberry.argument(description="The offer.")],
    ) -> CreateCouponResult:
        """Create it."""
        offer = Offer(
            key=input.key,
            name=input.name,
            duration=input.duration,
            percent_off=input.percent_off,
            amount_off=money_from(input.amount_off) if input.amount_off else None,
            periods=input.periods,
            redemptions_max=input.redemptions_max,
            per_customer_max=input.per_customer_max,
            redeem_by=input.redeem_by,
            product_ids=frozenset(ProductId(decode("product", each)) for each in input.product_ids),
            plan_ids=frozenset(PlanId(decode("plan", each)) for each in input.plan_ids),
            first_purchase=input.first_purchase,
        )
        async with info.context.runtime.db.transaction() as tx:
            created = await service.create_coupon(tx, info.context.call, offer)
        return CouponSaved(coupon=coupon_of(created))

    @changing(Permission.CREDIT_WRITE, "Let a coupon be taken up, or no longer. Safe to repeat.")
    async def set_coupon_active(
        self,
        info: Info[Context, None],
        input: Annotated[SetCouponActiveInput, strawberry.argument(description="Which one.")],
    ) -> SetCouponActiveResult:
        """Switch it."""
        call, coupon_id = info.context.call, _coupon_id(input.id)
        async with info.context.runtime.db.transaction() as tx:
            saved = await service.set_coupon_active(tx, call, coupon_id, is_active=input.is_active)
            codes = await service.codes_by_coupon_ids(tx, call, [coupon_id])
        return CouponSaved(coupon=coupon_of(saved, codes[coupon_id]))

    @changing(Permission.CREDIT_WRITE, "Give a coupon a code by which customers take it up. Its text makes it once.")
    async def create_promotion_code(
        self,
        info: Info[Context, None],
        input: Annotated[CreatePromotionCodeInput, strawberry.argument(description="The code.")],
    ) -> CreatePromotionCodeResult:
        """Create it."""
        async with info.context.runtime.db.transaction() as tx:
            created = await service.create_code(
                tx,
                info.context.call,
                _coupon_id(input.coupon_id),
                input.code,
                expires_at=input.expires_at,
                redemptions_max=input.redemptions_max,
                customer_id=ids.customer_id(input.customer_id) if input.customer_id else None,
            )
        return PromotionCodeSaved(promotion_code=code_of(created))

    @changing(Permission.CREDIT_WRITE, "Let a promotion code be used, or no longer. Safe to repeat.")
    async def set_promotion_code_active(
        self,
        info: Info[Context, None],
        input: Annotated[SetPromotionCodeActiveInput, strawberry.argument(description="Which one.")],
    ) -> SetPromotionCodeActiveResult:
        """Switch it."""
        code_id = PromotionCodeId(decode("promotion_code", input.id))
        async with info.context.runtime.db.transaction() as tx:
            saved = await service.set_code_active(tx, info.context.call, code_id, is_active=input.is_active)
        return PromotionCodeSaved(promotion_code=code_of(saved))

    @changing(Permission.CREDIT_WRITE, "Give a customer a coupon without a code. Once per idempotency key.")
    async def apply_coupon(
        self,
        info: Info[Context, None],
        input: Annotated[ApplyCouponInput, strawberry.argument(description="Which one, and whose.")],
    ) -> ApplyCouponResult:
        """Apply it."""
        context, customer = info.context, ids.customer_id(input.customer_id)
        coupon_id, subscription_id = _coupon_id(input.coupon_id), ids.find_subscription_id(input.subscription_id)

        async def take(tx: Tx) -> coupons.AppliedCoupon:
            return await service.apply_coupon(tx, context.call, customer, coupon_id, subscription_id=subscription_id)

        wish = Wish(context, "applyCoupon", input.idempotency_key, customer, strawberry.asdict(input))
        return await _take_up(wish, take, lambda shown: CouponApplied(applied=shown))

    @changing(Permission.CREDIT_REDEEM, "Take up the coupon of a promotion code. Once per idempotency key.")
    async def redeem_promotion_code(
        self,
        info: Info[Context, None],
        input: Annotated[RedeemPromotionCodeInput, strawberry.argument(description="The code, and whose.")],
    ) -> RedeemPromotionCodeResult:
        """Redeem it."""
        context, customer = info.context, ids.customer_id(input.customer_id)
        subscription_id = ids.find_subscription_id(input.subscription_id)

        async def take(tx: Tx) -> coupons.AppliedCoupon:
            return await service.redeem_code(tx, context.call, customer, input.code, subscription_id=subscription_id)

        wish = Wish(context, "redeemPromotionCode", input.idempotency_key, customer, strawberry.asdict(input))
        return await _take_up(wish, take, lambda shown: PromotionCodeRedeemed(applied_coupon=shown))

    @changing(Permission.CREDIT_WRITE, "Take a coupon from a customer, from the next invoice on. Safe to repeat.")
    async def remove_coupon(
        self,
        info: Info[Context, None],
        input: Annotated[RemoveCouponInput, strawberry.argument(description="Which one, and whose.")],
    ) -> RemoveCouponResult:
        """Remove it."""
        customer, applied_id = ids.customer_id(input.customer_id), AppliedCouponId(decode("applied_coupon", input.id))
        async with info.context.runtime.db.transaction() as tx:
            await service.remove_coupon(tx, info.context.call, customer, applied_id)
            shown = await _shown(tx, info.context, customer, applied_id)
        return CouponRemoved(applied=shown)
