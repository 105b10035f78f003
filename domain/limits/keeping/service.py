"""Keep decisions: refusals before they are answered, a sample of permits in a while."""

import asyncio
from dataclasses import field
from itertools import islice
from uuid import UUID

import msgspec

from domain.db import Database
from domain.kernel.call import Call
from domain.kernel.values import dataclass
from domain.limits import store
from domain.limits.explanation import SAMPLE, Decision, decision_of
from domain.limits.judging import Answer
from domain.limits.request import Question

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
    _permits: list[Decision] = field(default_factory=list)

    async def keep(self, refusal: Decision) -> None:
        """Keep a refusal; it is committed when this returns.

        Whoever comes first writes for those that wait. Raises DATABASE_ERRORS: each of them then tries by itself.
        """
        self._refusals[refusal.id] = refusal
        try:
            async with self._lock:
                if refusal.id not in self._refusals:
                    return
                some = {refusal.id: refusal, **dict(islice(self._refusals.items(), KEEP_MAX))}
                async with self.db.transaction() as tx:
                    await store.insert_decisions(tx, list(some.values()))
                for each in some:
                    self._refusals.pop(each, None)
        finally:
            self._refusals.pop(refusal.id, None)

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
