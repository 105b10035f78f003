"""Which plan is large enough, and which of those is the cheapest (SEMANTICS 5.6)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

from domain.kernel.ids import ProductId
from domain.kernel.values import dataclass
from domain.plans.plan import Catalogue, PriceNotFound
from domain.plans.price import rate


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan as a buyer compares it: its monthly fee in major units, and its limits by their keys (None: unlimited).

    `plan` is its key, `name` what people call it.
    """

    plan: str
    name: str
    fee: Fraction
    limits: Mapping[str, Fraction | None]


@dataclass(frozen=True, slots=True)
class Excess:
    """A need above a plan's limit; `key` names the limit."""

    key: str
    needed: Fraction
    limit: Fraction


@dataclass(frozen=True, slots=True)
class Fit:
    """The cheapest plan that holds what is needed, None where no plan does.

    `blocking` is what rules out the next cheaper plan, or the dearest one where no plan fits.
    """

    plan: str | None
    blocking: tuple[Excess, ...]


def excesses(offer: Offer, needs: Mapping[str, Fraction]) -> tuple[Excess, ...]:
    """Return what an offer does not hold within its limits, in the order of the needs.

    What a soft limit tolerates for some hours is no reason to buy a plan, so only the limits themselves count. A need
    for which a plan has no limit is held.
    """
    found = []
    for key, needed in needs.items():
        limit = offer.limits.get(key)
        if limit is not None and needed > limit:
            found.append(Excess(key, needed, limit))
    return tuple(found)


def with_kept(offers: Iterable[Offer], kept: Mapping[str, Fraction | None]) -> list[Offer]:
    """Return offers as they are for a customer whose overrides stay whatever the plan: `kept` are their amounts."""
    return [replace(offer, limits={**offer.limits, **kept}) for offer in offers]


def upgrade_for(offers: Iterable[Offer], key: str, *, limit: Fraction, used: Fraction) -> Offer | None:
    """Return the offer with the lowest fee that allows more of one thing than the limit, and than was used, or None."""
    larger = [
        offer
        for offer in offers
        if key in offer.limits and ((amount := offer.limits[key]) is None or amount > max(limit, used))
    ]
    return min(larger, key=lambda offer: offer.fee, default=None)


def cheapest_fit(offers: Iterable[Offer], needs: Mapping[str, Fraction]) -> Fit:
    """Return the cheapest offer that holds every need; of two with one fee, the one that comes first."""
    blocking: tuple[Excess, ...] = ()
    for offer in sorted(offers, key=lambda offer: offer.fee):
        found = excesses(offer, needs)
        if not found:
            return Fit(offer.plan, blocking)
        blocking = found
    return Fit(None, blocking)


def offers_of(catalogue: Catalogue, product_id: ProductId, currency: str, *, present: str | None = None) -> list[Offer]:
    """Return the plans of a product that are sold by the month in a currency, lowest rank first.

    `present` is the key of the customer's own plan, which is among them also where it is archived.
    """
    offers = []
    for plan in catalogue.plans_of(product_id):
        if plan.archived_at is not None and plan.key != present:
            continue
        version = catalogue.current_version_of(plan.id)
        try:
            fee = catalogue.fee_price(version.id, "month", currency)
        except PriceNotFound:
            continue
        limits = {
            each.key: None if each.amount is None else Fraction(each.amount)
            for each in version.entitlements
            if each.kind == "limit"
        }
        offers.append(Offer(plan.key, plan.name, rate(fee, Fraction(1)).amount, limits))
    return offers
