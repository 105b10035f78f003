"""Recurring revenue from the state of contracts at an instant (SEMANTICS 9). Exact, in major units, never rounded.

Amounts of different currencies are never added: every figure is that of one currency.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Literal

from domain.kernel.ids import CustomerId
from domain.kernel.period import Period
from domain.kernel.values import dataclass

Unit = Literal["week", "month", "year"]
MONTHS_A_YEAR = 12
WEEKS_A_YEAR = 52
_ONE = Fraction(1)
_ZERO = Fraction(0)
# How many months one unit is.
_MONTHS: Mapping[Unit, Fraction] = {
    "week": Fraction(MONTHS_A_YEAR, WEEKS_A_YEAR),
    "month": _ONE,
    "year": Fraction(MONTHS_A_YEAR),
}


@dataclass(frozen=True, slots=True)
class Every:
    """How often something is due: every 3 months, every week. `count` is at least 1."""

    count: int
    unit: Unit


@dataclass(frozen=True, slots=True)
class Item:
    """What a contract charges: an amount for each of a quantity, again and again, or once where `every` is None."""

    amount: Fraction
    every: Every | None
    quantity: Fraction = _ONE


@dataclass(frozen=True, slots=True)
class Discount:
    """A discount that lasts as long as its contract: a percentage, or an amount `every` so often."""

    percent: Fraction = _ZERO
    amount: Fraction = _ZERO
    every: Every = Every(1, "month")


@dataclass(frozen=True, slots=True)
class Contract:
    """What a live customer has agreed to pay again and again for one plan, in one currency.

    Usage is no part of it, and neither is a discount that will end. It holds in [starts_at, ends_at); until
    `trial_ends_at` it is tried and not paid. `end_known_at` is when its end was asked for, None where that is as old as
    the contract.
    """

    customer_id: CustomerId
    plan: str
    currency: str
    items: tuple[Item, ...]
    starts_at: datetime
    ends_at: datetime | None = None
    trial_ends_at: datetime | None = None
    end_known_at: datetime | None = None
    discounts: tuple[Discount, ...] = ()

    def is_running(self, at: datetime) -> bool:
        """Whether it holds at an instant, tried or paid."""
        return self.starts_at <= at and (self.ends_at is None or at < self.ends_at)

    def is_tried(self, at: datetime) -> bool:
        """Whether it holds and is still free of charge."""
        return self.is_running(at) and self.trial_ends_at is not None and at < self.trial_ends_at

    def is_set_to_end(self, at: datetime) -> bool:
        """Whether its end is known at an instant, however far away."""
        return self.ends_at is not None and (self.end_known_at is None or self.end_known_at <= at)


def monthly(amount: Fraction, every: Every) -> Fraction:
    """Return an amount as so much a month: 313.20 a year is 26.10, 100 a week is 100 x 52/12."""
    return amount / (every.count * _MONTHS[every.unit])


def contract_mrr(contract: Contract) -> Fraction:
    """Return what a contract is worth a month while it is paid, after its lasting discounts, never below 0.

    Discounts are taken in their order, each on the rest.
    """
    worth = sum(
        (monthly(item.amount * item.quantity, item.every) for item in contract.items if item.every is not None), _ZERO
    )
    for discount in contract.discounts:
        worth = worth * (100 - discount.percent) / 100 - monthly(discount.amount, discount.every)
    return max(worth, _ZERO)


def mrr(contracts: Iterable[Contract], at: datetime, currency: str, *, committed: bool = False) -> Fraction:
    """Return the recurring revenue a month at an instant, without trials; if committed, without what is set to end."""
    return _sum((each for each in contracts if _is_paid(each, at, currency)), at, committed=committed)


def trial_mrr(contracts: Iterable[Contract], at: datetime, currency: str, *, committed: bool = False) -> Fraction:
    """Return what the trials that run at an instant would be worth a month; if committed, those not set to end."""
    tried = (each for each in contracts if each.currency == currency and each.is_tried(at))
    return _sum(tried, at, committed=committed)


def mrr_by_customer(contracts: Iterable[Contract], at: datetime, currency: str) -> dict[CustomerId, Fraction]:
    """Return the recurring revenue of each customer who pays any: the paying customers."""
    found: dict[CustomerId, Fraction] = {}
    for each in contracts:
        worth = contract_mrr(each) if _is_paid(each, at, currency) else _ZERO
        if worth:
            found[each.customer_id] = found.get(each.customer_id, _ZERO) + worth
    return found


def mrr_by_plan(contracts: Iterable[Contract], at: datetime, currency: str) -> dict[str, Fraction]:
    """Return the recurring revenue of each plan with a paid contract, in the order of their first one."""
    found: dict[str, Fraction] = {}
    for each in contracts:
        if _is_paid(each, at, currency):
            found[each.plan] = found.get(each.plan, _ZERO) + contract_mrr(each)
    return found


def arr(monthly_revenue: Fraction) -> Fraction:
    """Return recurring revenue a year: 12 times the exact MRR."""
    return MONTHS_A_YEAR * monthly_revenue


def read_at(bucket: Period) -> datetime:
    """Return the instant that a bucket is read at: just before its end, so that an end there falls into the next."""
    return bucket.end - datetime.resolution


def opening_of(bucket: Period) -> datetime:
    """Return the instant at which a bucket opens: where the bucket before it was read."""
    return bucket.start - datetime.resolution


def _is_paid(contract: Contract, at: datetime, currency: str) -> bool:
    return contract.currency == currency and contract.is_running(at) and not contract.is_tried(at)


def _sum(contracts: Iterable[Contract], at: datetime, *, committed: bool) -> Fraction:
    kept = (each for each in contracts if not (committed and each.is_set_to_end(at)))
    return sum((contract_mrr(each) for each in kept), _ZERO)
