"""List inbound events, tell how the inbox stands, and have events processed again."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from domain.access.roles import Permission
from domain.db import Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call, Forbidden
from domain.kernel.errors import DomainError, Kind
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.webhooks import store
from domain.webhooks.inbox import InboxEvent, InboxState
from domain.webhooks.service import PROVIDER
from domain.webhooks.store import Alarm

EVENTS_MAX = 100
REPLAY_MAX = 500
COUNTED_MAX = 10_000
ALARMS_MAX = 30


@dataclass(eq=False)
class ReplayOutOfBounds(DomainError):
    """Name 1 to {replay_max} events, or a stretch of time that ends after its start."""

    code = "replay_out_of_bounds"
    kind = Kind.INVALID
    replay_max: int = REPLAY_MAX


@dataclass(frozen=True, slots=True)
class Standing:
    """How the inbox stands.

    `waiting` is for a worker, `quarantined` for staff, each counted up to COUNTED_MAX; the gateway's list was looked
    through up to `swept_to`; `alarms` are the last days on which events of another version came.
    """

    waiting: int
    quarantined: int
    swept_to: datetime | None
    alarms: Sequence[Alarm]


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many events wait again, and the last of them where others follow that did not fit; None where all did."""

    count: int
    last: UUID | None


@dataclass(eq=False)
class InboxEventNotFound(DomainError):
    """There is no such inbound event. Processed ones are deleted after some time; see the list of events."""

    code = "inbox_event_not_found"
    kind = Kind.NOT_FOUND


async def list_events(
    tx: Tx,
    call: Call,
    *,
    state: InboxState | None,
    event_type: str | None,
    before: UUID | None,
    limit: int,
    stuck_only: bool = False,
) -> Sequence[InboxEvent]:
    """Return a page of events, the newest first, at most EVENTS_MAX and one more. Raises Forbidden.

    Stuck are those that wait for staff: the quarantined ones, and those whose processing has failed for good.
    """
    _need(call, Permission.JOB_READ)
    return await store.list_events(
        tx,
        state=state,
        event_type=event_type,
        before=before,
        limit=min(limit, EVENTS_MAX + 1),
        stuck_only=stuck_only,
    )


async def get_event(tx: Tx, call: Call, key: UUID) -> tuple[InboxEvent, str | None]:
    """Return an event, and the code of the error in which its processing ended last, if in any.

    Raises Forbidden, InboxEventNotFound.
    """
    _need(call, Permission.JOB_READ)
    found = await store.find_by_key(tx, key)
    if found is None:
        raise InboxEventNotFound
    return found, await store.find_error(tx, found)


async def standing(tx: Tx, call: Call) -> Standing:
    """Tell how the inbox stands. Raises Forbidden."""
    _need(call, Permission.JOB_READ)
    counts = await store.count_states(tx, counted_max=COUNTED_MAX)
    swept_to = await store.find_swept_to(tx, PROVIDER)
    alarms = await store.list_alarms(tx, limit=ALARMS_MAX)
    return Standing(counts[InboxState.RECEIVED], counts[InboxState.QUARANTINED], swept_to, alarms)


async def replay(tx: Tx, call: Call, keys: Collection[UUID]) -> Replayed:
    """Have events processed again, whatever became of them: each fetches what it is about as that now is.

    Safe to repeat. What is unknown is left out. Raises Forbidden, ReplayOutOfBounds.
    """
    _need(call, Permission.JOB_WRITE)
    if not 1 <= len(keys) <= REPLAY_MAX:
        raise ReplayOutOfBounds
    found = await store.lock_events(tx, keys)
    await _again(tx, call, found)
    return Replayed(len(found), None)


async def replay_range(
    tx: Tx, call: Call, span: Period, *, state: InboxState | None, after: UUID | None = None, limit: int = REPLAY_MAX
) -> Replayed:
    """Have the events received in a stretch of real time processed again, the oldest first, at most REPLAY_MAX.

    `state` narrows to what became of them, `after` to those that came after one. Safe to repeat. Raises Forbidden.
    """
    _need(call, Permission.JOB_WRITE)
    fits = min(limit, REPLAY_MAX)
    found = await store.lock_in_span(tx, span, state=state, after=after, limit=fits + 1)
    again = found[:fits]
    await _again(tx, call, again)
    return Replayed(len(again), again[-1].key if len(found) > fits else None)


async def _again(tx: Tx, call: Call, events: Sequence[InboxEvent]) -> None:
    await store.save_received(tx, events)
    for event in events:
        await journal.stage(tx, call, jobs.ProcessInboxEvent(event.provider, event.id))
        facts = {"type": event.type, "state": event.state, "note": event.note}
        await journal.audit(tx, call, "replay_inbox_event", f"{event.provider}:{event.id}", facts=facts)


def _need(call: Call, permission: Permission) -> None:
    """Refuse callers who work in one environment or for one customer: events are of all. Raises Forbidden."""
    call.need(permission)
    if call.scope is not None or call.principal.environment is not None:
        raise Forbidden(permission)
