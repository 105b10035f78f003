"""Stage every closing that is due, and look again and again until the workers have done them.

What is staged stays so: broken off and started again, the command goes on with what is left.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from api.seed import operator_call, operator_database
from domain.config import Settings
from domain.contracts.closing import service as closing
from domain.contracts.closing.service import Standing
from domain.contracts.closing.store import Refused
from domain.db import Database
from domain.kernel.call import Call
from domain.kernel.ids import encode
from domain.kernel.values import dataclass

LOOK_EVERY_S = 0.5
# A closing that was refused once may have met another transaction; after the second time a person is told.
ATTEMPTS_MIN = 2
IDLE = timedelta(seconds=15)
NO_WORKER = "nothing was closed for 15 seconds: is a worker running? Start one with: tollgate work"


@dataclass(frozen=True, slots=True)
class Summary:
    """How many subscriptions were closed of those that were due, and which could not be, at most REFUSED_MAX."""

    due: int
    closed: int
    refused: Sequence[Refused]


async def close_all(
    settings: Settings, *, progress: Callable[[int, int], None], warn: Callable[[str], None]
) -> Summary:
    """Close what is due in real time at this instant; ends when nothing is left but what was refused.

    `progress` is told (done, of all), `warn` once a sentence where nothing moves. Safe to repeat and to break off.
    """
    async with operator_database(settings) as database:
        start = operator_call()
        last = first = await _look(database, start)
        moved_at, warned = start.at, False
        while last.is_moving:
            progress(first.due - last.due, first.due)
            await asyncio.sleep(LOOK_EVERY_S)
            now = operator_call().at
            found = await _look(database, start)
            moved_at = now if found.due < last.due else moved_at
            if now - moved_at > IDLE and not warned:
                warn(NO_WORKER)
                warned = True
            last = found
        progress(first.due - last.due, first.due)
        return Summary(first.due, first.due - last.due, last.refused)


async def _look(database: Database, start: Call) -> Standing:
    """Stage what is not, and see what is left of that which was due at the start."""
    async with database.transaction() as tx:
        await closing.stage_due(tx, start, clock_id=None)
        return await closing.standing(tx, start, now=start.at, attempts_min=ATTEMPTS_MIN)


def report(summary: Summary) -> Iterator[str]:
    """Write what became of them: how many were closed, and what each other one was refused for."""
    yield f"{summary.closed:,} of {summary.due:,} subscriptions closed, {summary.due - summary.closed:,} could not be"
    for each in summary.refused:
        of, what = encode("customer", each.customer_id), encode("subscription", each.subscription_id)
        yield f"  {of}  {what}  {each.error}, tried {each.attempts} times"
