"""Cases in shapes that the README of the vectors describes and no delivered case has; worked out by hand."""

from typing import Any

import pytest

from api.conformance.case import Case
from api.conformance.run import Outcome, Verdict, check

_SOFT = {"soft_percent": 110}
_PASSED = {"over_since": "2026-03-10T09:30:00Z"}


async def _judge(area: str, given: dict[str, Any], expect: dict[str, Any]) -> Outcome:
    [outcome] = await check([Case("X-1", area, given, expect)], {}, "")
    return outcome


@pytest.mark.parametrize(
    ("kind", "given", "expect"),
    [
        # 10,999 + 2 passes 11,000: nothing of it is used.
        (
            "limit_check",
            {"used": 10_999, "request": 2, "limit": 10_000, "policy": _SOFT},
            {"allowed": False, "used_after": 10_999, "http_status": 429},
        ),
        ("limit_check", {"used": 0, "request": 1, "limit": 0, "policy": _SOFT}, {"allowed": False, "state": "blocked"}),
        (
            "limit_check",
            {"used": 5, "request": 1, "limit": None, "policy": {"hard": True}},
            {"allowed": True, "state": "ok", "used_after": 6},
        ),
        (
            "limit_check",
            {"used": 10, "request": 90, "limit": 10, "policy": {"observe": True}},
            {"allowed": True, "state": "over soft limit"},
        ),
        (
            "limit_check",
            {"used": 10_000, "request": 1, "limit": 10_000, "policy": _SOFT, **_PASSED, "at": "2026-03-12T09:30:00Z"},
            {"allowed": False},
        ),
        ("limit_check", {"used": 1, "request": -1, "limit": 10, "policy": _SOFT}, {"error": "negative request"}),
        # 48 hours are elapsed time: on the wall they end an hour later after the clock change of 29 March 2026.
        (
            "overage_grace",
            {"over_since": "2026-03-28T10:00:00+01:00", "grace_hours": 48, "timezone": "Europe/Berlin", "ends": None},
            {"grace_ends_utc": "2026-03-30T09:00:00Z", "grace_ends_local": "2026-03-30T11:00:00+02:00"},
        ),
        ("overage_grace", {**_PASSED, "grace_hours": 48, "at": "2026-03-12T09:30:00Z"}, {"in_grace": False}),
        (
            "threshold_crossing",
            {"previous_usage": "0", "usage": "9", "limit": None, "thresholds_percent": [80]},
            {"new_alerts": []},
        ),
        (
            "projection",
            {"cost_so_far": "15.75", "elapsed_days": 0, "days_in_month": 30},
            {"projected_cost": None, "exact": None},
        ),
        # Twelve months of the LLM product's Basic plan; the edge product has another plan for 29.
        ("annual_price", {"monthly": "29", "discount_percent": "0"}, {"annual": "348", "mrr": "29"}),
        # Nobody sells it: 12 x 10 less 25 %.
        ("annual_price", {"monthly": "10", "discount_percent": "25"}, {"annual": "90", "mrr": "7.5"}),
        (
            "fits_plan",
            {"usage": {"modules": 1, "bandwidth_gb": 11}},
            {"smallest_plan": "professional", "blocking": ["bandwidth_gb"]},
        ),
        ("fits_plan", {"usage": {"modules": 3}}, {"smallest_plan": "free", "blocking": []}),
        (
            "grace",
            {"failed_at": "2026-05-31T10:00:00Z", "grace_days": 7, "at": "2026-06-07T10:00:00Z"},
            {"access": False, "still_retrying": True},
        ),
    ],
)
async def test_figures_of_the_requirements(kind: str, given: dict[str, Any], expect: dict[str, Any]) -> None:
    outcome = await _judge("requirements", {"kind": kind, **given}, expect)
    assert outcome.verdict is Verdict.PASSED, outcome.why


@pytest.mark.parametrize(
    ("given", "expect"),
    [
        # 100 a week is 100 x 52 / 12 = 433.333… a month.
        ({"kind": "mrr", "subscriptions": [{"amount": "100", "every": "P1W"}]}, {"mrr": "433.33", "arr": "5200"}),
        # A discount that will end does not lower what recurs, and usage is no part of it.
        (
            {
                "kind": "mrr",
                "subscriptions": [
                    {"amount": "100", "every": "P1M", "discount_percent": "50", "discount_duration": "once"},
                    {"amount": "70", "every": "P1M", "usage": True},
                ],
            },
            {"mrr": "100", "customers": 1},
        ),
        (
            {
                "kind": "mrr_movements",
                "steps": [
                    {"t": 1, "do": "start", "qty": 4, "amount": "500", "every": "P1Y"},
                    {"t": 2, "do": "change", "qty": 6},
                    {"t": 3, "do": "change", "qty": 3},
                    {"t": 4, "do": "cancel"},
                    {"t": 5, "do": "restart", "qty": 1},
                ],
            },
            # 500 / 12 = 41.666… a seat and month: 4, 6, 3, 0 and 1 of them.
            {
                "movements": [
                    {"type": "new", "amount": "166.67"},
                    {"type": "expansion", "amount": "83.33"},
                    {"type": "contraction", "amount": "125"},
                    {"type": "churn", "amount": "125"},
                    {"type": "reactivation", "amount": "41.67"},
                ]
            },
        ),
        ({"kind": "churn", "customers_start": 0, "churned": 0}, {"customer_churn_rate": None}),
        (
            {"kind": "churn", "customers_start": 100, "churned": 5, "new_customers": 20},
            {"rate_start_of_period_cohort": "0.05", "rate_active_plus_new": "0.0417"},
        ),
        (
            {"kind": "quick_ratio", "new": "5", "expansion": "0", "contraction": "0", "churn": "0"},
            {"quick_ratio": None},
        ),
        (
            {"kind": "ltv", "arpu": "100", "churn_rate": "0", "gross_margin": "1"},
            {"source_ltv": "0", "recommended_ltv": None},
        ),
        # 292 days, 17 of them before April: 582.19 of 10,000, and the rest over 9 months.
        (
            {"kind": "contract_mrr", "total": "10000", "start": "2024-03-15", "end": "2024-12-31"},
            {"mrr": "1046.42", "days": 292, "first_partial": "582.19"},
        ),
    ],
)
async def test_revenue_figures(given: dict[str, Any], expect: dict[str, Any]) -> None:
    outcome = await _judge("metrics", given, expect)
    assert outcome.verdict is Verdict.PASSED, outcome.why


_FAILED = {"kind": "retry_schedule", "intervals_days": [2, 5, 7], "now": "2024-01-03T12:00:00Z"}


@pytest.mark.parametrize(
    ("given", "expect"),
    [
        # A hard decline of the first retry: the calendar of the failure on 1 January runs on to its day 14.
        (
            {
                **_FAILED,
                "failed_attempts_counted": 2,
                "decline": "stolen_card",
                "past_due_since": "2024-01-01T12:00:00Z",
            },
            {
                "next_attempt_at": None,
                "subscription": "past_due",
                "give_up": False,
                "wait_until": "2024-01-15T12:00:00Z",
            },
        ),
        (
            {
                "kind": "attempt_count",
                "attempts": [{"trigger": "billing", "ok": False}, {"trigger": "manual", "ok": False}],
            },
            {"counted": 1},
        ),
        (
            {
                "kind": "recovery",
                "subscription": "past_due",
                "pending_retry_at": "2024-01-03T12:00:00Z",
                "event": "run_retry",
                "invoice": "void",
            },
            {"subscription": "past_due", "pending_retry_at": None, "invoice": "void", "charge_made": False},
        ),
        (
            {"kind": "decline_class", "response_code": "14"},
            {"class": "never_same_card", "scheduled_retries": False, "ask_for_new_card": True},
        ),
    ],
)
async def test_steps_of_dunning(given: dict[str, Any], expect: dict[str, Any]) -> None:
    outcome = await _judge("dunning", given, expect)
    assert outcome.verdict is Verdict.PASSED, outcome.why


@pytest.mark.parametrize(
    ("area", "given"),
    [
        ("requirements", {"kind": "limit_check", "used": 1, "request": 1, "limit": 1, "policy": {"polite": True}}),
        (
            "credits_entitlements",
            {"kind": "alert_crossings", "once": [], "recurring_step": "1", "direction": "sideways"},
        ),
        ("metrics", {"kind": "mrr", "subscriptions": [{"amount": "1", "every": "P30D"}]}),
        ("metrics", {"kind": "mrr", "subscriptions": [{"amount": "1", "every": "P1M", "status": "paused"}]}),
        ("metrics", {"kind": "mrr_movements", "steps": [{"t": 1, "do": "dance"}]}),
        ("dunning", {"kind": "attempt_count", "attempts": [{"trigger": "moon", "ok": False}]}),
        (
            "dunning",
            {"kind": "recovery", "subscription": "past_due", "pending_retry_at": None, "event": "eclipse"},
        ),
    ],
)
async def test_a_word_that_no_rule_knows_is_an_unknown_kind_and_never_guessed(area: str, given: dict[str, Any]) -> None:
    assert (await _judge(area, given, {})).verdict is Verdict.UNKNOWN
