"""What holds for everything that is shared out: the parts add up to the whole."""

import itertools
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from domain.invoices.rating import SegmentUsage, usage_lines
from domain.invoices.tax import NoTax, Rate, Taxable, Treatment, tax_invoice, tax_of_lines
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


_RATES = st.sampled_from((None, Rate("VAT", Decimal(0)), Rate("VAT", Decimal(19)), Rate("Sales tax", Decimal("8.875"))))
_INCLUSIVE = st.sampled_from((None, Rate("VAT", Decimal(20), inclusive=True), Rate("GST", Decimal(10), inclusive=True)))


def _line(amount: int, rate: Rate | None) -> Taxable:
    return Taxable(amount, Treatment((rate,)) if rate else Treatment(reason=NoTax.EXEMPT))


def _lines(rates: st.SearchStrategy[Rate | None]) -> st.SearchStrategy[list[Taxable]]:
    return st.lists(st.builds(_line, st.integers(-(10**6), 10**6), rates), max_size=8)


@given(_lines(_RATES))
def test_the_taxes_of_the_lines_of_a_rate_add_up_to_its_tax_rounded_once(lines: list[Taxable]) -> None:
    for tax in tax_invoice(lines):
        net = sum(lines[part.line].amount_minor for part in tax.parts)
        percent = tax.stated.percent if isinstance(tax.stated, Rate) else Decimal(0)
        assert (tax.base_minor, tax.tax_minor) == (net, round_half_up(net * Fraction(percent) / 100))
        assert sum(part.tax_minor for part in tax.parts) == tax.tax_minor


@given(_lines(_INCLUSIVE))
def test_net_and_tax_of_prices_that_contain_it_add_up_to_the_gross(lines: list[Taxable]) -> None:
    for tax in tax_invoice(lines):
        gross = sum(lines[part.line].amount_minor for part in tax.parts)
        assert tax.base_minor + tax.tax_minor == gross
        assert sum(part.tax_minor for part in tax.parts) == tax.tax_minor


@given(st.one_of(_lines(_RATES), _lines(_INCLUSIVE)))
def test_a_line_of_nothing_is_not_taxed_and_a_credit_is_never_taxed_like_a_charge(lines: list[Taxable]) -> None:
    borne = tax_of_lines(tax_invoice(lines))
    for index, line in enumerate(lines):
        assert borne[index] * line.amount_minor >= 0
        assert line.amount_minor or not borne[index]
