"""Make recurring tasks known, and take those that are due."""

from collections.abc import Collection, Mapping
from datetime import timedelta

from domain.db import Tx
from domain.journal.recurring import store
from domain.kernel.call import Call


async def announce(tx: Tx, call: Call, every_s: Mapping[str, int]) -> None:
    """Make recurring tasks known by name, with their intervals in seconds. Safe to repeat."""
    for name, seconds in every_s.items():
        await store.insert_schedule(tx, name=name, every_s=seconds, first_at=call.at)


async def take_due_tasks(tx: Tx, call: Call, names: Collection[str]) -> list[str]:
    """Return those of some recurring tasks that are due and set when each runs next; another worker's are skipped."""
    due = await store.lock_due_schedules(tx, names, at=call.at)
    for name, every_s in due:
        await store.save_schedule(tx, name=name, next_run_at=call.at + timedelta(seconds=every_s))
    return [name for name, _ in due]
