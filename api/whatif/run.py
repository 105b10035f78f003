"""Replay all customers page by page: each page is one short read, and what it gives goes straight to the outputs."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any, Protocol

from domain.access.roles import system_principal
from domain.adapters import clock
from domain.config import Settings
from domain.contracts.what_if.replay import WhatIf
from domain.contracts.what_if.service import Page, against, what_if_page
from domain.customers import service as customers
from domain.db import Database
from domain.kernel.call import Call, Environment
from domain.kernel.ids import CustomerId
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.vault import Vault


@dataclass(frozen=True, slots=True)
class Wish:
    """What to replay against what. `number` None is the newest version; `at` None the present period of each.

    Without a `customer_id` it is every customer, of one environment or of both.
    """

    plan: str
    product: str = "llm"
    number: int | None = None
    customer_id: CustomerId | None = None
    environment: Environment | None = None
    at: datetime | None = None


class Output(Protocol):
    """Where comparisons go as they come."""

    def write(self, found: WhatIf) -> None:
        """Take one subscription's comparison."""


@dataclass(slots=True)
class Summary:
    """What all comparisons come to. `dearer` and `cheaper` count subscriptions by their difference.

    `unsold` are those to which the plan is not sold by their interval in their currency. `limits` counts, by the key
    of a limit, the subscriptions that would have hit it.
    """

    plan: str
    version: int
    customers: int = 0
    subscriptions: int = 0
    unsold: int = 0
    dearer: int = 0
    cheaper: int = 0
    totals: dict[str, tuple[Money, Money]] = field(default_factory=dict)
    limits: Counter[str] = field(default_factory=Counter)

    def take(self, page: Page) -> None:
        """Count a page of customers."""
        self.customers += page.customers
        self.unsold += page.unsold
        for found in page.compared:
            self._add(found)

    def _add(self, found: WhatIf) -> None:
        zero = Money(0, found.currency)
        present, other = self.totals.get(found.currency, (zero, zero))
        self.totals[found.currency] = (present + found.present, other + found.other)
        self.subscriptions += 1
        self.dearer += found.difference.minor > 0
        self.cheaper += found.difference.minor < 0
        self.limits.update(each.key for each in found.limits_hit)

    def as_json(self) -> dict[str, Any]:
        """Write it as JSON; amounts are texts in major units."""
        return {
            "plan": self.plan,
            "version": self.version,
            "customers": self.customers,
            "subscriptions": self.subscriptions,
            "not_sold": self.unsold,
            "dearer": self.dearer,
            "cheaper": self.cheaper,
            "totals": [
                {
                    "currency": currency,
                    "present": present.major,
                    "other": other.major,
                    "difference": (other - present).major,
                }
                for currency, (present, other) in sorted(self.totals.items())
            ],
            "limits_hit": dict(sorted(self.limits.items())),
        }


async def run(
    settings: Settings, wish: Wish, outputs: Sequence[Output], *, progress: Callable[[int, int], None]
) -> Summary:
    """Compare, and tell `progress` how many customers of how many are done.

    One page of customers is held at a time. Raises ProductNotFound, PlanNotFound, PlanVersionNotFound,
    CustomerNotFound.
    """
    database = Database(settings.database_url, Vault(*settings.master_keys()), pool_size=1, pooled=settings.pooled)
    try:
        return await _compare(database, wish, outputs, progress)
    finally:
        await database.close()


async def _compare(
    db: Database, wish: Wish, outputs: Sequence[Output], progress: Callable[[int, int], None]
) -> Summary:
    async with db.transaction() as tx:
        call = _call()
        other = await against(tx, call, product_key=wish.product, plan_key=wish.plan, number=wish.number)
        count = 1 if wish.customer_id else await customers.count_customers(tx, call, environment=wish.environment)
    summary = Summary(other.catalogue.plan_of_version(other.version.id).key, other.version.number)
    progress(0, count)
    after: CustomerId | None = None
    while True:
        async with db.transaction() as tx:
            page = await what_if_page(
                tx, _call(), other, environment=wish.environment, at=wish.at, after=after, only=wish.customer_id
            )
        summary.take(page)
        for output in outputs:
            for found in page.compared:
                output.write(found)
        progress(summary.customers, max(count, summary.customers))
        if page.last is None:
            return summary
        after = page.last


def _call() -> Call:
    return Call(clock.new_id(), clock.now(), system_principal("cli"), clock.new_id)
