"""Keep decisions: refusals before they are answered, a sample of permits in a while."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import field
from itertools import islice
from uuid import UUID

import msgspec

from domain.db import Database, Tx
from domain.kernel.call import Call
from domain.kernel.values import dataclass
from domain.limits import store
from domain.limits.explanation import SAMPLE, Decision, decision_of
from domain.limits.judging import Answer
from domain.limits.leasing import store as leasing
from domain.limits.request import Question
from domain.limits.reservation import Earlier

# Permits that wait to be kept; a sample may be lost.
PERMITS_MAX = 1_000
# Refusals that are written together.
KEEP_MAX = 500


@dataclass(slots=True)
class Keeper:
    """One per process. Refusals that wait are bounded by the requests under way."""

    db: Database
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _refusals: dict[UUID, Decision] = field(default_factory=dict)
    _earlier: dict[UUID, Earlier] = field(default_factory=dict)
    _permits: list[Decision] = field(default_factory=list)

    async def keep(self, refusal: Decision) -> Earlier | None:
        """Keep a refusal; it is committed when this returns. Return what is stored of the reservation, if anything is.

        Where that answers for the request (`is_final`), it is no refusal, and is not kept. Whoever comes first writes
        for those that wait. Raises DATABASE_ERRORS: each of them then tries by itself.
        """
        self._refusals[refusal.id] = refusal
        try:
            async with self._lock:
                if refusal.id in self._refusals:
                    await self._write({refusal.id: refusal, **dict(islice(self._refusals.items(), KEEP_MAX))})
            return self._earlier.get(refusal.id)
        finally:
            self._refusals.pop(refusal.id, None)
            self._earlier.pop(refusal.id, None)

    async def _write(self, refusals: Mapping[UUID, Decision]) -> None:
        async with self.db.transaction() as tx:
            earlier = await _earlier_of(tx, list(refusals.values()))
            kept = [
                each for each in refusals.values() if each.id not in earlier or not earlier[each.id].is_final(each.at)
            ]
            await store.insert_decisions(tx, kept)
        for each in refusals:
            # Who does not wait any more takes nothing.
            if self._refusals.pop(each, None) is not None and each in earlier:
                self._earlier[each] = earlier[each]

    def sampled(self, call: Call, question: Question, answer: Answer, asked_by: str) -> Answer:
        """Have one permit in SAMPLE kept by the next `save`, chosen by the id of the call; a mere check writes none."""
        if not answer.is_allowed or call.id.int % SAMPLE or len(self._permits) >= PERMITS_MAX:
            return answer
        kept = msgspec.structs.replace(answer, decision=call.new_id())
        self._permits.append(
            decision_of(
                kept,
                at=call.at,
                asked_by=asked_by,
                customer_id=question.place.customer_id,
                subscription_id=question.place.subscription_id,
                event_type=question.estimate.event_type,
                reservation_id=None,
            )
        )
        return kept

    async def save(self) -> None:
        """Keep the permits that wait."""
        if self._permits:
            permits, self._permits = self._permits, []
            async with self.db.transaction() as tx:
                await store.insert_decisions(tx, permits)


async def _earlier_of(tx: Tx, refusals: Sequence[Decision]) -> dict[UUID, Earlier]:
    """Return what is stored of the reservations that were refused, by the ids of the decisions."""
    asked = [each for each in refusals if each.asked_by == "reserve" and each.reservation_id is not None]
    wanted = [(each.customer_id, each.reservation_id, each.at) for each in asked if each.reservation_id is not None]
    found = await leasing.list_earlier(tx, wanted)
    return {
        each.id: found[each.customer_id, each.reservation_id]
        for each in asked
        if each.reservation_id is not None and (each.customer_id, each.reservation_id) in found
    }
