"""Record events: the one function through which usage comes in, and the committer that counts them in groups.

One flush at a time and no timer: what arrives while a flush is written is the next one, which is arranged meanwhile
when it is large. A caller is answered after the commit that holds its rows. See docs/decisions/0004-group-commit.md.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from domain.access.roles import Permission
from domain.db import DATABASE_ERRORS, Database, Tx
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.kernel.values import dataclass
from domain.subscriptions.buckets.store import share_buckets
from domain.usage.counting import service as counting
from domain.usage.counting.service import FullError, MovedError, NarrowError
from domain.usage.event import BATCH_MAX, Envelope, UsageEvent, read_event
from domain.usage.facts import sender_of
from domain.usage.port import Wakeups
from domain.usage.recording import store
from domain.usage.recording.plain import PlainFlush, plain_flush_of
from domain.usage.resolve import Request, Row
from domain.usage.snapshots.service import Loaders, Snapshots
from domain.usage.store import UNREACHABLE
from domain.usage.tally import (
    Full,
    Tally,
    holders_of,
    verdicts_of,
)
from domain.usage.verdict import (
    BatchEmpty,
    BatchRefused,
    BatchTooLarge,
    UsageBusy,
    UsageUnavailable,
    Verdict,
)

# Rows accepted and not yet committed; above it callers are sent away before memory grows.
WAITING_MAX = 20_000
# Statements of 500 to 2,000 rows are the fastest; a request is never split. What comes in at once should be more than
# one flush, or the database waits while the next is made ready.
FLUSH_MAX = 1_000
FLUSH_TIMEOUT_S = 30
# Events that are read in one go: then others have their turn, and the database its next flush.
SLICE = 25
# While one flush is written, the next is arranged as soon as so many rows wait for it; fewer are waited for, since a
# larger flush costs less an event.
AHEAD_MIN = 250
_LANES = 2
# A flush starts anew when a border moved or a meter became full under it.
STARTS_MAX = 5
# Combinations and sets of meters this process knows to be stored; beyond it the memory starts anew, at the cost of
# writing some again.
COMBINATIONS_MAX = 100_000


@dataclass(slots=True)
class _Waiting:
    """A request on its way through the queue. `verdicts` has a place for every event, None where a row decides."""

    call: Call
    rows: list[Row]
    verdicts: list[Verdict | None]
    atomic: bool
    answer: asyncio.Future[list[Verdict]]


class Recorder:
    """One per process: start it before the first event, stop it after the last."""

    def __init__(self, db: Database, wakeups: Wakeups, loaders: Loaders | None = None) -> None:
        self._db = db
        self._wakeups = wakeups
        self._snapshots = Snapshots(db, loaders)
        self._queue: deque[_Waiting] = deque()
        self._queued = 0
        self._waiting = 0
        self._writing = asyncio.Lock()
        self._arrived = asyncio.Event()
        self._moved: set[CustomerId] = set()
        self._committed = asyncio.Event()
        self._known: set[bytes] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._open = False
        self._watchers: list[Callable[[set[CustomerId]], None]] = []

    @property
    def snapshots(self) -> Snapshots:
        """What this process remembers, for others that resolve events without recording them."""
        return self._snapshots

    def watch(self, moved: Callable[[set[CustomerId]], None]) -> None:
        """Have the customers told whose usage a commit of this process moved, before its callers are answered."""
        self._watchers.append(moved)

    def start(self) -> None:
        """Begin to accept events."""
        assert not self._tasks, "a recorder is started once"
        self._open = True
        self._tasks = [asyncio.create_task(self._tell_all())]
        self._tasks += [asyncio.create_task(self._flush_all()) for _ in range(_LANES)]

    async def stop(self) -> None:
        """Accept no more, commit what was accepted, and return."""
        self._open = False
        self._arrived.set()
        self._committed.set()
        await asyncio.gather(*self._tasks)

    async def record(
        self, call: Call, events: Sequence[UsageEvent | Verdict], *, atomic: bool = False
    ) -> list[Verdict]:
        """Count events once each and answer them in order, after the commit.

        An event that could not even be read comes as the verdict on it, and takes its place in the answer.
        `atomic` records all or nothing. Whoever stops waiting changes nothing: accepted rows are committed. Repeating
        a call is safe: what was counted is answered `duplicate`. Raises Forbidden, KeyRecordsNothing, BatchEmpty,
        BatchTooLarge, BatchRefused, UsageBusy, UsageUnavailable.
        """
        call.need(Permission.USAGE_WRITE)
        self._admit(len(events))
        queued = False
        try:
            waiting = await self._prepare(call, events, atomic=atomic)
            if not self._open:
                raise UsageUnavailable
            if waiting.rows:
                self._queue.append(waiting)
                self._queued += len(waiting.rows)
                queued = True
                if self._may_flush():
                    self._arrived.set()
                return await waiting.answer
        except DATABASE_ERRORS as fault:
            raise UsageUnavailable from fault
        finally:
            if not queued:
                self._waiting -= len(events)
        return _answer(waiting, [])

    def _admit(self, events: int) -> None:
        """Make room for a batch, or send it away before any work is done for it."""
        if not events:
            raise BatchEmpty(BATCH_MAX)
        if events > BATCH_MAX:
            raise BatchTooLarge(events, BATCH_MAX)
        if not self._open:
            raise UsageUnavailable
        if self._waiting + events > WAITING_MAX:
            raise UsageBusy
        self._waiting += events

    async def _prepare(self, call: Call, events: Sequence[UsageEvent | Verdict], *, atomic: bool) -> _Waiting:
        """Read and resolve events from facts that may be old; only a flush knows better."""
        rules = await self._snapshots.rules(call.at)
        request = Request(sender_of(call.principal, rules.products), rules, call.at, call.at.isoformat(), call)
        answers: list[Row | Verdict] = []
        for start in range(0, len(events), SLICE):
            if start:
                await asyncio.sleep(0)
            answers += await self._read(request, events[start : start + SLICE])
        rows = [each for each in answers if isinstance(each, Row)]
        verdicts = [each if isinstance(each, Verdict) else None for each in answers]
        return _Waiting(call, rows, verdicts, atomic, asyncio.get_running_loop().create_future())

    async def _read(self, request: Request, events: Sequence[UsageEvent | Verdict]) -> list[Row | Verdict]:
        envelopes = [event if isinstance(event, Verdict) else read_event(event) for event in events]
        readable = [(each, request) for each in envelopes if isinstance(each, Envelope)]
        assert request.call is not None, "a request that records has a call"
        found = iter(await self._snapshots.resolve(request.call, readable))
        return [each if isinstance(each, Verdict) else next(found) for each in envelopes]

    def _may_flush(self) -> bool:
        """Whether a lane has something to do: when a flush has been written, its own lane looks again."""
        return bool(self._queue) and (self._queued >= AHEAD_MIN or not self._writing.locked())

    async def _flush_all(self) -> None:
        """Flush what waits, in one of the lanes."""
        while self._open or self._queue:
            await self._arrived.wait()
            self._arrived.clear()
            while self._may_flush():
                await self._flush(self._take())
                # Whoever was answered may have the next event ready: it joins those that wait already.
                await asyncio.sleep(0)
        self._arrived.set()

    def _take(self) -> list[_Waiting]:
        """Take whole requests of up to FLUSH_MAX rows; an atomic one is a flush of its own."""
        taken = [self._queue.popleft()]
        rows = len(taken[0].rows)
        while self._queue and not (taken[0].atomic or self._queue[0].atomic):
            rows += len(self._queue[0].rows)
            if rows > FLUSH_MAX:
                break
            taken.append(self._queue.popleft())
        self._queued -= sum(len(request.rows) for request in taken)
        return taken

    async def _flush(self, requests: list[_Waiting]) -> None:
        try:
            await self._commit(requests)
        except Exception as fault:  # noqa: BLE001 -- whatever went wrong must reach its sender, and no other
            await self._flush_apart(requests, fault)
        finally:
            self._waiting -= sum(len(request.verdicts) for request in requests)

    async def _flush_apart(self, requests: list[_Waiting], fault: Exception) -> None:
        """Try each request once more on its own; when the database cannot be reached, the rest need not try."""
        for request in requests:
            if isinstance(fault, BatchRefused) or (request is not requests[0] and isinstance(fault, UNREACHABLE)):
                _fail(request, fault)
                continue
            try:
                await self._commit([request])
            except Exception as again:  # noqa: BLE001 -- as above
                fault = again
                _fail(request, fault)

    async def _commit(self, requests: list[_Waiting]) -> None:
        """Write requests in one transaction and answer them, when no other flush is written."""
        rows = [row for request in requests for row in request.rows]
        # An atomic request may be refused after the look at what is stored, which a plain flush has committed by then.
        plain = None if requests[0].atomic else plain_flush_of(rows, self._known)
        async with self._writing:
            if plain is None or not await self._commit_plain(requests, rows, plain):
                await self._commit_judged(requests, rows)

    async def _commit_judged(self, requests: list[_Waiting], rows: list[Row]) -> None:
        """Judge each row, write and answer. Starts anew where facts turned out to be old."""
        full: dict[bytes, frozenset[bytes]] = {}
        corrected: set[SubscriptionId] = set()
        for _ in range(STARTS_MAX):
            try:
                async with asyncio.timeout(FLUSH_TIMEOUT_S), self._db.transaction() as tx:
                    verdicts, sums = await self._write(tx, rows, full, corrected)
                    answers = _answers(requests, verdicts)
            except MovedError as moved:
                rows = await self._resolve_moved(requests, rows, moved.customers)
                continue
            except FullError as reached:
                full |= reached.groups
                continue
            except NarrowError as wider:
                corrected |= wider.subscriptions
                continue
            self._remember((*sums.combinations, *sums.sets, *sums.packs.sets), sums.customers)
            counting.tell_unpriced(sums)
            _give(requests, answers)
            return
        raise UsageUnavailable

    async def _commit_plain(self, requests: Sequence[_Waiting], rows: Sequence[Row], flush: PlainFlush) -> bool:
        """Write and answer requests by one call of the database; False, and nothing written, where that cannot be."""
        async with asyncio.timeout(FLUSH_TIMEOUT_S), self._db.driver() as driver:
            stored = await store.record_plain(driver, flush, counting.CHECK_AFTER)
        if stored is None:
            return False
        verdicts = verdicts_of(rows, flush.holders, flush.verdicts(stored), stored)
        self._remember(flush.combinations, flush.movers(stored))
        _give(requests, _answers(requests, verdicts))
        return True

    async def _resolve_moved(
        self, requests: list[_Waiting], rows: Sequence[Row], customers: set[CustomerId]
    ) -> list[Row]:
        await self._snapshots.reload(customers)
        fresh: list[Row] = []
        start = 0
        for request in requests:
            own = rows[start : start + len(request.rows)]
            start += len(own)
            moved = [row for row in own if row.customer_id in customers]
            again = iter(await self._snapshots.resolve(request.call, [(row.envelope, row.request) for row in moved]))
            fresh += [_same(row, next(again)) if row.customer_id in customers else row for row in own]
        return fresh

    async def _write(
        self, tx: Tx, rows: Sequence[Row], full: Full, corrected: Collection[SubscriptionId]
    ) -> tuple[list[Verdict], Tally]:
        """Insert identities first: whoever holds one is the only writer of that event, in this process or another."""
        held = {row.place.subscription.id for row in rows if row.place} | set(corrected)
        await share_buckets(tx, held)
        driver = await tx.raw()
        await counting.check_epochs(driver, rows)
        holders = holders_of(rows)
        new = await store.insert_identities(driver, holders.values())
        known = await store.find_identities(driver, [row for row in rows if row.identity not in new])
        kept = [row for identity, row in holders.items() if identity in new]
        fresh = {row.identity: row.verdict for row in kept}
        sums = await counting.count(tx, kept, fresh, full=full, held=held, known=self._known)
        return verdicts_of(rows, holders, fresh, known), sums

    def _remember(self, stored: Collection[bytes], customers: set[CustomerId]) -> None:
        """Note which combinations and sets of meters a commit has stored, and whom to wake."""
        if len(self._known) + len(stored) > COMBINATIONS_MAX:
            self._known.clear()
        self._known.update(stored)
        if customers:
            self._moved |= customers
            self._committed.set()
            for told in self._watchers:
                told(customers)

    async def _tell_all(self) -> None:
        """Send wake-ups for what was committed; what comes while one is sent goes with the next."""
        while self._open or self._moved:
            await self._committed.wait()
            self._committed.clear()
            if self._moved:
                moved, self._moved = self._moved, set()
                await self._wakeups.publish(sorted(moved))


def _answers(requests: Sequence[_Waiting], verdicts: Iterable[Verdict]) -> list[list[Verdict]]:
    """Deal the verdicts of a flush out to its requests. Raises BatchRefused for an atomic one that has a bad row."""
    rest = iter(verdicts)
    return [_answer(request, [next(rest) for _ in request.rows]) for request in requests]


def _answer(request: _Waiting, decided: Iterable[Verdict]) -> list[Verdict]:
    """Put the verdicts of a request's rows between those of events that never became rows."""
    rest = iter(decided)
    answer = [verdict if verdict is not None else next(rest) for verdict in request.verdicts]
    bad = sum(verdict.is_bad for verdict in answer)
    if request.atomic and bad:
        raise BatchRefused(bad, tuple(answer))
    return answer


def _same(row: Row, again: Row | Verdict) -> Row:
    """Return a row as it was resolved anew; one that is rejected now is still looked up."""
    return again if isinstance(again, Row) else msgspec.structs.replace(row, verdict=again, place=None, counts=())


def _give(requests: Iterable[_Waiting], answers: Iterable[list[Verdict]]) -> None:
    for request, answer in zip(requests, answers, strict=True):
        if not request.answer.done():
            request.answer.set_result(answer)


def _fail(request: _Waiting, fault: Exception) -> None:
    if not request.answer.done():
        request.answer.set_exception(fault)
