"""How long to wait until an unanswered call is looked at again: a minute, doubled each time, up to half an hour."""

from datetime import timedelta

FIRST = timedelta(minutes=1)
LONGEST = timedelta(minutes=30)
_DOUBLINGS_MAX = 5


def next_after(looks: int) -> timedelta:
    """Return the time until the next look, after so many."""
    assert looks >= 1, "it has been looked at"
    return min(FIRST * (1 << min(looks - 1, _DOUBLINGS_MAX)), LONGEST)
