"""Coupons on any lines: what is taken adds up, keeps the signs, and passes no amount."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from domain.credits.coupon import Right
from domain.credits.discounting import DiscountableLine, discounted, shares_of
from domain.kernel.period import Period
from tests import make
from tests.domain.credits.examples import right, usd

_PERCENTS = st.decimals(Decimal("0.0001"), 100, places=4)
_FIXED = st.integers(1, 10**9)
_AMOUNTS = st.lists(st.integers(-(10**8), 10**8), max_size=12)
_SHARES = st.fractions(Fraction(1, 1000), 1, max_denominator=1000)
_DURING = st.sampled_from(["2026-05-01", "2026-06-01"]).map(lambda end: Period(make.at("2026-04-01"), make.at(end)))
_RIGHTS = st.lists(
    st.one_of(
        _PERCENTS.map(lambda percent: right(percent_off=percent)),
        _FIXED.map(lambda minor: right(amount_off=usd(minor))),
    ),
    max_size=5,
)


@given(_AMOUNTS, _RIGHTS)
def test_coupons_never_take_a_line_below_zero_nor_turn_a_credit(amounts: list[int], rights: list[Right]) -> None:
    lines = [DiscountableLine(minor, None, None, None) for minor in amounts]
    found = discounted(lines, rights, "USD")
    for minor, own in zip(amounts, found.by_line, strict=True):
        taken = sum(each.amount.minor for each in own)
        assert 0 <= taken <= max(minor, 0)
    for each in rights:
        if each.left_minor is not None:
            assert found.taken_minor.get(each.applied.id, 0) <= each.left_minor
    assert sum(found.taken_minor.values()) == sum(d.amount.minor for own in found.by_line for d in own)


@given(st.lists(st.tuples(st.integers(0, 10**8), _SHARES, _DURING), max_size=12), _RIGHTS)
def test_fees_for_parts_of_a_period_are_reduced_by_no_more_than_their_share_of_fixed_amounts(
    parts: list[tuple[int, Fraction, Period]], rights: list[Right]
) -> None:
    lines = [DiscountableLine(minor, None, None, None, share=share, during=during) for minor, share, during in parts]
    found = discounted(lines, rights, "USD")
    for minor, own in zip((part[0] for part in parts), found.by_line, strict=True):
        assert 0 <= sum(each.amount.minor for each in own) <= minor
    stretches = {(share, during) for _, share, during in parts}
    for each in rights:
        if each.left_minor is not None:
            # Each stretch is rounded once; a whole period takes all of it.
            most = sum(each.left_minor * share + Fraction(1, 2) for share, _ in stretches)
            assert found.taken_minor.get(each.applied.id, 0) <= min(each.left_minor, most)


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=12), _FIXED)
def test_the_shares_of_a_fixed_amount_add_up_to_it_or_to_all_there_is(amounts: list[int], left_minor: int) -> None:
    shares = shares_of(None, left_minor, amounts)
    assert sum(shares) == min(left_minor, sum(amounts))
    assert all(0 <= share <= amount for share, amount in zip(shares, amounts, strict=True))


@given(_AMOUNTS, _RIGHTS)
def test_lines_one_after_the_other_are_reduced_by_percentages_as_they_are_together(
    amounts: list[int], rights: list[Right]
) -> None:
    percents = [each for each in rights if each.left_minor is None]
    lines = [DiscountableLine(minor, None, None, None) for minor in amounts]
    alone = tuple(discounted([line], percents, "USD").by_line[0] for line in lines)
    assert discounted(lines, percents, "USD").by_line == alone
