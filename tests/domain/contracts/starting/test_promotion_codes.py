"""Subscribing with a promotion code: its coupon lowers the first invoice, in the preview as in the result."""

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.contracts import service as contracts
from domain.contracts.previewing import service as previewing
from domain.contracts.starting.wish import Wish
from domain.credits.coupon import CouponNotForPlan, CouponUsedUp, Duration, PromotionCodeInvalid
from domain.credits.coupons import service as coupons
from domain.credits.coupons.service import Offer
from domain.db import Database
from domain.kernel.money import Money
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Status, Subscription
from tests.domain.contracts.changing.office import Office, open_office
from tests.domain.contracts.examples import Shop


@pytest.fixture
async def office(db: Database) -> AsyncIterator[Office]:
    """Open an office whose clock stands at 1 April 2026, 00:00."""
    async with open_office(db, on="2026-04-01") as opened:
        yield opened


async def _offer(shop: Shop, **terms: Any) -> None:
    """Offer a fifth off once, with the code spring."""
    offer = Offer(key="spring", name="Spring", duration=Duration.ONCE, percent_off=Decimal(20))
    async with shop.db.transaction() as tx:
        coupon = await coupons.create_coupon(tx, shop.call, replace(offer, **terms))
        await coupons.create_code(tx, shop.call, coupon.id, "spring")


def _of(shop: Shop) -> dict[str, Any]:
    product = "desk" if isinstance(shop, Office) else "print"
    plan = "large" if isinstance(shop, Office) else "basic"
    return {
        "customer_id": shop.customer.id,
        "product_key": product,
        "plan_key": plan,
        "interval": Interval.MONTH,
        "wish": Wish(promotion_code="spring"),
    }


async def _subscribe(shop: Shop) -> Subscription:
    async with shop.db.transaction() as tx:
        return await contracts.subscribe(tx, shop.call, **_of(shop))


async def _applied(shop: Shop) -> list[tuple[object, int]]:
    async with shop.db.transaction() as tx:
        held = await coupons.list_applied(tx, shop.call, shop.customer.id)
    return [(applied.subscription_id, applied.coupon.redeemed) for applied, _, _ in held]


async def test_a_code_lowers_the_first_invoice_as_its_preview_has_shown(office: Office) -> None:
    await _offer(office)
    before = await office.rows()
    async with office.db.transaction() as tx:
        shown = await previewing.preview_subscribe(tx, office.call, **_of(office))
    assert await office.rows() == before
    # A fifth of 30.00.
    assert shown.invoice is not None
    assert (shown.invoice.discount.minor, shown.invoice.total.minor) == (600, 2_400)
    own = await _subscribe(office)
    [invoice] = await office.invoices()
    assert (invoice.discount.minor, invoice.total.minor) == (600, 2_400)
    assert await _applied(office) == [(own.id, 1)]
    # The second month is without it.
    await office.move_and_close("2026-05-01T02:00", own)
    assert (await office.invoices())[-1].total.minor == 3_000


async def test_an_amount_off_once_is_for_a_full_period_and_keeps_what_a_short_one_does_not_take(office: Office) -> None:
    await _offer(office, percent_off=None, amount_off=Money(620, "USD"))
    wish = Wish(promotion_code="spring", bill_day=16)
    async with office.db.transaction() as tx:
        own = await contracts.subscribe(tx, office.call, **{**_of(office), "wish": wish})
    # 15 of the 31 days up to 16 April: 30.00 and 6.20 come to 14.516… and 3.00.
    [first] = await office.invoices()
    assert (first.subtotal.minor, first.discount.minor) == (1_452, 300)
    await office.move_and_close("2026-04-16T02:00", own)
    await office.move_and_close("2026-05-16T02:00", own)
    assert [each.discount.minor for each in await office.invoices()] == [300, 320, 0]


async def test_a_code_that_is_unknown_or_for_another_plan_or_currency_starts_nothing(office: Office) -> None:
    before = await office.rows()
    with pytest.raises(PromotionCodeInvalid):
        await _subscribe(office)
    assert await office.rows() == before
    await _offer(office, plan_ids=frozenset((office.catalogue.plan("desk", "small").id,)))
    before = await office.rows()
    with pytest.raises(CouponNotForPlan):
        await _subscribe(office)
    assert await office.rows() == before


async def test_a_fixed_amount_of_another_currency_is_not_for_the_plan(office: Office) -> None:
    await _offer(office, percent_off=None, amount_off=Money(500, "EUR"))
    before = await office.rows()
    with pytest.raises(CouponNotForPlan):
        await _subscribe(office)
    assert await office.rows() == before


async def test_what_was_taken_up_for_a_subscription_that_was_never_paid_goes_on_to_the_next(shop: Shop) -> None:
    await _offer(shop, redemptions_max=1)
    first = await _subscribe(shop)
    assert first.status is Status.INCOMPLETE
    second = await _subscribe(shop)
    # One redemption, which moved: nobody had anything of the first.
    assert await _applied(shop) == [(second.id, 1)]
    totals = [each.total.minor for each in await shop.invoices()]
    assert totals == [800, 800]
    [_, invoice] = await shop.invoices()
    async with shop.db.transaction() as tx:
        await contracts.note_payment(tx, shop.call, shop.customer.id, invoice.id, succeeded=True)
        await contracts.cancel(tx, shop.call, subscription_id=second.id, at_period_end=False)
    before = await shop.rows()
    with pytest.raises(CouponUsedUp):
        await _subscribe(shop)
    assert await shop.rows() == before
