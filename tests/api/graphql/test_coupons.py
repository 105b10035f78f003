"""Coupons over GraphQL: staff offer, customers take up, invoices are lowered."""

from typing import Any

import pytest

from domain.customers.customer import Customer
from domain.kernel.ids import encode
from tests.api.graphql.site import Site

SAVED = "... on CouponSaved { coupon { id key percentOff isActive codes { code redeemed isActive } } }"
CODE = "... on PromotionCodeSaved { promotionCode { id code isActive expiresAt } }"
REDEEMED = "... on PromotionCodeRedeemed { applied { id code number gives coupon { name codes { code } } } }"
APPLIED = "... on CouponApplied { applied { id gives left { amount currency } } }"
REMOVED = "... on CouponRemoved { applied { removedAt gives } }"
HELD = """query($id: ID!) {
    appliedCoupons(customerId: $id) { code gives left { amount } uses { amount { amount } } }
    customer(id: $id) { invoices { nodes {
        subtotal { amount } discount { amount } total { amount }
        lines { amount { amount } discount { amount } net { amount } discounts { coupon name amount { amount } } }
    } } }
}"""


@pytest.fixture
async def ada(shared: Site) -> Customer:
    """Make a customer of the test's own."""
    return await shared.world.customer(on="2026-01-31", card=None)


async def _offer(site: Site, key: str, **terms: Any) -> str:
    given = {"key": key, "name": "Welcome", "duration": "ONCE", "percentOff": "12.5", **terms}
    made = await site.change("createCoupon", SAVED, site.staff("finance"), **given)
    return str(made["coupon"]["id"])


async def test_a_member_takes_a_code_up_once_and_sees_what_the_invoice_took(shared: Site, ada: Customer) -> None:
    coupon_id, customer_id = await _offer(shared, "by-code"), encode("customer", ada.id)
    code = await shared.change("createPromotionCode", CODE, shared.staff(), couponId=coupon_id, code="Hello-26")
    assert code["promotionCode"]["code"] == "HELLO-26"
    given = {"customerId": customer_id, "code": "hello-26", "idempotencyKey": "r1"}
    token = shared.member(ada.id)
    first = await shared.change("redeemPromotionCode", REDEEMED, token, **given)
    assert first["applied"]["coupon"] == {"name": "Welcome", "codes": []}
    assert (first["applied"]["code"], first["applied"]["gives"]) == ("HELLO-26", True)
    assert await shared.change("redeemPromotionCode", REDEEMED, token, **given) == first
    again = await shared.change("redeemPromotionCode", REDEEMED, token, **{**given, "idempotencyKey": "r2"})
    assert (again["__typename"], again["code"]) == ("Conflict", "coupon_already_applied")
    await shared.world.subscribe(ada, "pro")
    held = await shared.read(HELD, token, id=customer_id)
    [invoice] = held["customer"]["invoices"]["nodes"]
    # 12.5 % of 79.00 is 9.875, half up 9.88.
    taken = {"coupon": "by-code", "name": "Welcome", "amount": {"amount": "9.88"}}
    assert invoice["lines"] == [
        {
            "amount": {"amount": "79.00"},
            "discount": {"amount": "9.88"},
            "net": {"amount": "69.12"},
            "discounts": [taken],
        }
    ]
    assert (invoice["discount"], invoice["total"]) == ({"amount": "9.88"}, {"amount": "69.12"})
    [mine] = held["appliedCoupons"]
    assert mine == {"code": "HELLO-26", "gives": False, "left": None, "uses": [{"amount": {"amount": "9.88"}}]}


async def test_staff_give_and_take_a_coupon_and_switch_offers_and_codes(shared: Site, ada: Customer) -> None:
    staff, customer_id = shared.staff("finance"), encode("customer", ada.id)
    coupon_id = await _offer(shared, "by-hand", percentOff=None, amountOff={"amount": "5.00", "currency": "USD"})
    given = {"customerId": customer_id, "couponId": coupon_id, "idempotencyKey": "a1"}
    applied = await shared.change("applyCoupon", APPLIED, staff, **given)
    assert applied["applied"]["left"] == {"amount": "5.00", "currency": "USD"}
    assert await shared.change("applyCoupon", APPLIED, staff, **given) == applied
    gone = await shared.change("removeCoupon", REMOVED, staff, customerId=customer_id, id=applied["applied"]["id"])
    assert not gone["applied"]["gives"]
    code = await shared.change("createPromotionCode", CODE, staff, couponId=coupon_id, code="hand")
    off = await shared.change("setPromotionCodeActive", CODE, staff, id=code["promotionCode"]["id"], isActive=False)
    assert off["promotionCode"]["isActive"] is False
    closed = await shared.change("setCouponActive", SAVED, staff, id=coupon_id, isActive=False)
    assert closed["coupon"]["codes"] == [{"code": "HAND", "redeemed": 0, "isActive": False}]
    listed = await shared.read("{ coupons(first: 100) { nodes { key isActive redeemed } } }", staff)
    assert {"key": "by-hand", "isActive": False, "redeemed": 1} in listed["coupons"]["nodes"]


async def test_an_amount_with_more_digits_than_its_currency_is_refused(shared: Site) -> None:
    refused = await shared.change(
        "createCoupon",
        SAVED,
        shared.staff(),
        key="odd",
        name="Odd",
        duration="ONCE",
        amountOff={"amount": "1.5", "currency": "JPY"},
    )
    assert refused["code"] == "amount_malformed"
