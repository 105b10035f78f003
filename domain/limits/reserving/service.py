"""Check, reserve, extend, settle and release: the use cases of limits while calls run.

What is warm is answered from memory; everything else asks the database under the lock of the subscription's drawer.
See docs/decisions/0012-leases.md.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import structlog

from domain.access.roles import Permission
from domain.db import DATABASE_ERRORS, Database
from domain.kernel.call import Call
from domain.kernel.ids import encode
from domain.limits.drawer import Drawer
from domain.limits.judging import Answer, permit
from domain.limits.keeping.service import Keeper
from domain.limits.leasing.service import Leases
from domain.limits.questioning.service import Questions
from domain.limits.request import (
    Asking,
    LimitsUnavailable,
    MovedError,
    Question,
    Reserved,
    Settled,
    Wanted,
)
from domain.limits.reservation import (
    EXPIRES_IN_S_DEFAULT,
    Earlier,
    Measure,
    Name,
    Reservation,
    ReservationClosed,
    ReservationNotFound,
    State,
    check_expiry,
    read_name,
)
from domain.limits.reserving.warm import Memory, new_reservation
from domain.limits.settling import store
from domain.limits.settling.service import Endings
from domain.limits.shelf import RESERVATIONS_MAX, Shelf
from domain.plans.plan import Catalogue
from domain.usage.recording.service import Recorder

SAVE_MAX = 2_000
TICK_S = 0.1
SYNC_EVERY = timedelta(seconds=2)
# A request is understood again when a border moved under it.
STARTS_MAX = 3
_NOTHING = Fraction(0)
_log = structlog.get_logger()


class Reserver:
    """One per process: start it before the first reservation, stop it after the last.

    `memory` answers what needs no waiting; what is understood here is looked for there too.
    """

    def __init__(
        self,
        db: Database,
        recorder: Recorder,
        catalogue: Callable[[], Awaitable[Catalogue]],
        *,
        holder: UUID,
        now: Callable[[], datetime],
        reservations_max: int = RESERVATIONS_MAX,
    ) -> None:
        self._db = db
        self._now = now
        self._questions = Questions(recorder.snapshots)
        self._leases = Leases(db, catalogue, holder)
        self._shelf = Shelf(reservations_max)
        recorder.watch(self._leases.note_moved)
        self._endings = Endings(db, recorder, self._questions, self._leases, self._shelf)
        self._keeper = Keeper(db)
        self.memory = Memory(self._questions, self._leases, self._shelf, self._keeper)
        self._synced_at: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """How many reservations are held in this process."""
        return len(self._shelf)

    def start(self) -> None:
        """Begin to answer recalls and to renew leases."""
        assert self._task is None, "a reserver is started once"
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write what is held, return what is free, and end. What is still held returns within a minute."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        with suppress(*DATABASE_ERRORS):
            await self._save()
            await self._leases.give_back(self._now())

    async def check(self, call: Call, wanted: Wanted) -> Answer:
        """Say whether something may be used now. Holds nothing.

        Raises Forbidden, KeyRecordsNothing, CustomerNotFound, NothingSubscribed, EstimateRefused, LimitsUnavailable,
        AccessSuspended.
        """
        call.need(Permission.LIMIT_CHECK)
        for _ in range(STARTS_MAX):
            question = await self._questions.question(call, wanted)
            try:
                return await self._check(call, question)
            except MovedError:
                await self._questions.forget(question.place.customer_id)
            except DATABASE_ERRORS as fault:
                return self.memory.known(call, question) or self._answer_alone(question, fault)
        raise LimitsUnavailable

    async def _check(self, call: Call, question: Question) -> Answer:
        known = self.memory.known(call, question)
        if known is not None:
            return known
        drawer = self._leases.drawer(question.place.subscription_id)
        since = drawer.looks
        async with drawer.lock:
            known = self.memory.known(call, question)
            if known is not None:
                return known
            asking = Asking(question.place, question.estimate, "check", takes=False)
            refused = await self._leases.refused(call, drawer, asking, since=since)
            if refused is None:
                return await self._leases.ask(call, drawer, asking)
        answer, decision = refused
        await self._keeper.keep(decision)
        return answer

    async def reserve(
        self, call: Call, wanted: Wanted, caller_id: str, *, expires_in_s: int = EXPIRES_IN_S_DEFAULT
    ) -> Reserved:
        """Hold an estimate on all limits that it feeds, or on none. Safe to repeat with the same id.

        Raises as `check`, and ReservationMalformed, ReservationClosed, ReservationConflict, LimitsBusy.
        """
        call.need(Permission.LIMIT_CHECK)
        call.need(Permission.USAGE_WRITE)
        expires_at = call.at + timedelta(seconds=check_expiry(expires_in_s))
        for _ in range(STARTS_MAX):
            question = await self._questions.question(call, wanted)
            new = new_reservation(call, question, caller_id, expires_at)
            try:
                return await self._reserve(call, question, new)
            except MovedError:
                await self._questions.forget(question.place.customer_id)
            except DATABASE_ERRORS as fault:
                answer = self._answer_alone(question, fault)
                self._shelf.put(new)
                return Reserved(answer, new)
        raise LimitsUnavailable

    async def _reserve(self, call: Call, question: Question, new: Reservation) -> Reserved:
        found = self.memory.held_before(new, question, call.at) or self.memory.hold(call, question, new)
        if found is not None:
            return found
        drawer = self._leases.drawer(question.place.subscription_id)
        since = drawer.looks
        async with drawer.lock:
            found = self.memory.held_before(new, question, call.at) or self.memory.hold(call, question, new)
            if found is not None:
                return found
            asking = Asking(question.place, question.estimate, "reserve", takes=True, reservation_id=new.name.key)
            refused = await self._leases.refused(call, drawer, asking, since=since)
            if refused is None:
                return await self._ask(call, drawer, question, asking, new)
        answer, decision = refused
        earlier = await self._keeper.keep(decision)
        if earlier is not None and earlier.still_holds(new.asked, call.at):
            return self.memory.held_elsewhere(new, question, earlier)
        return Reserved(answer)

    async def _ask(self, call: Call, drawer: Drawer, question: Question, asking: Asking, new: Reservation) -> Reserved:
        """Ask the database for a reservation. The drawer is locked."""
        earlier: Earlier | None = None

        def look(stored: Earlier | None) -> bool:
            nonlocal earlier
            earlier = stored
            return stored is not None and stored.still_holds(new.asked, call.at)

        answer = await self._leases.ask(call, drawer, asking, look=look)
        if answer.is_allowed:
            self._hold(call, drawer, asking, new)
            return Reserved(self._keeper.sampled(call, question, answer, "reserve"), new, earlier is None)
        if earlier is not None and look(earlier):
            return self.memory.held_elsewhere(new, question, earlier)
        return Reserved(answer)

    def _hold(self, call: Call, drawer: Drawer, asking: Asking, into: Reservation) -> None:
        """Hold what was asked for; it is there."""
        book = drawer.book
        assert book is not None, "it was read"
        self.memory.put(call, book, asking.asks_of(book.account), into)

    def _answer_alone(self, question: Question, fault: Exception) -> Answer:
        """Answer while the database is out of reach, as the limits say. Raises LimitsUnavailable."""
        book = self._leases.find_book(question.place.subscription_id)
        if book is None:
            raise LimitsUnavailable from fault
        asks = book.account.asks_of(question.estimate)
        bounded = [book.account.lines[key] for key in asks]
        bounded = [line for line in bounded if line.bound_at(question.place.now) is not None]
        if book.account.unpriceable(question.estimate) or any(
            line.allowance.on_failure == "closed" for line in bounded
        ):
            raise LimitsUnavailable from fault
        _log.warning("limits_open", customer=encode("customer", question.place.customer_id))
        return permit(book.account, asks, book.held(asks), question.place.now)

    async def settle(
        self,
        call: Call,
        name: str,
        *,
        measure: Measure,
        properties: Mapping[str, Any],
        occurred_at: Any = None,
        reference: str | None = None,
    ) -> Settled:
        """Record what was used in the place of what was held, once; also after expiry, release or loss.

        Safe to repeat. Raises Forbidden, KeyRecordsNothing, ReservationNotFound, ReservationMalformed,
        EstimateRefused, LimitsUnavailable, UsageBusy, UsageUnavailable.
        """
        call.need(Permission.LIMIT_CHECK)
        call.need(Permission.USAGE_WRITE)
        read = read_name(name)
        try:
            return await self._endings.settle(
                call, read, measure=measure, properties=properties, occurred_at=occurred_at, reference=reference
            )
        except DATABASE_ERRORS as fault:
            raise LimitsUnavailable from fault

    async def release(self, call: Call, name: str) -> bool:
        """Give back what was held; whether anything was. Safe to repeat.

        Raises Forbidden, KeyRecordsNothing, ReservationNotFound, LimitsUnavailable.
        """
        call.need(Permission.LIMIT_CHECK)
        call.need(Permission.USAGE_WRITE)
        read = read_name(name)
        try:
            return await self._endings.release(call, read)
        except DATABASE_ERRORS as fault:
            raise LimitsUnavailable from fault

    async def extend(
        self, call: Call, name: str, *, expires_in_s: int, properties: Mapping[str, Any] | None = None
    ) -> Reserved:
        """Hold longer, and more where a larger estimate is given; what is held already stays, also on a refusal.

        Raises Forbidden, KeyRecordsNothing, ReservationNotFound, ReservationMalformed, ReservationClosed,
        NothingSubscribed, EstimateRefused, LimitsBusy, LimitsUnavailable.
        """
        call.need(Permission.LIMIT_CHECK)
        call.need(Permission.USAGE_WRITE)
        expires_at, read = call.at + timedelta(seconds=check_expiry(expires_in_s)), read_name(name)
        event_type = await self._questions.owned_type(call, read)
        wanted = Wanted(encode("customer", read.customer_id), event_type, properties or {})
        for _ in range(STARTS_MAX):
            try:
                if properties is None:
                    return await self._lengthen(call, read, expires_at)
                question = await self._questions.question(call, wanted)
                return await self._extend(call, question, read, expires_at)
            except MovedError:
                await self._questions.forget(read.customer_id)
            except DATABASE_ERRORS as fault:
                raise LimitsUnavailable from fault
        raise LimitsUnavailable

    async def _lengthen(self, call: Call, name: Name, expires_at: datetime) -> Reserved:
        """Hold as much for longer, never for shorter. The process that holds it finds the later time in its row."""
        held = self._shelf.find(name, call.at)
        if held is None:
            held = await self._adoptable(call, name)
            async with self._db.transaction() as tx:
                if not await store.save_expiry(tx, name, expires_at):
                    raise ReservationClosed
            held.expires_at = max(held.expires_at, expires_at)
        else:
            held.expires_at = max(held.expires_at, expires_at)
            self._shelf.put(held)
        return Reserved(Answer(()), held, is_new=False)

    async def _extend(self, call: Call, question: Question, name: Name, expires_at: datetime) -> Reserved:
        """Hold what a larger estimate asks for beside what is held. Raises MovedError where it ended meanwhile."""
        own = self._shelf.find(name, call.at)
        held = own or await self._adoptable(call, name)
        drawer = self._leases.drawer(question.place.subscription_id)
        async with drawer.lock:
            asking = Asking(
                question.place, question.estimate, "extend", takes=True, held=held, reservation_id=held.name.key
            )
            answer = await self._leases.ask(call, drawer, asking)
            if not answer.is_allowed:
                return Reserved(answer)
            if self._shelf.find_any(name) is not own:
                # What it held was let go of, and what was leased beside it is free: nothing of it is held twice.
                raise MovedError
            held.expires_at = max(held.expires_at, expires_at)
            held.cost = max(held.cost or Decimal(0), question.estimate.cost or Decimal(0)) or held.cost
            self._hold(call, drawer, asking, held)
        return Reserved(self._keeper.sampled(call, question, answer, "extend"), held, is_new=False)

    async def _adoptable(self, call: Call, name: Name) -> Reservation:
        """Return a reservation of another process as one that holds nothing here. Raises as `extend`."""
        self._shelf.check_room(name)
        stored = await self._endings.find(name)
        if stored is None or (stored.state is State.HELD and call.at >= stored.expires_at):
            raise ReservationNotFound
        if stored.state is not State.HELD:
            raise ReservationClosed
        return Reservation(
            name,
            stored.subscription_id,
            stored.event_type,
            stored.period_start_at,
            stored.created_at,
            stored.expires_at,
            asked=stored.asked,
            cost=stored.cost,
            is_metered=stored.is_metered,
        )

    async def tick(self, at: datetime) -> None:
        """Answer recalls and write what waits; from time to time let go of what has ended, and renew leases."""
        await self._save()
        recalled = await self._leases.recalled()
        is_due = self._synced_at is None or at - self._synced_at >= SYNC_EVERY
        if recalled or is_due:
            # What ended here or elsewhere is idle, and may be what somebody needs.
            self._endings.expire(at)
            await self._endings.follow()
            await self._leases.answer_recalls(recalled, at)
        if is_due:
            self._synced_at = at
            await self._leases.keep(at)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self.tick(self._now())
            except DATABASE_ERRORS as fault:
                _log.warning("limits_wait", error=type(fault).__name__)
            except Exception:  # noqa: BLE001 -- without this loop every lease would end, whatever one round met
                _log.exception("limits_failed")

    async def _save(self) -> None:
        """Write reservations and permits that were answered already."""
        while waiting := self._shelf.unsaved(SAVE_MAX):
            self._shelf.saved(waiting)
            try:
                async with self._db.transaction() as tx:
                    await store.save_held(tx, self._leases.holder, waiting)
            except DATABASE_ERRORS:
                self._shelf.unsave(waiting)
                raise
        await self._keeper.save()
