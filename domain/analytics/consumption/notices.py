"""Where usage stands against each limit, as a sentence for the customer, and what that makes of the whole.

Below every threshold they are computed from what is used now, with the severity info; from a threshold on they are the
alerts that were raised in this period, with the numbers of now. A threshold that was reached a moment ago, of which the
alert is still on its way, is computed too.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from zoneinfo import ZoneInfo

from domain.alerts.alert import Alert, AlertKind
from domain.alerts.preference import DEFAULT_THRESHOLDS
from domain.kernel.ids import AlertId
from domain.kernel.values import dataclass
from domain.limits.status import LimitStatus
from domain.limits.thresholds import Severity, reached, severity_of
from domain.subscriptions.subscription import Status

# Of every customer a threshold here: what is refused must not be told as a warning.
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


class NoticeKind(StrEnum):
    """What a notice tells: where usage stands, or what an alert was raised for."""

    STATUS = "status"
    THRESHOLD = "threshold"
    FORECAST = "forecast"
    GRACE = "grace"


@dataclass(frozen=True, slots=True)
class Notice:
    """A limit of which something is used; `key` names it, and `threshold` is the highest reached, in percent.

    `alert_id`, `raised_at` and `read_at` are those of the alert behind it; None where it is computed.
    """

    key: str
    title: str
    message: str
    severity: Severity
    threshold: int | None
    kind: NoticeKind = NoticeKind.STATUS
    alert_id: AlertId | None = None
    raised_at: datetime | None = None
    read_at: datetime | None = None


def notices_of(limits: Sequence[LimitStatus], zone: str, percents: Sequence[int] = DEFAULT_THRESHOLDS) -> list[Notice]:
    """Return a notice for each limit of which anything is used, the gravest first, then the fullest.

    A limit without an amount, and one of 0, is silent. Dates are those of the customer's zone. `percents` are the
    thresholds at which the customer is alerted; the limit itself is one in any case.
    """
    told = sorted((each for each in limits if each.limit and each.used > 0), key=lambda one: (-_percent(one), one.key))
    found = [_notice(each, zone, percents) for each in told]
    return sorted(found, key=lambda notice: _GRAVEST_FIRST.index(notice.severity))


def joined(
    computed: Sequence[Notice],
    limits: Sequence[LimitStatus],
    alerts: Iterable[Alert],
    zone: str,
    now: datetime,
    *,
    plans: Mapping[str, str] = MappingProxyType({}),
) -> list[Notice]:
    """Return notices with the alerts of the period in the place of what they tell of, the gravest first.

    Of the thresholds of a limit the highest is told, of a grace how little is left of it. An alert about another amount
    of a limit is news of another limit, a forecast is over when its time has come, and a grace when usage has fallen.
    `plans` are the names of plans by their keys.
    """
    by_key = {each.key: each for each in limits if each.limit}
    told: dict[tuple[str, NoticeKind], Notice] = {(each.key, each.kind): each for each in computed}
    for alert in sorted(alerts, key=_least_telling_first):
        limit = by_key.get(alert.limit_key)
        notice = _of_alert(alert, limit, zone, now, plans) if limit is not None and limit.limit == alert.limit else None
        before = told.get((alert.limit_key, NoticeKind.STATUS))
        if notice is None or (notice.kind is NoticeKind.THRESHOLD and _is_beyond(before, alert.step)):
            continue
        told[notice.key, notice.kind] = notice
        if notice.kind is NoticeKind.THRESHOLD:
            told.pop((notice.key, NoticeKind.STATUS), None)
    return sorted(told.values(), key=lambda notice: _GRAVEST_FIRST.index(notice.severity))


def _least_telling_first(alert: Alert) -> int:
    return -alert.step if alert.kind is AlertKind.GRACE else alert.step


def _is_beyond(computed: Notice | None, step: int) -> bool:
    """Whether usage has reached a higher threshold than an alert tells of: the next one is on its way."""
    return computed is not None and (computed.threshold or 0) > step


def _of_alert(alert: Alert, limit: LimitStatus, zone: str, now: datetime, plans: Mapping[str, str]) -> Notice | None:
    """Tell of an alert with the numbers of now; None where it is no news any more."""
    kind = NoticeKind(alert.kind)
    title, message = f"{_TITLES[alert.severity]}: {limit.description}", _numbers(limit, zone)
    if kind is NoticeKind.FORECAST:
        if alert.due_at is None or now >= alert.due_at or limit.used >= alert.limit:
            return None
        title = f"Usage forecast: {limit.description}"
        message = f"At the rate of then the limit is reached on {_day(alert.due_at, zone)}. {message}"
    if kind is NoticeKind.GRACE:
        if alert.due_at is None or limit.used <= alert.limit:
            return None
        title = f"Above the limit: {limit.description}"
        ends = alert.due_at.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes")
        message = f"More is tolerated until {ends}; then what would pass the limit is refused. {message}"
    if alert.upgrade is not None:
        message = f"{message} The plan {plans.get(alert.upgrade, alert.upgrade)} allows more."
    threshold = alert.step if kind is NoticeKind.THRESHOLD else None
    return Notice(
        alert.limit_key,
        title,
        message,
        alert.severity,
        threshold,
        kind,
        alert.id,
        alert.raised_at,
        alert.read_at,
    )


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


def _notice(limit: LimitStatus, zone: str, percents: Sequence[int]) -> Notice:
    assert limit.limit is not None, "only limits with an amount are told of"
    thresholds = reached(Fraction(limit.used), Fraction(limit.limit), (*percents, _REACHED))
    severity = severity_of(thresholds)
    title = f"{_TITLES[severity]}: {limit.description}"
    return Notice(limit.key, title, _numbers(limit, zone), severity, max(thresholds, default=None))


def _numbers(limit: LimitStatus, zone: str) -> str:
    assert limit.limit is not None, "only limits with an amount are told of"
    unit = f" {limit.unit}" if limit.unit.isupper() else ""
    percent = _percent(limit).quantize(Decimal("0.1"), "ROUND_DOWN")
    return f"{grouped(limit.used)} of {grouped(limit.limit)}{unit} used ({percent} %).{_resets(limit, zone)}"


def grouped(value: Decimal) -> str:
    """Write a number with commas between thousands, and without zeros that say nothing."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _resets(limit: LimitStatus, zone: str) -> str:
    return f" Counting starts anew on {_day(limit.resets_at, zone)}." if limit.resets_at else ""


def _day(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).date().isoformat()
