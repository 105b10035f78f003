"""The figures of groups of customers are those of all of them, however they are divided."""

from functools import reduce

from domain.analytics.cohorts import cohorts_of
from domain.analytics.revenue.economics import is_whole, months_from, whole_of
from domain.analytics.revenue.figures import added, figures_of
from domain.kernel.ids import CustomerId
from domain.kernel.period import Period
from tests import make
from tests.domain.analytics.examples import ADA, BOB, CYD, contract

FEBRUARY = Period(make.at("2026-02-01"), make.at("2026-03-01"))
# Ada pays more from 10 February on, Bob leaves on the 20th, and Cyd comes to pay for what was free.
_ALL = [
    contract(ADA, "29", "2026-01-05", "2026-02-10", known="2026-02-10"),
    contract(ADA, "99", "2026-02-10", plan="professional"),
    contract(BOB, "29", "2026-01-20", "2026-02-20", known="2026-02-01"),
    contract(CYD, "0", "2026-01-10", "2026-02-15", plan="free", known="2026-02-15"),
    contract(CYD, "29", "2026-02-15"),
]


def test_figures_of_groups_add_up_to_those_of_all() -> None:
    whole = figures_of(_ALL, FEBRUARY, "USD")
    by_customer = [[each for each in _ALL if each.customer_id == who] for who in (CYD, ADA, BOB)]
    assert reduce(added, (figures_of(group, FEBRUARY, "USD") for group in by_customer)) == whole
    bridge = whole.bridge
    assert [str(each) for each in (bridge.opening, whole.mrr, bridge.expansion, bridge.churn)] == [
        "58",
        "128",
        "70",
        "29",
    ]
    assert (whole.paying_before, whole.paying, whole.gone, whole.converted) == (2, 2, 1, 1)
    assert whole.by_plan == {"professional": 99, "starter": 29}


def test_the_reference_population_brings_in_what_it_should() -> None:
    # 500 x 29 + 200 x 99 + 20 x 500 = 44,300 a month, 531,600 a year.
    sold = [("29", "starter")] * 500 + [("99", "professional")] * 200 + [("500", "enterprise")] * 20
    contracts = [contract(CustomerId(make.new_id()), amount, "2026-01-05", plan=plan) for amount, plan in sold]
    found = figures_of(contracts, FEBRUARY, "USD")
    assert (str(found.mrr), str(found.arr), found.paying) == ("44300", "531600", 720)
    assert found.by_plan == {"starter": 14_500, "professional": 19_800, "enterprise": 10_000}


def test_the_running_month_is_read_now_and_keeps_its_cohort() -> None:
    months = months_from(None, 2, make.at("2026-02-18"))
    january, february = months
    assert (january.start, january.end) == (make.at("2026-01-01"), make.at("2026-02-01"))
    assert (february.start, february.end) == (make.at("2026-02-01"), make.at("2026-02-18"))
    assert [is_whole(each) for each in months] == [True, False]
    assert whole_of(months) == Period(make.at("2026-01-01"), make.at("2026-02-18"))
    # Bob leaves on the 20th, which lies ahead; Cyd first paid in this month.
    first, second = cohorts_of(_ALL, months, "USD", "UTC")
    assert (first.size, first.active) == (2, {0: 2, 1: 2})
    assert (second.size, second.active) == (1, {0: 1})
