"""Cohorts: the customers who first paid in the same month, and how many of them still pay later (SEMANTICS 9)."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from domain.analytics.movements import first_payments
from domain.analytics.ratios import ratio
from domain.analytics.recurring import Contract, mrr_by_customer, read_at
from domain.analytics.term import month_of
from domain.kernel.period import Period
from domain.kernel.values import dataclass


@dataclass(frozen=True, slots=True)
class Cohort:
    """How many customers first paid in a month, and how many of them paid at the end of each later one.

    `active` is by the number of months after the first; who comes back counts again.
    """

    size: int
    active: Mapping[int, int]

    def retention(self, months: int) -> Fraction | None:
        """Return the share that paid so many months later; None for a cohort of nobody."""
        return ratio(self.active[months], self.size)


def cohorts_of(contracts: Sequence[Contract], months: Sequence[Period], currency: str, zone: str) -> list[Cohort]:
    """Return the cohort of each of these calendar months, which follow one another, and its later months among them.

    The last month may be cut where it has not ended yet: it is then read there. A customer stays in the cohort of the
    first paying month for life.
    """
    begun = {customer: month_of(at, zone).start for customer, at in first_payments(contracts, currency).items()}
    paying = [mrr_by_customer(contracts, read_at(month), currency).keys() for month in months]
    cohorts = []
    for number, month in enumerate(months):
        members = {customer for customer, first in begun.items() if first == month.start}
        active = {later - number: len(members & paying[later]) for later in range(number, len(months))}
        cohorts.append(Cohort(len(members), active))
    return cohorts
