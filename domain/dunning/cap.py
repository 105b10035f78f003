"""How often card networks let a card be charged again after declines: a table, and the rule that reads it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from domain.kernel.values import dataclass

# A retry that a cap puts off for longer than this waits for the customer instead.
PUT_OFF_MAX = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `tries_max` charges of one card in any `hours`. `brand` None: of every brand.

    An `automatic` one bounds only what nobody asked for: retries by the calendar.
    """

    brand: str | None
    hours: int
    tries_max: int
    automatic: bool = False


_DAY, _MONTH = 24, 30 * 24
CAPS = (
    Cap(None, _DAY, 1, automatic=True),
    Cap(None, _MONTH, 8),
    Cap("visa", _MONTH, 20),
    Cap("mastercard", _DAY, 10),
    Cap("mastercard", _MONTH, 35),
)


def longest(caps: Iterable[Cap]) -> timedelta:
    """Return how far back charges count for any cap."""
    return timedelta(hours=max((cap.hours for cap in caps), default=0))


def allowed_at(
    caps: Iterable[Cap], brand: str | None, tries: Sequence[datetime], at: datetime, *, automatic: bool
) -> datetime:
    """Return the first instant from `at` on at which a card may be charged once more, given when it was charged."""
    newest_first = sorted(tries, reverse=True)
    found = at
    for cap in caps:
        if cap.brand not in {None, brand} or (cap.automatic and not automatic):
            continue
        if len(newest_first) >= cap.tries_max:
            found = max(found, newest_first[cap.tries_max - 1] + timedelta(hours=cap.hours))
    return found
