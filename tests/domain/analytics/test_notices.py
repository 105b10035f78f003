"""Where usage stands against each limit, in words."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.alerts.alert import Alert, AlertKind
from domain.analytics.consumption.notices import Notice, NoticeKind, UsageStatus, joined, notices_of, usage_status_of
from domain.kernel.ids import CustomerId, MeterId, PlanVersionId, SubscriptionId
from domain.limits.status import LimitStatus, status_of
from domain.limits.thresholds import Severity
from domain.plans.plan import Entitlement, EntitlementId
from domain.subscriptions.subscription import Status
from tests import make


def limit(key: str, used: str, amount: str | None, *, unit: str = "call") -> LimitStatus:
    """Make where a hard limit stands, which resets at midnight of 1 May in UTC."""
    entitlement = Entitlement(
        id=EntitlementId(make.new_id()),
        plan_version_id=PlanVersionId(make.new_id()),
        key=key,
        kind="limit",
        meter_id=MeterId(make.new_id()),
        money=unit == "USD",
        dimension_filter=None,
        amount=None if amount is None else Decimal(amount),
        currency="USD" if unit == "USD" else None,
        policy="hard",
        soft_percent=None,
        grace_hours=None,
        on_failure="open",
        source="ours",
        description=f"The limit {key}",
    )
    return status_of(entitlement, Decimal(used), unit=unit, resets_at=make.at("2026-05-01"))


@pytest.mark.parametrize(
    ("used", "severity", "threshold", "status"),
    [
        ("1", Severity.INFO, None, UsageStatus.ACTIVE),
        # 79.98 % has not reached 80 %.
        ("3999", Severity.INFO, None, UsageStatus.ACTIVE),
        ("4000", Severity.WARNING, 80, UsageStatus.WARNING),
        ("4500", Severity.WARNING, 90, UsageStatus.WARNING),
        ("4999", Severity.WARNING, 90, UsageStatus.WARNING),
        ("5000", Severity.CRITICAL, 100, UsageStatus.LIMIT_REACHED),
        ("5001", Severity.CRITICAL, 100, UsageStatus.LIMIT_REACHED),
    ],
)
def test_a_notice_is_as_grave_as_the_threshold_that_was_reached(
    used: str, severity: Severity, threshold: int | None, status: UsageStatus
) -> None:
    [found] = notices_of([limit("calls", used, "5000")], "UTC")
    assert (found.severity, found.threshold) == (severity, threshold)
    assert usage_status_of(Status.ACTIVE, [found]) is status


@pytest.mark.parametrize(
    ("used", "told"),
    [
        ("49", ("info", None, "active")),
        ("50", ("warning", 50, "warning")),
        ("99", ("warning", 50, "warning")),
        # The limit is told of though no threshold is there, and what lies above it as the customer has it.
        ("100", ("critical", 100, "limit_reached")),
        ("119", ("critical", 100, "limit_reached")),
        ("120", ("critical", 120, "limit_reached")),
    ],
)
def test_thresholds_are_those_at_which_the_customer_is_alerted(used: str, told: tuple[str, int | None, str]) -> None:
    [found] = notices_of([limit("calls", used, "100")], "UTC", (120, 50))
    assert (found.severity, found.threshold, usage_status_of(Status.ACTIVE, [found])) == told
    assert found.title.startswith({"info": "Usage notice", "warning": "Usage warning"}.get(told[0], "Limit reached"))


def test_a_used_up_limit_is_told_though_the_alert_of_a_lower_threshold_is_the_last() -> None:
    limits = [limit("calls", "100", "100")]
    found = joined(notices_of(limits, "UTC", (50,)), limits, [alert(step=50)], "UTC", NOW)
    assert [(each.title, each.threshold) for each in found] == [("Limit reached: The limit calls", 100)]


def test_a_notice_names_used_and_limit_and_the_local_day_of_the_new_count() -> None:
    # In New York 1 May, 00:00 UTC is still 30 April. 142.5 of 150 are 95 %.
    assert notices_of([limit("cost", "142.500", "150.00", unit="USD")], "America/New_York") == [
        Notice(
            "cost",
            "Usage warning: The limit cost",
            "142.5 of 150 USD used (95.0 %). Counting starts anew on 2026-04-30.",
            Severity.WARNING,
            90,
        )
    ]


def test_a_percentage_is_cut_so_that_a_limit_never_looks_reached_before_it_is() -> None:
    [found] = notices_of([limit("tokens", "24999999", "25000000")], "UTC")
    assert found.message.startswith("24,999,999 of 25,000,000 used (99.9 %).")


def test_what_has_no_limit_a_limit_of_nothing_and_no_use_is_silent() -> None:
    assert notices_of([limit("a", "9", None), limit("b", "9", "0"), limit("c", "0", "5")], "UTC") == []


def test_the_gravest_come_first_and_then_the_fullest() -> None:
    limits = [limit("a", "1", "10"), limit("b", "10", "10"), limit("c", "9", "10"), limit("d", "2", "10")]
    assert [each.key for each in notices_of(limits, "UTC")] == ["b", "c", "d", "a"]


@pytest.mark.parametrize("status", [Status.PAUSED, Status.UNPAID])
def test_a_subscription_that_grants_nothing_is_suspended_whatever_is_used(status: Status) -> None:
    assert usage_status_of(status, notices_of([limit("a", "10", "10")], "UTC")) is UsageStatus.SUSPENDED
    assert usage_status_of(Status.PAST_DUE, []) is UsageStatus.ACTIVE


NOW = make.at("2026-02-10")


def alert(**changed: Any) -> Alert:
    """Make an alert about the limit calls of 100."""
    return replace(make.alert(CustomerId(make.new_id()), SubscriptionId(make.new_id())), upgrade="pro", **changed)


def told(used: str, *alerts: Alert) -> list[tuple[str, NoticeKind, Severity]]:
    """Tell of so many calls of 100."""
    limits = [limit("calls", used, "100")]
    found = joined(notices_of(limits, "UTC"), limits, alerts, "UTC", NOW)
    return [(each.title, each.kind, each.severity) for each in found]


def test_from_a_threshold_on_the_alert_is_told_with_the_numbers_of_now() -> None:
    raised = alert(step=80)
    limits = [limit("calls", "85", "100"), limit("other", "1", "100")]
    found = joined(notices_of(limits, "UTC"), limits, [raised], "UTC", NOW, plans={"pro": "Pro"})
    assert [(each.key, each.kind, each.threshold) for each in found] == [
        ("calls", NoticeKind.THRESHOLD, 80),
        ("other", NoticeKind.STATUS, None),
    ]
    assert found[0].message == (
        "85 of 100 used (85.0 %). Counting starts anew on 2026-05-01. The plan Pro allows more."
    )
    assert (found[0].alert_id, found[0].raised_at, found[0].read_at) == (raised.id, raised.raised_at, None)


def test_of_several_thresholds_the_highest_is_told() -> None:
    critical = alert(step=100, severity=Severity.CRITICAL)
    assert told("100", critical, alert(step=80)) == [
        ("Limit reached: The limit calls", NoticeKind.THRESHOLD, Severity.CRITICAL)
    ]


def test_a_threshold_of_which_the_alert_is_on_its_way_is_computed() -> None:
    assert told("100", alert(step=80)) == [("Limit reached: The limit calls", NoticeKind.STATUS, Severity.CRITICAL)]


def test_an_alert_about_another_amount_or_another_limit_is_not_told() -> None:
    computed = [("Usage notice: The limit calls", NoticeKind.STATUS, Severity.INFO)]
    assert told("40", alert(limit=Decimal(50))) == computed
    assert told("40", alert(limit_key="gone")) == computed


def test_what_was_raised_stays_when_usage_falls_back() -> None:
    assert told("0", alert(step=80)) == [("Usage warning: The limit calls", NoticeKind.THRESHOLD, Severity.WARNING)]


def test_a_forecast_is_told_until_its_time_has_come_or_the_limit_is_reached() -> None:
    forecast = alert(kind=AlertKind.FORECAST, step=100, due_at=make.at("2026-02-20"))
    assert told("40", forecast) == [
        ("Usage forecast: The limit calls", NoticeKind.FORECAST, Severity.WARNING),
        ("Usage notice: The limit calls", NoticeKind.STATUS, Severity.INFO),
    ]
    assert len(told("100", forecast)) == 1
    assert len(told("40", replace(forecast, due_at=NOW))) == 1


def test_a_grace_is_told_by_the_least_that_is_left_while_usage_is_above() -> None:
    begun = alert(kind=AlertKind.GRACE, step=48, due_at=make.at("2026-02-12"))
    over = replace(begun, step=0, severity=Severity.CRITICAL)
    assert told("101", over, begun)[1] == ("Above the limit: The limit calls", NoticeKind.GRACE, Severity.CRITICAL)
    assert len(told("101", over, begun)) == 2
    assert [kind for _, kind, _ in told("100", begun)] == [NoticeKind.STATUS]
    [grace, _] = joined([], [limit("calls", "101", "100")], [begun, alert(step=80)], "UTC", NOW)
    assert grace.message.startswith("More is tolerated until 2026-02-12T00:00+00:00; then what would pass")
