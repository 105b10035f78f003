"""What holds for every set of contracts."""

import itertools
from datetime import timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from domain.analytics.cohorts import cohorts_of
from domain.analytics.movements import Bridge, Kind, bridge_of, first_payments, movements_of
from domain.analytics.ratios import customer_churn, gross_retention, net_retention
from domain.analytics.recurring import Contract, Every, Item, mrr, mrr_by_customer, mrr_by_plan, opening_of, read_at
from domain.analytics.term import month_of
from domain.kernel.ids import CustomerId
from tests import make

_START = make.at("2026-01-01")
_CUSTOMERS = [CustomerId(make.new_id()) for _ in range(4)]
_MONTHS = [month_of(_START + timedelta(days=31 * number), "UTC") for number in range(6)]


@st.composite
def _contract(draw: st.DrawFn) -> Contract:
    starts_at = _START + timedelta(days=draw(st.integers(-40, 180)))
    days, trial = draw(st.integers(0, 120)), draw(st.integers(0, 30))
    every = Every(draw(st.integers(1, 3)), draw(st.sampled_from(("week", "month", "year"))))
    return Contract(
        draw(st.sampled_from(_CUSTOMERS)),
        draw(st.sampled_from(("free", "starter", "pro"))),
        draw(st.sampled_from(("USD", "USD", "EUR"))),
        (Item(Fraction(draw(st.integers(0, 9_900)), 100), every),),
        starts_at,
        ends_at=starts_at + timedelta(days=days) if days else None,
        trial_ends_at=starts_at + timedelta(days=trial) if trial else None,
    )


_CONTRACTS = st.lists(_contract(), max_size=10)


@given(_CONTRACTS)
def test_each_bucket_opens_where_the_one_before_closed_and_its_movements_add_up(contracts: list[Contract]) -> None:
    bridges = [bridge_of(contracts, month, "USD") for month in _MONTHS]
    for month, bridge in zip(_MONTHS, bridges, strict=True):
        assert bridge.closing == mrr(contracts, read_at(month), "USD")
        assert min(bridge.new, bridge.expansion, bridge.contraction, bridge.churn, bridge.reactivation) >= 0
    assert all(before.closing == after.opening for before, after in itertools.pairwise(bridges))


@given(_CONTRACTS)
def test_revenue_by_customer_and_by_plan_adds_up_to_the_whole(contracts: list[Contract]) -> None:
    for at in map(read_at, _MONTHS):
        whole = mrr(contracts, at, "USD")
        assert sum(mrr_by_customer(contracts, at, "USD").values(), Fraction(0)) == whole
        assert sum(mrr_by_plan(contracts, at, "USD").values(), Fraction(0)) == whole
        assert mrr(contracts, at, "USD", committed=True) <= whole


@given(_CONTRACTS)
def test_rates_of_churn_and_gross_retention_stay_between_nothing_and_all(contracts: list[Contract]) -> None:
    for month in _MONTHS:
        before = mrr_by_customer(contracts, opening_of(month), "USD").keys()
        churn = customer_churn(before, mrr_by_customer(contracts, read_at(month), "USD").keys())
        bridge = bridge_of(contracts, month, "USD")
        gross, net = gross_retention(bridge), net_retention(bridge)
        assert (churn is None) == (gross is None) == (not before)
        if churn is not None and gross is not None and net is not None:
            assert 0 <= churn <= 1
            assert 0 <= gross <= 1
            assert gross <= net


@given(_CONTRACTS)
def test_every_customer_who_begins_to_pay_is_in_one_cohort(contracts: list[Contract]) -> None:
    cohorts = cohorts_of(contracts, _MONTHS, "USD", "UTC")
    for cohort in cohorts:
        assert all(0 <= active <= cohort.size for active in cohort.active.values())
    begun = [at for at in first_payments(contracts, "USD").values() if _MONTHS[0].start <= at < _MONTHS[-1].end]
    assert sum(cohort.size for cohort in cohorts) == len(begun)


@given(st.lists(st.integers(0, 5).map(Fraction), max_size=12))
def test_the_movements_of_a_customer_lead_from_nothing_to_the_last_level(levels: list[Fraction]) -> None:
    bridge = Bridge(Fraction(0))
    for each in movements_of(levels):
        bridge = Bridge(bridge.closing, **{each.kind.value: each.amount})
    assert bridge.closing == (levels[-1] if levels else 0)
    assert sum(each.kind is Kind.NEW for each in movements_of(levels)) == any(levels)
