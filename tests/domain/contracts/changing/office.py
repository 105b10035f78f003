"""One customer of the product "desk", to whom things happen in April 2026: a month of 30 days, from midnight UTC."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from domain.adapters.memory_wakeups import MemoryWakeups
from domain.contracts import service as contracts
from domain.contracts.changing.service import Changed
from domain.contracts.changing.wish import Wish
from domain.contracts.replanning import service as replanning
from domain.customers import service as customers
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.invoice import Invoice, State
from domain.kernel.call import Environment, Principal, PrincipalKind
from domain.kernel.ids import encode
from domain.ledger import service as ledger
from domain.ledger.account import Account
from domain.plans import service as plans
from domain.plans.definition import read_product
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from domain.usage import service as usage
from domain.usage.event import UsageEvent
from domain.usage.recording.service import Recorder
from tests import make
from tests.domain.contracts.examples import Shop
from tests.domain.subscriptions import examples

_KEY = Principal(
    PrincipalKind.KEY, "key_desk", "key", frozenset({"usage:write"}), Environment.TEST, product="desk", source="desks"
)


def _plan(key: str, rank: int, month: str, year: str, modules: str) -> dict[str, Any]:
    fees = [
        {
            "key": f"fee_{interval}",
            "kind": "fee",
            "currency": "USD",
            "interval": interval,
            "model": "per_unit",
            "definition": {"unit_amount": amount},
            "description": f"Fee of a {interval}",
        }
        for interval, amount in (("month", month), ("year", year))
    ]
    pages: dict[str, Any] = {"key": "pages", "kind": "usage", "currency": "USD", "meter": "pages", "model": "package"}
    pages |= {"definition": {"package_size": "100", "package_amount": "1", "free_units": "300"}, "description": "Pages"}
    limit = {"key": "modules", "kind": "limit", "meter": "modules", "amount": modules, "policy": "hard"}
    limit |= {"on_failure": "open", "source": "ours", "description": "Modules"}
    own = {"key": key, "name": key.title(), "rank": rank, "support": "", "features": [], "invoice_grace_s": 3_600}
    return {**own, "entitlements": [limit], "prices": [*fees, pages]}


def _meter(key: str, aggregation: str, value: str) -> dict[str, Any]:
    own = {"key": key, "name": key, "event_type": f"desk.{key}", "aggregation": aggregation, "unit": key}
    return {**own, "value_properties": [value]}


# For each unit: small 10.00 a month or 108.00 a year, large 30.00 or 324.00; 300 free pages a month on both.
PRODUCT = {
    "key": "desk",
    "name": "Desk",
    "meters": [_meter("pages", "sum", "count"), _meter("modules", "level", "delta")],
    "plans": [_plan("small", 1, "10.00", "108.00", "2"), _plan("large", 2, "30.00", "324.00", "10")],
}


@dataclass
class Office(Shop):
    """The shop of the product."""

    async def offer(self, **settings: Any) -> None:
        """Publish new versions of the plans with other settings."""
        plans_now = [{**plan, **settings} for plan in cast("list[dict[str, Any]]", PRODUCT["plans"])]
        async with self.db.transaction() as tx:
            await plans.publish(tx, examples.call(), read_product(json.dumps({**PRODUCT, "plans": plans_now}).encode()))

    async def start(self, plan: str = "small", interval: Interval = Interval.MONTH) -> Subscription:
        """Subscribe to a plan."""
        async with self.db.transaction() as tx:
            return await contracts.subscribe(
                tx, self.call, customer_id=self.customer.id, product_key="desk", plan_key=plan, interval=interval
            )

    async def change(self, of: Subscription, **wish: Any) -> Changed:
        """Change a subscription."""
        async with self.db.transaction() as tx:
            return await replanning.change(tx, self.call, subscription_id=of.id, wish=Wish(**wish))

    async def use(self, kind: str, at: str, **values: int) -> str:
        """Report an event and return what became of it."""
        event = UsageEvent(
            id=f"e{next(self.numbers)}",
            type=f"desk.{kind}",
            customer=encode("customer", self.customer.id),
            occurred_at=make.at(at).isoformat(),
            properties=values,
        )
        [verdict] = await self.recorder.record(make.call(by=_KEY), [event])
        return verdict.status

    async def pay(self, invoice: Invoice) -> None:
        """Have an open invoice paid, and carry the news to the subscription."""
        async with self.db.transaction() as tx:
            now = await customers.business_now(tx, self.call, self.customer.id)
            await invoices.mark_paid(
                tx,
                self.call,
                now,
                customer_id=self.customer.id,
                invoice_id=invoice.id,
                amount=invoice.amount_due,
                about="att_test",
            )
        await self.follow(invoice, succeeded=True)

    async def pay_open(self) -> None:
        """Have every open invoice paid: what a change takes back of an unpaid one would lower that one instead."""
        for invoice in await self.invoices():
            if invoice.state is State.OPEN:
                await self.pay(invoice)

    async def follow(self, invoice: Invoice, *, succeeded: bool) -> None:
        """Carry the end of an attempt to the subscription."""
        async with self.db.transaction() as tx:
            await contracts.note_payment(tx, self.call, self.customer.id, invoice.id, succeeded=succeeded)

    async def book(self) -> dict[Account, int]:
        """Return what the customer's accounts stand at; their sum is zero."""
        async with self.db.transaction() as tx:
            found = {account: money.minor for account, money in await ledger.balances(tx, self.customer.id)}
        assert sum(found.values()) == 0
        return found


def amounts(lines: Any) -> list[tuple[str, str, int]]:
    """Return what a test compares of lines: kind, side and amount, in order."""
    return [(str(line.identity.kind), line.identity.dimension_key, line.amount.minor) for line in lines]


@asynccontextmanager
async def open_office(db: Database, *, on: str, zone: str = "UTC") -> AsyncIterator[Office]:
    """Publish the product, make a customer whose clock stands at an instant, and start a recorder."""
    async with db.transaction() as tx:
        await plans.publish(tx, examples.call(), read_product(json.dumps(PRODUCT).encode()))
        catalogue = await plans.load_catalogue(tx)
        clock = await customers.create_clock(tx, examples.call(), name="clock", now_at=make.at(on))
        customer = await examples.customer(tx, zone=zone, clock_id=clock.id)
        await usage.ensure_partitions(tx, make.call().at)
    recorder = Recorder(db, MemoryWakeups())
    recorder.start()
    try:
        yield Office(db, catalogue, customer, clock.id, recorder)
    finally:
        await recorder.stop()
