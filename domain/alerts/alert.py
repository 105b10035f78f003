"""What is worth telling a customer about a limit: thresholds, a forecast, the countdown of a grace (SEMANTICS 5.7)."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import AlertId, CustomerId, SubscriptionId
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.limits.projection import reaches_at
from domain.limits.status import LimitStatus
from domain.limits.thresholds import Severity, due, severity_of
from domain.plans.plan import Policy

# Hours that are left of a grace when its end is told of once more; 0 tells that it is over.
COUNTDOWN_HOURS = (24, 6, 0)
_FORECAST_PERCENT = 100


@dataclass(eq=False)
class AlertNotFound(DomainError):
    """There is no such alert."""

    code = "alert_not_found"
    kind = Kind.NOT_FOUND


class AlertKind(StrEnum):
    """What an alert tells of."""

    THRESHOLD = "threshold"
    FORECAST = "forecast"
    GRACE = "grace"


class Wish(StrEnum):
    """Whether an alert is mailed: not where a graver one of the same limit was raised with it, or mail is unwanted."""

    WANTED = "wanted"
    SUPERSEDED = "superseded"
    UNWANTED = "unwanted"


class Delivery(StrEnum):
    """What became of an alert's mail."""

    PENDING = "pending"
    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    FAILED = "failed"
    WITHHELD = "withheld"
    SUPPRESSED = "suppressed"
    SUPERSEDED = "superseded"
    UNWANTED = "unwanted"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert, unique by subscription, kind, limit and its amount, period and step.

    `step` is a percentage of the limit for a threshold and a forecast, and the hours left for a grace. `due_at` is when
    the limit will be reached, or when the grace ends. `upgrade` names the cheapest plan with a higher limit.
    """

    customer_id: CustomerId
    id: AlertId
    subscription_id: SubscriptionId
    kind: AlertKind
    limit_key: str
    description: str
    policy: Policy
    period: Period
    step: int
    severity: Severity
    used: Decimal
    limit: Decimal
    unit: str
    resets_at: datetime | None
    due_at: datetime | None
    upgrade: str | None
    wish: Wish
    raised_at: datetime
    created_at: datetime
    read_at: datetime | None
    delivery: Delivery = Delivery.PENDING


@dataclass(frozen=True, slots=True)
class News:
    """An alert to raise now, before it has an id."""

    kind: AlertKind
    step: int
    severity: Severity
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where usage stands against a limit; a level carries over the periods.

    `grace_hours` is for a soft limit, and `passed_at` when it was first passed in this period.
    """

    status: LimitStatus
    grace_hours: int
    is_level: bool
    passed_at: datetime | None = None


def news_of(
    standing: Standing,
    period: Period,
    now: datetime,
    *,
    percents: Iterable[int],
    raised: Collection[tuple[AlertKind, int]],
) -> list[News]:
    """Return what to tell of a limit now, in order. `raised` is what this period has told of it before.

    Without a limit, and with a limit of 0, there is nothing to tell.
    """
    status = standing.status
    if not status.limit:
        return []
    used, limit = Fraction(status.used), Fraction(status.limit)
    told = [step for kind, step in raised if kind is AlertKind.THRESHOLD]
    found = [News(AlertKind.THRESHOLD, step, severity_of([step])) for step in due(used, limit, percents, told)]
    kinds = {kind for kind, _ in raised}
    if AlertKind.FORECAST not in kinds and not standing.is_level:
        reaches = reaches_at(used, limit, period, now)
        if reaches is not None:
            found.append(News(AlertKind.FORECAST, _FORECAST_PERCENT, Severity.WARNING, reaches))
    if AlertKind.GRACE not in kinds and status.policy == "soft" and used > limit and standing.grace_hours:
        ends = (standing.passed_at or now) + timedelta(hours=standing.grace_hours)
        found.append(News(AlertKind.GRACE, standing.grace_hours, Severity.WARNING, ends))
    return found


def wish_of(each: News, together: Iterable[News], unwanted: Collection[AlertKind]) -> Wish:
    """Say whether to mail news: of thresholds of one limit reached at once, the highest is mailed."""
    if each.kind in unwanted:
        return Wish.UNWANTED
    highest = max((other.step for other in together if other.kind is each.kind), default=each.step)
    return Wish.WANTED if each.step == highest else Wish.SUPERSEDED


def countdown_step(due_at: datetime, now: datetime) -> int | None:
    """Return which of COUNTDOWN_HOURS is to be told now: the last one whose time has come."""
    come = [hours for hours in COUNTDOWN_HOURS if due_at - timedelta(hours=hours) <= now]
    return min(come, default=None)


def next_countdown_at(due_at: datetime, now: datetime) -> datetime | None:
    """Return when the next of COUNTDOWN_HOURS is to be told."""
    instants = (due_at - timedelta(hours=hours) for hours in COUNTDOWN_HOURS)
    return min((each for each in instants if each > now), default=None)
