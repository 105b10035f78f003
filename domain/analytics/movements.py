"""What happened to recurring revenue between two instants, customer by customer (SEMANTICS 9)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from fractions import Fraction

from domain.analytics.recurring import Contract, contract_mrr, mrr_by_customer, opening_of, read_at
from domain.kernel.ids import CustomerId
from domain.kernel.period import Period
from domain.kernel.values import dataclass

_ZERO = Fraction(0)


class Kind(StrEnum):
    """What one customer's recurring revenue did. Reactivation: somebody pays again who had stopped."""

    NEW = "new"
    EXPANSION = "expansion"
    CONTRACTION = "contraction"
    CHURN = "churn"
    REACTIVATION = "reactivation"


@dataclass(frozen=True, slots=True)
class Movement:
    """A change of one customer's MRR; `amount` is above 0, also where revenue falls."""

    kind: Kind
    amount: Fraction


@dataclass(frozen=True, slots=True)
class Bridge:
    """How the MRR of a bucket's opening became that of its closing; every part is 0 or more."""

    opening: Fraction
    new: Fraction = _ZERO
    expansion: Fraction = _ZERO
    contraction: Fraction = _ZERO
    churn: Fraction = _ZERO
    reactivation: Fraction = _ZERO

    @property
    def net_new(self) -> Fraction:
        """What all movements come to."""
        return self.new + self.expansion + self.reactivation - self.contraction - self.churn

    @property
    def closing(self) -> Fraction:
        """The MRR that the movements lead to: the opening of the next bucket."""
        return self.opening + self.net_new


def movement(before: Fraction, after: Fraction, *, has_paid: bool) -> Movement | None:
    """Name what one customer's MRR did between two instants; None where it stayed.

    `has_paid` says whether the customer paid at any time up to the first instant.
    """
    if before == after:
        return None
    if not before:
        return Movement(Kind.REACTIVATION if has_paid else Kind.NEW, after)
    if not after:
        return Movement(Kind.CHURN, before)
    return Movement(Kind.EXPANSION, after - before) if after > before else Movement(Kind.CONTRACTION, before - after)


def movements_of(levels: Sequence[Fraction]) -> list[Movement]:
    """Name each step of one customer's MRR, who paid nothing before the first of these levels."""
    found, before, has_paid = [], _ZERO, False
    for after in levels:
        step = movement(before, after, has_paid=has_paid)
        if step is not None:
            found.append(step)
        before, has_paid = after, has_paid or after > 0
    return found


def bridge_of(contracts: Sequence[Contract], bucket: Period, currency: str) -> Bridge:
    """Add up the movements of all customers over a bucket: one a customer, from its opening to its closing.

    What begins and ends inside the bucket is no movement. `contracts` hold the customers' whole past, since a first
    payment and a return are told apart by it.
    """
    opened_at = opening_of(bucket)
    before = mrr_by_customer(contracts, opened_at, currency)
    after = mrr_by_customer(contracts, read_at(bucket), currency)
    first_paid_at = first_payments(contracts, currency)
    steps = [
        movement(before.get(customer, _ZERO), after.get(customer, _ZERO), has_paid=first_paid_at[customer] <= opened_at)
        for customer in {**before, **after}
    ]
    sums = _sums(step for step in steps if step is not None)
    return Bridge(sum(before.values(), _ZERO), **{kind.value: amount for kind, amount in sums.items()})


def first_payments(contracts: Iterable[Contract], currency: str) -> dict[CustomerId, datetime]:
    """Return when each customer began to pay: the earliest end of a trial, or start, of what costs something."""
    found: dict[CustomerId, datetime] = {}
    for each in contracts:
        paid_at = max(each.starts_at, each.trial_ends_at or each.starts_at)
        is_paid = each.currency == currency and each.is_running(paid_at) and contract_mrr(each) > 0
        if is_paid and (each.customer_id not in found or paid_at < found[each.customer_id]):
            found[each.customer_id] = paid_at
    return found


def _sums(steps: Iterable[Movement]) -> Mapping[Kind, Fraction]:
    found: dict[Kind, Fraction] = {}
    for step in steps:
        found[step.kind] = found.get(step.kind, _ZERO) + step.amount
    return found
