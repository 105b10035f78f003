"""Settle and release reservations. What was used is always recorded, once, whatever became of the reservation."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

import structlog

from domain.db import Database, Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import SubscriptionId, encode
from domain.kernel.money import exact_text
from domain.limits.leasing.service import Leases
from domain.limits.questioning.service import Questions, question_of, refused_of
from domain.limits.request import AccessSuspended, EstimateRefused, MovedError, NothingSubscribed, Settled
from domain.limits.reservation import (
    SOURCE,
    Change,
    Measure,
    Name,
    Reservation,
    State,
    StoredReservation,
    check_reference,
    excess_of,
)
from domain.limits.settling import store
from domain.limits.shelf import Shelf
from domain.usage.event import UsageEvent
from domain.usage.recording.service import Recorder
from domain.usage.resolve import Row
from domain.usage.verdict import Status

# Reservations of which news are asked in one statement.
FOLLOW_MAX = 5_000
# Rows of reservations are written a moment after the answer: one that another process has just made is waited for.
UNWRITTEN_POLLS = 4
UNWRITTEN_POLL_S = 0.1
# Stands where a lost reservation was settled that no subscription covers any more.
NO_SUBSCRIPTION = SubscriptionId(UUID(int=0))
_log = structlog.get_logger()
_COUNTED = {Status.COUNTED, Status.DUPLICATE}


class Endings:
    """How the reservations of one process end, and those of others that it is told of."""

    def __init__(self, db: Database, recorder: Recorder, questions: Questions, leases: Leases, shelf: Shelf) -> None:
        self._db = db
        self._recorder = recorder
        self._questions = questions
        self._leases = leases
        self._shelf = shelf

    async def settle(
        self,
        call: Call,
        name: Name,
        *,
        measure: Measure,
        properties: Mapping[str, Any],
        occurred_at: Any = None,
        reference: str | None = None,
    ) -> Settled:
        """Record what was used, in the place of the hold. The event counts before the hold goes.

        Raises ReservationNotFound, ReservationMalformed, EstimateRefused, CustomerErased, and what recording raises.
        """
        event_type = await self._questions.owned_type(call, name)
        await self._check_stated(call, event_type, measure, properties)
        check_reference(reference)
        customer = encode("customer", name.customer_id)
        event = UsageEvent(name.text, event_type, customer, None, occurred_at, dict(properties))
        inner = replace(call, principal=replace(call.principal, source=SOURCE))
        row = await self._questions.row(inner, event)
        [verdict] = await self._recorder.record(inner, [event])
        if verdict.status is Status.REJECTED:
            raise refused_of(verdict)
        used = await self._used(call, row) if verdict.status in _COUNTED else {}
        before, stored, backed = await self._end(call, name, used)
        if before is None and verdict.status is Status.COUNTED:
            self._note(row, used)
        if stored is not None and stored.state is State.SETTLED:
            return Settled(verdict, stored.overrun)
        overrun = excess_of(used, backed)
        ended = before or _unknown(call, name, event_type, row)
        async with self._db.transaction() as tx:
            is_news = await store.save_ended(
                tx,
                ended,
                holder=self._leases.holder,
                state=State.SETTLED,
                at=call.at,
                measure=measure,
                reference=reference,
                overrun=overrun,
            )
            if overrun and is_news:
                await _note_overrun(tx, call, ended, overrun)
        if overrun and is_news:
            _log.error("limit_overrun", reservation=name.text, limits=sorted(overrun))
        return Settled(verdict, overrun)

    async def _check_stated(self, call: Call, event_type: str, measure: Measure, properties: Mapping[str, Any]) -> None:
        """Refuse a priced event that says nothing: it would count as a call that used nothing, and could not be mended.

        Raises EstimateRefused, LimitsUnavailable.
        """
        if measure is Measure.UNKNOWN or properties:
            return
        if await self._questions.is_priced(call, event_type):
            raise EstimateRefused("`properties` are empty; state what was used, or settle with the status unknown")

    async def release(self, call: Call, name: Name) -> bool:
        """Give a hold back; whether there was one. Safe to repeat. Raises ReservationNotFound."""
        event_type = await self._questions.owned_type(call, name)
        stored = await self.find(name)
        held = self._shelf.take(name)
        if held is not None:
            self._give_back(held)
        elif stored is not None and stored.state is State.HELD:
            held = _restored(name, event_type, stored)
        if held is None:
            return False
        self._shelf.close(name)
        async with self._db.transaction() as tx:
            is_news = await store.save_ended(tx, held, holder=self._leases.holder, state=State.RELEASED, at=call.at)
        return is_news and call.at < held.expires_at

    def expire(self, at: datetime) -> None:
        """Let go of what was held past its time."""
        for held in self._shelf.expired(at):
            self._shelf.take(held.name)
            book = self._leases.find_book(held.subscription_id)
            if book is not None:
                book.drop(held.holds, held.period_start_at)

    async def follow(self) -> None:
        """Do here what became of reservations in other processes: those settled there were counted there."""
        times = list(self._shelf.times.items())
        for start in range(0, len(times), FOLLOW_MAX):
            some = dict(times[start : start + FOLLOW_MAX])
            async with self._db.transaction() as tx:
                changes = await store.list_changes(tx, self._leases.holder, some)
            for name in some:
                change = changes.get((name.customer_id, name.key))
                if change is not None:
                    self._follow(name, change)

    def _follow(self, name: Name, change: Change) -> None:
        held = self._shelf.find_any(name)
        if held is None:
            return
        if change.state is State.HELD and change.holder == self._leases.holder:
            held.expires_at = max(held.expires_at, change.expires_at)
            return
        self._shelf.take(name)
        if change.state is not State.HELD:
            self._shelf.close(name)
        book = self._leases.find_book(held.subscription_id)
        if book is None:
            return
        if change.state is State.SETTLED:
            book.settle(held.holds, held.holds, held.period_start_at)
        else:
            book.give_back(held.holds, held.period_start_at)

    def _give_back(self, held: Reservation) -> None:
        book = self._leases.find_book(held.subscription_id)
        if book is not None:
            book.give_back(held.holds, held.period_start_at)

    async def _end(
        self, call: Call, name: Name, used: Mapping[str, Fraction]
    ) -> tuple[Reservation | None, StoredReservation | None, Mapping[str, Fraction]]:
        """Let the hold go that became usage. Return it, what is stored of it, and what of it still stood."""
        stored = await self.find(name)
        held = self._shelf.take(name)
        self._shelf.close(name)
        if held is None:
            is_open = stored is not None and stored.state is State.HELD and call.at < stored.expires_at
            return None, stored, stored.holds if stored is not None and is_open else {}
        book = self._leases.find_book(held.subscription_id)
        if book is None:
            return held, stored, {}
        backed = book.backed(held.holds, held.period_start_at, call.at) if call.at < held.expires_at else {}
        book.settle(held.holds, used, held.period_start_at)
        return held, stored, backed

    def _note(self, row: Row, used: Mapping[str, Fraction]) -> None:
        """Count what was held elsewhere, or nowhere, in this process's own numbers."""
        book = self._leases.find_book(row.place.subscription.id) if row.place is not None else None
        if book is not None:
            book.settle({}, used, book.account.period.start)

    async def _used(self, call: Call, row: Row) -> Mapping[str, Fraction]:
        """Say what an event counted on each limit that has a bound."""
        if row.place is None:
            return {}
        question = question_of(row)
        book = self._leases.find_book(question.place.subscription_id)
        try:
            account = book.account if book is not None else await self._leases.read(call, question.place)
        except (MovedError, NothingSubscribed, AccessSuspended):
            return {}
        asks = account.asks_of(question.estimate)
        bounded = {key for key in asks if account.lines[key].bound_at(question.place.now) is not None}
        return {key: asked for key, asked in asks.items() if key in bounded}

    async def find(self, name: Name) -> StoredReservation | None:
        """Return what is stored of a reservation; one that is not held here and not stored is waited for, not long."""
        for left in reversed(range(UNWRITTEN_POLLS)):
            async with self._db.transaction() as tx:
                stored = await store.find_reservation(tx, name)
            if stored is not None or self._shelf.find_any(name) is not None or not left:
                break
            await asyncio.sleep(UNWRITTEN_POLL_S)
        return stored


async def _note_overrun(tx: Tx, call: Call, ended: Reservation, overrun: Mapping[str, Fraction]) -> None:
    """Write down what was used above a hold, and have staff told."""
    name, facts = ended.name, {key: exact_text(amount) for key, amount in overrun.items()}
    await journal.audit(tx, call, "limit_overrun", name.text, customer_id=name.customer_id, facts={"overrun": facts})
    environment = call.principal.environment
    assert environment is not None, "a key that settles has one"
    told = {
        "customer_id": encode("customer", name.customer_id),
        "reservation": name.text,
        "limits": ", ".join(sorted(overrun)),
    }
    about = encode("subscription", ended.subscription_id)
    await journal.stage(tx, call, jobs.TellStaff("limit_overrun", about, environment, json.dumps(told)))


def _restored(name: Name, event_type: str, stored: StoredReservation) -> Reservation:
    """Make a reservation of another process again from its row."""
    return Reservation(
        name,
        stored.subscription_id,
        event_type,
        stored.period_start_at,
        stored.created_at,
        stored.expires_at,
        dict(stored.holds),
        stored.asked,
        stored.cost,
        stored.is_metered,
    )


def _unknown(call: Call, name: Name, event_type: str, row: Row) -> Reservation:
    """Make the row of a reservation that was lost: it held nothing that is known of."""
    subscription_id = row.place.subscription.id if row.place is not None else NO_SUBSCRIPTION
    return Reservation(name, subscription_id, event_type, call.at, call.at, call.at)
