"""A whole Tollgate in one process, for stories: real Postgres, outside parties in memory, and a calendar that moves.

Jobs are carried out by the workers' own runner and test clocks by their own driver; only ARQ and the network are left
out. Nothing here decides anything.
"""

import base64
import itertools
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from domain.access.roles import system_principal
from domain.access.service import Hs256Verifier
from domain.adapters.memory import MemoryGateway, MemoryMailer
from domain.adapters.memory_pdf import MemoryRenderer
from domain.adapters.memory_tax import MemoryTax
from domain.adapters.memory_wakeups import MemoryWakeups
from domain.adapters.memory_webhooks import MemoryWebhooks
from domain.alerts.port import MailPolicy
from domain.config import Settings
from domain.contracts import service as contracts
from domain.customers import service as customers
from domain.customers.clock import ClockState
from domain.customers.customer import Customer
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.invoice import Invoice, Line
from domain.journal import service as journal
from domain.kernel.call import Call, Environment, Principal, PrincipalKind
from domain.kernel.ids import ClockId, CustomerId, encode
from domain.payments.methods import service as methods
from domain.plans import service as plans
from domain.runtime import Runtime
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from domain.usage import service as usage
from domain.usage.event import UsageEvent
from domain.usage.recording.service import Recorder
from domain.usage.verdict import Verdict
from tests import make
from workers import runner
from workers.clock import drive_once

ROUNDS_MAX = 2_000
_MASTER_KEY = base64.b64encode(b"\x01" * 32).decode()
_SETTINGS: dict[str, Any] = {"key_pepper": "p" * 32, "hs256_secret": "s" * 32, "master_key": _MASTER_KEY, "dev": True}


def runtime_of(db: Database) -> Runtime:
    """Make a runtime over a database, with everything outside of it in memory."""
    settings = Settings(**_SETTINGS)
    return Runtime(
        settings=settings,
        db=db,
        gateway=MemoryGateway(),
        mailer=MemoryMailer(MailPolicy("billing@example.com", "Example", is_catcher=True)),
        wakeups=MemoryWakeups(),
        verifier=Hs256Verifier(settings.hs256_secret, settings.token_issuer),
        tax=MemoryTax(),
        renderer=MemoryRenderer(),
        sender=MemoryWebhooks(),
    )


@dataclass
class World:
    """One merchant's system with one test clock."""

    runtime: Runtime
    clock_id: ClockId | None = None
    recorders: dict[str, Recorder] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def call(self) -> Call:
        """A call by the system, now."""
        return self.runtime.call(system_principal("test"))

    @property
    def gateway(self) -> MemoryGateway:
        """The gateway in memory."""
        assert isinstance(self.runtime.gateway, MemoryGateway)
        return self.runtime.gateway

    async def seed(self) -> None:
        """Publish both catalogues."""
        async with self.runtime.db.transaction() as tx:
            await plans.seed_catalogue(tx, self.call)
            # As where it has run for long: in a month's first hours, nothing of the present counts as dropped already.
            for at in (self.call.at - timedelta(days=31), self.call.at):
                await usage.ensure_partitions(tx, at)

    async def customer(self, *, on: str, zone: str = "UTC", card: str | None = "pm_card_visa") -> Customer:
        """Create a test customer on the world's clock, which starts at the first customer's day."""
        number = next(self._numbers)
        async with self.runtime.db.transaction() as tx:
            if self.clock_id is None:
                self.clock_id = (await customers.create_clock(tx, self.call, name="world", now_at=make.at(on))).id
            created = await customers.create_customer(
                tx,
                self.call,
                environment=Environment.TEST,
                name=f"Customer {number}",
                email=f"customer{number}@example.com",
                zone=zone,
                clock_id=self.clock_id,
            )
        if card is not None:
            await self.attach(created.id, card)
        return created

    async def attach(self, customer_id: CustomerId, card: str) -> None:
        """Attach one of Stripe's test methods."""
        await methods.attach_method(
            self.runtime.db, self.gateway, self.call, customer_id=customer_id, gateway_method_id=card
        )

    async def subscribe(
        self, customer: Customer, plan: str, *, product: str = "llm", interval: Interval = Interval.MONTH
    ) -> Subscription:
        """Subscribe, and carry out what that staged."""
        async with self.runtime.db.transaction() as tx:
            started = await contracts.subscribe(
                tx, self.call, customer_id=customer.id, product_key=product, plan_key=plan, interval=interval
            )
        await self.drain()
        return started

    async def subscription(self, of: Subscription) -> Subscription:
        """Return a subscription as it now stands."""
        async with self.runtime.db.transaction() as tx:
            found = await subscriptions.find_subscription(tx, of.id, scope=None)
        assert found is not None
        return found

    async def cancel(self, of: Subscription, *, at_period_end: bool = True) -> Subscription:
        """Cancel a subscription, and carry out what that staged."""
        async with self.runtime.db.transaction() as tx:
            cancelled = await contracts.cancel(tx, self.call, subscription_id=of.id, at_period_end=at_period_end)
        await self.drain()
        return cancelled

    async def use(self, product: str, *events: UsageEvent) -> list[Verdict]:
        """Record events through a recorder, with a key of the product."""
        recorder = self.recorders.get(product)
        if recorder is None:
            recorder = self.recorders[product] = Recorder(self.runtime.db, self.runtime.wakeups)
            recorder.start()
        return await recorder.record(self.runtime.call(key_of(product)), events)

    async def now(self) -> datetime:
        """Return what the world's clock shows."""
        async with self.runtime.db.transaction() as tx:
            return await customers.clock_now(tx, self.call, self.clock_id)

    async def drain(self) -> int:
        """Carry out everything that is due, in order, until nothing is. Returns how many jobs ran."""
        ran = 0
        for _ in range(ROUNDS_MAX):
            at = self.runtime.now() + timedelta(days=1)
            async with self.runtime.db.transaction() as tx:
                clocks = [(None, at), (self.clock_id, await customers.clock_now(tx, self.call, self.clock_id))]
                due = await journal.offer_due(tx, clocks[: 2 if self.clock_id else 1], at=at, until=at, limit=50)
            if not due:
                return ran
            for job in due:
                await runner.run(self.runtime, job.id)
            ran += len(due)
        raise AssertionError("jobs do not come to an end")

    async def advance(self, *, to: str) -> None:
        """Move the clock from due instant to due instant, as the worker does."""
        assert self.clock_id is not None, "the first customer makes the clock"
        async with self.runtime.db.transaction() as tx:
            await customers.start_advance(tx, self.call, self.clock_id, make.at(to))
        await self.arrive()

    async def arrive(self) -> None:
        """Carry a clock that was sent somewhere there, as the worker does."""
        assert self.clock_id is not None, "the first customer makes the clock"
        waiting: dict[ClockId, datetime] = {}
        for _ in range(ROUNDS_MAX):
            await drive_once(self.runtime, waiting)
            await self.drain()
            async with self.runtime.db.transaction() as tx:
                clock = await customers.get_clock(tx, self.call, self.clock_id)
            if clock.state is not ClockState.ADVANCING:
                assert clock.state is ClockState.READY, clock.reason
                return
        raise AssertionError("the clock does not arrive")

    async def invoices(self, customer: Customer) -> list[Invoice]:
        """Return a customer's invoices, oldest first."""
        async with self.runtime.db.transaction() as tx:
            return list(reversed(await invoices.list_invoices(tx, self.call, customer_id=customer.id)))

    async def lines(self, invoice: Invoice) -> list[Line]:
        """Return an invoice's lines."""
        async with self.runtime.db.transaction() as tx:
            return (await invoices.lines_by_invoice_ids(tx, [invoice.id], scope=None))[invoice.id]

    async def slot_of(self, meter: str) -> int:
        """Return the place that a counter, by its key, has among those that counted the last event."""
        async with self.runtime.db.transaction() as tx:
            statement = """SELECT s.slot FROM meter m JOIN meter_set s ON s.meter_id = m.id
                JOIN usage_event e ON e.meter_set = s.id WHERE m.key = :key ORDER BY e.id DESC LIMIT 1"""
            return int(await tx.value(sa.text(statement).bindparams(key=meter)))

    async def close(self) -> None:
        """Stop the recorders."""
        for recorder in self.recorders.values():
            await recorder.stop()


def key_of(product: str, *, customer_id: CustomerId | None = None) -> Principal:
    """Make a principal as a test key of a product gives it."""
    return Principal(
        kind=PrincipalKind.KEY,
        id=f"key_{product}",
        role="key",
        permissions=frozenset({"usage:write", "usage:correct"}),
        environment=Environment.TEST,
        customer_id=customer_id,
        product=product,
        source=f"{product} servers",
    )


def llm_call(customer: Customer, at: datetime, **properties: Any) -> UsageEvent:
    """Make one LLM call's event with an id of its own."""
    return UsageEvent(
        id=secrets.token_hex(8),
        type="llm.call",
        customer=encode("customer", customer.id),
        occurred_at=at.isoformat(),
        properties={"provider": "gemini", "model": "gemini-2.5-pro", **properties},
    )
