"""Look at unanswered calls one after another: one that stays unanswered is put off, and holds nobody up."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from domain.db import Database, Tx
from domain.kernel.call import Call
from domain.kernel.errors import DomainError
from domain.kernel.ids import CustomerId
from domain.payments.overdue import store
from domain.payments.overdue.back_off import next_after

# A gateway that leaves so many unanswered one after another is left alone until the next time.
FAILURES_MAX = 5
FORGET_AFTER = timedelta(days=1)
FORGET_BATCH = 5_000


class Unanswered(Protocol):
    """A row whose call was sent, and of which nothing certain is known."""

    @property
    def customer_id(self) -> CustomerId:
        """Whose it is."""
        ...

    @property
    def id(self) -> UUID:
        """Its own id."""
        ...


Row = TypeVar("Row", bound=Unanswered)


async def look_at(db: Database, call: Call, rows: Sequence[Row], look: Callable[[Row], Awaitable[object]]) -> int:
    """Look at rows in order and return how many have their answer; stop after FAILURES_MAX that have none.

    The next look is written before this one is made: also a row that ends the process comes last from then on.
    """
    answered, failures = 0, 0
    for row in rows:
        async with db.transaction() as tx:
            looks = await store.count_looks(tx, row.customer_id, row.id) + 1
            next_at = call.at + next_after(looks)
            await store.upsert_look(tx, row.customer_id, row.id, looks=looks, next_at=next_at)
        try:
            await look(row)
        except DomainError:
            failures += 1
        else:
            answered += 1
            async with db.transaction() as tx:
                await store.delete_look(tx, row.customer_id, row.id)
        if failures == FAILURES_MAX:
            break
    return answered


async def forget(tx: Tx, call: Call) -> int:
    """Forget looks that were due long ago and not made: their rows have been answered otherwise. Return how many."""
    return await store.delete_looks(tx, due_before=call.at - FORGET_AFTER, limit=FORGET_BATCH)
