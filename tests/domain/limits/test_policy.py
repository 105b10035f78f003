"""Limits, their bounds and their grace."""

from decimal import Decimal
from fractions import Fraction

import pytest

from domain.kernel.ids import MeterId, PlanVersionId
from domain.limits.policy import Limit, bound, grace_ends_at, is_in_grace, limit_of
from domain.plans.plan import Entitlement, EntitlementId
from tests import make

SOFT = Limit("soft", Fraction(3), 110, 48)
HARD = Limit("hard", Fraction(5_000))


def _entitlement(amount: str | None, soft_percent: int | None, grace_hours: int | None) -> Entitlement:
    return Entitlement(
        id=EntitlementId(make.new_id()),
        plan_version_id=PlanVersionId(make.new_id()),
        key="modules",
        kind="limit",
        meter_id=MeterId(make.new_id()),
        money=False,
        dimension_filter=None,
        amount=None if amount is None else Decimal(amount),
        currency=None,
        policy="soft" if soft_percent else "hard",
        soft_percent=soft_percent,
        grace_hours=grace_hours,
        on_failure="open",
        source="requirements",
        description="Modules",
    )


def test_a_limit_is_what_the_plan_version_grants() -> None:
    assert limit_of(_entitlement("3", 110, 48)) == SOFT
    assert limit_of(_entitlement("5000", None, None)) == HARD
    assert limit_of(_entitlement(None, None, None)) == Limit("hard", None)


def test_the_bound_of_a_soft_limit_is_not_rounded_and_falls_back_after_the_grace() -> None:
    # 3 x 110 % = 3.3: no fourth module.
    assert bound(SOFT, in_grace=True) == Fraction("3.3")
    assert bound(SOFT, in_grace=False) == 3
    assert bound(HARD, in_grace=True) == bound(HARD, in_grace=False) == 5_000


def test_what_is_observed_or_unlimited_has_no_bound_and_a_limit_of_nothing_has_one() -> None:
    assert bound(Limit("observe", Fraction(10)), in_grace=True) is None
    assert bound(Limit("soft", None, 110, 48), in_grace=True) is None
    assert bound(Limit("hard", None), in_grace=False) is None
    # 110 % of nothing is nothing.
    assert bound(Limit("soft", Fraction(0), 110, 48), in_grace=True) == 0


def test_a_grace_of_48_hours_is_over_at_its_last_instant() -> None:
    passed_at = make.at("2026-03-10T09:30")
    assert grace_ends_at(SOFT, passed_at) == make.at("2026-03-12T09:30")
    assert is_in_grace(SOFT, passed_at, make.at("2026-03-12T09:29:59.999999"))
    assert not is_in_grace(SOFT, passed_at, make.at("2026-03-12T09:30"))


def test_the_hours_of_grace_are_elapsed_time_also_over_a_clock_change() -> None:
    # 28 March 2026, 10:00 in Berlin is 09:00 UTC; after the change 48 hours later it is 11:00 there.
    assert grace_ends_at(SOFT, make.at("2026-03-28T09:00")) == make.at("2026-03-30T09:00")


@pytest.mark.parametrize(
    ("limit", "is_open"), [(SOFT, True), (HARD, False), (Limit("soft", Fraction(3), 110, 0), False)]
)
def test_before_a_limit_was_passed_its_grace_is_still_to_come(limit: Limit, *, is_open: bool) -> None:
    assert is_in_grace(limit, None, make.at("2026-03-10")) is is_open
