"""Figures of the requirements: the delivered catalogues and price list, and where usage stands against a limit."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any
from uuid import UUID

from api.conformance import dunning, limits, metrics
from api.conformance.case import Area, Found, Given, NotBuilt, number, shown
from api.conformance.system import NOON, System, current_usage, event
from domain.analytics.recurring import Every
from domain.analytics.recurring import monthly as monthly_amount
from domain.kernel.ids import ProviderPriceId
from domain.limits.fitting import Offer, cheapest_fit
from domain.limits.status import percent_of
from domain.plans.definition import PlanDefinition, read_product
from domain.plans.price_list import read_price_list
from domain.plans.provider_price import LIST_CURRENCY, POOLS, PriceBook, PricedCost, ProviderPrice, price_book_of
from domain.plans.yearly import saving_percent, yearly_fee
from domain.usage.verdict import Status

_NO_ID = ProviderPriceId(UUID(int=0))
_GIGABYTE = 10**9
_BILLED_AS = {"search": "request", "page": "page", "image": "image"}


@cache
def _delivered(name: str) -> bytes:
    return resources.files("domain.plans.catalogue").joinpath(name).read_bytes()


@cache
def _book() -> PriceBook:
    """Return the delivered provider price list."""
    found = read_price_list(_delivered("provider_prices.json"))
    rows = [
        ProviderPrice(
            id=_NO_ID,
            provider=each.provider,
            model=each.model,
            pool=pool,
            amount=amount,
            per=per,
            currency=LIST_CURRENCY,
            valid_from=each.valid_from,
            valid_to=each.valid_to,
            source=each.source,
            above=above,
        )
        for each in found.sets
        for pool, above, amount, per in each.rows
    ]
    return price_book_of("delivered", found.providers, found.aliases, rows)


@cache
def _provider_of(model: str, pool: str) -> str:
    """Return the one provider on the delivered list that sells a model, or anything from a pool."""
    found = read_price_list(_delivered("provider_prices.json"))
    sellers = {each.provider for each in found.sets if each.model == model and pool in {row[0] for row in each.prices}}
    if len(sellers) != 1:
        raise NotBuilt(f"{model} from the pool {pool} is sold by {len(sellers)} providers")
    return sellers.pop()


def _cost(provider: str, model: str, quantities: Mapping[str, Decimal]) -> Decimal:
    priced = _book().cost_of(provider, model, quantities, NOON)
    if not isinstance(priced, PricedCost):
        raise NotBuilt(f"{provider} {model} is not on the delivered price list")
    return priced.cost


def _token_cost(given: Given) -> Found:
    """Price a call by the delivered list, whose rates must be those of the case."""
    model = given["model"]
    tokens = {"input": Decimal(given["input_tokens"]), "output": Decimal(given["output_tokens"])}
    return {"cost": _cost(_provider_of(model, "input"), model, tokens)}


def _flat_cost(given: Given) -> Found:
    costs = []
    for item in given["items"]:
        *provider, unit = item["unit"].split()
        pool = _BILLED_AS.get(unit, unit)
        if pool not in POOLS:
            raise NotBuilt(f"a price per {unit}")
        seller = provider[0] if provider else _provider_of("*", pool)
        costs.append(_cost(seller, "*", {pool: Decimal(item["qty"])}))
    return {"cost": sum(costs, Decimal(0)), "parts": costs}


def _usage_percent(given: Given) -> Found:
    percent = percent_of(Decimal(given["used"]), Decimal(given["limit"]))
    return {"percent": percent, "limit_reached": percent is not None and percent >= 100}


def _projection_percent(given: Given) -> Found:
    return {"percent": percent_of(Decimal(given["projected_cost"]), Decimal(given["limit"]))}


def _edge_plan(key: str) -> PlanDefinition:
    for plan in read_product(_delivered("edge.json")).plans:
        if plan.key == key:
            return plan
    raise NotBuilt(f"the plan {key}")


def _plan_limits(given: Given) -> Found:
    plan = _edge_plan(given["plan"])
    amounts = {each.key: each.amount for each in plan.entitlements if each.amount is not None}
    keys = ("modules", "deployments", "requests", "build_minutes", "collaborators")
    found: dict[str, Any] = {key: amounts.get(key) for key in keys}
    found["bandwidth_gb"] = number(amounts["bandwidth"]) / _GIGABYTE if "bandwidth" in amounts else None
    return {**found, "price_monthly": _fee(plan, "month")}


def _offers() -> list[Offer]:
    """Return the plans of the delivered edge catalogue, each with its monthly fee and its limits."""
    return [
        Offer(
            plan.key,
            plan.name,
            number(_fee(plan, "month")),
            {each.key: None if each.amount is None else number(each.amount) for each in plan.entitlements},
        )
        for plan in read_product(_delivered("edge.json")).plans
    ]


def _fee(plan: PlanDefinition, interval: str) -> str:
    [fee] = [price for price in plan.prices if price.interval == interval and price.currency == LIST_CURRENCY]
    return str(fee.definition["amount"])


def _fits_plan(given: Given) -> Found:
    needs = {key: number(needed) for key, needed in given["usage"].items()}
    if "bandwidth_gb" in needs:
        needs["bandwidth"] = needs.pop("bandwidth_gb") * _GIGABYTE
    fit = cheapest_fit(_offers(), needs)
    blocking = {"bandwidth_gb" if each.key == "bandwidth" else each.key for each in fit.blocking}
    return {"smallest_plan": fit.plan, "blocking": [key for key in given["usage"] if key in blocking]}


def _annual_price(given: Given) -> Found:
    """Read the yearly fee of a delivered plan with that monthly fee and saving; without one, ask what it would be."""
    monthly, percent = Decimal(given["monthly"]), Decimal(given["discount_percent"])
    annual = number(yearly_fee(monthly, percent, LIST_CURRENCY).major)
    for name in ("edge.json", "llm.json"):
        for plan in read_product(_delivered(name)).plans:
            sold = {interval: Decimal(_fee(plan, interval)) for interval in ("month", "year") if _sells(plan, interval)}
            if sold.get("month") == monthly and "year" in sold and saving_percent(monthly, sold["year"]) == percent:
                annual = number(sold["year"])
    return {"annual": annual, "mrr": shown(monthly_amount(annual, Every(1, "year")))}


def _sells(plan: PlanDefinition, interval: str) -> bool:
    return any(price.interval == interval and price.currency == LIST_CURRENCY for price in plan.prices)


async def _breakdown_sum(system: System, given: Given) -> Found:
    """Record one event for each part and read back the sums over all combinations of dimensions."""
    customer, subscription = await system.subscriber(NOON)
    events = [
        event(customer, str(index), "breakdown", NOON, **{**part, "cost": Decimal(part["cost"])})
        for index, part in enumerate(given["parts"])
    ]
    verdicts = await system.record(NOON, events)
    assert all(verdict.status is Status.COUNTED for verdict in verdicts), "the parts are well formed"
    usage = await current_usage(system, subscription)
    return {key: usage.quantity(system.meter(key)) for key in ("calls", "cost", "tokens")}


AREA = Area(
    {
        "usage_percent": _usage_percent,
        "projection_percent": _projection_percent,
        "token_cost": _token_cost,
        "flat_cost": _flat_cost,
        "plan_limits": _plan_limits,
        "fits_plan": _fits_plan,
        "annual_price": _annual_price,
        "limit_check": limits.limit_check,
        "overage_grace": limits.overage_grace,
        "alert_severity": limits.alert_severity,
        "threshold_crossing": limits.threshold_crossing,
        "projection": limits.projection,
        "plan_revenue": metrics.plan_revenue,
        "arpu": metrics.arpu_of_mrr,
        "conversion": metrics.conversion,
        "dunning_plan": dunning.dunning_plan,
        "grace": dunning.grace,
    },
    served={"breakdown_sum": _breakdown_sum},
)
