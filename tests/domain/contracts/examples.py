"""One customer on a test clock that is moved by hand: no worker runs, so a test calls each job itself."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from domain.access.roles import system_principal
from domain.adapters.memory_wakeups import MemoryWakeups
from domain.contracts import service as contracts
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.invoice import Invoice, InvoiceKind, State
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal import store as journal_store
from domain.journal.job import Job
from domain.kernel.call import Call, Environment, Principal, PrincipalKind
from domain.kernel.ids import ClockId, InvoiceId, encode
from domain.plans.plan import Catalogue
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Segment, Subscription
from domain.usage import service as usage
from domain.usage.event import WINDOW_AHEAD, UsageEvent
from domain.usage.recording.service import Recorder
from tests import make
from tests.domain.subscriptions import examples

_KEY = Principal(
    PrincipalKind.KEY,
    "key_print",
    "key",
    frozenset({"usage:write"}),
    Environment.TEST,
    product="print",
    source="printers",
)


@dataclass(frozen=True, slots=True)
class Bill:
    """What a test compares of an invoice: its state, its total, and its lines as kind, revision, quantity, amount."""

    state: State
    total_minor: int
    lines: list[tuple[str, int, int, int]]


@dataclass
class Shop:
    """The product "print", one customer and its clock."""

    db: Database
    catalogue: Catalogue
    customer: Customer
    clock_id: ClockId
    recorder: Recorder
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def call(self) -> Call:
        """A call by the system. Real time stands still: everything here goes by the clock."""
        return make.call(by=system_principal("test"))

    async def subscribe(
        self, plan: str = "basic", interval: Interval = Interval.MONTH, *, call: Call | None = None
    ) -> Subscription:
        """Subscribe to a plan of the product."""
        async with self.db.transaction() as tx:
            return await contracts.subscribe(
                tx,
                call or self.call,
                customer_id=self.customer.id,
                product_key="print",
                plan_key=plan,
                interval=interval,
            )

    async def move(self, to: str) -> None:
        """Move the clock."""
        async with self.db.transaction() as tx:
            await customers.start_advance(tx, self.call, self.clock_id, make.at(to))
            await customers.move_clock(tx, self.call, self.clock_id, make.at(to))
            await customers.end_advance(tx, self.call, self.clock_id)

    async def close(self, subscription: Subscription) -> bool:
        """Carry out ClosePeriod."""
        async with self.db.transaction() as tx:
            return await contracts.close_period(tx, self.call, self.customer.id, subscription.id)

    async def finalise(self, invoice_id: InvoiceId) -> Invoice | None:
        """Carry out FinaliseInvoice."""
        async with self.db.transaction() as tx:
            return await contracts.finalise(tx, self.call, self.customer.id, invoice_id)

    async def move_and_close(self, to: str, subscription: Subscription) -> None:
        """Move the clock, close the period, and finalise the draft where one waits."""
        await self.move(to)
        await self.close(subscription)
        for invoice in await self.invoices():
            if invoice.state is State.DRAFT:
                await self.finalise(invoice.id)

    async def print_pages(self, pages: int, at: str) -> str:
        """Record one event and return what became of it; the clock moves on to where it is not too early."""
        async with self.db.transaction() as tx:
            now = await customers.clock_now(tx, self.call, self.clock_id)
        if make.at(at) > now + WINDOW_AHEAD:
            await self.move(at)
        event = UsageEvent(
            id=f"e{next(self.numbers)}",
            type="print.page",
            customer=encode("customer", self.customer.id),
            occurred_at=make.at(at).isoformat(),
            properties={"pages": pages},
        )
        [verdict] = await self.recorder.record(make.call(by=_KEY), [event])
        return verdict.status

    async def invoices(self) -> list[Invoice]:
        """Return the customer's invoices, oldest first."""
        async with self.db.transaction() as tx:
            return list(reversed(await invoices.list_invoices(tx, self.call, customer_id=self.customer.id)))

    async def bills(self) -> list[Bill]:
        """Return the customer's invoices as a test compares them, oldest first; a statement has no state of its own."""
        found = await self.invoices()
        async with self.db.transaction() as tx:
            lines = await invoices.lines_by_invoice_ids(tx, [each.id for each in found], scope=None)
        return [
            Bill(
                each.state,
                each.total.minor,
                sorted(
                    (line.identity.kind.value, line.revision, int(line.quantity), line.amount.minor)
                    for line in lines[each.id]
                ),
            )
            for each in found
            if each.kind is InvoiceKind.INVOICE
        ]

    async def again(self, subscription: Subscription) -> Subscription:
        """Return a subscription as it now stands."""
        async with self.db.transaction() as tx:
            found = await subscriptions.find_subscription(tx, subscription.id, scope=None)
        assert found is not None
        return found

    async def segments(self, subscription: Subscription) -> list[Segment]:
        """Return its segments."""
        async with self.db.transaction() as tx:
            return (await subscriptions.segments_of(tx, [subscription.id]))[subscription.id]

    async def jobs(self) -> list[tuple[str, str]]:
        """Return the pending jobs of the clock as (kind, instant at which they are due), in order."""
        far = make.at("2099-01-01")
        async with self.db.transaction() as tx:
            found = await journal_store.claim_due_jobs(
                tx, clock_id=self.clock_id, now=far, at=self.call.at, until=self.call.at, limit=100
            )
        read = [(journal.read_job(each), each.run_at) for each in found]
        return [(f"{job.kind} {_about(job)}".strip(), f"{run_at:%Y-%m-%dT%H:%M}") for job, run_at in read]

    async def told(self) -> list[str]:
        """Return the billing events about subscriptions, oldest first, each with its description."""
        async with self.db.transaction() as tx:
            mine = [self.customer.id]
            found = (await journal_store.list_billing_events_of(tx, mine, before=None, limit=100))[mine[0]]
        return [
            f"{each.type}: {each.description}"
            for each in reversed(found)
            if each.type.startswith(("subscription", "cancel", "change"))
        ]

    async def rows(self) -> dict[str, int]:
        """Count the rows of every table, to show that nothing was written."""
        async with self.db.transaction() as tx:
            connection = await tx.raw()
            names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            return {name: await connection.fetchval(f"SELECT count(*) FROM {name}") for (name,) in names}  # noqa: S608 - names come from the catalogue


def _about(job: Job) -> str:
    return job.notice if isinstance(job, jobs.SendNotice) else ""


@asynccontextmanager
async def open_shop(db: Database, *, on: str, zone: str = "UTC") -> AsyncIterator[Shop]:
    """Publish the product, make a customer whose clock stands at an instant, and start a recorder."""
    async with db.transaction() as tx:
        catalogue = await examples.publish(tx)
        clock = await customers.create_clock(tx, examples.call(), name="clock", now_at=make.at(on))
        customer = await examples.customer(tx, zone=zone, clock_id=clock.id)
        await usage.ensure_partitions(tx, make.call().at)
    recorder = Recorder(db, MemoryWakeups())
    recorder.start()
    try:
        yield Shop(db, catalogue, customer, clock.id, recorder)
    finally:
        await recorder.stop()
