"""Read the figures of the business, and enter what winning a customer cost. For staff; test customers are in none."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from domain.access.roles import Permission
from domain.analytics.cohorts import Cohort, cohorts_of
from domain.analytics.movements import Bridge
from domain.analytics.recurring import Contract, opening_of
from domain.analytics.revenue import store
from domain.analytics.revenue.economics import (
    ZONE,
    Economics,
    RevenueMalformed,
    economics_of,
    month_named,
    months_from,
    whole_of,
)
from domain.analytics.revenue.figures import Figures, added, figures_of
from domain.analytics.revenue.stretches import contracts_of
from domain.credits.coupons import service as coupons
from domain.customers.service import EnvironmentRefused
from domain.db import Tx
from domain.journal import service as journal
from domain.kernel.call import Call, Environment, Forbidden
from domain.kernel.ids import CustomerId, PlanVersionId
from domain.kernel.money import Money, exponent
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.plans import service as plans
from domain.plans.plan import Catalogue
from domain.plans.price import rate
from domain.subscriptions import service as subscriptions
from domain.subscriptions.terms import service as terms

# Customers whose past is read at once: other requests are answered between two pages.
PAGE = 50
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Month:
    """The figures of a calendar month, the cost of winning a customer in it where it was entered, and what follows."""

    figures: Figures
    cost: Money | None
    economics: Economics
    cohort: Cohort


@dataclass(frozen=True, slots=True)
class Revenue:
    """What all live customers came to in one currency: month by month, and over all of these months as one bucket."""

    currency: str
    months: tuple[Month, ...]
    whole: Figures


async def revenue(
    tx: Tx,
    call: Call,
    currency: str,
    *,
    first: str | None = None,
    count: int = 12,
    margin_percent: Decimal = Decimal(100),
) -> Revenue:
    """Return the figures of up to MONTHS_MAX months. It reads the past of all who ever paid: take a snapshot.

    Raises Forbidden, EnvironmentRefused, RevenueMalformed, CurrencyUnknown.
    """
    _need(call, Permission.REVENUE_READ)
    exponent(currency)
    if not 0 <= margin_percent <= 100:
        raise RevenueMalformed("a margin is 0 to 100 percent")
    months = months_from(first, count, call.at)
    buckets = [*months, whole_of(months)]
    found, cohorts = await _added_up(tx, currency, months, buckets)
    costs = await store.list_costs(tx, currency, [each.start for each in months])
    return Revenue(
        currency,
        tuple(
            Month(each, cost, economics_of(each, margin_percent, Fraction(cost.major) if cost else None), cohort)
            for each, cohort in zip(found, cohorts, strict=False)
            for cost in [costs.get(each.bucket.start)]
        ),
        found[-1],
    )


async def set_acquisition_cost(tx: Tx, call: Call, month: str, cost: Money) -> None:
    """Enter what winning a customer cost in a calendar month, on average; another amount takes its place.

    Safe to repeat. Raises Forbidden, EnvironmentRefused, RevenueMalformed.
    """
    _need(call, Permission.REVENUE_WRITE)
    if cost.minor < 0:
        raise RevenueMalformed("a cost is 0 or more")
    if await store.save_cost(tx, month_named(month).start, cost, call.at):
        facts = {"amount": cost.major, "currency": cost.currency}
        await journal.audit(tx, call, "set_acquisition_cost", f"month:{month}", facts=facts)


def _need(call: Call, permission: Permission) -> None:
    """Refuse whoever is bound to one customer, or to the test environment: nothing here is of it."""
    call.need(permission)
    if call.scope is not None:
        raise Forbidden(permission)
    if call.principal.environment not in {None, Environment.LIVE}:
        raise EnvironmentRefused(str(call.principal.environment))


async def _added_up(
    tx: Tx, currency: str, months: Sequence[Period], buckets: Sequence[Period]
) -> tuple[list[Figures], list[Cohort]]:
    """Add up the figures of each bucket and the cohort of each month, one page of customers after the other."""
    catalogue = await plans.load_catalogue(tx)
    using = await store.count_using(tx, currency, [opening_of(each) for each in buckets])
    found = [Figures(each, Bridge(Fraction(0))) for each in buckets]
    cohorts = cohorts_of([], months, currency, ZONE)
    versions, after = _priced(catalogue, currency), CustomerId(UUID(int=0))
    while page := await store.list_paying(tx, currency, versions, after=after, limit=PAGE):
        contracts = await _contracts(tx, page, catalogue)
        found = [added(each, figures_of(contracts, each.bucket, currency)) for each in found]
        news = cohorts_of(contracts, months, currency, ZONE)
        cohorts = [_together(one, other) for one, other in zip(cohorts, news, strict=True)]
        after = page[-1]
    return [_with_free(each, using[opening_of(each.bucket)]) for each in found], cohorts


def _priced(catalogue: Catalogue, currency: str) -> list[PlanVersionId]:
    """Return the versions that cost something, by the month or the year."""
    fees = (each for version in catalogue.versions.values() for each in version.prices if each.kind == "fee")
    return list({each.plan_version_id for each in fees if each.currency == currency and rate(each, _ONE).amount})


async def _contracts(tx: Tx, customer_ids: Sequence[CustomerId], catalogue: Catalogue) -> list[Contract]:
    of_customers = await subscriptions.subscriptions_of_customers(tx, customer_ids, scope=None)
    held = await terms.terms_of(tx, [each.id for found in of_customers.values() for each in found])
    applied = await coupons.lasting_of_customers(tx, customer_ids)
    return [
        contract
        for customer_id, found in of_customers.items()
        for contract in contracts_of(found, held, applied.get(customer_id, ()), catalogue)
    ]


def _together(one: Cohort, other: Cohort) -> Cohort:
    active = {months: number + other.active[months] for months, number in one.active.items()}
    return Cohort(one.size + other.size, active)


def _with_free(figures: Figures, using: int) -> Figures:
    return replace(figures, free_before=using - figures.paying_before)
