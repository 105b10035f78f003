"""Offer coupons, give them to customers, and count what invoices take of them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.access.roles import Permission
from domain.credits import coupon as rules
from domain.credits.coupon import (
    AppliedCoupon,
    AppliedCouponNotFound,
    Coupon,
    CouponAlreadyApplied,
    CouponForFirstPurchase,
    CouponKeyTaken,
    CouponNotFound,
    CouponUse,
    CouponUsedUp,
    Duration,
    PromotionCode,
    PromotionCodeInvalid,
    PromotionCodeTaken,
    Right,
    TooManyCoupons,
)
from domain.credits.coupons import store
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import (
    AppliedCouponId,
    CouponId,
    CustomerId,
    InvoiceId,
    PlanId,
    ProductId,
    PromotionCodeId,
    SubscriptionId,
    encode,
)
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.ledger import service as ledger
from domain.subscriptions import service as subscriptions
from domain.subscriptions.service import SubscriptionNotFound

# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101
CODES_SHOWN_MAX = 100
# At a time; an invoice takes them one after the other.
APPLIED_MAX = 20
# In a customer's life, removed ones included: the look-up stays small.
EVER_APPLIED_MAX = 500

# A coupon that a customer has, what invoices took of it, and what one may take now.
Held = tuple[AppliedCoupon, tuple[CouponUse, ...], Right | None]


@dataclass(frozen=True, slots=True)
class Offer:
    """What staff say of a new coupon; see `Coupon`."""

    key: str
    name: str
    duration: Duration
    percent_off: Decimal | None = None
    amount_off: Money | None = None
    periods: int | None = None
    redemptions_max: int | None = None
    per_customer_max: int | None = 1
    redeem_by: datetime | None = None
    product_ids: frozenset[ProductId] = frozenset()
    plan_ids: frozenset[PlanId] = frozenset()
    first_purchase: bool = False


@dataclass(frozen=True, slots=True)
class _News:
    action: str
    event_type: str
    text: str


_APPLIED = _News("apply_coupon", "coupon_applied", "Coupon {name} applied")
_REMOVED = _News("remove_coupon", "coupon_removed", "Coupon {name} removed")
_USED_UP = _News("use_up_coupon", "coupon_used_up", "Coupon {name} is used up")


async def create_coupon(tx: Tx, call: Call, offer: Offer) -> Coupon:
    """Offer a coupon. Its terms stay as they are for life. Raises Forbidden, CouponMalformed, CouponKeyTaken."""
    call.need(Permission.CREDIT_WRITE)
    new = Coupon(
        id=CouponId(call.new_id()),
        key=offer.key,
        name=offer.name.strip(),
        percent_off=offer.percent_off,
        amount_off=offer.amount_off,
        duration=offer.duration,
        periods=offer.periods,
        redemptions_max=offer.redemptions_max,
        per_customer_max=offer.per_customer_max,
        redeem_by=offer.redeem_by,
        product_ids=offer.product_ids,
        plan_ids=offer.plan_ids,
        first_purchase=offer.first_purchase,
        is_active=True,
        created_at=call.at,
    )
    rules.check_coupon(new)
    if not await store.insert_coupon(tx, new):
        raise CouponKeyTaken(new.key)
    await journal.audit(tx, call, "create_coupon", encode("coupon", new.id), facts={"key": new.key})
    return new


async def set_coupon_active(tx: Tx, call: Call, coupon_id: CouponId, *, is_active: bool) -> Coupon:
    """Let a coupon be taken up, or no longer. Who has it keeps it. Raises Forbidden, CouponNotFound."""
    call.need(Permission.CREDIT_WRITE)
    saved = await store.save_activity(tx, coupon_id, is_active=is_active)
    if saved is None:
        raise CouponNotFound
    facts = {"is_active": is_active}
    await journal.audit(tx, call, "set_coupon_active", encode("coupon", coupon_id), facts=facts)
    return saved


async def create_code(
    tx: Tx,
    call: Call,
    coupon_id: CouponId,
    code: str,
    *,
    expires_at: datetime | None = None,
    redemptions_max: int | None = None,
    customer_id: CustomerId | None = None,
) -> PromotionCode:
    """Give a coupon a code by which customers take it up, in any case of letters.

    Raises Forbidden, CouponNotFound, CouponMalformed, PromotionCodeMalformed, PromotionCodeTaken, CustomerNotFound,
    CustomerErased.
    """
    call.need(Permission.CREDIT_WRITE)
    if await store.find_coupon(tx, coupon_id) is None:
        raise CouponNotFound
    if redemptions_max is not None and not 1 <= redemptions_max <= rules.REDEMPTIONS_MAX:
        raise rules.CouponMalformed("a limit is at least 1")
    if customer_id is not None:
        await erasing.load_present(tx, call, customer_id)
    new = PromotionCode(
        id=PromotionCodeId(call.new_id()),
        coupon_id=coupon_id,
        code=rules.normal_code(code),
        is_active=True,
        expires_at=expires_at,
        redemptions_max=redemptions_max,
        customer_id=customer_id,
        created_at=call.at,
    )
    if not await store.insert_code(tx, new):
        raise PromotionCodeTaken(new.code)
    about = encode("promotion_code", new.id)
    await journal.audit(tx, call, "create_promotion_code", about, facts={"coupon": encode("coupon", coupon_id)})
    return new


async def set_code_active(tx: Tx, call: Call, code_id: PromotionCodeId, *, is_active: bool) -> PromotionCode:
    """Switch a code on or off. Raises Forbidden, PromotionCodeInvalid where there is none."""
    call.need(Permission.CREDIT_WRITE)
    saved = await store.save_code_activity(tx, code_id, is_active=is_active)
    if saved is None:
        raise PromotionCodeInvalid
    about = encode("promotion_code", code_id)
    await journal.audit(tx, call, "set_promotion_code_active", about, facts={"is_active": is_active})
    return saved


async def redeem_code(
    tx: Tx,
    call: Call,
    customer_id: CustomerId,
    code: str,
    *,
    subscription_id: SubscriptionId | None = None,
    at: datetime | None = None,
) -> AppliedCoupon:
    """Take up the coupon of a code, for one subscription or for all of the customer's.

    `at` is the business time of it, for looking at what would be later; None is the customer's now.
    A code that does not exist, is off or is another customer's is answered alike. Raises Forbidden, CustomerNotFound,
    CustomerErased, SubscriptionNotFound, PromotionCodeMalformed, PromotionCodeInvalid, CouponExpired, CouponUsedUp,
    CouponAlreadyApplied, CouponForFirstPurchase, TooManyCoupons.
    """
    call.need(Permission.CREDIT_REDEEM)
    found = await store.find_code(tx, rules.normal_code(code))
    if found is None:
        raise PromotionCodeInvalid
    coupon = await store.find_coupon(tx, found.coupon_id)
    assert coupon is not None, "a code has a coupon"
    return await _apply(tx, call, coupon, found, customer_id=customer_id, subscription_id=subscription_id, at=at)


async def apply_coupon(
    tx: Tx, call: Call, customer_id: CustomerId, coupon_id: CouponId, *, subscription_id: SubscriptionId | None = None
) -> AppliedCoupon:
    """Give a customer a coupon without a code. Raises as `redeem_code`, and CouponNotFound."""
    call.need(Permission.CREDIT_WRITE)
    coupon = await store.find_coupon(tx, coupon_id)
    if coupon is None:
        raise CouponNotFound
    return await _apply(tx, call, coupon, None, customer_id=customer_id, subscription_id=subscription_id)


async def _apply(
    tx: Tx,
    call: Call,
    coupon: Coupon,
    code: PromotionCode | None,
    *,
    customer_id: CustomerId,
    subscription_id: SubscriptionId | None,
    at: datetime | None = None,
) -> AppliedCoupon:
    """Give a coupon to a customer. Counting locks it: whoever takes it up at the same moment waits and sees this."""
    customer = await erasing.load_present(tx, call, customer_id)
    now = at or await customers.business_now(tx, call, customer_id)
    if subscription_id is not None and not await subscriptions.subscriptions_by_id(
        tx, [subscription_id], scope=customer_id
    ):
        raise SubscriptionNotFound
    rules.check_redeemable(coupon, code, customer_id, now)
    stranded = await _find_stranded(tx, customer_id, coupon)
    if stranded is not None:
        moved = replace(stranded, subscription_id=subscription_id)
        await store.save_subscription_of(tx, moved)
        await _note(tx, call, now, moved, _APPLIED)
        return moved
    if not await store.count_redemption(tx, coupon.id, code.id if code else None):
        raise CouponUsedUp
    before = await store.list_applied(tx, customer_id)
    await _check_customer(tx, customer_id, coupon, before)
    new = AppliedCoupon(
        customer_id=customer_id,
        id=AppliedCouponId(call.new_id()),
        coupon=coupon,
        code=code.code if code else None,
        subscription_id=subscription_id,
        number=max((each.number for each in before), default=0) + 1,
        zone=customer.zone,
        applied_at=now,
        removed_at=None,
    )
    await store.insert_applied(tx, new)
    await _note(tx, call, now, new, _APPLIED)
    return new


async def _find_stranded(tx: Tx, customer_id: CustomerId, coupon: Coupon) -> AppliedCoupon | None:
    """Return one of a customer's applications of a coupon that was for a subscription that never ran, or None.

    Nobody had anything of it, so the customer's next try takes it along and counts no further redemption.
    """
    own = [each for each in await store.list_applied(tx, customer_id) if each.coupon.id == coupon.id]
    ids = [each.subscription_id for each in own if each.removed_at is None and each.subscription_id is not None]
    if not ids:
        return None
    found = await subscriptions.subscriptions_by_id(tx, ids, scope=customer_id)
    used = {each.applied_id for each in await store.list_uses(tx, customer_id)}
    for each in own:
        subscription = found.get(each.subscription_id) if each.subscription_id else None
        if subscription is not None and subscription.never_ran and each.id not in used:
            return each
    return None


async def _check_customer(tx: Tx, customer_id: CustomerId, coupon: Coupon, before: Sequence[AppliedCoupon]) -> None:
    own = [each for each in before if each.coupon.id == coupon.id]
    if coupon.per_customer_max is not None and len(own) >= coupon.per_customer_max:
        raise CouponAlreadyApplied
    if sum(each.removed_at is None for each in before) >= APPLIED_MAX or len(before) >= EVER_APPLIED_MAX:
        raise TooManyCoupons(APPLIED_MAX)
    if coupon.first_purchase and await ledger.has_posted(tx, customer_id, "invoice_opened"):
        raise CouponForFirstPurchase


async def remove_coupon(tx: Tx, call: Call, customer_id: CustomerId, applied_id: AppliedCouponId) -> AppliedCoupon:
    """Take a coupon from a customer, from the next invoice that is opened. What it gave stays; safe to repeat.

    Raises Forbidden, CustomerNotFound, AppliedCouponNotFound.
    """
    call.need(Permission.CREDIT_WRITE)
    now = await customers.business_now(tx, call, customer_id)
    found = [each for each in await store.list_applied(tx, customer_id) if each.id == applied_id]
    if not found:
        raise AppliedCouponNotFound
    after = rules.removed(found[0], now)
    if after != found[0]:
        await store.save_removal(tx, after)
        await _note(tx, call, now, after, _REMOVED)
    return after


async def _note(tx: Tx, call: Call, now: datetime, about: AppliedCoupon, news: _News) -> None:
    applied_id, coupon_id = encode("applied_coupon", about.id), encode("coupon", about.coupon.id)
    facts: dict[str, Any] = {"applied_coupon_id": applied_id, "coupon_id": coupon_id}
    text = news.text.format(name=about.coupon.name)
    await journal.tell(tx, call, now, about.customer_id, news.event_type, description=text, metadata=facts)
    await journal.audit(tx, call, news.action, applied_id, customer_id=about.customer_id, facts=facts)


async def rights_of(tx: Tx, customer_id: CustomerId, now: datetime, currency: str) -> list[Right]:
    """Return what a customer's coupons may take off an invoice that is opened at business time `now`, in order."""
    applied = await store.list_applied(tx, customer_id)
    if not applied:
        return []
    return rules.rights(applied, await store.list_uses(tx, customer_id), now, currency)


async def use(
    tx: Tx,
    call: Call,
    now: datetime,
    taken: Sequence[tuple[Right, Money]],
    *,
    customer_id: CustomerId,
    invoice_id: InvoiceId,
) -> None:
    """Write what an invoice takes as it is opened; the caller holds the customer's derivation. Takes nothing twice."""
    uses = [
        (right.applied.number, CouponUse(right.applied.id, invoice_id, amount, right.month_at))
        for right, amount in taken
    ]
    if uses:
        await store.insert_uses(tx, customer_id, now, uses)
    for right, amount in taken:
        if rules.is_exhausted(right, amount.minor):
            await _note(tx, call, now, right.applied, _USED_UP)


async def give_back(tx: Tx, now: datetime, customer_id: CustomerId, invoice_id: InvoiceId) -> int:
    """Give back what a voided invoice took of coupons; return how many. Safe to repeat."""
    return await store.return_uses(tx, customer_id, invoice_id, now)


async def list_coupons(
    tx: Tx, call: Call, *, before: CouponId | None = None, limit: int = PAGE_MAX
) -> Sequence[Coupon]:
    """Return coupons, newest first, at most PAGE_MAX. Raises Forbidden."""
    call.need(Permission.CREDIT_WRITE)
    return await store.list_coupons(tx, before=before, limit=min(limit, PAGE_MAX))


async def codes_by_coupon_ids(tx: Tx, call: Call, ids: Collection[CouponId]) -> dict[CouponId, list[PromotionCode]]:
    """Return the newest CODES_SHOWN_MAX codes of coupons, for loaders. Raises Forbidden."""
    call.need(Permission.CREDIT_WRITE)
    return await store.codes_by_coupon_ids(tx, ids, limit=CODES_SHOWN_MAX)


async def list_applied(tx: Tx, call: Call, customer_id: CustomerId) -> list[Held]:
    """Return a customer's coupons in their order, removed ones too, with their uses and what is left of each now.

    Raises Forbidden, CustomerNotFound.
    """
    call.need(Permission.CREDIT_READ)
    return await _held(tx, call, customer_id)


async def lasting_of_customers(tx: Tx, customer_ids: Collection[CustomerId]) -> dict[CustomerId, list[AppliedCoupon]]:
    """Return the coupons of many customers that last as long as they are not removed, removed ones too, in order."""
    return await store.lasting_of_customers(tx, customer_ids)


async def load_applied(tx: Tx, call: Call, customer_id: CustomerId, applied_id: AppliedCouponId) -> Held:
    """Return one of a customer's coupons to a use case that has checked its own permission.

    Raises CustomerNotFound, AppliedCouponNotFound.
    """
    for found in await _held(tx, call, customer_id):
        if found[0].id == applied_id:
            return found
    raise AppliedCouponNotFound


async def _held(tx: Tx, call: Call, customer_id: CustomerId) -> list[Held]:
    now = await customers.business_now(tx, call, customer_id)
    applied = await store.list_applied(tx, customer_id)
    uses = await store.list_uses(tx, customer_id)
    found: list[Held] = []
    for each in applied:
        own = tuple(use for use in uses if use.applied_id == each.id)
        currency = each.coupon.amount_off.currency if each.coupon.amount_off else ""
        left = rules.rights([each], own, now, currency)
        found.append((each, own, left[0] if left else None))
    return found
