"""The dashboard: where a customer stands with one plan, in one document (REQUIREMENTS A11)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

from domain.alerts.alert import Alert
from domain.alerts.preference import DEFAULT_THRESHOLDS
from domain.analytics.consumption.figures import Figure, Figures, total_of
from domain.analytics.consumption.notices import Notice, UsageStatus, joined, notices_of, usage_status_of
from domain.kernel.money import round_half_up
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.limits.projection import projected, reaches_at
from domain.limits.status import LimitStatus
from domain.subscriptions.subscription import Subscription

# The limit of a plan on what usage may cost in a period.
COST_CAP = "monthly_cost"


@dataclass(frozen=True, slots=True)
class Projection:
    """Where one limit's usage is heading: what it comes to by the end of the period, in the unit of the limit.

    `quantity` and `percent` are rounded to two digits, halves up; both are None in the first day of a period, and
    `percent` also without a limit. `reaches_limit_at` is None where the period ends before that.
    """

    key: str
    quantity: Decimal | None
    percent: Decimal | None
    reaches_limit_at: datetime | None


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Figures of the present usage period, limits, projections and notices; `cost` is where the cost is heading."""

    total: Figure
    status: UsageStatus
    providers: Figures
    plan_name: str
    period: Period
    limits: tuple[LimitStatus, ...]
    cost: Projection
    projections: tuple[Projection, ...]
    notices: tuple[Notice, ...]


def dashboard_of(
    subscription: Subscription,
    plan_name: str,
    figures: Figures,
    limits: Sequence[LimitStatus],
    now: datetime,
    *,
    alerts: Sequence[Alert] = (),
    plans: Mapping[str, str] = MappingProxyType({}),
    percents: Sequence[int] = DEFAULT_THRESHOLDS,
) -> Dashboard:
    """Put the document together, at business time `now`.

    `alerts` are those of the usage period, `plans` the names of the product's plans by their keys, and `percents` the
    thresholds at which the customer is alerted.
    """
    total = total_of(figures)
    computed = notices_of(limits, subscription.zone, percents)
    caps = [each.limit for each in limits if each.key == COST_CAP]
    return Dashboard(
        total=total,
        status=usage_status_of(subscription.status, computed),
        providers=figures,
        plan_name=plan_name,
        period=subscription.period,
        limits=tuple(limits),
        cost=projection_of(COST_CAP, total.cost, caps[0] if caps else None, subscription.period, now),
        projections=tuple(
            projection_of(each.key, each.used, each.limit, subscription.period, now)
            for each in limits
            if each.resets_at is not None
        ),
        notices=tuple(joined(computed, limits, alerts, subscription.zone, now, plans=plans)),
    )


def projection_of(key: str, used: Decimal, limit: Decimal | None, period: Period, now: datetime) -> Projection:
    """Project one limit's usage to the end of the period, at the rate of the time that has passed."""
    expected = projected(Fraction(used), period, now)
    bound = None if limit is None else Fraction(limit)
    return Projection(
        key,
        None if expected is None else two_digits(expected),
        two_digits(expected * 100 / bound) if expected is not None and bound else None,
        reaches_at(Fraction(used), bound, period, now) if bound else None,
    )


def two_digits(value: Fraction) -> Decimal:
    """Round for display, halves up: 48.825 is shown as 48.83."""
    return Decimal(round_half_up(value * 100)).scaleb(-2)
