"""Half-open stretches of time and their exact shares."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """[start, end) in UTC: the start belongs to it, the end to the next one."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        assert self.start.tzinfo is UTC, "instants are UTC"
        assert self.end.tzinfo is UTC, "instants are UTC"
        assert self.start < self.end, "a period has a length"

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    @property
    def length(self) -> timedelta:
        """True elapsed time from start to end."""
        return self.end - self.start

    def share_of(self, whole: "Period") -> Fraction:
        """Return this period's exact share of another one's time, as a rational."""
        return Fraction(self.length // _MICROSECOND, whole.length // _MICROSECOND)

    def overlap(self, other: "Period") -> "Period | None":
        """Return the common stretch, or None where they only touch or lie apart."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Period(start, end) if start < end else None


@dataclass(frozen=True, slots=True)
class Range:
    """Instants from the first one on, up to the last one and without it; None is open."""

    start: datetime | None = None
    end: datetime | None = None

    @property
    def is_backwards(self) -> bool:
        """Whether it ends where it begins or before, so that nothing can lie in it."""
        return self.start is not None and self.end is not None and self.start >= self.end


OPEN_RANGE = Range()
