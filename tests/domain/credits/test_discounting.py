"""Coupons on the lines of an invoice."""

from decimal import Decimal
from fractions import Fraction

from domain.credits.coupon import Duration
from domain.credits.discount import Discount
from domain.credits.discounting import (
    BilledBefore,
    DiscountableLine,
    Discounted,
    discounted,
    shares_of,
)
from domain.kernel.ids import PlanId, ProductId, SubscriptionId, encode
from domain.kernel.period import Period
from tests import make
from tests.domain.credits.examples import right, usd

_PRODUCT, _PLAN = ProductId(make.new_id()), PlanId(make.new_id())


def _line(minor: int, **changed: object) -> DiscountableLine:
    given = {"subscription_id": None, "product_id": None, "plan_id": None, **changed}
    return DiscountableLine(minor, **given)  # type: ignore[arg-type]


def _amounts(found: Discounted) -> list[list[int]]:
    return [[each.amount.minor for each in own] for own in found.by_line]


def test_each_coupon_takes_of_what_the_ones_before_it_left() -> None:
    first, second = right(1, amount_off=usd(1000)), right(2, percent_off=Decimal(20))
    found = discounted([_line(6000), _line(4000)], [first, second], "USD")
    # 10.00 as 6.00 and 4.00; then 20 % of 54.00 and of 36.00.
    assert _amounts(found) == [[600, 1080], [400, 720]]
    assert found.taken_minor == {first.applied.id: 1000, second.applied.id: 1800}
    assert [each.coupon for each in found.by_line[0]] == ["welcome", "welcome"]


def test_a_coupon_that_finds_nothing_to_reduce_takes_nothing() -> None:
    whole, late = right(1, percent_off=Decimal(100)), right(2, amount_off=usd(500))
    found = discounted([_line(300)], [whole, late], "USD")
    assert _amounts(found) == [[300]]
    assert found.taken_minor == {whole.applied.id: 300}
    assert discounted([], [whole, late], "USD").taken_minor == {}


def test_a_fixed_coupon_never_takes_a_line_below_zero() -> None:
    big = right(1, amount_off=usd(5000), left_minor=4000, duration=Duration.ONCE)
    found = discounted([_line(1000), _line(0), _line(2000)], [big], "USD")
    assert _amounts(found) == [[1000], [], [2000]]
    assert found.taken_minor == {big.applied.id: 3000}


def test_a_coupon_touches_the_lines_of_its_subscription_product_and_plan_only() -> None:
    own = SubscriptionId(make.new_id())
    lines = [
        _line(1000, subscription_id=own),
        _line(1000, product_id=_PRODUCT),
        _line(1000, plan_id=_PLAN),
        _line(1000, subscription_id=own, plan_id=_PLAN),
    ]
    ten = [100]
    assert _amounts(discounted(lines, [right(subscription_id=own)], "USD")) == [ten, [], [], ten]
    assert _amounts(discounted(lines, [right(product_ids=frozenset({_PRODUCT}))], "USD")) == [[], ten, [], []]
    both = right(subscription_id=own, plan_ids=frozenset({_PLAN}))
    assert _amounts(discounted(lines, [both], "USD")) == [[], [], [], ten]
    either = right(product_ids=frozenset({_PRODUCT}), plan_ids=frozenset({_PLAN}))
    assert _amounts(discounted(lines, [either], "USD")) == [[], ten, ten, ten]


def test_what_a_cost_cap_takes_off_is_reduced_as_its_usage_is() -> None:
    lines = [_line(16_001), _line(-1_001, lowers=True)]
    # 10 % of 160.01 is 16.00, of -10.01 it is -1.00: 144.01 - 9.01 = 135.00, ten per cent less than 150.00.
    assert _amounts(discounted(lines, [right()], "USD")) == [[1600], [-100]]
    # A fixed one takes no more than usage and cap come to.
    assert _amounts(discounted(lines, [right(amount_off=usd(20_000))], "USD")) == [[15_000], []]


def _before(minor: int, *discounts: int) -> BilledBefore:
    return BilledBefore(minor, tuple(Discount(f"apc_{n}", "c", "C", usd(each)) for n, each in enumerate(discounts)))


def test_a_credit_takes_its_share_of_the_discounts_back_whatever_coupons_there_are_now() -> None:
    lines = [_line(-1000, follows=_before(10_000, 2000, 1000))]
    # A tenth of 100.00 goes back, and with it a tenth of 20.00 and of 10.00: the customer gets 7.00.
    found = discounted(lines, [right(percent_off=Decimal(50))], "USD")
    assert (_amounts(found), found.taken_minor) == ([[-200, -100]], {})


def test_a_credit_of_all_gives_all_discounts_back_and_of_a_line_without_any_gives_none() -> None:
    twice = BilledBefore(101, (*_before(1, 25).discounts, *_before(1, 26).discounts))
    assert _amounts(discounted([_line(-101, follows=twice)], [], "USD")) == [[-51]]
    assert _amounts(discounted([_line(-500)], [right()], "USD")) == [[]]
    assert _amounts(discounted([_line(-500, follows=_before(0, 0))], [], "USD")) == [[]]


def test_the_shares_that_go_back_never_pass_the_credit() -> None:
    # Half of 0.01 for each of two coupons would be 0.01 twice; they are split of 0.01.
    assert _amounts(discounted([_line(-1, follows=_before(100, 50, 50))], [], "USD")) == [[-1]]


def test_the_credit_of_a_cap_is_a_charge_and_goes_back_in_the_same_way() -> None:
    # A cap of -10.01 had been reduced by -1.00; 5.00 of it are taken back.
    line = _line(500, lowers=True, follows=_before(-1001, -100))
    assert _amounts(discounted([line], [right()], "USD")) == [[50]]


def test_a_fixed_coupon_leaves_what_is_credited_beside_its_lines() -> None:
    found = discounted([_line(10_000), _line(-4_000)], [right(amount_off=usd(20_000))], "USD")
    assert _amounts(found) == [[6000], []]


def test_a_percentage_is_rounded_on_each_line_half_up() -> None:
    assert shares_of(Decimal(25), None, [1000, 333, 2]) == [250, 83, 1]


def _part(minor: int, share: Fraction, until: str = "2026-05-01") -> DiscountableLine:
    return _line(minor, share=share, during=Period(make.at("2026-04-01"), make.at(until)))


def test_a_fixed_amount_comes_before_the_share_of_time() -> None:
    half = Fraction(1, 2)
    # 90.00 over 100.00 and 200.00 are 30.00 and 60.00: half of 70.00 and of 140.00 are charged, not 20.00 and 40.00.
    found = discounted([_part(5_000, half), _part(10_000, half)], [right(amount_off=usd(9_000))], "USD")
    assert _amounts(found) == [[1_500], [3_000]]
    # Of 80.00 for a full period there is no more than that: half of it.
    assert _amounts(discounted([_part(4_000, half)], [right(amount_off=usd(9_000))], "USD")) == [[4_000]]
    # A third of 10.00 is rounded half-up.
    assert _amounts(discounted([_part(1_000, Fraction(1, 3))], [right(amount_off=usd(1_000))], "USD")) == [[333]]


def test_what_is_given_once_keeps_what_a_part_of_a_period_does_not_take() -> None:
    once = right(amount_off=usd(1_000), left_minor=600, duration=Duration.ONCE)
    # For a full period it would be the 6.00 that are left.
    assert discounted([_part(5_000, Fraction(1, 2))], [once], "USD").taken_minor == {once.applied.id: 300}


def test_a_whole_line_beside_a_part_of_a_period_takes_the_rest_of_a_fixed_amount() -> None:
    # Half of 30.00 at most off the fee for half of its period; usage of 5.00 takes 5.00.
    fee, usage = _part(5_000, Fraction(1, 2)), _line(500)
    assert _amounts(discounted([fee, usage], [right(amount_off=usd(3_000))], "USD")) == [[1_500], [500]]
    # Fees for parts of periods that follow one another each take their own share, at most 30.00 in all.
    later = _part(8_000, Fraction(4, 5), "2026-06-01")
    # 15.00 and 24.00 are 39.00: of 30.00, 11.538… and 18.461….
    assert _amounts(discounted([fee, later], [right(amount_off=usd(3_000))], "USD")) == [[1_154], [1_846]]


def test_a_lasting_amount_goes_back_with_what_is_left_of_a_fee_and_is_given_to_the_new_one() -> None:
    # 79.00 less 10.00; at half time 199.00 begins: 39.50 less 5.00 go back, and 99.50 less 5.00 are charged.
    lasting = right(amount_off=usd(1000), left_minor=0)
    before = BilledBefore(7900, (Discount(encode("applied_coupon", lasting.applied.id), "c", "C", usd(1000)),))
    lines = [_line(-3950, follows=before), _line(9950)]
    found = discounted(lines, [lasting], "USD")
    # (199.00 - 10.00) / 2 = 94.50
    assert (_amounts(found), found.taken_minor) == ([[-500], [500]], {})
    once = right(amount_off=usd(1000), left_minor=0, duration=Duration.ONCE)
    spent = BilledBefore(7900, (Discount(encode("applied_coupon", once.applied.id), "c", "C", usd(1000)),))
    assert _amounts(discounted([_line(-3950, follows=spent), _line(9950)], [once], "USD")) == [[-500], []]


def test_more_can_go_back_to_a_lasting_amount_than_is_taken() -> None:
    lasting = right(amount_off=usd(1000), left_minor=0)
    before = BilledBefore(7900, (Discount(encode("applied_coupon", lasting.applied.id), "c", "C", usd(1000)),))
    found = discounted([_line(-3950, follows=before), _line(3000)], [lasting], "USD")
    # Credits of 34.50 beside a charge of 30.00 leave nothing to take: 5.00 go back.
    assert (_amounts(found), found.taken_minor) == ([[-500], []], {lasting.applied.id: -500})
