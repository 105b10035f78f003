"""Cohorts by first paying month."""

from fractions import Fraction

from domain.analytics.cohorts import Cohort, cohorts_of
from domain.kernel.period import Period
from tests import make
from tests.domain.analytics.examples import ADA, BOB, CYD, contract

_MONTHS = [
    Period(make.at(start), make.at(end))
    for start, end in (("2026-01-01", "2026-02-01"), ("2026-02-01", "2026-03-01"), ("2026-03-01", "2026-04-01"))
]


def test_a_cohort_is_fixed_by_the_first_paying_month_and_counts_who_comes_back() -> None:
    held = [
        # Ada stays away in February.
        contract(ADA, "29", "2026-01-10", "2026-02-10"),
        contract(ADA, "99", "2026-03-10"),
        contract(BOB, "29", "2026-01-20", "2026-03-01"),
        # Cyd tried in January and pays since February.
        contract(CYD, "29", "2026-01-20", trial="2026-02-03"),
    ]
    # Bob's access ends at the boundary of March: at the end of February he still pays.
    assert cohorts_of(held, _MONTHS, "USD", "UTC") == [
        Cohort(2, {0: 2, 1: 1, 2: 1}),
        Cohort(1, {0: 1, 1: 1}),
        Cohort(0, {0: 0}),
    ]


def test_retention_is_a_share_of_the_cohort_and_none_for_nobody() -> None:
    cohort = Cohort(200, {1: 170, 3: 140})
    assert (cohort.retention(1), cohort.retention(3)) == (Fraction("0.85"), Fraction("0.7"))
    assert Cohort(0, {1: 0}).retention(1) is None
