"""A seeded database with customers who use the two products, and a recorder, for tests."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Database
from domain.kernel.call import Call, Environment, Principal, PrincipalKind
from domain.kernel.ids import ClockId, CustomerId, MeterId, encode
from domain.plans import service as plans
from domain.plans.plan import Catalogue
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from domain.usage import service as usage
from domain.usage.event import UsageEvent
from domain.usage.reading import Usage
from domain.usage.service import Recorder
from domain.usage.snapshots.service import Loaders
from domain.usage.verdict import Verdict
from tests import make

TABLES = (
    "event_identity",
    "usage_event",
    "quarantined_event",
    "counter_total",
    "counter_hour",
    "usage_hour",
    "usage_total",
    "usage_level",
)


class Wakeups:
    """Wake-ups in memory: keeps what was published."""

    def __init__(self) -> None:
        self.published: list[CustomerId] = []

    async def publish(self, customers: Sequence[CustomerId]) -> None:
        """Keep the customers."""
        self.published += customers

    def watch(self, customer_id: CustomerId, moved: Callable[[], None]) -> AbstractContextManager[None]:
        """Nobody watches here."""
        raise AssertionError(customer_id, moved)

    async def close(self) -> None:
        """Hold nothing."""


def key(
    product: str = "llm",
    *,
    environment: Environment = Environment.LIVE,
    source: str = "gateway",
    customer_id: CustomerId | None = None,
) -> Principal:
    """Make the principal of an API key that reports usage of a product."""
    granted = frozenset((str(Permission.USAGE_WRITE),))
    return Principal(
        PrincipalKind.KEY, "key_1", "key", granted, environment, customer_id, product=product, source=source
    )


@dataclass(frozen=True, slots=True)
class World:
    """What a test of usage stands on."""

    db: Database
    catalogue: Catalogue
    wakeups: Wakeups
    recorder: Recorder

    async def customer(
        self, *, environment: Environment = Environment.LIVE, zone: str = "UTC", clock_id: ClockId | None = None
    ) -> Customer:
        """Create a customer."""
        async with self.db.transaction() as tx:
            return await customers.create_customer(
                tx,
                make.call(by=make.principal(Permission.CUSTOMER_WRITE)),
                environment=environment,
                name="Ada",
                email="ada@example.com",
                zone=zone,
                clock_id=clock_id,
            )

    async def subscribe(
        self, customer: Customer, product: str = "llm", plan: str = "pro", *, on: str = "2026-01-01"
    ) -> Subscription:
        """Subscribe a customer at an instant."""
        async with self.db.transaction() as tx:
            return await subscriptions.open_subscription(
                tx,
                make.call(),
                make.at(on),
                customer=customer,
                product_id=self.catalogue.product(product).id,
                plan_version_id=self.catalogue.current_version(product, plan).id,
                interval=Interval.MONTH,
                currency="USD",
            )

    async def subscriber(
        self, product: str = "llm", plan: str = "pro", **options: Any
    ) -> tuple[Customer, Subscription]:
        """Create a customer who subscribed on 1 January 2026."""
        customer = await self.customer(**options)
        return customer, await self.subscribe(customer, product, plan)

    async def record(
        self, *events: UsageEvent, by: Principal | None = None, when: str = "2026-01-15T12:00", atomic: bool = False
    ) -> list[Verdict]:
        """Record events with a key at a real instant."""
        return await self.recorder.record(make.call(when, by or key()), events, atomic=atomic)

    async def usage(self, subscription: Subscription) -> Usage:
        """Read a subscription's usage of its present period."""
        async with self.db.transaction() as tx:
            return await usage.current_usage(tx, subscription.customer_id, subscription)

    def meter(self, product: str, meter_key: str) -> MeterId:
        """Return the id of a meter."""
        found = self.catalogue.meters_of(self.catalogue.product(product).id)
        return next(meter.id for meter in found if meter.key == meter_key)

    async def count(self, table: str) -> int:
        """Count the rows of a table."""
        async with self.db.transaction() as tx:
            return int(await tx.value(sa.select(sa.func.count()).select_from(sa.table(table))))

    async def counts(self) -> dict[str, int]:
        """Count the rows of every table that recording writes."""
        return {table: await self.count(table) for table in TABLES}


def event(customer: Customer | str, event_id: str = "e1", **properties: Any) -> UsageEvent:
    """Make a call of Gemini 2.5 Pro with 1,000 tokens in and 100 out, at noon of 15 January 2026."""
    return llm(customer, event_id, at="2026-01-15T12:00:00Z", **properties)


def llm(customer: Customer | str, event_id: str, *, at: str | None, **properties: Any) -> UsageEvent:
    """Make a call of Gemini 2.5 Pro at an instant."""
    given = {
        "provider": "gemini",
        "model": "gemini-2.5-pro",
        "input_tokens": 1000,
        "output_tokens": 100,
        **properties,
    }
    return UsageEvent(event_id, "llm.call", name_of(customer), occurred_at=at, properties=given)


def edge(customer: Customer | str, event_id: str, event_type: str, **properties: Any) -> UsageEvent:
    """Make an event of the edge product at noon of 15 January 2026."""
    name = name_of(customer)
    return UsageEvent(event_id, event_type, name, occurred_at="2026-01-15T12:00:00Z", properties=properties)


def name_of(customer: Customer | str) -> str:
    """Write a customer's id as senders do."""
    return customer if isinstance(customer, str) else encode("customer", customer.id)


async def load_catalogue(db: Database) -> Catalogue:
    """Load both products. They are published where the database is no copy of one that has them."""
    async with db.transaction() as tx:
        found = await plans.load_catalogue(tx)
        if found.products:
            return found
        await plans.seed_catalogue(tx, make.call(by=make.principal(*Permission)))
    async with db.transaction() as tx:
        return await plans.load_catalogue(tx)


@asynccontextmanager
async def open_recorder(db: Database, loaders: Loaders | None = None) -> AsyncIterator[Recorder]:
    """Run a recorder of its own, as another process would."""
    recorder = Recorder(db, Wakeups(), loaders)
    recorder.start()
    yield recorder
    await recorder.stop()


@asynccontextmanager
async def open_world(db: Database) -> AsyncIterator[World]:
    """Load the catalogue and start a recorder."""
    catalogue = await load_catalogue(db)
    wakeups = Wakeups()
    recorder = Recorder(db, wakeups)
    recorder.start()
    yield World(db, catalogue, wakeups, recorder)
    await recorder.stop()


def call_of(call: Call, at: datetime) -> Call:
    """Move a call to another real instant."""
    return Call(call.id, at, call.principal, call.new_id)
