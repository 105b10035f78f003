"""A throw-away Tollgate for cases about what is stored: a database, a recorder, and a product to count and bill."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.access.roles import Permission, system_principal
from domain.adapters.memory_wakeups import MemoryWakeups
from domain.contracts import service as contracts
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.invoice import InvoiceKind
from domain.kernel.call import Call, Environment, Principal, PrincipalKind
from domain.kernel.ids import ClockId, MeterId, encode, uuid7
from domain.plans import service as plans
from domain.plans.definition import ProductDefinition
from domain.plans.plan import Catalogue
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from domain.usage import service as usage
from domain.usage.event import UsageEvent
from domain.usage.reading import Usage
from domain.usage.recording.service import Recorder
from domain.usage.verdict import Verdict
from domain.vault import Vault

PRODUCT, PLAN = "conformance", "only"
# Cases that name no instant happen here.
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
_MASTER_KEY = bytes(32)


def _sum(key: str, event_type: str, value: str, *dimensions: str) -> dict[str, Any]:
    return {
        "key": key,
        "name": key,
        "event_type": event_type,
        "aggregation": "sum",
        "unit": "unit",
        "value_properties": [value],
        "dimensions": list(dimensions),
    }


def _priced(meter: str) -> dict[str, Any]:
    return {
        "key": meter,
        "kind": "usage",
        "currency": "USD",
        "model": "per_unit",
        "definition": {"unit_amount": "0"},
        "description": meter,
        "meter": meter,
    }


_METERS = [
    _sum("value", "call", "value"),
    _sum("tokens_value", "tokens", "value"),
    *(_sum(key, "breakdown", key, "provider") for key in ("calls", "cost", "tokens")),
]
_FEES = [
    {
        "key": interval,
        "kind": "fee",
        "currency": "USD",
        "interval": interval,
        "model": "flat",
        "definition": {"amount": amount},
        "description": interval,
    }
    for interval, amount in (("month", "10.00"), ("year", "100.00"))
]
_DEFINITION = {
    "key": PRODUCT,
    "name": "Conformance",
    "meters": _METERS,
    "plans": [
        {
            "key": PLAN,
            "name": "Only",
            "rank": 0,
            "support": "",
            "features": [],
            "invoice_grace_s": 0,
            "prices": [*_FEES, *(_priced(meter["key"]) for meter in _METERS)],
            "entitlements": [],
        }
    ],
}


@dataclass
class System:
    """The services over one database. Time is whatever a case says it is."""

    db: Database
    catalogue: Catalogue
    recorder: Recorder
    _customers: dict[str, tuple[Customer, Subscription]] = field(default_factory=dict)

    def meter(self, key: str) -> MeterId:
        """Return the id of a meter of the product."""
        found = self.catalogue.meters_of(self.catalogue.product(PRODUCT).id)
        return next(meter.id for meter in found if meter.key == key)

    async def customer(self, clock_id: ClockId | None = None, zone: str = "UTC") -> Customer:
        """Create a test customer."""
        async with self.db.transaction() as tx:
            return await customers.create_customer(
                tx,
                call_at(NOON),
                environment=Environment.TEST,
                name="A customer",
                email="customer@example.com",
                zone=zone,
                clock_id=clock_id,
            )

    async def subscriber(self, at: datetime) -> tuple[Customer, Subscription]:
        """Create a customer who subscribes at an instant."""
        customer = await self.customer()
        return customer, await self.subscribe(customer, at)

    async def subscribe(self, customer: Customer, at: datetime, interval: Interval = Interval.MONTH) -> Subscription:
        """Subscribe a customer at an instant, or when its test clock says."""
        async with self.db.transaction() as tx:
            return await contracts.subscribe(
                tx, call_at(at), customer_id=customer.id, product_key=PRODUCT, plan_key=PLAN, interval=interval
            )

    async def record(self, at: datetime, events: Sequence[UsageEvent], source: str = "source") -> list[Verdict]:
        """Record events that come in at an instant, with a key of a source."""
        return await self.recorder.record(call_at(at, key_of(source)), events)

    async def invoices(self, customer: Customer) -> int:
        """Count a customer's invoices, without statements."""
        async with self.db.transaction() as tx:
            found = await invoices.list_invoices(tx, call_at(NOON), customer_id=customer.id)
        return sum(each.kind is InvoiceKind.INVOICE for each in found)


def call_at(at: datetime, by: Principal | None = None) -> Call:
    """Make a call at an instant, by the system unless told."""

    def new_id() -> UUID:
        return uuid7(at, os.urandom)

    return Call(new_id(), at, by or system_principal("conformance"), new_id)


def key_of(source: str) -> Principal:
    """Make a principal as an API key that reports usage gives it."""
    return Principal(
        kind=PrincipalKind.KEY,
        id=f"key {source}",
        role="key",
        permissions=frozenset({str(Permission.USAGE_WRITE)}),
        environment=Environment.TEST,
        product=PRODUCT,
        source=source,
    )


def event(
    customer: Customer, event_id: str, event_type: str, occurred_at: datetime | None, **properties: Any
) -> UsageEvent:
    """Make an event as a product sends it."""
    return UsageEvent(
        id=event_id,
        type=event_type,
        customer=encode("customer", customer.id),
        occurred_at=occurred_at.isoformat() if occurred_at else None,
        properties=properties,
    )


async def current_usage(system: System, subscription: Subscription) -> Usage:
    """Read a subscription's running totals."""
    async with system.db.transaction() as tx:
        return await usage.current_usage(tx, subscription.customer_id, subscription)


async def new_invoices_of_runs(
    system: System, start: datetime, interval: Interval, zone: str, runs: Sequence[datetime]
) -> list[int]:
    """Subscribe at an instant, close what is due at each run, and count the invoices that each run made.

    The boundaries before the day of the first run are closed by a run of their own, whose invoices are not counted.
    """
    async with system.db.transaction() as tx:
        clock = await customers.create_clock(tx, call_at(NOON), name="runs", now_at=start)
    customer = await system.customer(clock.id, zone)
    subscription = await system.subscribe(customer, NOON, interval)
    earlier = runs[0].replace(hour=0, minute=0, second=0, microsecond=0) - datetime.resolution
    counted = []
    for at in (earlier, *runs) if earlier > start else runs:
        before = await system.invoices(customer)
        async with system.db.transaction() as tx:
            moving = await customers.start_advance(tx, call_at(NOON), clock.id, at)
            await customers.move_clock(tx, call_at(NOON), moving.id, at)
            await customers.end_advance(tx, call_at(NOON), moving.id)
        async with system.db.transaction() as tx:
            await contracts.close_period(tx, call_at(NOON), customer.id, subscription.id)
        counted.append(await system.invoices(customer) - before)
    return counted[-len(runs) :]


@asynccontextmanager
async def open_system(url: str) -> AsyncIterator[System]:
    """Open services over an empty, migrated database, publish the product and start a recorder."""
    db = Database(url, Vault(_MASTER_KEY), pool_size=4)
    try:
        definition = msgspec.convert(_DEFINITION, ProductDefinition)
        async with db.transaction() as tx:
            await plans.publish(tx, call_at(NOON), definition)
        async with db.transaction() as tx:
            catalogue = await plans.load_catalogue(tx)
        recorder = Recorder(db, MemoryWakeups())
        recorder.start()
        try:
            yield System(db, catalogue, recorder)
        finally:
            await recorder.stop()
    finally:
        await db.close()
