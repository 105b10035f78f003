"""Reading routes of the LLM product (REQUIREMENTS A10). `user_id` is the id of a customer, `cus_…`.

    GET /api/subscription/plans                      what is sold
    GET /api/subscription/pricing                    what providers' calls cost now
    GET /api/subscription/usage/{user_id}            the present period: figures, limits, projections, hints
    GET /api/subscription/usage/{user_id}/trends     by day or month of the customer's zone
    GET /api/subscription/dashboard/{user_id}        all of a customer's standing in one document
    GET /api/subscription/alerts/{user_id}           where usage stands against each limit

Another customer's id is answered as an unknown one, 404.
"""

from api.rest.documents import (
    dashboard_document,
    notice_documents,
    plans_document,
    pricing_document,
    statistics_document,
    trends_document,
)
from api.rest.reads import Asked, Read
from domain.access.roles import Permission
from domain.analytics.consumption import service
from domain.analytics.consumption.figures import PRODUCT
from domain.analytics.consumption.performance import HOURS_DEFAULT, HOURS_MAX, Target
from domain.config import thresholds_of
from domain.kernel.ids import ProviderPriceId, decode, encode
from domain.plans import service as plans
from domain.usage.trends.buckets import MONTHS_DEFAULT, MONTHS_MAX, Grain

PAGE_DEFAULT, PAGE_MAX = 100, 1_000


async def plans_of_product(asked: Asked) -> object:
    """Return the plans, lowest rank first."""
    catalogue = await asked.serving.runtime.catalogue()
    return plans_document(catalogue, catalogue.sold_plans_of(catalogue.product(PRODUCT).id))


async def pricing(asked: Asked) -> object:
    """Return a page of the price list as it is in force now."""
    after, limit = asked.text("after"), asked.whole("limit", PAGE_DEFAULT, least=1, most=PAGE_MAX)
    async with asked.serving.runtime.db.transaction() as tx:
        found = await plans.list_provider_prices(
            tx,
            asked.call,
            provider=asked.text("provider"),
            at=asked.call.at,
            after=ProviderPriceId(decode("provider_price", after)) if after else None,
            limit=limit + 1,
        )
    rows = found[:limit]
    return pricing_document(rows, encode("provider_price", rows[-1].id) if len(found) > limit else None)


async def usage(asked: Asked) -> object:
    """Return the present usage period, and how fast and reliable the providers were in the last hours."""
    customer_id, hours = asked.customer_id, asked.whole("hours", HOURS_DEFAULT, least=1, most=HOURS_MAX)
    target = _target(asked)
    runtime, call = asked.serving.runtime, asked.call
    catalogue, book = await runtime.catalogue(), await runtime.price_book()
    async with runtime.db.transaction() as tx:
        statistics = await service.read_statistics(
            tx, call, catalogue, book, customer_id, percents=thresholds_of(runtime.settings)
        )
        report = await service.read_performance(tx, call, catalogue, book, customer_id, hours=hours, target=target)
    return statistics_document(customer_id, statistics, report)


async def trends(asked: Asked) -> object:
    """Return usage over time."""
    customer_id, grain = asked.customer_id, asked.word("by", Grain.MONTH)
    months = asked.whole("months", MONTHS_DEFAULT, least=1, most=MONTHS_MAX)
    catalogue = await asked.serving.runtime.catalogue()
    async with asked.serving.runtime.db.transaction() as tx:
        points = await service.read_trends(tx, asked.call, catalogue, customer_id, grain=grain, months=months)
    return trends_document(customer_id, grain, points)


async def dashboard(asked: Asked) -> object:
    """Return the dashboard."""
    customer_id, runtime = asked.customer_id, asked.serving.runtime
    catalogue, percents = await runtime.catalogue(), thresholds_of(runtime.settings)
    async with runtime.db.transaction() as tx:
        found = await service.read_dashboard(tx, asked.call, catalogue, customer_id, percents=percents)
    return dashboard_document(found)


async def alerts(asked: Asked) -> object:
    """Return what is to be told about limits: alerts of the period, and where usage stands below every threshold."""
    customer_id, runtime = asked.customer_id, asked.serving.runtime
    catalogue, percents = await runtime.catalogue(), thresholds_of(runtime.settings)
    async with runtime.db.transaction() as tx:
        notices = await service.read_notices(tx, asked.call, catalogue, customer_id, percents=percents)
    return {"user_id": encode("customer", customer_id), "alerts": notice_documents(notices)}


def _target(asked: Asked) -> Target:
    own = Target()
    return Target(
        asked.number("target_p95_ms", own.latency_ms), asked.number("target_error_percent", own.error_percent)
    )


READS = (
    Read("/api/subscription/plans", Permission.CATALOGUE_READ, plans_of_product),
    Read("/api/subscription/pricing", Permission.PRICE_READ, pricing),
    Read("/api/subscription/usage/{user_id}", Permission.USAGE_READ, usage),
    Read("/api/subscription/usage/{user_id}/trends", Permission.USAGE_READ, trends),
    Read("/api/subscription/dashboard/{user_id}", Permission.USAGE_READ, dashboard),
    Read("/api/subscription/alerts/{user_id}", Permission.USAGE_READ, alerts),
)
