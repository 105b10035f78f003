"""Live data over websockets: first a snapshot, then a numbered frame whenever something moved.

A wake-up through Redis says that a customer's rows may have moved; the truth is read from Postgres each time, and also
every ten seconds without any wake-up. The usage of all customers that moved at about the same time is read together.
Frames are coalesced, never queued: a slow client skips states, not numbers. Of an execution that is not shared, the
caller's credential and rights are looked at before every frame; one that sockets share is looked after by `sharing`.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, TypeVar

import strawberry
from strawberry.types import Info

from api.context import Reading
from api.graphql import ids
from api.graphql.alerts import Alert, alert_of
from api.graphql.context import Context
from api.graphql.fields import coded, watching
from api.graphql.invoices import Invoice, invoice_of
from api.graphql.permissions import guarded_type
from api.graphql.scalars import BigInt
from api.graphql.showing import Showing, shown_to, standing_of
from api.graphql.usage import Usage, UsageChange, changes_between
from api.problems import PASSING_FAULTS, DatabaseUnreachable
from api.rounds import FRAME_GAP_S, Watcher
from domain.access.roles import Permission
from domain.alerts import alert as alerts
from domain.alerts.raising import service as raising
from domain.customers import service as customers
from domain.invoices import service as invoices
from domain.kernel.errors import DomainError
from domain.kernel.ids import AlertId, CustomerId, InvoiceId
from domain.kernel.values import dataclass

INVOICES_WATCHED = 50
ALERTS_WATCHED = 50
T = TypeVar("T")
WatchedId = Annotated[strawberry.ID, strawberry.argument(name="customerId", description="Whom to watch: `cus_…`.")]


@guarded_type(Permission.USAGE_READ, "A customer's usage as it stands. The first frame is the snapshot.")
class UsageFrame:
    """A frame of usageChanged."""

    sequence: int = strawberry.field(description="1, 2, 3 … in this operation, without gaps.")
    usage: Usage = strawberry.field(description="All of it, not only what moved.")
    since: BigInt | None = strawberry.field(
        description="The usage version that `changes` start from: that of the frame before. Null for a snapshot: the "
        "first frame, and one after states that were skipped because the socket was busy."
    )
    changes: list[UsageChange] = strawberry.field(description="What moved since then; empty for a snapshot.")


@guarded_type(Permission.INVOICE_READ, "An invoice as it stands. The first frames are the newest ones, oldest first.")
class InvoiceFrame:
    """A frame of invoiceChanged."""

    sequence: int = strawberry.field(description="1, 2, 3 … in this operation, without gaps.")
    invoice: Invoice = strawberry.field(description="All of it.")


@guarded_type(Permission.ALERT_READ, "An alert. The first frames are the newest ones, oldest first.")
class AlertFrame:
    """A frame of alertRaised."""

    sequence: int = strawberry.field(description="1, 2, 3 … in this operation, without gaps.")
    alert: Alert = strawberry.field(description="All of it.")


@dataclass(frozen=True, slots=True)
class _Watch:
    """One subscriber: whom it watches, and with which permission."""

    context: Context
    customer_id: CustomerId
    permission: Permission

    async def check(self) -> None:
        """Refuse a caller whose credential has ended or lacks the permission; each reading refuses unseen customers."""
        await self.context.check_credential()
        assert self.context.principal is not None, "whoever watches is known"
        self.context.principal.need(self.permission)

    async def states(self, read: Callable[[], Awaitable[T]]) -> AsyncGenerator[T, None]:
        """Yield what is read, whenever it differs from what was yielded before.

        The first change after a pause is read at once; those that follow within FRAME_GAP_S are one.
        """
        before: T | None = None
        moved = asyncio.Event()
        with self.context.runtime.wakeups.watch(self.customer_id, moved.set):
            while True:
                moved.clear()
                await self.check()
                state = await read()
                if state != before:
                    before = state
                    yield state
                    await self.context.serving.pause(FRAME_GAP_S)
                # Time moves as news do. A timeout would cost more, and may lose a cancel that comes together with news.
                again = asyncio.get_running_loop().call_later(self.context.serving.reread_s, moved.set)
                try:
                    await moved.wait()
                finally:
                    again.cancel()


class UsageFrames:
    """What one execution shows of a customer's usage, frame by frame."""

    __slots__ = ("_context", "_number", "_seen", "_showing", "_shown")

    def __init__(self, context: Context, customer_id: strawberry.ID) -> None:
        """Show nothing yet. Raises IdMalformed."""
        self._context, self._showing = context, Showing(ids.customer_id(customer_id))
        # What was seen last, and what the last frame showed.
        self._seen: Usage | None = None
        self._shown: Usage | None = None
        self._number = 0

    @property
    def customer_id(self) -> CustomerId:
        """Whose usage it is."""
        return self._showing.customer_id

    def see(self, found: Reading | None) -> bool:
        """Look at a reading; return whether it shows anything new. Raises Forbidden, CustomerNotFound."""
        assert self._context.principal is not None, "whoever watches is known"
        self._context.principal.need(Permission.USAGE_READ)
        before, now = self._seen, shown_to(self._context, self._showing, found)
        self._seen = now
        return before is None or before.version != now.version or standing_of(before) != standing_of(now)

    def next(self) -> UsageFrame:
        """Return what was seen last as the next frame, with what has moved since the one before."""
        before, usage = self._shown, self._seen
        assert usage is not None, "a frame shows a reading"
        self._shown = usage
        self._number += 1
        if before is None:
            return UsageFrame(sequence=self._number, usage=usage, since=None, changes=[])
        changes = changes_between(before, usage)
        return UsageFrame(sequence=self._number, usage=usage, since=before.version, changes=changes)


async def usage_frames(context: Context, customer_id: strawberry.ID) -> AsyncGenerator[UsageFrame, None]:
    """Yield a customer's usage, and then again whenever it moved, with what moved of it. Raises DomainError."""
    frames = UsageFrames(context, customer_id)
    watch = _Watch(context, frames.customer_id, Permission.USAGE_READ)
    read, failures, is_new = asyncio.Event(), list[Exception](), False

    def see(found: Reading | None) -> bool:
        nonlocal is_new
        read.set()
        is_new = frames.see(found) or is_new
        return is_new

    def fail(error: Exception) -> None:
        failures.append(error)
        read.set()

    await watch.check()
    with context.serving.watch_usage(frames.customer_id, Watcher(see, fail)):
        while True:
            await read.wait()
            read.clear()
            await watch.check()
            for error in failures:
                raise error
            if is_new:
                is_new = False
                yield frames.next()


async def invoice_frames(context: Context, customer_id: strawberry.ID) -> AsyncGenerator[InvoiceFrame, None]:
    """Yield a customer's newest invoices, oldest first, and then each that is new or moved. Raises DomainError."""
    watch = _Watch(context, ids.customer_id(customer_id), Permission.INVOICE_READ)
    sequence, versions = 0, dict[InvoiceId, int]()

    async def read() -> list[tuple[InvoiceId, int, Invoice]]:
        async with context.serving.readings, context.runtime.db.transaction() as tx:
            await customers.load_customer(tx, context.call, watch.customer_id)
            found = await invoices.list_invoices(
                tx, context.call, customer_id=watch.customer_id, limit=INVOICES_WATCHED
            )
        return [(each.id, each.version, invoice_of(each)) for each in reversed(found)]

    async with aclosing(watch.states(read)) as states:
        async for state in states:
            for invoice_id, version, invoice in state:
                if versions.get(invoice_id) != version:
                    versions[invoice_id] = version
                    sequence += 1
                    context.item = invoice_id.hex
                    yield InvoiceFrame(sequence=sequence, invoice=invoice)


async def alert_frames(context: Context, customer_id: strawberry.ID) -> AsyncGenerator[AlertFrame, None]:
    """Yield a customer's newest alerts, oldest first, and then each that is raised. Raises DomainError."""
    watch = _Watch(context, ids.customer_id(customer_id), Permission.ALERT_READ)
    sequence, seen = 0, set[AlertId]()

    async def read() -> list[alerts.Alert]:
        async with context.serving.readings, context.runtime.db.transaction() as tx:
            newest = await raising.list_alerts(tx, context.call, customer_id=watch.customer_id, limit=ALERTS_WATCHED)
        return newest[::-1]

    async with aclosing(watch.states(read)) as states:
        async for state in states:
            new = [each for each in state if each.id not in seen]
            seen = {each.id for each in state}
            for each in new:
                sequence += 1
                context.item = each.id.hex
                yield AlertFrame(sequence=sequence, alert=alert_of(each))


async def _with_codes(frames: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Pass frames on; a refusal ends them with an error that has a code."""
    try:
        async for frame in frames:
            yield frame
    except DomainError as error:
        raise coded(error) from error
    except PASSING_FAULTS as fault:
        raise coded(DatabaseUnreachable()) from fault
    finally:
        await frames.aclose()


@strawberry.type(description="What can be watched over a websocket with graphql-transport-ws.")
class Live:
    """The root of live data."""

    @watching(
        Permission.USAGE_READ,
        "A customer's usage, cost and limits: a snapshot at once, then at most five changes a second.",
    )
    async def usage_changed(
        self, info: Info[Context, None], customer_id: WatchedId
    ) -> AsyncGenerator[UsageFrame, None]:
        """Watch one customer's usage."""
        return _with_codes(usage_frames(info.context, customer_id))

    @watching(
        Permission.INVOICE_READ,
        "A customer's invoices and statements: the 50 newest at once, then each of them that is new or moved.",
    )
    async def invoice_changed(
        self, info: Info[Context, None], customer_id: WatchedId
    ) -> AsyncGenerator[InvoiceFrame, None]:
        """Watch one customer's invoices."""
        return _with_codes(invoice_frames(info.context, customer_id))

    @watching(
        Permission.ALERT_READ,
        "A customer's alerts: the 50 newest at once, read or not, then each that is raised.",
    )
    async def alert_raised(self, info: Info[Context, None], customer_id: WatchedId) -> AsyncGenerator[AlertFrame, None]:
        """Watch one customer's alerts."""
        return _with_codes(alert_frames(info.context, customer_id))
