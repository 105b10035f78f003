"""How long receivables are overdue, and what they add up to."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from domain.kernel.ids import PREFIXES, CustomerId, InvoiceId, decode
from domain.kernel.money import Money
from domain.kernel.values import dataclass

_DAY = timedelta(days=1)
# What an entry that moves receivables can be about, by the prefix of its id.
_NOUNS = {PREFIXES[noun]: noun for noun in ("invoice", "credit_note", "refund", "dispute", "attempt")}


class Age(StrEnum):
    """For how many full days something is overdue."""

    CURRENT = "current"
    DAYS_1_30 = "days_1_30"
    DAYS_31_60 = "days_31_60"
    DAYS_61_90 = "days_61_90"
    OLDER = "older"


_LAST_DAYS = ((0, Age.CURRENT), (30, Age.DAYS_1_30), (60, Age.DAYS_31_60), (90, Age.DAYS_61_90))


class Cause(NamedTuple):
    """What an entry is about: whose, which kind of row, and its id."""

    customer_id: CustomerId
    noun: str
    id: UUID


@dataclass(frozen=True, slots=True)
class Owed:
    """What is owed for an invoice, or below zero to its customer."""

    customer_id: CustomerId
    invoice_id: InvoiceId
    due_at: datetime
    amount: Money


@dataclass(frozen=True, slots=True)
class Receivables:
    """What is owed in one currency by age, and what of it is owed back to customers, such as refunds on their way."""

    currency: str
    by_age: dict[Age, int]
    owed_back: int
    invoices: int

    @property
    def total(self) -> int:
        """The balance of the ledger's account, in minor units."""
        return sum(self.by_age.values()) - self.owed_back


def cause_of(customer_id: CustomerId, about: str) -> Cause:
    """Read what an entry is about. One about an invoice that was asked for again counts it behind a colon."""
    text = about.partition(":")[0]
    noun = _NOUNS[text.partition("_")[0]]
    return Cause(customer_id, noun, decode(noun, text))


def age_of(due_at: datetime, at: datetime) -> Age:
    """Say how long something that is due at an instant is overdue at another, in full days of elapsed time."""
    days = (at - due_at) // _DAY
    return next((age for last, age in _LAST_DAYS if days <= last), Age.OLDER)


def add_up(owed: Iterable[Owed], at: datetime) -> list[Receivables]:
    """Add up what is owed at an instant, by currency; what is settled is no invoice that is owed."""
    sums: dict[str, dict[Age, int]] = {}
    back: dict[str, int] = defaultdict(int)
    count: dict[str, int] = defaultdict(int)
    for each in owed:
        currency, minor = each.amount.currency, each.amount.minor
        by_age = sums.setdefault(currency, dict.fromkeys(Age, 0))
        if minor > 0:
            by_age[age_of(each.due_at, at)] += minor
            count[currency] += 1
        else:
            back[currency] -= minor
    return [Receivables(currency, sums[currency], back[currency], count[currency]) for currency in sorted(sums)]
