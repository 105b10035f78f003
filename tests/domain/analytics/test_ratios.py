"""Ratios of the business."""

from fractions import Fraction

from domain.analytics.movements import Bridge
from domain.analytics.ratios import (
    annual_churn,
    arpu,
    conversion,
    conversions_for,
    customer_churn,
    gross_mrr_churn,
    gross_retention,
    lifetime_months,
    lifetime_value,
    mrr_churn,
    net_mrr_churn,
    net_retention,
    payback_months,
    quick_ratio,
    value_to_cost,
)
from tests.domain.analytics.examples import ADA, BOB, CYD

_BRIDGE = Bridge(
    Fraction(10_000),
    new=Fraction(1_000),
    expansion=Fraction(400),
    contraction=Fraction(300),
    churn=Fraction(500),
    reactivation=Fraction(100),
)
_EMPTY = Bridge(Fraction(0), new=Fraction(1_000))


def test_the_reference_population_brings_61_dollars_a_paying_customer() -> None:
    # 44,300 / 720 = 61.52777…
    assert arpu(Fraction(44_300), 720) == Fraction(44_300, 720)


def test_churn_counts_customers_of_the_start_who_are_gone_at_the_end() -> None:
    assert customer_churn({ADA, BOB}, {ADA}) == Fraction(1, 2)
    # Who joined takes no part, and neither does who left and came back.
    assert customer_churn({ADA, BOB}, {ADA, BOB, CYD}) == 0


def test_revenue_churn_and_retention_follow_from_one_bridge() -> None:
    # 500 of 10,000 left; with 300 of contraction 800 were lost; known customers added 500 of them again.
    assert (mrr_churn(_BRIDGE), gross_mrr_churn(_BRIDGE), net_mrr_churn(_BRIDGE)) == (
        Fraction("0.05"),
        Fraction("0.08"),
        Fraction("0.03"),
    )
    # 10,000 + 400 - 300 - 500 = 9,600, and without expansion 9,200.
    assert (net_retention(_BRIDGE), gross_retention(_BRIDGE)) == (Fraction("0.96"), Fraction("0.92"))
    # 1,400 were won for the 800 that were lost.
    assert quick_ratio(_BRIDGE) == Fraction("1.75")


def test_net_churn_is_negative_where_customers_added_more_than_was_lost() -> None:
    bridge = Bridge(Fraction(300_000), churn=Fraction(50_000), expansion=Fraction(70_000))
    assert net_mrr_churn(bridge) == Fraction(-20_000, 300_000)


def test_a_ratio_with_nothing_beneath_it_is_none() -> None:
    nobody = customer_churn(set(), {ADA})
    ratios = [each(_EMPTY) for each in (mrr_churn, gross_mrr_churn, net_mrr_churn, net_retention, gross_retention)]
    assert [nobody, arpu(Fraction(0), 0), conversion(0, 0), quick_ratio(_EMPTY), *ratios] == [None] * 9
    free = Fraction(0)
    assert (lifetime_value(Fraction(100), Fraction(1), free), lifetime_months(free)) == (None, None)
    assert (value_to_cost(None, Fraction(300)), value_to_cost(Fraction(1_000), free)) == (None, None)
    assert payback_months(Fraction(300), free, Fraction(1)) is None


def test_five_percent_a_month_lose_46_percent_a_year() -> None:
    # 0.95^12 = 0.540360087662636962890625.
    assert annual_churn(Fraction("0.05")) == 1 - Fraction("0.540360087662636962890625")


def test_the_value_of_a_customer_is_margin_over_churn() -> None:
    revenue, margin, churn, cost = Fraction(50), Fraction("0.8"), Fraction("0.04"), Fraction(300)
    # 50 x 0.8 / 0.04 = 1,000; 1 / 0.04 = 25 months; 1,000 / 300; 300 / 40 = 7.5 months.
    value = lifetime_value(revenue, margin, churn)
    assert value == 1_000
    assert lifetime_months(churn) == 25
    assert value_to_cost(value, cost) == Fraction(10, 3)
    assert payback_months(cost, revenue, margin) == Fraction("7.5")


def test_a_target_of_conversion_is_reached_by_whole_customers() -> None:
    assert conversion(500, 10_000) == Fraction("0.05")
    assert conversions_for(Fraction("0.05"), 10_000) == 500
    # 5 % of 10,001 are 500.05: 500 are too few.
    assert conversions_for(Fraction("0.05"), 10_001) == 501
