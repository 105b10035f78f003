"""What a customer sees of its consumption of the LLM product: dashboard, trends, hints, and how providers performed."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import reading
from api.graphql.permissions import guarded_type
from api.graphql.scalars import BigInt, Cost, Json, exact
from api.graphql.subscriptions import Period
from api.graphql.usage import Limit, limit_of
from domain.access.roles import Permission
from domain.analytics.consumption import dashboard as dashboards
from domain.analytics.consumption import figures, hints, notices, performance, service
from domain.config import thresholds_of
from domain.customers.service import CustomerNotFound
from domain.kernel.ids import encode
from domain.limits.status import percent_of
from domain.plans.provider_price import LIST_CURRENCY
from domain.subscriptions.service import SubscriptionNotFound
from domain.usage.trends.buckets import MONTHS_DEFAULT, Grain

# What reading response times counts for among the nodes of a query: some thousand events are looked at.
PERFORMANCE_NODES = 1_000
_DAYS = 31
_TARGET = performance.Target()


class NoticeSeverity(StrEnum):
    """How grave a notice is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


name_enum(
    NoticeSeverity,
    "NoticeSeverity",
    "How grave a notice is.",
    INFO="Below every threshold.",
    WARNING="From the first threshold at which the customer is alerted on.",
    CRITICAL="The limit is reached.",
)
name_enum(
    notices.NoticeKind,
    "UsageNoticeKind",
    "What a notice tells.",
    STATUS="Where usage stands, as computed now.",
    THRESHOLD="Usage has reached a threshold.",
    FORECAST="The limit will be reached before the period ends.",
    GRACE="Usage is above a soft limit, and tolerated for some hours.",
)
name_enum(
    notices.UsageStatus,
    "UsageStatus",
    "What a customer's limits allow on the whole.",
    ACTIVE="Every limit is below its thresholds.",
    WARNING="Usage has reached a threshold of a limit.",
    LIMIT_REACHED="A limit is reached.",
    SUSPENDED="Nothing may be used: the subscription is paused or unpaid.",
)
name_enum(Grain, "TrendGrain", "How long a bucket of a trend is.", DAY="A local day.", MONTH="A local month.")
name_enum(
    hints.HintKind,
    "UsageHintKind",
    "What a hint proposes.",
    CHEAPER_MODEL="Another model of the same provider.",
    CACHE_INPUT="To use the model's prompt cache.",
    SMALLER_PLAN="A plan with a smaller fee that is large enough.",
    LARGER_PLAN="A plan that holds what the period is heading for.",
)

CustomerArgument = Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")]


@guarded_type(Permission.USAGE_READ, "What calls came to.")
class UsageFigure:
    """A figure."""

    calls: BigInt = strawberry.field(description="How many.")
    tokens: Decimal = strawberry.field(description="Tokens of all kinds, exact.")
    cost: Cost = strawberry.field(description="Exact.")


@guarded_type(Permission.USAGE_READ, "What the calls to one provider came to, beside those to all.")
class ProviderFigure:
    """A provider's figure."""

    provider: str = strawberry.field(description="The provider's key, such as gemini.")
    calls: BigInt = strawberry.field(description="How many.")
    tokens: Decimal = strawberry.field(description="Tokens of all kinds, exact.")
    cost: Cost = strawberry.field(description="Exact.")
    calls_percent: Decimal | None = strawberry.field(description="Of all calls, cut after six digits.")
    tokens_percent: Decimal | None = strawberry.field(description="Of all tokens, cut after six digits.")
    cost_percent: Decimal | None = strawberry.field(description="Of the whole cost, cut after six digits.")
    cost_per_call: Decimal | None = strawberry.field(description="The average in USD, rounded to six digits.")
    cost_per_1000_tokens: Decimal | None = strawberry.field(
        name="costPer1000Tokens", description="The average in USD, rounded to six digits; null without tokens."
    )


@guarded_type(Permission.USAGE_READ, "Where a limit's usage is heading at the present rate.")
class UsageProjection:
    """A projection."""

    key: str = strawberry.field(description="The limit's key.")
    quantity: Decimal | None = strawberry.field(
        description="By the end of the period, in the limit's unit, rounded to two digits; null in the first day."
    )
    percent: Decimal | None = strawberry.field(description="The same in percent of the limit; null without one.")
    reaches_limit_at: datetime | None = strawberry.field(description="Null where the period ends before that.")


@guarded_type(Permission.USAGE_READ, "Where usage stands against a limit of which anything is used.")
class UsageNotice:
    """A notice."""

    key: str = strawberry.field(description="The limit's key.")
    title: str = strawberry.field(description="For people.")
    message: str = strawberry.field(description="For people, with the numbers.")
    severity: NoticeSeverity = strawberry.field(description="How grave it is.")
    threshold: int | None = strawberry.field(
        description="The highest threshold reached, in percent; null below all. Thresholds are those at which the "
        "customer is alerted, and 100 in any case."
    )
    kind: notices.NoticeKind = strawberry.field(description="Where usage stands, or what an alert was raised for.")
    alert_id: strawberry.ID | None = strawberry.field(
        description="`alr_…` of the alert behind it; null where it is computed, or the caller lacks alert:read."
    )
    raised_at: datetime | None = strawberry.field(description="When the alert was raised, in business time.")
    read_at: datetime | None = strawberry.field(description="When the alert was marked read.")


@guarded_type(Permission.USAGE_READ, "The present usage period of the LLM product in one document.")
class Dashboard:
    """The dashboard."""

    status: notices.UsageStatus = strawberry.field(description="What the limits allow on the whole.")
    plan_name: str = strawberry.field(description="The plan's name.")
    period: Period = strawberry.field(description="The usage period.")
    total: UsageFigure = strawberry.field(description="All calls of the period.")
    providers: list[ProviderFigure] = strawberry.field(description="By provider, the dearest first.")
    limits: list[Limit] = strawberry.field(description="The plan's limits, by key.")
    projected_cost: UsageProjection = strawberry.field(description="Where the cost is heading, in USD.")
    projections: list[UsageProjection] = strawberry.field(description="Where each limit's usage is heading, by key.")
    notices: list[UsageNotice] = strawberry.field(
        description="Alerts of the period, and what is computed now, gravest first."
    )


@guarded_type(Permission.USAGE_READ, "What was used in one local day or month.")
class TrendPoint:
    """A bucket of a trend."""

    day: str = strawberry.field(description="The local day on which it begins, such as 2026-04-01.")
    period: Period = strawberry.field(description="Its instants.")
    total: UsageFigure = strawberry.field(description="All calls; costs are at list price.")
    providers: list[ProviderFigure] = strawberry.field(description="By provider, the dearest first.")


@guarded_type(Permission.USAGE_READ, "A way to spend less.")
class UsageHint:
    """A hint."""

    kind: hints.HintKind = strawberry.field(description="What it proposes.")
    title: str = strawberry.field(description="For people.")
    message: str = strawberry.field(description="For people, with the numbers.")
    saving: Decimal | None = strawberry.field(
        description="USD that this period's calls, or a month's fee, would have cost less; null where nothing is saved."
    )
    numbers: Json = strawberry.field(description="Exact texts by name: what led to the hint.")


@guarded_type(Permission.USAGE_READ, "How fast and how reliably one provider answered.")
class ProviderPerformance:
    """A provider's performance."""

    provider: str = strawberry.field(description="The provider's key.")
    calls: BigInt = strawberry.field(description="All calls of the full hours.")
    succeeded: BigInt = strawberry.field(description="Those with the status `ok`.")
    failed: BigInt = strawberry.field(description="Those with the status `error`, `timeout` or `rate_limited`.")
    error_percent: Decimal | None = strawberry.field(
        description="Failed ones of those that succeeded or failed, two digits; null where no call said how it went."
    )
    measured: int = strawberry.field(description="How many of the newest events had a response time.")
    measured_from: datetime | None = strawberry.field(description="When the oldest of them occurred.")
    p50_ms: Decimal | None = strawberry.field(name="p50Ms", description="Half of the measured calls took no longer.")
    p95_ms: Decimal | None = strawberry.field(name="p95Ms", description="95 % of them took no longer.")
    p99_ms: Decimal | None = strawberry.field(name="p99Ms", description="99 % of them took no longer.")
    within_target_percent: Decimal | None = strawberry.field(description="Measured ones within the target's time.")
    target_met: bool | None = strawberry.field(description="Null where nothing is known.")


@guarded_type(Permission.USAGE_READ, "How fast and how reliably the providers answered, against a target.")
class PerformanceReport:
    """A report."""

    period: Period = strawberry.field(description="From a full hour of the customer's zone up to now.")
    target_p95_ms: Decimal = strawberry.field(name="targetP95Ms", description="What 95 % of the calls are to keep.")
    target_error_percent: Decimal = strawberry.field(description="How many percent of the calls may fail.")
    providers: list[ProviderPerformance] = strawberry.field(description="Those with the most calls first.")


def _figure_of(value: figures.Figure) -> UsageFigure:
    return UsageFigure(calls=BigInt(int(value.calls)), tokens=exact(value.tokens), cost=_cost_of(value.cost))


def _cost_of(amount: Decimal) -> Cost:
    return Cost(amount=exact(amount), currency=LIST_CURRENCY)


def _exact(value: Decimal | None) -> Decimal | None:
    return None if value is None else exact(value)


def _providers_of(values: figures.Figures) -> list[ProviderFigure]:
    total = figures.total_of(values)
    return [
        ProviderFigure(
            provider=provider,
            calls=BigInt(int(value.calls)),
            tokens=exact(value.tokens),
            cost=_cost_of(value.cost),
            calls_percent=_exact(percent_of(value.calls, total.calls)),
            tokens_percent=_exact(percent_of(value.tokens, total.tokens)),
            cost_percent=_exact(percent_of(value.cost, total.cost)),
            cost_per_call=_exact(value.cost_per_call),
            cost_per_1000_tokens=_exact(value.cost_per_1000_tokens),
        )
        for provider, value in values.items()
    ]


def _projection_of(value: dashboards.Projection) -> UsageProjection:
    return UsageProjection(
        key=value.key,
        quantity=_exact(value.quantity),
        percent=_exact(value.percent),
        reaches_limit_at=value.reaches_limit_at,
    )


def _dashboard_of(value: dashboards.Dashboard) -> Dashboard:
    return Dashboard(
        status=value.status,
        plan_name=value.plan_name,
        period=Period(start=value.period.start, end=value.period.end),
        total=_figure_of(value.total),
        providers=_providers_of(value.providers),
        limits=[limit_of(each) for each in value.limits],
        projected_cost=_projection_of(value.cost),
        projections=[_projection_of(each) for each in value.projections],
        notices=[
            UsageNotice(
                key=each.key,
                title=each.title,
                message=each.message,
                severity=NoticeSeverity(each.severity),
                threshold=each.threshold,
                kind=each.kind,
                alert_id=strawberry.ID(encode("alert", each.alert_id)) if each.alert_id else None,
                raised_at=each.raised_at,
                read_at=each.read_at,
            )
            for each in value.notices
        ],
    )


def _performance_of(value: performance.Performance) -> ProviderPerformance:
    return ProviderPerformance(
        provider=value.provider,
        calls=BigInt(int(value.calls)),
        succeeded=BigInt(int(value.succeeded)),
        failed=BigInt(int(value.failed)),
        error_percent=_exact(value.error_percent),
        measured=value.measured,
        measured_from=value.measured_from,
        p50_ms=_exact(value.p50_ms),
        p95_ms=_exact(value.p95_ms),
        p99_ms=_exact(value.p99_ms),
        within_target_percent=_exact(value.within_percent),
        target_met=value.is_met,
    )


@strawberry.type
class ConsumptionQuery:
    """Queries about consumption."""

    @reading(Permission.USAGE_READ, "Where a customer stands with the LLM product, or null without a subscription.")
    async def dashboard(self, info: Info[Context, None], customer_id: CustomerArgument) -> Dashboard | None:
        """Read it."""
        runtime, call = info.context.runtime, info.context.call
        catalogue, percents = await info.context.loaders.catalogue(), thresholds_of(runtime.settings)
        customer = ids.customer_id(customer_id)
        try:
            async with runtime.db.transaction() as tx:
                return _dashboard_of(await service.read_dashboard(tx, call, catalogue, customer, percents=percents))
        except (CustomerNotFound, SubscriptionNotFound):
            return None

    @reading(Permission.USAGE_READ, "Ways to spend less in the present period, or null without a subscription.")
    async def usage_hints(self, info: Info[Context, None], customer_id: CustomerArgument) -> list[UsageHint] | None:
        """Read them."""
        runtime, call = info.context.runtime, info.context.call
        catalogue, book = await runtime.catalogue(), await runtime.price_book()
        customer, percents = ids.customer_id(customer_id), thresholds_of(runtime.settings)
        try:
            async with runtime.db.transaction() as tx:
                found = await service.read_statistics(tx, call, catalogue, book, customer, percents=percents)
        except (CustomerNotFound, SubscriptionNotFound):
            return None
        return [
            UsageHint(
                kind=each.kind,
                title=each.title,
                message=each.message,
                saving=_exact(each.saving),
                numbers=Json(dict(each.numbers)),
            )
            for each in found.hints
        ]

    @reading(Permission.USAGE_READ, "A customer's usage of the LLM product over time, oldest first, or null.")
    async def usage_trends(
        self,
        info: Info[Context, None],
        customer_id: CustomerArgument,
        by: Annotated[Grain, strawberry.argument(description="Days and months are those of its zone.")] = Grain.MONTH,
        months: Annotated[int, strawberry.argument(description="1 to 24, the present one included.")] = MONTHS_DEFAULT,
    ) -> list[TrendPoint] | None:
        """Read them."""
        info.context.spend(max(months, 0) * (_DAYS if by is Grain.DAY else 1))
        catalogue, call = await info.context.loaders.catalogue(), info.context.call
        try:
            async with info.context.runtime.db.transaction() as tx:
                found = await service.read_trends(
                    tx, call, catalogue, ids.customer_id(customer_id), grain=by, months=months
                )
        except CustomerNotFound:
            return None
        return [
            TrendPoint(
                day=each.day.isoformat(),
                period=Period(start=each.during.start, end=each.during.end),
                total=_figure_of(each.total),
                providers=_providers_of(each.providers),
            )
            for each in found
        ]

    @reading(Permission.USAGE_READ, "Response times and error rates by provider, against a target, or null.")
    async def provider_performance(
        self,
        info: Info[Context, None],
        customer_id: CustomerArgument,
        hours: Annotated[int, strawberry.argument(description="1 to 744 full hours back.")] = performance.HOURS_DEFAULT,
        target_p95_ms: Annotated[
            Decimal, strawberry.argument(name="targetP95Ms", description="Above 0, at most 3600000.")
        ] = _TARGET.latency_ms,
        target_error_percent: Annotated[Decimal, strawberry.argument(description="0 to 100.")] = _TARGET.error_percent,
    ) -> PerformanceReport | None:
        """Read them."""
        info.context.spend(PERFORMANCE_NODES)
        runtime, call = info.context.runtime, info.context.call
        catalogue, book = await runtime.catalogue(), await runtime.price_book()
        target = performance.Target(target_p95_ms, target_error_percent)
        try:
            async with runtime.db.transaction() as tx:
                found = await service.read_performance(
                    tx, call, catalogue, book, ids.customer_id(customer_id), hours=hours, target=target
                )
        except CustomerNotFound:
            return None
        return PerformanceReport(
            period=Period(start=found.during.start, end=found.during.end),
            target_p95_ms=exact(found.target.latency_ms),
            target_error_percent=exact(found.target.error_percent),
            providers=[_performance_of(each) for each in found.providers],
        )
