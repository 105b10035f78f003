"""Which thresholds usage has reached, which of them are news, and how grave they are (SEMANTICS 5.7)."""

import math
from collections.abc import Collection, Iterable
from enum import StrEnum
from fractions import Fraction
from typing import Literal

from domain.kernel.values import dataclass

# More recurring steps than this between two looks are told by their last ones only.
STEPS_MAX = 1_000
Direction = Literal["rising", "falling"]


class Severity(StrEnum):
    """How grave a notice is, from the mildest on."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


def reached(used: Fraction, limit: Fraction | None, percents: Iterable[int]) -> tuple[int, ...]:
    """Return the percentages of a limit that usage has reached, lowest first: 4,000 of 5,000 has reached 80.

    Without a limit (None) and with a limit of 0 none is ever reached. Percentages are above 0.
    """
    if not limit:
        return ()
    return tuple(sorted(percent for percent in set(percents) if used * 100 >= limit * percent))


def due(used: Fraction, limit: Fraction | None, percents: Iterable[int], raised: Collection[int]) -> tuple[int, ...]:
    """Return the percentages to raise an alert for now, in order: those reached and not raised yet in this period.

    `raised` begins empty in each usage period, and a percentage that was raised stays in it when usage falls back.
    """
    return tuple(percent for percent in reached(used, limit, percents) if percent not in raised)


def severity_of(percents: Collection[int]) -> Severity:
    """Return how grave it is to have reached these percentages: below every threshold a notice only informs.

    The requirements name the three words and not where they part: a threshold below the limit warns, and one at the
    limit or above is critical.
    """
    if not percents:
        return Severity.INFO
    return Severity.CRITICAL if max(percents) >= 100 else Severity.WARNING


def highest_reached(value: Fraction, thresholds: Iterable[Fraction]) -> Fraction | None:
    """Return the highest threshold that a value has reached, in whatever order they stand; None: no one."""
    return max((each for each in thresholds if value >= each), default=None)


@dataclass(frozen=True, slots=True)
class Watch:
    """Thresholds on a value: each of `once`, and every `step` (above 0) beyond the last of them.

    Rising ones count steps up from the highest of `once`, falling ones down from the lowest, both from 0 where there
    are none.
    """

    once: tuple[Fraction, ...]
    step: Fraction | None = None
    direction: Direction = "rising"


def crossed(watch: Watch, previous: Fraction, current: Fraction) -> tuple[Fraction, ...]:
    """Return the thresholds reached on the way from one value to the next, lowest first.

    One is reached by a value on it (at or above it when rising, at or below it when falling) and fires only if the
    value before was not there yet. The other direction fires nothing.
    """
    assert watch.step is None or watch.step > 0, "steps lead away from the thresholds"
    if watch.direction == "rising":
        return _crossed_upwards(watch.once, watch.step, previous, current)
    mirrored = _crossed_upwards(tuple(-each for each in watch.once), watch.step, -previous, -current)
    return tuple(-each for each in reversed(mirrored))


def _crossed_upwards(
    once: tuple[Fraction, ...], step: Fraction | None, previous: Fraction, current: Fraction
) -> tuple[Fraction, ...]:
    fixed = sorted(each for each in set(once) if previous < each <= current)
    if step is None:
        return tuple(fixed)
    origin = max(once, default=Fraction(0))
    last = math.floor((current - origin) / step)
    first = max(math.floor((previous - origin) / step) + 1, 1, last - STEPS_MAX + 1)
    return (*fixed, *(origin + number * step for number in range(first, last + 1)))
