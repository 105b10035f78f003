"""A lane: the events of one customer on their way to one endpoint, in order, one at a time.

What fails holds back what comes after it in its lane, and nothing in any other. A lane is two numbers, the last event
that is done and the last one that is wanted; so its queue has no rows of its own, and cannot be lost. A replay is a
lane of its own over a stretch of the past.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from domain.kernel.ids import CustomerId, EndpointId
from domain.kernel.values import dataclass

GIVE_UP_AFTER = timedelta(days=3)
# Seconds between tries; the last one is repeated until GIVE_UP_AFTER.
DELAYS_S = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800)
# A delay is moved by up to a tenth either way, so that endpoints which fail together are not tried together.
JITTER_PARTS = 201
_WHOLE, _LEAST = 1_000, 900
# The lane of an endpoint that follows what happens; a replay has the replay's id instead.
LIVE = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Lane:
    """Where one customer's events to one endpoint stand. Instants are real time.

    `done` is the number of the last event that is done, `wanted` of the last one that is to be sent. `next_at` None:
    nothing waits, or `held_at` says since when it waits for staff. `attempts` and `failing_since` are of the event
    that is tried.
    """

    customer_id: CustomerId
    endpoint_id: EndpointId
    replay_id: UUID
    done: int
    wanted: int
    next_at: datetime | None
    attempts: int = 0
    failing_since: datetime | None = None
    held_at: datetime | None = None

    @property
    def is_live(self) -> bool:
        """Whether it follows what happens, rather than a replay."""
        return self.replay_id == LIVE

    @property
    def has_waiting(self) -> bool:
        """Whether events may wait in it."""
        return self.done < self.wanted


def sent(lane: Lane, number: int, at: datetime) -> Lane:
    """Return the lane after an event arrived, or was left out."""
    onward = replace(lane, done=number, attempts=0, failing_since=None, held_at=None)
    return replace(onward, next_at=at if onward.has_waiting else None)


def emptied(lane: Lane) -> Lane:
    """Return the lane with nothing left in it."""
    return replace(lane, done=lane.wanted, next_at=None, attempts=0, failing_since=None, held_at=None)


def failed(lane: Lane, at: datetime, jitter: int) -> Lane:
    """Return the lane after a try failed: it waits, the longer the more often; after GIVE_UP_AFTER it is held.

    `jitter` is a random whole number from 0 to JITTER_PARTS - 1. The last try falls on the end of GIVE_UP_AFTER.
    """
    assert 0 <= jitter < JITTER_PARTS, "a delay moves by a tenth at most"
    since = lane.failing_since or at
    onward = replace(lane, attempts=lane.attempts + 1, failing_since=since)
    if at - since >= GIVE_UP_AFTER:
        return replace(onward, next_at=None, held_at=at)
    delay_s = DELAYS_S[min(lane.attempts, len(DELAYS_S) - 1)]
    delay = timedelta(milliseconds=delay_s * (_LEAST + jitter) * 1_000 // _WHOLE)
    return replace(onward, next_at=min(at + delay, since + GIVE_UP_AFTER))


def held(lane: Lane, number: int, at: datetime) -> Lane:
    """Return the lane as it waits for staff, since the event with a number cannot be sent: those before it are done."""
    return replace(
        lane, done=max(lane.done, number - 1), next_at=None, held_at=at, failing_since=lane.failing_since or at
    )


def resumed(lane: Lane, at: datetime) -> Lane:
    """Return the lane as it goes on at once, from where it stands."""
    return replace(lane, next_at=at if lane.has_waiting else None, attempts=0, failing_since=None, held_at=None)
