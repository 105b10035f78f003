"""Limits, grace, thresholds and projections: `domain/limits`."""

from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction

from api.conformance.case import Found, Given, NotBuilt, instant, number, shown
from api.conformance.system import NOON
from api.problems import HTTP_STATUS
from domain.kernel.period import Period
from domain.limits.decision import LimitReached, need_room
from domain.limits.policy import Limit, grace_ends_at, is_in_grace
from domain.limits.projection import projected
from domain.limits.status import LimitState
from domain.limits.thresholds import Direction, Watch, crossed, due, highest_reached, reached, severity_of

_DIRECTIONS: Mapping[str, Direction] = {"increasing": "rising", "decreasing": "falling"}
# What the requirements give a soft limit where a case names no other.
_GRACE_HOURS = 48


def _limit(given: Given) -> Limit:
    policy, amount = given["policy"], None if given["limit"] is None else number(given["limit"])
    if policy.get("hard"):
        return Limit("hard", amount)
    if policy.get("observe"):
        return Limit("observe", amount)
    if "soft_percent" not in policy:
        raise NotBuilt(f"the policy {policy}")
    return Limit("soft", amount, policy["soft_percent"], policy.get("grace_hours", _GRACE_HOURS))


def limit_check(given: Given) -> Found:
    """Ask for more at noon, unless the case says when and since when the limit is passed."""
    passed_at = instant(given["over_since"]) if given.get("over_since") else None
    at = instant(given["at"]) if "at" in given else NOON
    used, asked = number(given["used"]), number(given["request"])
    try:
        answer = need_room(_limit(given), used, asked, passed_at=passed_at, at=at, what="The limit")
    except LimitReached as refused:
        return {
            "allowed": False,
            "state": _word(LimitState.BLOCKED),
            "http_status": HTTP_STATUS[refused.kind],
            "used_after": number(refused.used),
        }
    return {"allowed": True, "state": _word(answer.state), "http_status": 200, "used_after": answer.used_after}


def _word(state: LimitState) -> str:
    return state.value.replace("_", " ")


def overage_grace(given: Given) -> Found:
    """Follow the grace of a soft limit that was passed at an instant."""
    zone, over_since = given.get("timezone", "UTC"), instant(given["over_since"], given.get("timezone", "UTC"))
    limit = Limit("soft", Fraction(1), grace_hours=given["grace_hours"])
    ends_at = grace_ends_at(limit, over_since)
    ends = {"grace_ends_utc": ends_at, "grace_ends_local": ends_at}
    return {**ends, "in_grace": is_in_grace(limit, over_since, instant(given["at"], zone))} if "at" in given else ends


def alert_severity(given: Given) -> Found:
    """Name the thresholds that usage has reached."""
    found = reached(number(given["used"]), number(given["limit"]), given["thresholds_percent"])
    return {"thresholds_reached": list(found), "severity": severity_of(found)}


def threshold_crossing(given: Given) -> Found:
    """Name the alerts that are due where those for the usage before were raised."""
    limit = None if given["limit"] is None else number(given["limit"])
    percents = given["thresholds_percent"]
    raised = reached(number(given["previous_usage"]), limit, percents)
    return {"new_alerts": list(due(number(given["usage"]), limit, percents, raised))}


def projection(given: Given) -> Found:
    """Project a month that began some days before noon."""
    month = Period(NOON, NOON + timedelta(days=given["days_in_month"]))
    passed = timedelta(seconds=int(number(given["elapsed_days"]) * 86_400))
    cost = projected(number(given["cost_so_far"]), month, NOON + passed)
    return {"projected_cost": shown(cost), "exact": cost}


def usage_thresholds(given: Given) -> Found:
    """Name the highest percentage of a quota that usage has reached."""
    quota = None if given["quota"] is None else number(given["quota"])
    found = reached(number(given["usage"]), quota, given["percent_thresholds"])
    return {"highest_reached_percent": max(found, default=None)}


def usage_value_thresholds(given: Given) -> Found:
    """Name the highest of some values that usage has reached."""
    return {"highest_reached": highest_reached(number(given["usage"]), map(number, given["value_thresholds"]))}


def alert_crossings(given: Given) -> Found:
    """Name the thresholds between two values."""
    if given["direction"] not in _DIRECTIONS:
        raise NotBuilt(f"an alert on {given['direction']} values")
    step = None if given["recurring_step"] is None else number(given["recurring_step"])
    watch = Watch(tuple(map(number, given["once"])), step, _DIRECTIONS[given["direction"]])
    return {"crossed": list(crossed(watch, number(given["previous"]), number(given["current"])))}
