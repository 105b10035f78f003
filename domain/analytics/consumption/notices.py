"""Where usage stands against each limit, as a sentence for the customer, and what that makes of the whole.

They are computed from what is used now. A limit below every threshold has a notice of severity info.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from zoneinfo import ZoneInfo

from domain.limits.status import LimitStatus
from domain.limits.thresholds import Severity, reached, severity_of
from domain.subscriptions.subscription import Status

# Parts of a limit that are worth telling of, in percent (REQUIREMENTS A8).
THRESHOLDS = (80, 90, 100)
_REACHED = 100
_SUSPENDED = frozenset((Status.PAUSED, Status.UNPAID))
_TITLES = {Severity.INFO: "Usage notice", Severity.WARNING: "Usage warning", Severity.CRITICAL: "Limit reached"}
_GRAVEST_FIRST = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


class UsageStatus(StrEnum):
    """What a customer's limits allow on the whole."""

    ACTIVE = "active"
    WARNING = "warning"
    LIMIT_REACHED = "limit_reached"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Notice:
    """A limit of which something is used; `key` names it, and `threshold` is the highest reached, in percent."""

    key: str
    title: str
    message: str
    severity: Severity
    threshold: int | None


def notices_of(limits: Sequence[LimitStatus], zone: str) -> list[Notice]:
    """Return a notice for each limit of which anything is used, the gravest first, then the fullest.

    A limit without an amount, and one of 0, is silent. Dates are those of the customer's zone.
    """
    told = sorted((each for each in limits if each.limit and each.used > 0), key=lambda one: (-_percent(one), one.key))
    found = [_notice(each, zone) for each in told]
    return sorted(found, key=lambda notice: _GRAVEST_FIRST.index(notice.severity))


def _percent(limit: LimitStatus) -> Decimal:
    assert limit.percent is not None, "a limit above 0 has one"
    return limit.percent


def usage_status_of(status: Status, notices: Sequence[Notice]) -> UsageStatus:
    """Say what the limits allow on the whole: the gravest of all notices decides, unless all use is suspended."""
    if status in _SUSPENDED:
        return UsageStatus.SUSPENDED
    highest = max((notice.threshold or 0 for notice in notices), default=0)
    if highest >= _REACHED:
        return UsageStatus.LIMIT_REACHED
    return UsageStatus.WARNING if highest else UsageStatus.ACTIVE


def _notice(limit: LimitStatus, zone: str) -> Notice:
    assert limit.limit is not None, "only limits with an amount are told of"
    thresholds = reached(Fraction(limit.used), Fraction(limit.limit), THRESHOLDS)
    severity = severity_of(thresholds)
    unit = f" {limit.unit}" if limit.unit.isupper() else ""
    percent = _percent(limit).quantize(Decimal("0.1"), "ROUND_DOWN")
    message = f"{grouped(limit.used)} of {grouped(limit.limit)}{unit} used ({percent} %).{_resets(limit, zone)}"
    title = f"{_TITLES[severity]}: {limit.description}"
    return Notice(limit.key, title, message, severity, max(thresholds, default=None))


def grouped(value: Decimal) -> str:
    """Write a number with commas between thousands, and without zeros that say nothing."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _resets(limit: LimitStatus, zone: str) -> str:
    return f" Counting starts anew on {_day(limit.resets_at, zone)}." if limit.resets_at else ""


def _day(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).date().isoformat()
