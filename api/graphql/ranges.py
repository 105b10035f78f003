"""Stretches of time that lists are narrowed to."""

from datetime import datetime

import strawberry

from domain.kernel.period import OPEN_RANGE, Range


@strawberry.input(description="Instants of business time. A range that ends before it begins is refused.")
class InstantRange:
    """A range."""

    start: datetime | None = strawberry.field(description="The first one; null: any before.", default=None)
    end: datetime | None = strawberry.field(description="The first one after it; null: any later.", default=None)


def range_of(given: InstantRange | None) -> Range:
    """Read a range; none given is open at both ends."""
    return Range(given.start, given.end) if given else OPEN_RANGE
