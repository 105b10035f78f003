"""Where usage stands against one limit."""

from decimal import Decimal
from typing import get_args

import pytest

from domain.kernel.ids import MeterId, PlanVersionId
from domain.limits.status import LimitState, percent_of, status_of
from domain.plans.plan import Entitlement, EntitlementId, Policy
from tests import make

_END = make.at("2026-02-01")


def _entitlement(amount: str | None, policy: Policy, soft_percent: int | None = None) -> Entitlement:
    return Entitlement(
        id=EntitlementId(make.new_id()),
        plan_version_id=PlanVersionId(make.new_id()),
        key="requests",
        kind="limit",
        meter_id=MeterId(make.new_id()),
        money=False,
        dimension_filter=None,
        amount=None if amount is None else Decimal(amount),
        currency=None,
        policy=policy,
        soft_percent=soft_percent,
        grace_hours=None,
        on_failure="open",
        source="ours",
        description="Requests a month",
    )


@pytest.mark.parametrize(
    ("policy", "soft_percent", "limit", "used", "state"),
    [
        ("hard", None, "100", "99.999", LimitState.OK),
        ("hard", None, "100", "100", LimitState.AT_LIMIT),
        ("hard", None, "100", "100.001", LimitState.BLOCKED),
        ("soft", 110, "100", "100", LimitState.AT_LIMIT),
        ("soft", 110, "100", "101", LimitState.OVER_SOFT_LIMIT),
        # The bound is 110; landing on it is allowed.
        ("soft", 110, "100", "110", LimitState.OVER_SOFT_LIMIT),
        ("soft", 110, "100", "111", LimitState.BLOCKED),
        # 3 x 110 % = 3.3, not rounded.
        ("soft", 110, "3", "4", LimitState.BLOCKED),
        ("observe", None, "100", "1000", LimitState.OVER_SOFT_LIMIT),
        ("hard", None, "0", "0", LimitState.AT_LIMIT),
        ("hard", None, "0", "1", LimitState.BLOCKED),
        ("hard", None, None, "1000000", LimitState.OK),
    ],
)
def test_the_state_follows_from_policy_limit_and_use(
    policy: Policy, soft_percent: int | None, limit: str | None, used: str, state: LimitState
) -> None:
    assert policy in get_args(Policy)
    status = status_of(_entitlement(limit, policy, soft_percent), Decimal(used), unit="request", resets_at=_END)
    assert status.state is state
    assert (status.used, status.unit, status.resets_at) == (Decimal(used), "request", _END)


def test_percentages_are_exact_and_never_rounded_up_to_the_limit() -> None:
    assert percent_of(Decimal(800), Decimal(5000)) == 16
    assert percent_of(Decimal("15.75"), Decimal(150)) == Decimal("10.5")
    assert percent_of(Decimal(1), Decimal(3)) == Decimal("33.333333")
    # 99.999999999 % is not 100 %.
    assert percent_of(Decimal("999999999.99"), Decimal(10**9)) == Decimal("99.999999")
    assert percent_of(Decimal(5), None) is None
    assert percent_of(Decimal(5), Decimal(0)) is None


@pytest.mark.parametrize(
    ("used", "state"), [("100", LimitState.AT_LIMIT), ("101", LimitState.BLOCKED), ("99", LimitState.OK)]
)
def test_once_its_grace_is_over_a_soft_limit_is_read_as_a_hard_one(used: str, state: LimitState) -> None:
    entitlement = _entitlement("100", "soft", 110)
    assert status_of(entitlement, Decimal(used), unit="request", resets_at=_END, in_grace=False).state is state
