"""When usage first passed a limit: told from what was counted, newest first (SEMANTICS 5.2)."""

from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple


class Step(NamedTuple):
    """What one commit added to what counts against a limit; None where that is not kept, as when a level is set."""

    at: datetime
    added: Fraction | None


def passed_at(used: Fraction, amount: Fraction, steps: Iterable[Step]) -> datetime | None:
    """Return the instant of the step with which usage came above an amount; `used` is what it stands at after all.

    Where no step says so, it is the last one that was looked at: usage was above the amount before it at the latest.
    None without any step.
    """
    found: datetime | None = None
    for step in steps:
        found = step.at
        if step.added is None:
            break
        used -= step.added
        if used <= amount:
            break
    return found
