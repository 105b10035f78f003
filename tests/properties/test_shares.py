"""What holds for everything that is shared out: the parts add up to the whole."""

import itertools
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from domain.invoices.rating import SegmentUsage, usage_lines
from domain.invoices.tax import TaxableLine, taxes
from domain.kernel.ids import SegmentId
from domain.kernel.money import exact_text, round_half_up
from domain.kernel.period import Period
from domain.subscriptions.schedule import Interval, period
from domain.subscriptions.subscription import Segment
from tests import make
from tests.domain.invoices import examples

_ZONES = st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"))
_MONTHS = st.builds(
    lambda zone, interval, number: period(make.at("2024-01-31T10:30"), zone, interval, number),
    _ZONES,
    st.sampled_from(Interval),
    st.integers(0, 40),
)
_CUTS = st.lists(st.integers(1, 10**6 - 1), max_size=6, unique=True)


def _parts_of(whole: Period, cuts: list[int]) -> list[Period]:
    """Cut a period at millionths of its length."""
    borders = [whole.start, *(whole.start + whole.length * cut / 10**6 for cut in sorted(cuts)), whole.end]
    return [Period(start, end) for start, end in itertools.pairwise(borders)]


@given(_MONTHS, _CUTS)
def test_the_shares_of_a_period_add_up_to_one_however_often_it_is_cut(whole: Period, cuts: list[int]) -> None:
    parts = _parts_of(whole, cuts)
    assert sum((part.share_of(whole) for part in parts), Fraction(0)) == 1
    assert [part.overlap(whole) for part in parts] == parts
    assert all(left.overlap(right) is None for left, right in itertools.pairwise(parts))
    assert sum((part.length for part in parts), timedelta(0)) == whole.length


@given(_CUTS, st.lists(st.integers(0, 10**6), min_size=7, max_size=7), st.integers(0, 10**6))
def test_a_price_a_unit_costs_the_same_in_one_segment_as_in_many_however_uneven_they_are_used(
    cuts: list[int], counts: list[int], price_millionths: int
) -> None:
    unit_amount = exact_text(Fraction(price_millionths, 10**6))
    price = examples.usage_price("per_unit", {"unit_amount": unit_amount}, examples.REQUESTS)
    catalogue, of = examples.catalogue(price), examples.subscription()
    parts = _parts_of(of.period, cuts)

    def exact(during: Period, quantity: int) -> Fraction:
        new_id = SegmentId(make.new_id())
        segment = Segment(of.customer_id, new_id, of.id, of.plan_version_id, during, of.period, final=True)
        total = examples.total(examples.REQUESTS, str(quantity))
        [line] = usage_lines(SegmentUsage(of, segment, [total], {}), catalogue)
        assert line.quantity == quantity
        return Fraction(line.derivation["exact_amount"])

    used = counts[: len(parts)]
    apart = sum((exact(part, count) for part, count in zip(parts, used, strict=True)), Fraction(0))
    assert apart == exact(of.period, sum(used))


_RATES = st.sampled_from((None, Decimal(0), Decimal(7), Decimal(19), Decimal("8.875")))
_LINES = st.lists(st.builds(TaxableLine, st.integers(-(10**6), 10**6), _RATES), max_size=8)


@given(_LINES)
def test_the_taxes_of_the_lines_of_a_rate_add_up_to_its_tax_rounded_once(lines: list[TaxableLine]) -> None:
    found = taxes(lines)
    assert len(found) == len(lines)
    for rate in {line.rate_percent for line in lines}:
        net = sum(line.net_minor for line in lines if line.rate_percent == rate)
        tax = sum(each for each, line in zip(found, lines, strict=True) if line.rate_percent == rate)
        assert tax == (round_half_up(net * Fraction(rate) / 100) if rate else 0)


@given(_LINES)
def test_a_line_of_nothing_is_not_taxed_and_a_credit_is_never_taxed_like_a_charge(lines: list[TaxableLine]) -> None:
    for tax, line in zip(taxes(lines), lines, strict=True):
        assert tax * line.net_minor >= 0
        assert line.net_minor or not tax
