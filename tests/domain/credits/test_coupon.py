"""What a coupon may be, who takes it up, and what is left of it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.credits.coupon import (
    CouponExpired,
    CouponMalformed,
    Duration,
    PromotionCode,
    PromotionCodeInvalid,
    PromotionCodeMalformed,
    check_coupon,
    check_redeemable,
    is_exhausted,
    normal_code,
    removed,
    rights,
)
from domain.kernel.ids import CustomerId, PlanId, ProductId, PromotionCodeId
from domain.kernel.money import Money
from tests import make
from tests.domain.credits.examples import APPLIED_AT, CUSTOMER, applied, coupon, right, usd, use

_FEBRUARY = make.at("2026-02-01")


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"key": "Big Letters"}, "small letters"),
        ({"name": " "}, "printable"),
        ({"name": "x" * 201}, "printable"),
        ({"percent_off": None}, "either a percentage or an amount"),
        ({"percent_off": Decimal(10), "amount_off": usd(100)}, "either a percentage or an amount"),
        ({"percent_off": Decimal(0)}, "above 0 and at most 100"),
        ({"percent_off": Decimal("100.01")}, "above 0 and at most 100"),
        ({"percent_off": Decimal("33.33333")}, "above 0 and at most 100"),
        ({"amount_off": usd(0)}, "an amount is above 0"),
        ({"duration": Duration.REPEATING}, "only a repeating coupon"),
        ({"periods": 3}, "only a repeating coupon"),
        ({"duration": Duration.REPEATING, "periods": 121}, "1 to 120 periods"),
        ({"redemptions_max": 0}, "at least 1"),
        ({"per_customer_max": 0}, "at least 1"),
        ({"plan_ids": frozenset(PlanId(make.new_id()) for _ in range(101))}, "at most 100 products and plans"),
    ],
)
def test_a_coupon_that_could_not_work_is_refused(changed: dict[str, Any], what: str) -> None:
    with pytest.raises(CouponMalformed, match=what):
        check_coupon(coupon(**changed))


def test_a_coupon_may_have_any_terms_that_can_work() -> None:
    check_coupon(coupon(percent_off=Decimal("33.3333")))
    check_coupon(coupon(amount_off=usd(1), duration=Duration.ONCE, redemptions_max=1, per_customer_max=None))
    check_coupon(
        coupon(
            percent_off=Decimal(100),
            duration=Duration.REPEATING,
            periods=120,
            product_ids=frozenset({ProductId(make.new_id())}),
        )
    )


def test_a_promotion_code_is_kept_in_capitals() -> None:
    assert normal_code("  Summer-26 ") == "SUMMER-26"
    for text in ("", "-x", "two words", "ä", "x" * 65):
        with pytest.raises(PromotionCodeMalformed):
            normal_code(text)


def _code(**changed: Any) -> PromotionCode:
    of = coupon()
    plain = PromotionCode(PromotionCodeId(make.new_id()), of.id, "X", True, None, None, None, APPLIED_AT)  # noqa: FBT003
    return replace(plain, **changed)


def test_a_code_that_is_off_or_another_customers_is_as_unknown() -> None:
    check_redeemable(coupon(), _code(customer_id=CUSTOMER), CUSTOMER, _FEBRUARY)
    check_redeemable(coupon(), None, CUSTOMER, _FEBRUARY)
    for of, code in (
        (coupon(is_active=False), None),
        (coupon(), _code(is_active=False)),
        (coupon(), _code(customer_id=CustomerId(make.new_id()))),
    ):
        with pytest.raises(PromotionCodeInvalid):
            check_redeemable(of, code, CUSTOMER, _FEBRUARY)


def test_an_offer_ends_at_its_instant_the_code_or_the_coupon_whichever_comes_first() -> None:
    just_before = make.at("2026-01-31T23:59:59")
    for of, code in ((coupon(redeem_by=_FEBRUARY), _code()), (coupon(), _code(expires_at=_FEBRUARY))):
        check_redeemable(of, code, CUSTOMER, just_before)
        with pytest.raises(CouponExpired, match="2026-02-01"):
            check_redeemable(of, code, CUSTOMER, _FEBRUARY)


def test_rights_come_in_the_order_of_application_and_only_while_the_coupon_is_there() -> None:
    second, first = applied(2), applied(1, amount_off=usd(500), duration=Duration.ONCE)
    assert [each.applied.number for each in rights([second, first], [], APPLIED_AT, "USD")] == [1, 2]
    assert rights([first], [], make.at("2025-12-31"), "USD") == []
    gone = removed(second, _FEBRUARY)
    assert removed(gone, make.at("2026-03-01")) == gone
    assert len(rights([gone], [], make.at("2026-01-31"), "USD")) == 1
    assert rights([gone], [], _FEBRUARY, "USD") == []


def test_a_fixed_amount_lowers_only_invoices_in_its_currency() -> None:
    euros = applied(1, amount_off=Money(500, "EUR"))
    assert rights([euros], [], _FEBRUARY, "USD") == []
    assert [each.left_minor for each in rights([euros], [], _FEBRUARY, "EUR")] == [500]


def test_a_percentage_that_is_given_once_is_over_after_one_use() -> None:
    once = applied(1, duration=Duration.ONCE)
    assert [each.left_minor for each in rights([once], [], _FEBRUARY, "USD")] == [None]
    assert rights([once], [use(once, 1, "2026-01-01")], _FEBRUARY, "USD") == []


def test_a_fixed_amount_that_is_given_once_keeps_what_it_could_not_use() -> None:
    once = applied(1, amount_off=usd(1200), duration=Duration.ONCE)
    used = [use(once, 500, "2026-01-01"), use(once, 300, "2026-02-01")]
    # 12.00 - 5.00 - 3.00 = 4.00
    assert [each.left_minor for each in rights([once], used, _FEBRUARY, "USD")] == [400]
    assert rights([once], [*used, use(once, 400, "2026-02-01")], make.at("2026-03-01"), "USD") == []


def test_a_repeating_coupon_lasts_for_the_months_in_which_it_was_used() -> None:
    thrice = applied(1, duration=Duration.REPEATING, periods=3)
    # January twice, nothing in February, March: two of three months.
    used = [use(thrice, 10, "2026-01-01"), use(thrice, 5, "2026-01-01"), use(thrice, 10, "2026-03-01")]
    assert len(rights([thrice], used, make.at("2026-04-01"), "USD")) == 1
    used.append(use(thrice, 10, "2026-04-01"))
    assert len(rights([thrice], used, make.at("2026-04-30"), "USD")) == 1
    assert rights([thrice], used, make.at("2026-05-01"), "USD") == []


def test_a_lasting_fixed_amount_is_given_anew_in_each_month_of_the_customers_zone() -> None:
    monthly = applied(1, amount_off=usd(1000), zone="America/New_York")
    # It began at 1 January 00:00 UTC, 31 December 19:00 in New York: its months begin at 19:00 on the last day.
    [first] = rights([monthly], [], make.at("2026-01-31T23:59"), "USD")
    assert first.month_at == APPLIED_AT
    used = [use(monthly, 700, "2026-01-01")]
    assert [each.left_minor for each in rights([monthly], used, make.at("2026-01-31T23:59"), "USD")] == [300]
    assert [each.left_minor for each in rights([monthly], used, make.at("2026-02-01T00:00"), "USD")] == [1000]


def test_a_lasting_amount_that_is_spent_for_its_month_can_be_given_again_where_it_goes_back() -> None:
    monthly = applied(1, amount_off=usd(1000))
    spent = [use(monthly, 1000, "2026-01-01")]
    assert [each.left_minor for each in rights([monthly], spent, APPLIED_AT, "USD")] == [0]
    went_back = [*spent, use(monthly, -500, "2026-01-01")]
    assert [each.left_minor for each in rights([monthly], went_back, APPLIED_AT, "USD")] == [500]


def test_only_what_is_given_once_is_used_up() -> None:
    assert is_exhausted(right(duration=Duration.ONCE), 1)
    assert not is_exhausted(right(duration=Duration.ONCE), 0)
    assert is_exhausted(right(amount_off=usd(100), duration=Duration.ONCE), 100)
    assert not is_exhausted(right(amount_off=usd(100), duration=Duration.ONCE), 99)
    assert not is_exhausted(right(amount_off=usd(100)), 100)
