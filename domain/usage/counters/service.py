"""Add what events count to the totals of counters and to their hours."""

from domain.usage.counters import store
from domain.usage.counters.counter import Packs

_TOTAL_BYTES = 64


async def add(driver: store.Driver, packs: Packs) -> set[bytes]:
    """Add sums by the hour; return the 64-byte keys of totals that were new.

    A total takes its newest hour with it, in one row; only what belongs to an hour before is written apart. Totals are
    written in the order of their keys, and an hour only by who holds its total, so that no two flushes wait in a ring.
    """
    if not packs.sums:
        return set()
    newest: dict[bytes, bytes] = {}
    for key in packs.sums:
        total = key[:_TOTAL_BYTES]
        if key > newest.get(total, b""):
            newest[total] = key
    new, late = await store.add_totals(driver, {key: packs.sums[key] for key in newest.values()})
    older = {} if len(newest) == len(packs.sums) else packs.sums.keys() - set(newest.values())
    if older:
        await store.add_running(driver, {key: packs.sums[key] for key in older})
    if older or late:
        await store.add_hours(driver, {key: packs.sums[key] for key in (*older, *late)})
    return new
