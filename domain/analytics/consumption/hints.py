"""Ways to spend less, each with the numbers that led to it. Pure rules over one usage period and the price list.

A saving is what the same calls of the period would have cost less, at the prices of now.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from domain.analytics.consumption.dashboard import COST_CAP, Dashboard, two_digits
from domain.analytics.consumption.figures import CALLS, COST
from domain.analytics.consumption.notices import grouped
from domain.kernel.money import exact_text
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.limits.fitting import Offer, cheapest_fit
from domain.limits.projection import projected
from domain.plans.exact import EXACT
from domain.plans.meter import Meter
from domain.plans.provider_price import POOL_OF_PROPERTY, PriceBook, PricedCost
from domain.usage.reading import Usage

# The dearest models are looked at; the rest is small change.
MODELS_MAX = 20
# A hint that saves less than this part of a model's cost is not worth a change.
SAVING_MIN = Fraction(1, 5)
# Nor is one that saves less than a cent.
SAVING_LEAST = Decimal("0.01")
# So much of the input is assumed to repeat, where caching is not used at all.
CACHED_SHARE = Decimal("0.5")
# Where so much of the input is read from a cache already, caching is in use.
CACHE_USED_SHARE = Fraction(1, 10)
_NONE = Decimal(0)


class HintKind(StrEnum):
    """What a hint proposes."""

    CHEAPER_MODEL = "cheaper_model"
    CACHE_INPUT = "cache_input"
    SMALLER_PLAN = "smaller_plan"
    LARGER_PLAN = "larger_plan"


@dataclass(frozen=True, slots=True)
class Hint:
    """A proposal. `saving` is in the currency of the price list, exact; None where nothing is saved.

    `numbers` are exact texts by name: the quantities, prices and limits that led to it.
    """

    kind: HintKind
    title: str
    message: str
    saving: Decimal | None
    numbers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What the calls of one model came to: how many, their cost at list price, and quantities by pool."""

    provider: str
    model: str
    calls: Decimal
    cost: Decimal
    pools: Mapping[str, Decimal]


def uses_of(meters: Mapping[str, Meter], usage: Usage) -> list[ModelUse]:
    """Return what was used of each model in a period, the dearest first, at most MODELS_MAX."""
    pools = {pool: meter.id for meter in meters.values() if (pool := _pool_of(meter)) is not None}
    calls, cost = usage.meters.get(meters[CALLS].id), usage.meters.get(meters[COST].id)
    if calls is None or cost is None:
        return []
    found = []
    for each in calls.combinations:
        quantities = {pool: usage.quantity(meter_id, each.dimensions) for pool, meter_id in pools.items()}
        used = {pool: quantity for pool, quantity in quantities.items() if quantity}
        own = each.dimensions
        spent = cost.quantity_where(own)
        found.append(ModelUse(own.get("provider", ""), own.get("model", ""), each.quantity, spent, used))
    return sorted(found, key=lambda one: (-one.cost, one.provider, one.model))[:MODELS_MAX]


def _pool_of(meter: Meter) -> str | None:
    """Return the pool that a meter adds up; None for one that adds up several, or none."""
    return POOL_OF_PROPERTY.get(meter.value_properties[0]) if len(meter.value_properties) == 1 else None


def model_hints(uses: Iterable[ModelUse], book: PriceBook, at: datetime) -> list[Hint]:
    """Return what a cheaper model of the same provider, and caching, would save; the largest saving first."""
    found = [hint for use in uses for hint in (_cheaper_model(use, book, at), _cache(use, book, at)) if hint]
    return sorted(found, key=lambda hint: -(hint.saving or _NONE))


def _cheaper_model(use: ModelUse, book: PriceBook, at: datetime) -> Hint | None:
    now = _cost_of(use, use.model, book, at)
    if now is None or not now:
        return None
    others = {
        model: cost
        for model in book.models_of(use.provider)
        if model != use.model and (cost := _cost_of(use, model, book, at)) is not None
    }
    if not others:
        return None
    model, cost = min(others.items(), key=lambda one: (one[1], one[0]))
    saving = EXACT.subtract(now, cost)
    if saving < SAVING_LEAST or Fraction(saving) < SAVING_MIN * Fraction(now):
        return None
    return Hint(
        HintKind.CHEAPER_MODEL,
        f"A cheaper model than {use.model}",
        f"{model} is the cheapest model of {use.provider} for these quantities: {_shown(cost)} USD instead of "
        f"{_shown(now)} USD in this period. Try it where it is good enough.",
        saving,
        {
            "provider": use.provider,
            "model": use.model,
            "cheaper_model": model,
            "cost": exact_text(now),
            "cost_of_cheaper_model": exact_text(cost),
            **{f"{pool}_quantity": exact_text(quantity) for pool, quantity in use.pools.items()},
        },
    )


def _cost_of(use: ModelUse, model: str, book: PriceBook, at: datetime) -> Decimal | None:
    """Price what was used at the present rows of a model; None where a pool has no price, or calls are priced too.

    How long each call was is not known of their sum: all are priced as calls without a dearer price for long ones.
    """
    tariff = book.tariff_of(use.provider, model, at)
    quantities = {**use.pools, "request": use.calls} if tariff.has_request else dict(use.pools)
    priced = tariff.of_many().cost_of(quantities)
    return priced.cost if isinstance(priced, PricedCost) else None


def _cache(use: ModelUse, book: PriceBook, at: datetime) -> Hint | None:
    rows = book.tariff_of(use.provider, use.model, at).rows
    fresh, cached = use.pools.get("input", _NONE), use.pools.get("cache_read", _NONE)
    if not fresh or "input" not in rows or "cache_read" not in rows:
        return None
    if Fraction(cached) >= CACHE_USED_SHARE * (Fraction(fresh) + Fraction(cached)):
        return None
    full, reduced = rows["input"][2], rows["cache_read"][2]
    if reduced >= full:
        return None
    saving = EXACT.multiply(EXACT.multiply(fresh, CACHED_SHARE), EXACT.subtract(full, reduced))
    if saving < SAVING_LEAST:
        return None
    return Hint(
        HintKind.CACHE_INPUT,
        f"Use the prompt cache of {use.model}",
        f"{grouped(cached)} of {grouped(EXACT.add(fresh, cached))} input tokens came from the cache. Were half of "
        f"the others repeated and cached, this period would cost {_shown(saving)} USD less.",
        saving,
        {
            "provider": use.provider,
            "model": use.model,
            "input_tokens": exact_text(fresh),
            "cached_tokens": exact_text(cached),
            "assumed_cached_share": exact_text(CACHED_SHARE),
            "price_per_input_token": exact_text(full),
            "price_per_cached_token": exact_text(reduced),
        },
    )


def plan_hints(dashboard: Dashboard, plan: str, offers: Sequence[Offer], period: Period, now: datetime) -> list[Hint]:
    """Say whether another plan fits what the period is heading for; nothing in the first day of a period.

    `plan` is the key of the present one. Monthly fees are compared.
    """
    needs = {
        each.key: expected
        for each in dashboard.limits
        if each.used and (expected := projected(Fraction(each.used), period, now)) is not None
    }
    own = next((offer for offer in offers if offer.plan == plan), None)
    fit = cheapest_fit(offers, needs)
    better = next((offer for offer in offers if offer.plan == fit.plan), None)
    if own is None or better is None or better.fee == own.fee or not needs:
        return []
    fees = {"fee": exact_text(own.fee), "fitting_fee": exact_text(better.fee)}
    numbers = {"plan": plan, "fitting_plan": better.plan, **fees}
    numbers |= {f"{each.key}_projected": exact_text(two_digits(each.needed)) for each in fit.blocking}
    if better.fee < own.fee:
        return [_smaller(own, better, dashboard, numbers)]
    return [_larger(own, better, needs, numbers)]


def _smaller(own: Offer, better: Offer, dashboard: Dashboard, numbers: dict[str, str]) -> Hint:
    saving = two_digits(own.fee - better.fee)
    highest = max((each.percent for each in dashboard.projections if each.percent is not None), default=_NONE)
    return Hint(
        HintKind.SMALLER_PLAN,
        f"The plan {better.name} is large enough",
        f"At the present rate this period ends at {highest} % of the fullest limit of {own.name}. {better.name} holds "
        f"it and costs {saving} USD less a month.",
        saving,
        {**numbers, "highest_projected_percent": exact_text(highest)},
    )


def _larger(own: Offer, better: Offer, needs: Mapping[str, Fraction], numbers: dict[str, str]) -> Hint:
    passed = {key: (need, bound) for key, need in needs.items() if (bound := own.limits.get(key)) and need > bound}
    words = ", ".join(f"{_what(key)} at {grouped(two_digits(need))}" for key, (need, _) in passed.items())
    limits = {f"{key}_limit": exact_text(bound) for key, (_, bound) in passed.items()}
    needed = {f"{key}_projected": exact_text(two_digits(need)) for key, (need, _) in passed.items()}
    return Hint(
        HintKind.LARGER_PLAN,
        f"The plan {own.name} will be too small",
        f"At the present rate this period ends with {words}. {better.name} holds that.",
        None,
        {**numbers, **limits, **needed},
    )


def _what(key: str) -> str:
    return "a cost" if key == COST_CAP else key.replace("_", " ")


def _shown(amount: Decimal) -> str:
    return f"{two_digits(Fraction(amount)):,f}"
