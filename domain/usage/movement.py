"""What events do to meters whose totals are not sums of what each event adds.

A move is one event that is counted by one such meter (sign 1), or taken back from it (-1). Levels and keys that are
set, and the latest value, move on ladders; extremes and histograms are written from the moves themselves. Everything
comes out as changes of hours and totals, so that these are written by addition like any others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from domain.kernel.values import dataclass
from domain.plans.exact import EXACT
from domain.plans.meter import Meter
from domain.usage.combination import ALL
from domain.usage.event import micros
from domain.usage.ladder import Ladder, Step, Stretch
from domain.usage.resolve import Count, Place

_ZERO, _ONE = Decimal(0), Decimal(1)
_MICROSECOND = timedelta(microseconds=1)
_ANY_SEGMENT = bytes(16)


class Move(NamedTuple):
    """An event and one meter; `id` is that of the event's row."""

    sign: int
    id: bytes
    at: datetime
    customer: bytes
    place: Place
    what: Count

    @property
    def hour(self) -> bytes:
        """The hour in which it is counted, as the end of a total's key."""
        return micros(self.place.hour_at)

    @property
    def level_keys(self) -> list[bytes]:
        """The keys of what stands for its combination, and for all of them together."""
        start = self.customer + self.place.subscription.id.bytes
        own = start + self.what.combination.key
        return [own] if self.what.combination.id == ALL else [own, start + self.what.meter.id.bytes + ALL]

    @property
    def total_key(self) -> bytes:
        """The key of the running total of its combination."""
        return self.place.segment.key + self.what.combination.key


class LadderKey(NamedTuple):
    """Which readings follow one another: of a combination and a key, and in one segment where nothing carries over."""

    subscription: bytes
    meter: Meter
    combination: bytes
    key: bytes
    segment: bytes


@dataclass(frozen=True, slots=True)
class Slow:
    """Changes by the keys of hours, totals and levels. In `apart` are the groups whose combinations do not add up."""

    hours: dict[bytes, Decimal] = field(default_factory=dict)
    wholes: dict[bytes, Decimal] = field(default_factory=dict)
    apart: set[bytes] = field(default_factory=set)
    beside: dict[bytes, Decimal] = field(default_factory=dict)
    values: dict[tuple[bytes, Decimal], int] = field(default_factory=dict)
    extremes: list[Move] = field(default_factory=list)


def climbs(meter: Meter) -> bool:
    """Whether what an event changes depends on what came before it in the order of time."""
    return meter.aggregation in {"unique_count", "latest"} or meter.operation_property is not None


def ladder_keys(move: Move) -> list[LadderKey]:
    """Return the ladders on which an event moves: also one over all combinations, where these do not add up."""
    meter, combination = move.what.meter, move.what.combination.id
    if not climbs(meter):
        return []
    scopes = [combination] if meter.is_summed or combination == ALL else [combination, ALL]
    segment = _ANY_SEGMENT if meter.carries else move.place.segment.id.bytes
    start = move.customer + move.place.subscription.id.bytes
    return [LadderKey(start, meter, scope, move.what.key, segment) for scope in scopes]


def step_of(move: Move) -> Step:
    """Return the reading that an event is: keys are set to 1 or 0, the latest value is set to itself."""
    meter, operation, value = move.what.meter, move.what.operation, move.what.quantity
    if meter.aggregation == "unique_count":
        sets, value = True, _ZERO if operation == "remove" else _ONE
    else:
        sets = operation == "set" or meter.aggregation == "latest"
        value = EXACT.minus(value) if operation == "remove" else value
    segment = move.place.segment
    return Step(move.at, move.id, sets, value, Stretch(segment.key, move.hour, segment.start_at, segment.period_end_at))


@dataclass(slots=True)
class Books:
    """Levels as they stand and ladders, while the rows of a flush are judged one after another."""

    levels: dict[bytes, Decimal]
    ladders: dict[LadderKey, Ladder]
    raised: set[bytes] = field(default_factory=set)

    def admit(self, plain: Iterable[tuple[bytes, Decimal]], moves: Sequence[Move]) -> bool:
        """Let a row change levels and ladders; False, with nothing changed, where a level would fall below zero.

        `plain` are changes of levels that no meter of a ladder reports.
        """
        rises: dict[bytes, Decimal] = {}
        for key, delta in plain:
            _grow(rises, key, delta)
        lowest, done = _ZERO, list[tuple[LadderKey, Move]]()
        for move in moves:
            if move.what.meter.is_level and not climbs(move.what.meter):
                for key in move.level_keys:
                    _grow(rises, key, _signed(move))
            for ladder_key in ladder_keys(move):
                lowest = min(lowest, self._climb(ladder_key, move, rises))
                done.append((ladder_key, move))
        after = {key: EXACT.add(self.levels[key], rise) for key, rise in rises.items()}
        if lowest < 0 or any(level < 0 for level in after.values()):
            for ladder_key, move in reversed(done):
                self._climb(ladder_key, move._replace(sign=-move.sign), {})
            return False
        self.levels |= after
        self.raised |= after.keys()
        return True

    def _climb(self, key: LadderKey, move: Move, rises: dict[bytes, Decimal]) -> Decimal:
        """Put an event on a ladder or take it off; return the lowest level after it that counts as one."""
        ladder = self.ladders[key]
        before = ladder.end
        lowest = ladder.put(step_of(move)) if move.sign > 0 else ladder.take(move.at, move.id)
        if key.meter.carries:
            rise = EXACT.subtract(ladder.end, before)
            _grow(rises, key.subscription + key.meter.id.bytes + key.combination, rise)
            if key.meter.is_summed and key.combination != ALL:
                _grow(rises, key.subscription + key.meter.id.bytes + ALL, rise)
        return lowest if key.meter.is_level else _ZERO


def changes_of(moves: Iterable[Move], ladders: Mapping[LadderKey, Ladder]) -> Slow:
    """Sum up what admitted events change."""
    slow = Slow()
    for move in moves:
        _apply_move(slow, move)
    for key, step, before, after in _climbed(ladders):
        _apply_climb(slow, key, step, before=before, after=after)
    return slow


def _apply_move(slow: Slow, move: Move) -> None:
    """Write what an event changes by itself; what it changes on ladders is found on these."""
    meter = move.what.meter
    if not meter.is_summed:
        slow.apart.add(move.place.segment.key + meter.id.bytes)
    if meter.aggregation in {"max", "min"}:
        slow.extremes.append(move)
    elif meter.aggregation == "percentile":
        found = (move.total_key + move.hour, move.what.quantity)
        slow.values[found] = slow.values.get(found, 0) + move.sign
    elif not climbs(meter):
        step = step_of(move)
        before, after = (_ZERO, step.value) if move.sign > 0 else (step.value, _ZERO)
        _apply(slow, meter, move.what.combination.id, step, before=before, after=after)


def _apply_climb(slow: Slow, key: LadderKey, step: Step, *, before: Decimal, after: Decimal) -> None:
    """Write what a reading on a ladder changes now, and did not before."""
    if key.meter.is_summed:
        _apply(slow, key.meter, key.combination, step, before=before, after=after)
        return
    # A late event changes also the next reading that sets, which may lie in a later segment than itself.
    group = step.stretch.key + key.meter.id.bytes
    slow.apart.add(group)
    if key.combination == ALL and key.meter.dimensions:
        _grow(slow.wholes, group + ALL, EXACT.subtract(after, before))
    else:
        _apply(slow, key.meter, key.combination, step, before=before, after=after)


def _climbed(ladders: Mapping[LadderKey, Ladder]) -> Iterator[tuple[LadderKey, Step, Decimal, Decimal]]:
    for key, ladder in ladders.items():
        for change in ladder.changes.values():
            if change.step.delta != change.before:
                yield key, change.step, change.before, change.step.delta


def _apply(slow: Slow, meter: Meter, combination: bytes, step: Step, *, before: Decimal, after: Decimal) -> None:
    """Write a change of what a reading changed into its hour."""
    start = step.stretch.key + meter.id.bytes + combination
    change = EXACT.subtract(after, before)
    if meter.aggregation == "weighted_sum":
        left = Decimal((step.stretch.period_end_at - step.at) // _MICROSECOND)
        _grow(slow.beside, start + micros(step.stretch.start_at), change)
        _grow(slow.hours, start + step.stretch.hour, EXACT.multiply(change, left))
        return
    _grow(slow.hours, start + step.stretch.hour, change)
    if meter.aggregation == "level" and meter.by_days:
        _grow(slow.beside, start + step.stretch.hour, EXACT.subtract(min(before, _ZERO), min(after, _ZERO)))


def _signed(move: Move) -> Decimal:
    return move.what.quantity if move.sign > 0 else EXACT.minus(move.what.quantity)


def _grow(sums: dict[bytes, Decimal], key: bytes, change: Decimal) -> None:
    sums[key] = EXACT.add(sums.get(key, _ZERO), change)
