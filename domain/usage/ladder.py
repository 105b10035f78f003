"""Levels that are set, keys that come and go, and the latest value: what each reading changes, in the order of time.

A ladder holds the readings of one such thing. A reading either adds to what stood before it or sets it; what it changed
is its delta, so that sums of deltas are where the thing stands. One that comes late changes its own delta and that of
the next reading that sets; all between and after stay as they are. A key that is there stands at 1, else at 0.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import field
from datetime import datetime
from decimal import Decimal

from domain.kernel.values import dataclass
from domain.plans.exact import EXACT

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where a reading is counted: `key` is the customer's and the segment's id, `hour` microseconds since 1970."""

    key: bytes
    hour: bytes
    start_at: datetime
    period_end_at: datetime


@dataclass(slots=True)
class Step:
    """One reading. `id` is that of the event's row, which is the order of arrival among readings of one instant."""

    at: datetime
    id: bytes
    sets: bool
    value: Decimal
    stretch: Stretch
    delta: Decimal = _ZERO
    level: Decimal = _ZERO

    @property
    def order(self) -> tuple[datetime, bytes]:
        """The place of a reading among others."""
        return self.at, self.id

    def __lt__(self, other: "Step") -> bool:
        return self.order < other.order


@dataclass(slots=True)
class Change:
    """What a reading changed before, and what it changes now; 0 where it was not there, or is gone."""

    step: Step
    before: Decimal


@dataclass(slots=True)
class Ladder:
    """The readings from some instant on, above what stood before it. `changes` is what became of them, by id.

    The readings at hand must reach up to the first one that sets after whatever is put in or taken out.
    """

    base: Decimal
    steps: list[Step]
    changes: dict[bytes, Change] = field(default_factory=dict)
    fresh: set[bytes] = field(default_factory=set)
    gone: dict[bytes, Step] = field(default_factory=dict)

    @classmethod
    def of(cls, base: Decimal, steps: Iterable[Step]) -> "Ladder":
        """Build a ladder from stored readings with their deltas."""
        ladder = cls(base, sorted(steps))
        level = base
        for step in ladder.steps:
            level = step.level = EXACT.add(level, step.delta)
        return ladder

    def put(self, step: Step) -> Decimal:
        """Put a reading in; return the lowest level that stands from it to the next one that sets."""
        insort(self.steps, step)
        if step.id in self.gone:
            del self.gone[step.id]
        else:
            self.fresh.add(step.id)
        step.delta = _ZERO
        self._note(step)
        return self._settle(bisect_left(self.steps, step))

    def take(self, at: datetime, event_id: bytes) -> Decimal:
        """Take a reading out; return the lowest level that stands from there to the next one that sets."""
        index = self._index(at, event_id)
        step = self.steps.pop(index)
        self._note(step)
        step.delta = _ZERO
        if event_id in self.fresh:
            self.fresh.remove(event_id)
        else:
            self.gone[event_id] = step
        return self._settle(index)

    @property
    def end(self) -> Decimal:
        """Where it stands after the readings at hand."""
        return self.steps[-1].level if self.steps else self.base

    def _index(self, at: datetime, event_id: bytes) -> int:
        return bisect_left(self.steps, (at, event_id), key=lambda step: step.order)

    def _note(self, step: Step) -> None:
        found = self.changes.get(step.id)
        if found is None:
            self.changes[step.id] = Change(step, step.delta)
        else:
            found.step = step

    def _settle(self, index: int) -> Decimal:
        """Derive deltas from an index up to the next reading that sets, and return the lowest level on the way."""
        level = self.steps[index - 1].level if index else self.base
        lowest = level
        for place in range(index, len(self.steps)):
            step = self.steps[place]
            after = step.value if step.sets else EXACT.add(level, step.value)
            delta = EXACT.subtract(after, level)
            if delta != step.delta:
                self._note(step)
                step.delta = delta
            level = step.level = after
            lowest = min(lowest, level)
            if step.sets and place > index:
                break
        return lowest
