"""Ratios of the business (SEMANTICS 9): exact fractions, and None where there is nothing to divide by."""

import math
from collections.abc import Set as AbstractSet
from fractions import Fraction

from domain.analytics.movements import Bridge
from domain.analytics.recurring import MONTHS_A_YEAR
from domain.kernel.ids import CustomerId


def ratio(part: Fraction | int, whole: Fraction | int) -> Fraction | None:
    """Return a part of a whole; None where the whole is 0, which no ratio describes."""
    return Fraction(part) / Fraction(whole) if whole else None


def arpu(monthly_revenue: Fraction, paying: int) -> Fraction | None:
    """Return the average revenue a month of a paying customer, in the unit of the revenue."""
    return ratio(monthly_revenue, paying)


def customer_churn(at_start: AbstractSet[CustomerId], at_end: AbstractSet[CustomerId]) -> Fraction | None:
    """Return the share of the customers at the start of a bucket who are gone at its end.

    Who joins and leaves inside the bucket, or leaves and comes back, is not in it.
    """
    return ratio(len(at_start - at_end), len(at_start))


def mrr_churn(bridge: Bridge) -> Fraction | None:
    """Return the share of the opening MRR that left with its customers."""
    return ratio(bridge.churn, bridge.opening)


def gross_mrr_churn(bridge: Bridge) -> Fraction | None:
    """Return the share of the opening MRR that left, or became less with those who stayed."""
    return ratio(bridge.churn + bridge.contraction, bridge.opening)


def net_mrr_churn(bridge: Bridge) -> Fraction | None:
    """Return gross churn less what known customers added; below 0 where they added more than was lost."""
    lost = bridge.churn + bridge.contraction
    return ratio(lost - bridge.expansion - bridge.reactivation, bridge.opening)


def net_retention(bridge: Bridge) -> Fraction | None:
    """Return what the customers of the opening pay at the end, as a share of what they paid (NRR)."""
    return ratio(bridge.opening + bridge.expansion - bridge.contraction - bridge.churn, bridge.opening)


def gross_retention(bridge: Bridge) -> Fraction | None:
    """Return net retention without expansion (GRR): never above 1."""
    return ratio(bridge.opening - bridge.contraction - bridge.churn, bridge.opening)


def quick_ratio(bridge: Bridge) -> Fraction | None:
    """Return what was won for each unit of MRR that was lost; None where nothing was lost."""
    return ratio(bridge.new + bridge.expansion, bridge.contraction + bridge.churn)


def annual_churn(monthly_churn: Fraction) -> Fraction:
    """Return the share that is gone after a year in which the same share leaves each month: 5 % is 45.96 %, not 60."""
    return 1 - (1 - monthly_churn) ** MONTHS_A_YEAR


def lifetime_months(monthly_churn: Fraction) -> Fraction | None:
    """Return how many months a customer stays on average; None without churn."""
    return ratio(1, monthly_churn)


def lifetime_value(revenue: Fraction, margin: Fraction, monthly_churn: Fraction) -> Fraction | None:
    """Return what a customer brings in over a lifetime (LTV): ARPU times gross margin (0 to 1) over churn.

    None without churn: nobody can say yet how long customers stay.
    """
    return ratio(revenue * margin, monthly_churn)


def value_to_cost(value: Fraction | None, acquisition_cost: Fraction) -> Fraction | None:
    """Return a lifetime's value for each unit that winning a customer cost (LTV:CAC)."""
    return None if value is None else ratio(value, acquisition_cost)


def payback_months(acquisition_cost: Fraction, revenue: Fraction, margin: Fraction) -> Fraction | None:
    """Return after how many months of ARPU times gross margin a customer has brought in what winning it cost."""
    return ratio(acquisition_cost, revenue * margin)


def conversion(converted: int, free: int) -> Fraction | None:
    """Return the share of free customers who began to pay."""
    return ratio(converted, free)


def conversions_for(target: Fraction, free: int) -> int:
    """Return how many free customers must begin to pay to reach a target, a share of 0 to 1."""
    return math.ceil(target * free)
