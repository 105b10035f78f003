"""Figures of the business: recurring revenue, its movements, retention, and what a customer is worth."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql.context import Context
from api.graphql.fields import changing, reading
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.graphql.scalars import Money, MoneyInput, money_from, money_of, percent_of
from domain.access.roles import Permission
from domain.analytics import ratios
from domain.analytics.cohorts import Cohort
from domain.analytics.revenue import service
from domain.analytics.revenue.economics import name_of
from domain.analytics.revenue.figures import Figures
from domain.config import targets_of
from domain.kernel import money
from domain.kernel.money import to_minor

_READ = Permission.REVENUE_READ
_PERCENT = "In percent, two digits; null where there is nothing to compare with."


@guarded_type(_READ, "What the subscriptions of one plan bring in a month.")
class RevenuePlan:
    """A plan's part of the MRR."""

    product: str = strawberry.field(description="Key of the product.")
    plan: str = strawberry.field(description="Key of the plan.")
    mrr: Money = strawberry.field(description="Recurring revenue a month at the closing.")


@guarded_type(
    _READ,
    "What all live customers came to in a stretch of time and one currency. It closes just before its end and opens "
    "just before its start. Each amount is rounded by itself.",
)
class RevenueFigures:
    """Recurring revenue and its movements."""

    mrr: Money = strawberry.field(
        description="Recurring revenue a month at the closing: fees by contract, after coupons that last, without "
        "usage, one-off charges, trials and pauses. A yearly fee counts a twelfth."
    )
    arr: Money = strawberry.field(description="12 times the exact MRR.")
    committed_mrr: Money = strawberry.field(description="MRR without what was set to end by the closing.")
    trial_mrr: Money = strawberry.field(description="What the trials that ran at the closing would be worth a month.")
    opening: Money = strawberry.field(description="MRR at the opening: the closing of the stretch before.")
    new: Money = strawberry.field(description="MRR of customers who had never paid before.")
    expansion: Money = strawberry.field(description="What customers pay more than at the opening.")
    contraction: Money = strawberry.field(description="What customers who stayed pay less; at least 0.")
    churn: Money = strawberry.field(description="MRR at the opening of customers who are gone; at least 0.")
    reactivation: Money = strawberry.field(description="MRR of customers who had stopped paying and came back.")
    paying_customers: int = strawberry.field(description="Customers who paid at the closing.")
    free_customers: int = strawberry.field(
        description="Customers who used something at the opening and paid nothing; without trials and pauses."
    )
    converted_customers: int = strawberry.field(description="Those of them who pay at the closing.")
    arpu: Money | None = strawberry.field(description="MRR of a paying customer; null where nobody pays.")
    customer_churn_percent: Decimal | None = strawberry.field(
        description=f"Customers at the opening who are gone at the closing. {_PERCENT}"
    )
    gross_mrr_churn_percent: Decimal | None = strawberry.field(
        description=f"Churn and contraction of the opening MRR. {_PERCENT}"
    )
    net_mrr_churn_percent: Decimal | None = strawberry.field(
        description=f"Gross churn less expansion and reactivation. {_PERCENT}"
    )
    net_retention_percent: Decimal | None = strawberry.field(description=f"NRR. {_PERCENT}")
    gross_retention_percent: Decimal | None = strawberry.field(description=f"GRR: NRR without expansion. {_PERCENT}")
    expansion_percent: Decimal | None = strawberry.field(description=f"Expansion of the opening MRR. {_PERCENT}")
    conversion_percent: Decimal | None = strawberry.field(
        description=f"Free customers at the opening who pay at the closing. {_PERCENT}"
    )
    quick_ratio: Decimal | None = strawberry.field(
        description="New and expansion for each unit of churn and contraction, two digits; null where nothing was lost."
    )
    plans: list[RevenuePlan] = strawberry.field(description="The MRR by plan, those that bring in anything.")


@guarded_type(_READ, "The customers who first paid in a month.")
class RevenueCohort:
    """A cohort, followed through the months that were asked for."""

    customers: int = strawberry.field(description="How many they are.")
    retained_percent: list[Decimal | None] = strawberry.field(
        description="How many of them paid at the end of this month, the next, and so on. Null for a cohort of nobody."
    )


@guarded_type(_READ, "A calendar month in UTC.")
class RevenueMonth:
    """One month's figures."""

    month: str = strawberry.field(description="Such as 2026-01.")
    figures: RevenueFigures = strawberry.field(description="The running month is read now.")
    cohort: RevenueCohort = strawberry.field(description="Who first paid in it.")
    acquisition_cost: Money | None = strawberry.field(
        description="What winning a customer cost, as entered by setAcquisitionCost; null where it was not."
    )
    lifetime_value: Money | None = strawberry.field(
        description="LTV: ARPU times the margin over customer churn. Null without churn, and in the running month."
    )
    value_to_cost: Decimal | None = strawberry.field(description="LTV:CAC, two digits; null where either is missing.")
    payback_months: Decimal | None = strawberry.field(
        description="Months of ARPU times the margin that bring in what winning a customer cost, two digits."
    )


@guarded_type(_READ, "What figures are shown against: the setting TOLLGATE_REVENUE_TARGETS.")
class RevenueTargets:
    """The merchant's targets."""

    conversion_percent: Decimal = strawberry.field(description="Of free customers who begin to pay; at least.")
    expansion_percent: Decimal = strawberry.field(description="Of MRR, in a year; at least.")
    customer_churn_percent: Decimal = strawberry.field(description="Of customers, in a month; less than.")
    value_to_cost: Decimal = strawberry.field(description="LTV:CAC; more than.")


@guarded_type(_READ, "Figures of the business in one currency: live customers only, currencies are never added.")
class Revenue:
    """Months, all of them as one, and the targets."""

    currency: str = strawberry.field(description="ISO 4217.")
    months: list[RevenueMonth] = strawberry.field(description="Oldest first; those that have begun.")
    whole: RevenueFigures = strawberry.field(
        description="All of these months as one stretch: who left and came back inside of it is in no movement."
    )
    targets: RevenueTargets = strawberry.field(description="What to show them against.")


@guarded_type(Permission.REVENUE_WRITE, "The cost stands.")
class AcquisitionCostSet:
    """Success of setAcquisitionCost."""

    month: str = strawberry.field(description="Such as 2026-01.")
    cost: Money = strawberry.field(description="What winning a customer cost in it.")


@strawberry.input(description="What winning a customer cost in a month.")
class SetAcquisitionCostInput:
    """Input of setAcquisitionCost."""

    month: str = strawberry.field(description="A calendar month, such as 2026-01.")
    cost: MoneyInput = strawberry.field(
        description="Sales and marketing for each new customer, at least 0; each currency has its own."
    )


SetAcquisitionCostResult = Annotated[
    AcquisitionCostSet | AnyProblem,
    strawberry.union("SetAcquisitionCostResult", description="What became of setAcquisitionCost."),
]


@strawberry.type
class RevenueQuery:
    """Queries of the figures of the business."""

    @reading(
        _READ,
        "Recurring revenue of all live customers by the month. Reads the past of everybody who ever paid; for staff.",
    )
    async def revenue(
        self,
        info: Info[Context, None],
        currency: Annotated[str, strawberry.argument(description="ISO 4217, such as USD.")],
        first_month: Annotated[
            str | None,
            strawberry.argument(description="Such as 2026-01; unless told, the last month is the running one."),
        ] = None,
        months: Annotated[int, strawberry.argument(description="1 to 36.")] = 12,
        margin_percent: Annotated[
            Decimal, strawberry.argument(description="What is left of revenue once the service is paid for, 0 to 100.")
        ] = Decimal(100),
    ) -> Revenue:
        """Add them up."""
        async with info.context.runtime.db.snapshot() as tx:
            found = await service.revenue(
                tx, info.context.call, currency, first=first_month, count=months, margin_percent=margin_percent
            )
        return _revenue_of(found, targets_of(info.context.runtime.settings))


@strawberry.type
class RevenueMutation:
    """Changes of what figures are made with."""

    @changing(
        Permission.REVENUE_WRITE,
        "Enter what winning a customer cost in a month (CAC); another amount takes its place. Safe to repeat.",
    )
    async def set_acquisition_cost(
        self,
        info: Info[Context, None],
        input: Annotated[SetAcquisitionCostInput, strawberry.argument(description="Which month, and how much.")],
    ) -> SetAcquisitionCostResult:
        """Write it down."""
        cost = money_from(input.cost)
        async with info.context.runtime.db.transaction() as tx:
            await service.set_acquisition_cost(tx, info.context.call, input.month, cost)
        return AcquisitionCostSet(month=input.month, cost=money_of(cost))


def _revenue_of(value: service.Revenue, targets: Mapping[str, Decimal]) -> Revenue:
    return Revenue(
        currency=value.currency,
        months=[_month_of(each, value.currency) for each in value.months],
        whole=_figures_of(value.whole, value.currency),
        targets=RevenueTargets(
            conversion_percent=targets["conversion"],
            expansion_percent=targets["expansion"],
            customer_churn_percent=targets["churn"],
            value_to_cost=targets["value_to_cost"],
        ),
    )


def _month_of(value: service.Month, currency: str) -> RevenueMonth:
    economics = value.economics
    return RevenueMonth(
        month=name_of(value.figures.bucket),
        figures=_figures_of(value.figures, currency),
        cohort=_cohort_of(value.cohort),
        acquisition_cost=money_of(value.cost) if value.cost else None,
        lifetime_value=_amount_or_none(economics.lifetime_value, currency),
        value_to_cost=_ratio(economics.value_to_cost),
        payback_months=_ratio(economics.payback_months),
    )


def _cohort_of(value: Cohort) -> RevenueCohort:
    later: Sequence[int] = sorted(value.active)
    return RevenueCohort(customers=value.size, retained_percent=[_percent(value.retention(months)) for months in later])


def _figures_of(value: Figures, currency: str) -> RevenueFigures:
    bridge = value.bridge

    def amount(exact: Fraction) -> Money:
        return money_of(money.Money(to_minor(exact, currency), currency))

    return RevenueFigures(
        mrr=amount(value.mrr),
        arr=amount(value.arr),
        committed_mrr=amount(value.committed),
        trial_mrr=amount(value.tried),
        opening=amount(bridge.opening),
        new=amount(bridge.new),
        expansion=amount(bridge.expansion),
        contraction=amount(bridge.contraction),
        churn=amount(bridge.churn),
        reactivation=amount(bridge.reactivation),
        paying_customers=value.paying,
        free_customers=value.free_before,
        converted_customers=value.converted,
        arpu=_amount_or_none(value.arpu, currency),
        customer_churn_percent=_percent(value.churn),
        gross_mrr_churn_percent=_percent(ratios.gross_mrr_churn(bridge)),
        net_mrr_churn_percent=_percent(ratios.net_mrr_churn(bridge)),
        net_retention_percent=_percent(ratios.net_retention(bridge)),
        gross_retention_percent=_percent(ratios.gross_retention(bridge)),
        expansion_percent=_percent(value.expansion),
        conversion_percent=_percent(value.conversion),
        quick_ratio=_ratio(ratios.quick_ratio(bridge)),
        plans=[_plan_of(key, amount(each)) for key, each in value.by_plan.items()],
    )


def _plan_of(key: str, mrr: Money) -> RevenuePlan:
    product, _, plan = key.partition("/")
    return RevenuePlan(product=product, plan=plan, mrr=mrr)


def _amount_or_none(exact: Fraction | None, currency: str) -> Money | None:
    return None if exact is None else money_of(money.Money(to_minor(exact, currency), currency))


def _percent(share: Fraction | None) -> Decimal | None:
    return None if share is None else percent_of(share * 100)


def _ratio(value: Fraction | None) -> Decimal | None:
    return None if value is None else percent_of(value)
