"""The figures of one stretch of time over many customers, added up group by group of them (SEMANTICS 9)."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from fractions import Fraction

from domain.analytics import ratios
from domain.analytics.movements import Bridge, bridge_of
from domain.analytics.recurring import (
    Contract,
    arr,
    contract_mrr,
    mrr,
    mrr_by_customer,
    mrr_by_plan,
    opening_of,
    read_at,
    trial_mrr,
)
from domain.kernel.ids import CustomerId
from domain.kernel.period import Period
from domain.kernel.values import dataclass

_ZERO = Fraction(0)


@dataclass(frozen=True, slots=True)
class Figures:
    """What customers came to in a bucket, in one currency; exact, in major units.

    `paying_before` and `paying` are the customers who paid at its opening and its closing, `gone` those of the opening
    who no longer do. `free_before` are those who used something at its opening and paid nothing, `converted` those of
    them who pay at its closing. `free_before` of a group of customers is only known for all of them together.
    """

    bucket: Period
    bridge: Bridge
    committed: Fraction = _ZERO
    tried: Fraction = _ZERO
    paying_before: int = 0
    paying: int = 0
    gone: int = 0
    converted: int = 0
    free_before: int = 0
    by_plan: Mapping[str, Fraction] = field(default_factory=dict)

    @property
    def mrr(self) -> Fraction:
        """Recurring revenue a month at the closing."""
        return self.bridge.closing

    @property
    def arr(self) -> Fraction:
        """Recurring revenue a year at the closing."""
        return arr(self.mrr)

    @property
    def arpu(self) -> Fraction | None:
        """What a paying customer brings in a month; None where nobody pays."""
        return ratios.arpu(self.mrr, self.paying)

    @property
    def churn(self) -> Fraction | None:
        """The share of the customers at the opening who are gone at the closing."""
        return ratios.ratio(self.gone, self.paying_before)

    @property
    def expansion(self) -> Fraction | None:
        """What customers who paid at the opening pay more, as a share of the MRR then."""
        return ratios.ratio(self.bridge.expansion, self.bridge.opening)

    @property
    def conversion(self) -> Fraction | None:
        """The share of the free customers at the opening who pay at the closing."""
        return ratios.conversion(self.converted, self.free_before)


def figures_of(contracts: Sequence[Contract], bucket: Period, currency: str) -> Figures:
    """Return the figures of some customers, of whom `contracts` hold the whole past."""
    opened_at, closed_at = opening_of(bucket), read_at(bucket)
    before = mrr_by_customer(contracts, opened_at, currency).keys()
    after = mrr_by_customer(contracts, closed_at, currency).keys()
    return Figures(
        bucket=bucket,
        bridge=bridge_of(contracts, bucket, currency),
        committed=mrr(contracts, closed_at, currency, committed=True),
        tried=trial_mrr(contracts, closed_at, currency),
        paying_before=len(before),
        paying=len(after),
        gone=len(before - after),
        converted=len((_using(contracts, bucket, currency) - before) & after),
        by_plan=mrr_by_plan((each for each in contracts if contract_mrr(each)), closed_at, currency),
    )


def _using(contracts: Sequence[Contract], bucket: Period, currency: str) -> set[CustomerId]:
    """Return who used something at the opening of a bucket that was no trial, paid or free."""
    at = opening_of(bucket)
    running = (each for each in contracts if each.currency == currency and each.is_running(at))
    return {each.customer_id for each in running if not each.is_tried(at)}


def added(one: Figures, other: Figures) -> Figures:
    """Return the figures of two groups together, in the same bucket and currency, that share no customer."""
    assert one.bucket == other.bucket, "figures of one bucket are added"
    plans = {**one.by_plan, **other.by_plan}
    return Figures(
        bucket=one.bucket,
        bridge=_bridges(one.bridge, other.bridge),
        committed=one.committed + other.committed,
        tried=one.tried + other.tried,
        paying_before=one.paying_before + other.paying_before,
        paying=one.paying + other.paying,
        gone=one.gone + other.gone,
        converted=one.converted + other.converted,
        free_before=one.free_before + other.free_before,
        by_plan={plan: one.by_plan.get(plan, _ZERO) + other.by_plan.get(plan, _ZERO) for plan in sorted(plans)},
    )


def _bridges(one: Bridge, other: Bridge) -> Bridge:
    return Bridge(
        opening=one.opening + other.opening,
        new=one.new + other.new,
        expansion=one.expansion + other.expansion,
        contraction=one.contraction + other.contraction,
        churn=one.churn + other.churn,
        reactivation=one.reactivation + other.reactivation,
    )
