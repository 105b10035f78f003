"""Coupons on real Postgres: who gets one, what invoices take of it, and what the database keeps apart."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from domain.credits.coupon import (
    AppliedCoupon,
    AppliedCouponNotFound,
    Coupon,
    CouponAlreadyApplied,
    CouponForFirstPurchase,
    CouponKeyTaken,
    CouponMalformed,
    CouponNotFound,
    CouponUsedUp,
    Duration,
    PromotionCodeInvalid,
    PromotionCodeTaken,
    TooManyCoupons,
)
from domain.credits.coupons import service, store
from domain.credits.coupons.service import APPLIED_MAX, Offer
from domain.customers import service as customers
from domain.customers.service import CustomerNotFound
from domain.invoices.invoice import InvoiceKind, VoidReason
from domain.invoices.voiding.service import void_invoice
from domain.journal.store import billing_event
from domain.kernel.call import Call, Forbidden
from domain.kernel.errors import DomainError
from domain.kernel.ids import AppliedCouponId, CouponId, CustomerId, PlanId, PromotionCodeId, SubscriptionId
from domain.kernel.money import Money
from domain.ledger import service as ledger
from domain.ledger.account import Account
from domain.subscriptions.service import SubscriptionNotFound
from tests import make
from tests.domain.invoices.world import STARTED, World, system_call

_FEBRUARY, _MARCH, _APRIL = make.at("2026-02-01"), make.at("2026-03-01"), make.at("2026-04-01")
_IN_JANUARY = make.at("2026-01-10")


def _offer(**changed: Any) -> Offer:
    return replace(Offer("welcome", "Welcome", Duration.FOREVER, percent_off=Decimal(10)), **changed)


def _fixed(minor: int, **changed: Any) -> Offer:
    return _offer(percent_off=None, amount_off=Money(minor, "USD"), **changed)


async def _offered(world: World, offer: Offer) -> Coupon:
    async with world.db.transaction() as tx:
        return await service.create_coupon(tx, system_call(), offer)


async def _given(world: World, offer: Offer, **chosen: Any) -> AppliedCoupon:
    coupon = await _offered(world, offer)
    async with world.db.transaction() as tx:
        return await service.apply_coupon(tx, system_call(), world.customer.id, coupon.id, **chosen)


async def _uses(world: World) -> list[tuple[int, str]]:
    async with world.db.transaction() as tx:
        found = await store.list_uses(tx, world.customer.id)
    return [(use.amount.minor, f"{use.month_at:%m-%d}") for use in found]


async def _refused(world: World, error: type[DomainError], offer: Offer) -> None:
    coupon = await _offered(world, offer)
    with pytest.raises(error):
        async with world.db.transaction() as tx:
            await service.apply_coupon(tx, system_call(), world.customer.id, coupon.id)
    async with world.db.transaction() as tx:
        found = await store.find_coupon(tx, coupon.id)
    assert found is not None
    assert found.redeemed == 0


async def test_a_lasting_coupon_lowers_every_invoice_and_its_draft(world: World) -> None:
    given = await _given(world, _offer())
    draft = await world.draft(STARTED)
    assert draft is not None
    assert (draft.subtotal, draft.discount, draft.total) == (_usd(7900), _usd(790), _usd(7110))
    assert await _uses(world) == []
    opened = await world.open(draft, STARTED)
    assert opened.total == _usd(7110)
    async with world.db.transaction() as tx:
        assert await ledger.balances(tx, world.customer.id) == [
            (Account.RECEIVABLE, _usd(7110)),
            (Account.REVENUE, _usd(-7110)),
        ]
    await world.count("cost", "10.05", at=_IN_JANUARY)
    # 10 % of 10.05 is 1.005, half up 1.01; of the fee 7.90.
    assert (await world.open(await world.draft(_FEBRUARY), _FEBRUARY)).discount == _usd(891)
    assert await _uses(world) == [(790, "01-01"), (891, "02-01")]
    async with world.db.transaction() as tx:
        told = await tx.rows(sa.select(billing_event.c.type).order_by(billing_event.c.id))
        [(shown, uses, right)] = await service.list_applied(tx, system_call(_FEBRUARY), world.customer.id)
    assert told[0].type == "coupon_applied"
    assert (shown.id, len(uses), right is not None) == (given.id, 2, True)


async def test_a_fixed_coupon_that_is_given_once_keeps_the_rest_for_the_next_invoice(world: World) -> None:
    await _given(world, _fixed(10_000, duration=Duration.ONCE))
    first = await world.open(await world.draft(STARTED), STARTED)
    assert (first.kind, first.discount, first.number) == (InvoiceKind.STATEMENT, _usd(7900), None)
    second = await world.open(await world.draft(_FEBRUARY), _FEBRUARY)
    # 100.00 - 79.00 = 21.00 is left of it: 79.00 - 21.00 = 58.00
    assert (second.discount, second.total) == (_usd(2100), _usd(5800))
    assert (await world.open(await world.draft(_MARCH), _MARCH)).total == _usd(7900)
    async with world.db.transaction() as tx:
        told = await tx.rows(sa.select(billing_event.c.type).order_by(billing_event.c.id))
    assert [row.type for row in told].count("coupon_used_up") == 1


async def test_a_voided_invoice_gives_back_what_it_took(world: World) -> None:
    await _given(world, _offer(duration=Duration.ONCE))
    opened = await world.open_first()
    async with world.db.transaction() as tx:
        for _ in range(2):
            await void_invoice(
                tx,
                system_call(),
                STARTED,
                customer_id=world.customer.id,
                invoice_id=opened.id,
                reason=VoidReason.MISTAKE,
            )
    assert await _uses(world) == []
    again = await world.open(await world.draft(_FEBRUARY), _FEBRUARY)
    # Two fees of 79.00, since January's line is due again.
    assert (again.discount, await _uses(world)) == (_usd(1580), [(1580, "02-01")])


async def test_late_usage_is_credited_with_its_share_of_the_discount(world: World) -> None:
    await _given(world, _offer(duration=Duration.ONCE, percent_off=Decimal(50)))
    await world.count("cost", "10", at=_IN_JANUARY)
    opened = await world.open(await world.draft(_FEBRUARY), _FEBRUARY)
    # Two fees of 79.00 and 10.00 of usage, half of each.
    assert opened.discount == _usd(8400)
    await world.count("cost", "-4", at=make.at("2026-01-10T01:00"))
    later = await world.open(await world.draft(_MARCH), _MARCH)
    # 4.00 of the usage are taken back, of which 2.00 had been paid.
    assert (later.subtotal, later.discount, later.total) == (_usd(7500), _usd(-200), _usd(7700))
    assert await _uses(world) == [(8400, "02-01")]


async def test_a_coupon_of_another_plan_or_subscription_takes_nothing(world: World) -> None:
    plans = {each.key: each.id for each in world.catalogue.plans_of(world.subscription.product_id)}
    await _given(world, _offer(key="basic", plan_ids=frozenset({plans["basic"]})))
    assert (await world.open(await world.draft(STARTED), STARTED)).discount == _usd(0)
    await _given(world, _offer(key="pro", plan_ids=frozenset({plans["pro"]})))
    await _given(world, _offer(key="own"), subscription_id=world.subscription.id)
    # 7.90 of 79.00, then 7.11 of 71.10.
    assert (await world.open(await world.draft(_FEBRUARY), _FEBRUARY)).discount == _usd(1501)


async def test_a_cap_is_reduced_with_the_usage_of_its_plan(world: World) -> None:
    plans = {each.key: each.id for each in world.catalogue.plans_of(world.subscription.product_id)}
    await world.open_first()
    await _given(world, _offer(plan_ids=frozenset({PlanId(plans["pro"])})))
    await world.count("cost", "160.01", at=_IN_JANUARY)
    opened = await world.open(await world.draft(_FEBRUARY), _FEBRUARY)
    # 160.01 is capped at 150.00; with the fee of 79.00 that is 229.00, less 16.00 and 7.90 and plus 1.00.
    assert opened.total == _usd(22_900 - 1600 + 100 - 790)


async def test_a_removed_coupon_lowers_no_draft_that_is_opened_later(world: World) -> None:
    given = await _given(world, _offer())
    draft = await world.draft(STARTED)
    for _ in range(2):
        async with world.db.transaction() as tx:
            await service.remove_coupon(tx, system_call(), world.customer.id, given.id)
    opened = await world.open(draft, STARTED)
    assert (opened.discount, opened.total) == (_usd(0), _usd(7900))
    assert await _uses(world) == []
    with pytest.raises(AppliedCouponNotFound):
        async with world.db.transaction() as tx:
            await service.remove_coupon(tx, system_call(), world.customer.id, AppliedCouponId(make.new_id()))


async def test_however_many_take_it_up_at_once_a_coupon_is_given_as_often_as_it_may(world: World) -> None:
    coupon = await _offered(world, _offer(redemptions_max=2, per_customer_max=None))

    async def take() -> bool:
        try:
            async with world.db.transaction() as tx:
                call = system_call()
                made = await customers.create_customer(
                    tx, call, environment=world.customer.environment, name="N", email="n@example.com"
                )
                await service.apply_coupon(tx, call, made.id, coupon.id)
        except CouponUsedUp:
            return False
        return True

    assert sorted(await asyncio.gather(*(take() for _ in range(5)))) == [False, False, False, True, True]
    async with world.db.transaction() as tx:
        found = await store.find_coupon(tx, coupon.id)
    assert found is not None
    assert found.redeemed == 2


async def test_a_customer_takes_an_offer_up_as_often_as_one_may(world: World) -> None:
    coupon = await _offered(world, _offer())
    taken = 0

    async def take() -> None:
        nonlocal taken
        async with world.db.transaction() as tx:
            await service.apply_coupon(tx, system_call(), world.customer.id, coupon.id)
        taken += 1

    found = await asyncio.gather(*(take() for _ in range(3)), return_exceptions=True)
    assert (taken, [type(each) for each in found if each]) == (1, [CouponAlreadyApplied] * 2)


async def test_a_first_purchase_is_one_before_any_invoice(world: World) -> None:
    await _given(world, _offer(key="first", first_purchase=True))
    await world.open_first()
    await _refused(world, CouponForFirstPurchase, _offer(key="late", first_purchase=True))


async def test_a_customer_has_a_bounded_number_of_coupons_at_a_time(world: World) -> None:
    coupon = await _offered(world, _offer(per_customer_max=None))
    async with world.db.transaction() as tx:
        for _ in range(APPLIED_MAX):
            await service.apply_coupon(tx, system_call(), world.customer.id, coupon.id)
    await _refused(world, TooManyCoupons, _offer(key="more"))


async def test_a_coupon_is_for_a_subscription_of_the_customer(world: World) -> None:
    coupon = await _offered(world, _offer())
    for customer_id, subscription_id, error in (
        (world.customer.id, SubscriptionId(make.new_id()), SubscriptionNotFound),
        (CustomerId(make.new_id()), None, CustomerNotFound),
    ):
        with pytest.raises(error):
            async with world.db.transaction() as tx:
                await service.apply_coupon(tx, system_call(), customer_id, coupon.id, subscription_id=subscription_id)
    with pytest.raises(CouponNotFound):
        async with world.db.transaction() as tx:
            await service.apply_coupon(tx, system_call(), world.customer.id, CouponId(make.new_id()))


async def test_a_code_is_taken_up_in_any_case_of_letters_as_often_as_it_may(world: World) -> None:
    coupon = await _offered(world, _offer(per_customer_max=None))
    async with world.db.transaction() as tx:
        call = system_call()
        code = await service.create_code(
            tx, call, coupon.id, "Summer", redemptions_max=1, customer_id=world.customer.id
        )
        given = await service.redeem_code(tx, call, world.customer.id, " summer ")
        assert (given.code, given.number) == ("SUMMER", 1)
        codes = await service.codes_by_coupon_ids(tx, call, [coupon.id])
        assert [(each.code, each.redeemed) for each in codes[coupon.id]] == [("SUMMER", 1)]
        with pytest.raises(CouponUsedUp):
            await service.redeem_code(tx, call, world.customer.id, "SUMMER")
        with pytest.raises(PromotionCodeTaken):
            await service.create_code(tx, call, coupon.id, "sUMMER")
        off = await service.set_code_active(tx, call, code.id, is_active=False)
        assert not off.is_active
        for text in ("summer", "winter"):
            with pytest.raises(PromotionCodeInvalid):
                await service.redeem_code(tx, call, world.customer.id, text)


async def test_what_is_not_there_is_not_switched_and_what_cannot_work_is_not_made(world: World) -> None:
    coupon = await _offered(world, _offer())
    call = system_call()
    async with world.db.transaction() as tx:
        with pytest.raises(CouponKeyTaken):
            await service.create_coupon(tx, call, _offer())
        with pytest.raises(CouponNotFound):
            await service.set_coupon_active(tx, call, CouponId(make.new_id()), is_active=False)
        with pytest.raises(CouponNotFound):
            await service.create_code(tx, call, CouponId(make.new_id()), "X")
        with pytest.raises(CouponMalformed):
            await service.create_code(tx, call, coupon.id, "X", redemptions_max=0)
        with pytest.raises(PromotionCodeInvalid):
            await service.set_code_active(tx, call, PromotionCodeId(make.new_id()), is_active=True)
        assert not (await service.set_coupon_active(tx, call, coupon.id, is_active=False)).is_active
        second = await service.create_coupon(tx, call, _offer(key="second"))
        listed = await service.list_coupons(tx, call)
        assert [each.id for each in listed] == [second.id, coupon.id]
        assert [each.id for each in await service.list_coupons(tx, call, before=second.id)] == [coupon.id]
        with pytest.raises(PromotionCodeInvalid):
            await service.apply_coupon(tx, call, world.customer.id, coupon.id)
        with pytest.raises(AppliedCouponNotFound):
            await service.load_applied(tx, call, world.customer.id, AppliedCouponId(make.new_id()))


async def test_without_the_permission_nothing_is_given(world: World) -> None:
    coupon = await _offered(world, _offer())
    call: Call = make.call(by=make.principal())
    async with world.db.transaction() as tx:
        for refused in (
            service.create_coupon(tx, call, _offer(key="x")),
            service.set_coupon_active(tx, call, coupon.id, is_active=False),
            service.create_code(tx, call, coupon.id, "X"),
            service.set_code_active(tx, call, PromotionCodeId(make.new_id()), is_active=False),
            service.apply_coupon(tx, call, world.customer.id, coupon.id),
            service.redeem_code(tx, call, world.customer.id, "X"),
            service.remove_coupon(tx, call, world.customer.id, AppliedCouponId(make.new_id())),
            service.list_coupons(tx, call),
            service.codes_by_coupon_ids(tx, call, [coupon.id]),
            service.list_applied(tx, call, world.customer.id),
        ):
            with pytest.raises(Forbidden):
                await refused
        found = await store.find_coupon(tx, coupon.id)
        assert (found, await store.list_applied(tx, world.customer.id)) == (coupon, [])


def _usd(minor: int) -> Money:
    return Money(minor, "USD")
