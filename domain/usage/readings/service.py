"""Load what the slower meters of a flush need before it is judged, and write what became of it."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from domain.plans.exact import EXACT
from domain.usage.combination import ALL
from domain.usage.ladder import Ladder, Step
from domain.usage.movement import Books, LadderKey, Move, Slow, ladder_keys, step_of
from domain.usage.readings import store

_NO_KEY = bytes(16)
_NO_SEGMENT = bytes(16)


async def open_books(driver: store.Driver, levels: dict[bytes, Decimal], moves: Iterable[Move]) -> Books:
    """Load the ladders on which events move. `levels` hold where levels stand, by keys that the caller has locked."""
    spans: dict[LadderKey, tuple[datetime, datetime]] = {}
    for move in moves:
        for key in ladder_keys(move):
            first, last = spans.get(key, (move.at, move.at))
            spans[key] = (min(first, move.at), max(last, move.at))
    if not spans:
        return Books(levels, {})
    steps = await store.load_steps(driver, spans)
    below = await store.load_below(driver, spans)
    return Books(levels, {key: Ladder.of(_base(key, levels, below[key]), steps[key]) for key in spans})


def _base(key: LadderKey, levels: Mapping[bytes, Decimal], below: tuple[Decimal, Decimal]) -> Decimal:
    """Return where a ladder starts: a level less what it changed since, or else the value that was set last."""
    risen, value = below
    if key.meter.is_level:
        return EXACT.subtract(levels[key.subscription + key.meter.id.bytes + key.combination], risen)
    return value


async def write(driver: store.Driver, books: Books, slow: Slow) -> None:
    """Write readings, histograms and extremes of admitted events; hours and totals have been added to already."""
    new: list[tuple[LadderKey, Step]] = []
    changed: list[tuple[LadderKey, Step]] = []
    gone: list[tuple[LadderKey, Step]] = []
    for key, ladder in books.ladders.items():
        gone += [(key, step) for step in ladder.gone.values()]
        for event_id, change in ladder.changes.items():
            if event_id in ladder.fresh:
                new.append((key, change.step))
            elif event_id not in ladder.gone and change.step.delta != change.before:
                changed.append((key, change.step))
    extremes = [(_extreme_key(move), step_of(move), move.sign) for move in slow.extremes]
    await store.insert_readings(driver, [*new, *((key, step) for key, step, sign in extremes if sign > 0)])
    await store.save_deltas(driver, changed)
    await store.delete_readings(driver, [*gone, *((key, step) for key, step, sign in extremes if sign < 0)])
    await store.add_values(driver, slow.values)
    await store.add_beside(driver, slow.beside)
    await _write_extremes(driver, slow.extremes)


def level_keys(moves: Iterable[Move]) -> set[bytes]:
    """Return the keys of the levels to lock for events: also of kinds that are none, for one transaction at a time."""
    return {key for move in moves for key in move.level_keys}


def _extreme_key(move: Move) -> LadderKey:
    start = move.customer + move.place.subscription.id.bytes
    return LadderKey(start, move.what.meter, move.what.combination.id, _NO_KEY, _NO_SEGMENT)


async def _write_extremes(driver: store.Driver, moves: Collection[Move]) -> None:
    """Let added values compete for the extremes; where one was taken back, find the extremes of its meter anew."""
    again = {(move.place.segment.key, move.what.meter.id) for move in moves if move.sign < 0}
    added = [move for move in moves if (move.place.segment.key, move.what.meter.id) not in again]
    hours: dict[bytes, tuple[Decimal, int, bool]] = {}
    totals: dict[bytes, tuple[Decimal, int, bool]] = {}
    for move in added:
        _compete(hours, move.total_key + move.hour, move)
        for key in _total_keys(move):
            _compete(totals, key, move)
    await store.raise_hours(driver, hours)
    await store.raise_totals(driver, totals)
    anew = [move for move in moves if (move.place.segment.key, move.what.meter.id) in again]
    await store.read_hours_again(driver, anew)
    is_max = {key: move.what.meter.aggregation == "max" for move in anew for key in _total_keys(move)}
    await store.read_totals_again(driver, is_max)


def _total_keys(move: Move) -> set[bytes]:
    return {move.total_key, move.place.segment.key + move.what.meter.id.bytes + ALL}


def _compete(found: dict[bytes, tuple[Decimal, int, bool]], key: bytes, move: Move) -> None:
    is_max = move.what.meter.aggregation == "max"
    value, events, _ = found.get(key, (move.what.quantity, 0, is_max))
    better = max(value, move.what.quantity) if is_max else min(value, move.what.quantity)
    found[key] = (better, events + 1, is_max)
