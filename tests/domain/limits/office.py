"""Several processes that hold reservations on one database, each with a recorder and a reserver of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from domain.access.roles import Permission
from domain.customers.customer import Customer
from domain.db import Database
from domain.kernel.call import Call, Environment, Principal, PrincipalKind
from domain.kernel.ids import CustomerId, encode
from domain.limits import service as limits
from domain.limits.explanation import SAMPLE
from domain.limits.override import Wish
from domain.limits.request import Reserved, Settled, Wanted
from domain.limits.reservation import Measure
from domain.limits.reserving.service import Reserver
from domain.plans.plan import Catalogue
from domain.subscriptions.subscription import Subscription
from domain.usage.service import Recorder
from tests import make
from tests.domain.usage.world import Wakeups, World, open_world

NOON = make.at("2026-01-15T12:00")


def key(
    product: str = "llm", *, environment: Environment = Environment.LIVE, customer_id: CustomerId | None = None
) -> Principal:
    """Make the principal of a key that checks, reserves and settles."""
    granted = frozenset((str(Permission.USAGE_WRITE), str(Permission.LIMIT_CHECK)))
    return Principal(
        PrincipalKind.KEY, "key_1", "key", granted, environment, customer_id, product=product, source="gateway"
    )


@dataclass
class Office:
    """A world with a clock that the processes share."""

    world: World
    at: datetime = NOON
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def now(self) -> datetime:
        """Return what every process takes for real time."""
        return self.at

    def later(self, **span: int) -> None:
        """Let time pass."""
        self.at += timedelta(**span)

    def call(self, by: Principal | None = None) -> Call:
        """Make a call now whose permit is not kept: whether it is in the sample would depend on ids taken before."""
        unsampled = next(each for each in iter(make.new_id, None) if each.int % SAMPLE)
        return Call(unsampled, self.at, by or key(), make.new_id)

    async def process(self, *, runs: bool = False, db: Database | None = None, **options: Any) -> "Process":
        """Start a process; one that `runs` answers recalls by itself."""
        recorder = Recorder(self.world.db, Wakeups())
        recorder.start()
        self._stack.push_async_callback(recorder.stop)

        async def catalogue() -> Catalogue:
            return self.world.catalogue

        reserver = Reserver(db or self.world.db, recorder, catalogue, holder=make.new_id(), now=self.now, **options)
        if runs:
            reserver.start()
            self._stack.push_async_callback(reserver.stop)
        return Process(self, reserver, recorder)

    async def subscriber(self, plan: str = "free", product: str = "llm") -> tuple[Customer, Subscription]:
        """Make a customer who subscribed on 1 January."""
        return await self.world.subscriber(product, plan)

    async def override(
        self, customer: Customer, limit: str, amount: int | None, product: str = "llm", *, since: str = "2026-01-01"
    ) -> None:
        """Grant a customer another amount, from the start of the year on unless told."""
        async with self.world.db.transaction() as tx:
            await limits.set_override(
                tx,
                self.call(make.principal(Permission.LIMIT_WRITE, Permission.CUSTOMER_READ)),
                self.world.catalogue,
                customer.id,
                Wish(product, limit, None if amount is None else Decimal(amount), "agreed", make.at(since)),
            )

    async def leased(self, customer: Customer, limit: str) -> Decimal:
        """Return what the database counts as leased of a limit, by all processes, now."""
        statement = sa.text(
            "SELECT coalesce(sum(amount), 0) FROM limit_lease"
            " WHERE customer_id = :customer AND key = :key AND expires_at > :at"
        )
        async with self.world.db.transaction() as tx:
            return Decimal(await tx.value(statement.bindparams(customer=customer.id, key=limit, at=self.at)))


@dataclass
class Process:
    """One process."""

    office: Office
    reserver: Reserver
    recorder: Recorder

    async def reserve(self, customer: Customer, name: str = "r1", **properties: Any) -> Reserved:
        """Reserve a call of Gemini 2.5 Pro."""
        return await self.reserver.reserve(self.office.call(), call_of(customer, **properties), name)

    async def settle(self, reserved: Reserved, **properties: Any) -> Settled:
        """Settle a reservation with what was measured."""
        assert reserved.reservation is not None
        return await self.reserver.settle(
            self.office.call(),
            reserved.reservation.name.text,
            measure=Measure.MEASURED,
            properties=call_of("", **properties).properties,
        )

    async def release(self, reserved: Reserved) -> bool:
        """Release a reservation."""
        assert reserved.reservation is not None
        return await self.reserver.release(self.office.call(), reserved.reservation.name.text)

    async def allows(self, customer: Customer, **properties: Any) -> bool:
        """Ask whether a call may be made."""
        return (await self.reserver.check(self.office.call(), call_of(customer, **properties))).is_allowed

    async def tick(self) -> None:
        """Do what a process does by itself, a while after the last time."""
        self.office.later(seconds=3)
        await self.reserver.tick(self.office.at)


def call_of(customer: Customer | str, **properties: Any) -> Wanted:
    """Make a call of Gemini 2.5 Pro with 1,000 tokens in and at most 100 out."""
    name = customer if isinstance(customer, str) else encode("customer", customer.id)
    given = {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 1000, "output_tokens": 100}
    return Wanted(name, "llm.call", given | properties)


def edge_of(customer: Customer, event_type: str, **properties: Any) -> Wanted:
    """Make an event of the edge product."""
    return Wanted(encode("customer", customer.id), event_type, properties)


@asynccontextmanager
async def open_office(db: Database) -> AsyncIterator[Office]:
    """Open an office on a seeded database."""
    async with open_world(db) as world:
        office = Office(world)
        async with office._stack:
            yield office
