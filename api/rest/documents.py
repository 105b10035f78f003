"""The documents of the LLM product's reading routes, written from values of the domain. Numbers are exact."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import msgspec

from api.rest.reads import instant, number, percent
from domain.analytics.consumption.dashboard import COST_CAP, Dashboard, Projection
from domain.analytics.consumption.figures import Figure, Figures, total_of
from domain.analytics.consumption.hints import Hint
from domain.analytics.consumption.notices import Notice
from domain.analytics.consumption.performance import Performance, Report
from domain.analytics.consumption.service import Point, Statistics
from domain.kernel.ids import CustomerId, encode
from domain.kernel.money import Money, to_minor
from domain.limits.status import LimitStatus, percent_of
from domain.plans.approval import is_on_approval
from domain.plans.plan import Catalogue, Plan, PlanVersion, Price
from domain.plans.price import rate
from domain.plans.provider_price import LIST_CURRENCY, ProviderPrice
from domain.usage.trends.buckets import Grain

# What the document calls the percentage of the cost cap.
_COST = "cost"


def dashboard_document(value: Dashboard) -> dict[str, Any]:
    """Write the dashboard (REQUIREMENTS A11)."""
    return {
        "current_usage": {
            "total_calls": number(value.total.calls),
            "total_cost": number(value.total.cost),
            "usage_status": value.status,
            "provider_breakdown": breakdown_document(value.providers),
        },
        "limits": {
            "plan_name": value.plan_name,
            "limits": {each.key: number(each.limit) for each in value.limits},
        },
        "usage_percentages": {
            (_COST if each.key == COST_CAP else each.key): percent(each.percent) for each in value.limits
        },
        "projections": {
            "projected_monthly_cost": number(value.cost.quantity),
            "projected_usage_percentage": percent(value.cost.percent),
        },
        "alerts": alert_documents(value.notices),
    }


def alert_documents(notices: Iterable[Notice]) -> list[dict[str, Any]]:
    """Write notices as the dashboard shows them."""
    return [{"title": each.title, "message": each.message, "severity": each.severity} for each in notices]


def notice_documents(notices: Iterable[Notice]) -> list[dict[str, Any]]:
    """Write notices with the alert behind each; what is computed has none."""
    found = list(notices)
    return [
        {
            **document,
            "limit": each.key,
            "kind": each.kind,
            "threshold": each.threshold,
            "id": encode("alert", each.alert_id) if each.alert_id else None,
            "raised_at": instant(each.raised_at) if each.raised_at else None,
            "read_at": instant(each.read_at) if each.read_at else None,
        }
        for each, document in zip(found, alert_documents(found), strict=True)
    ]


def breakdown_document(figures: Figures) -> dict[str, dict[str, Any]]:
    """Write the figures of each provider."""
    return {provider: _figure(figure) for provider, figure in figures.items()}


def _figure(value: Figure) -> dict[str, Any]:
    return {"calls": number(value.calls), "cost": number(value.cost), "tokens": number(value.tokens)}


def statistics_document(customer_id: CustomerId, value: Statistics, report: Report) -> dict[str, Any]:
    """Write the usage of the present period: figures, limits, projections, hints and performance."""
    dashboard = value.dashboard
    return {
        "user_id": encode("customer", customer_id),
        "plan": value.standing.plan.key,
        "plan_name": dashboard.plan_name,
        "period": {"start": instant(dashboard.period.start), "end": instant(dashboard.period.end)},
        "usage_status": dashboard.status,
        "currency": LIST_CURRENCY,
        "total_calls": number(dashboard.total.calls),
        "total_tokens": number(dashboard.total.tokens),
        "total_cost": number(dashboard.total.cost),
        "provider_breakdown": breakdown_document(dashboard.providers),
        "provider_comparison": comparison_documents(dashboard.providers),
        "limits": [_limit(each) for each in dashboard.limits],
        "projections": [_projection(each) for each in dashboard.projections],
        "hints": [_hint(each) for each in value.hints],
        "performance": performance_document(report),
    }


def comparison_documents(figures: Figures) -> list[dict[str, Any]]:
    """Write providers side by side, the dearest first: percentages are cut after six digits."""
    total = total_of(figures)
    return [
        {
            "provider": provider,
            "calls_percent": percent(percent_of(figure.calls, total.calls)),
            "tokens_percent": percent(percent_of(figure.tokens, total.tokens)),
            "cost_percent": percent(percent_of(figure.cost, total.cost)),
            "cost_per_call": number(figure.cost_per_call),
            "cost_per_1000_tokens": number(figure.cost_per_1000_tokens),
        }
        for provider, figure in figures.items()
    ]


def _limit(value: LimitStatus) -> dict[str, Any]:
    return {
        "key": value.key,
        "description": value.description,
        "policy": value.policy,
        "limit": number(value.limit),
        "used": number(value.used),
        "percent": percent(value.percent),
        "state": value.state,
        "unit": value.unit,
        "resets_at": instant(value.resets_at),
    }


def _projection(value: Projection) -> dict[str, Any]:
    return {
        "key": value.key,
        "projected": number(value.quantity),
        "projected_percent": percent(value.percent),
        "reaches_limit_at": instant(value.reaches_limit_at),
    }


def _hint(value: Hint) -> dict[str, Any]:
    return {
        "kind": value.kind,
        "title": value.title,
        "message": value.message,
        "saving": number(value.saving),
        "numbers": dict(value.numbers),
    }


def performance_document(value: Report) -> dict[str, Any]:
    """Write response times and error rates."""
    return {
        "from": instant(value.during.start),
        "target": {
            "p95_ms": number(value.target.latency_ms),
            "error_percent": percent(value.target.error_percent),
        },
        "providers": [_performance(each) for each in value.providers],
    }


def _performance(value: Performance) -> dict[str, Any]:
    return {
        "provider": value.provider,
        "calls": number(value.calls),
        "succeeded": number(value.succeeded),
        "failed": number(value.failed),
        "error_percent": percent(value.error_percent),
        "measured": value.measured,
        "measured_from": instant(value.measured_from),
        "p50_ms": number(value.p50_ms),
        "p95_ms": number(value.p95_ms),
        "p99_ms": number(value.p99_ms),
        "within_target_percent": percent(value.within_percent),
        "target_met": value.is_met,
    }


def trends_document(customer_id: CustomerId, grain: Grain, points: Sequence[Point]) -> dict[str, Any]:
    """Write usage over time, oldest first; costs are at list price."""
    return {
        "user_id": encode("customer", customer_id),
        "by": grain,
        "currency": LIST_CURRENCY,
        "trends": [
            {
                "from": each.day.isoformat(),
                "start": instant(each.during.start),
                "end": instant(each.during.end),
                **_figure(each.total),
                "provider_breakdown": breakdown_document(each.providers),
            }
            for each in points
        ],
    }


def plans_document(catalogue: Catalogue, plans: Iterable[Plan]) -> dict[str, Any]:
    """Write what is sold now: each plan with fees and limits; a limit of null is unlimited."""
    return {"plans": [_plan(plan, catalogue.current_version_of(plan.id)) for plan in plans]}


def _plan(plan: Plan, version: PlanVersion) -> dict[str, Any]:
    return {
        "key": plan.key,
        "name": plan.name,
        "rank": plan.rank,
        "on_approval": is_on_approval(version),
        "support": version.support,
        "features": version.features,
        "fees": [_fee(price) for price in version.prices if price.kind == "fee"],
        "limits": {
            each.key: number(each.amount)
            for each in sorted(version.entitlements, key=lambda one: one.key)
            if each.kind == "limit"
        },
    }


def _fee(price: Price) -> dict[str, Any]:
    fee = Money(to_minor(rate(price, Fraction(1)).amount, price.currency), price.currency)
    return {"interval": price.interval, "amount": msgspec.Raw(fee.major.encode()), "currency": price.currency}


def pricing_document(rows: Sequence[ProviderPrice], following: str | None) -> dict[str, Any]:
    """Write a page of the provider price list; `next` is null on the last one."""
    return {
        "currency": LIST_CURRENCY,
        "prices": [
            {
                "provider": row.provider,
                "model": row.model,
                "pool": row.pool,
                "amount": number(row.amount),
                "per": number(row.per),
                "valid_from": instant(row.valid_from),
                "source": row.source,
                "above": row.above,
            }
            for row in rows
        ],
        "next": following,
    }
