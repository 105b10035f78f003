"""Read what a customer sees of its own consumption. Every use case asks for usage:read and keeps to the scope."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction

from domain.access.roles import Permission
from domain.alerts.alert import Alert
from domain.alerts.preferring import service as preferring
from domain.alerts.raising import service as raising
from domain.analytics.consumption.dashboard import Dashboard, dashboard_of
from domain.analytics.consumption.figures import (
    CALLS,
    COST,
    PRODUCT,
    PROVIDER,
    TOKENS,
    Figure,
    Figures,
    counted_by,
    figures_of,
    meters_of,
    total_of,
)
from domain.analytics.consumption.hints import Hint, model_hints, plan_hints, uses_of
from domain.analytics.consumption.notices import Notice
from domain.analytics.consumption.performance import (
    FAILED,
    HOURS_DEFAULT,
    SUCCEEDED,
    Measured,
    Report,
    Target,
    check_target,
    check_window,
    report_of,
)
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Tx
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.limits import service as limits
from domain.limits.fitting import offers_of, with_kept
from domain.limits.markup import markup_of
from domain.limits.override import amounts_of
from domain.limits.status import LimitStatus
from domain.plans.plan import Catalogue, Plan
from domain.plans.provider_price import PriceBook
from domain.subscriptions import service as subscriptions
from domain.subscriptions.service import SubscriptionNotFound
from domain.subscriptions.subscription import Subscription
from domain.usage import service as usages
from domain.usage.reading import Usage
from domain.usage.responses import service as responses
from domain.usage.trends import service as trends
from domain.usage.trends.buckets import MONTHS_DEFAULT, Grain, buckets_of, hours_back

_ALERTS = Permission.ALERT_READ
# The thresholds of each product, by its key, for customers that have none of their own.
Percents = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Standing:
    """A customer's subscription of the product, with its usage and limits, by key, at business time `now`.

    `alerts` are those of the period, where the caller may read them; `kept` are the amounts that overrides grant
    whatever the plan, `plans` the names of the product's plans, by their keys, and `percents` the thresholds at which
    the customer is alerted.
    """

    customer: Customer
    subscription: Subscription
    plan: Plan
    now: datetime
    usage: Usage
    limits: tuple[LimitStatus, ...]
    figures: Figures
    alerts: tuple[Alert, ...]
    kept: Mapping[str, Fraction | None]
    plans: Mapping[str, str]
    percents: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """What was used in one local day or month, which begins on `day`; costs are at list price."""

    day: date
    during: Period
    total: Figure
    providers: Figures


@dataclass(frozen=True, slots=True)
class Statistics:
    """The present usage period: the dashboard and what could be done better."""

    standing: Standing
    dashboard: Dashboard
    hints: tuple[Hint, ...]


async def load_standing(
    tx: Tx, call: Call, catalogue: Catalogue, customer_id: CustomerId, *, percents: Percents
) -> Standing:
    """Return where a customer stands with the product. Raises Forbidden, CustomerNotFound, SubscriptionNotFound."""
    call.need(Permission.USAGE_READ)
    customer = await customers.load_customer(tx, call, customer_id)
    product = catalogue.product(PRODUCT)
    subscription = await subscriptions.find_live(tx, customer_id, product.id)
    if subscription is None:
        raise SubscriptionNotFound
    usage = await usages.current_usage(tx, customer_id, subscription)
    now = await customers.business_now(tx, call, customer_id)
    overrides = await limits.overrides_in_force(tx, customer_id, product.id, now)
    preference = (await preferring.preferences_by_id(tx, [customer_id], scope=None))[customer_id]
    meters = meters_of(catalogue, product.id)
    ids = [meters[key].id for key in (CALLS, TOKENS, COST)]
    markup = markup_of(catalogue, subscription, meters[COST].id)
    return Standing(
        customer,
        subscription,
        catalogue.plan_of_version(subscription.plan_version_id),
        now,
        usage,
        tuple(sorted(limits.limits_of(catalogue, subscription, usage, overrides), key=lambda limit: limit.key)),
        figures_of(meters, counted_by(usage, ids, PROVIDER), markup),
        tuple(await raising.alerts_of_period(tx, call, subscription)) if call.principal.may(_ALERTS) else (),
        amounts_of(overrides),
        {plan.key: plan.name for plan in catalogue.plans_of(product.id)},
        preference.percents(PRODUCT, percents),
    )


async def read_dashboard(
    tx: Tx, call: Call, catalogue: Catalogue, customer_id: CustomerId, *, percents: Percents
) -> Dashboard:
    """Return the dashboard document. Raises as `load_standing`."""
    return _dashboard_of(await load_standing(tx, call, catalogue, customer_id, percents=percents))


async def read_notices(
    tx: Tx, call: Call, catalogue: Catalogue, customer_id: CustomerId, *, percents: Percents
) -> Sequence[Notice]:
    """Return what is to be told about limits, raised or computed now, the gravest first. Raises as `load_standing`."""
    return (await read_dashboard(tx, call, catalogue, customer_id, percents=percents)).notices


async def read_statistics(
    tx: Tx, call: Call, catalogue: Catalogue, book: PriceBook, customer_id: CustomerId, *, percents: Percents
) -> Statistics:
    """Return the present period's figures with projections and hints. Raises as `load_standing`."""
    standing = await load_standing(tx, call, catalogue, customer_id, percents=percents)
    dashboard = _dashboard_of(standing)
    subscription = standing.subscription
    sold = offers_of(catalogue, subscription.product_id, subscription.currency, present=standing.plan.key)
    offers = with_kept(sold, standing.kept)
    meters = meters_of(catalogue, subscription.product_id)
    hints = plan_hints(dashboard, standing.plan.key, offers, subscription.period, standing.now)
    hints += model_hints(uses_of(meters, standing.usage), book, standing.now)
    return Statistics(standing, dashboard, tuple(hints))


async def read_trends(
    tx: Tx,
    call: Call,
    catalogue: Catalogue,
    customer_id: CustomerId,
    *,
    grain: Grain = Grain.MONTH,
    months: int = MONTHS_DEFAULT,
) -> list[Point]:
    """Return usage by local day or month, oldest first, under all subscriptions of the product, ended ones too.

    Buckets are of the customer's zone; what was not used is 0. Raises Forbidden, CustomerNotFound, SpanRefused.
    """
    call.need(Permission.USAGE_READ)
    customer = await customers.load_customer(tx, call, customer_id)
    now = await customers.business_now(tx, call, customer_id)
    buckets = buckets_of(grain, months, now, customer.zone)
    product = catalogue.product(PRODUCT)
    meters = meters_of(catalogue, product.id)
    counted = await trends.counted_during(
        tx,
        customer_id,
        [each.id for each in await subscriptions.list_subscriptions(tx, customer_id) if each.product_id == product.id],
        [meters[key] for key in (CALLS, TOKENS, COST)],
        stretches=[each.during for each in buckets],
        dimension=PROVIDER,
    )
    points = zip(buckets, (figures_of(meters, each) for each in counted), strict=True)
    return [Point(bucket.day, bucket.during, total_of(figures), figures) for bucket, figures in points]


async def read_performance(
    tx: Tx,
    call: Call,
    catalogue: Catalogue,
    book: PriceBook,
    customer_id: CustomerId,
    *,
    hours: int = HOURS_DEFAULT,
    target: Target | None = None,
) -> Report:
    """Return response times and error rates of the last full hours and the present one.

    Raises Forbidden, CustomerNotFound, WindowRefused, TargetRefused.
    """
    call.need(Permission.USAGE_READ)
    check_window(hours)
    target = target or Target()
    check_target(target)
    customer = await customers.load_customer(tx, call, customer_id)
    during = hours_back(hours, await customers.business_now(tx, call, customer_id), customer.zone)
    product = catalogue.product(PRODUCT)
    meters = meters_of(catalogue, product.id)
    ids = [each.id for each in await subscriptions.list_subscriptions(tx, customer_id) if each.product_id == product.id]
    wanted = [meters[key] for key in (CALLS, SUCCEEDED, FAILED) if key in meters]
    [counted] = await trends.counted_during(tx, customer_id, ids, wanted, stretches=[during], dimension=PROVIDER)
    found = await responses.latencies_during(tx, customer_id, ids, during)
    measured = [Measured(book.provider_of(one.provider), one.latency_ms, one.calls, one.first_at) for one in found]
    return report_of(during, target, meters, counted, measured)


def _dashboard_of(standing: Standing) -> Dashboard:
    return dashboard_of(
        standing.subscription,
        standing.plan.name,
        standing.figures,
        standing.limits,
        standing.now,
        alerts=standing.alerts,
        plans=standing.plans,
        percents=standing.percents,
    )
