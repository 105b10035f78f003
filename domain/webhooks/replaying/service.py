"""Order that events are sent once more, or that one is left out."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from domain.access.roles import Permission
from domain.db import Tx
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import NOBODY, CustomerId, EndpointId, encode
from domain.kernel.values import dataclass
from domain.webhooks import lane as lanes
from domain.webhooks.endpoints import service as desk
from domain.webhooks.feed import store as feed
from domain.webhooks.feed.store import Place, Stretch
from domain.webhooks.lane import Lane
from domain.webhooks.queueing import store
from domain.webhooks.queueing.store import Replay

REPLAY_CUSTOMERS_MAX = 10_000
# How many events before one that is to be left out are looked through for another that waits.
LOOKED_MAX = 200


@dataclass(eq=False)
class ReplayRefused(DomainError):
    """These events cannot be sent again: {reason}."""

    code = "replay_refused"
    kind = Kind.INVALID
    reason: str


async def replay_range(
    tx: Tx,
    call: Call,
    endpoint_id: EndpointId,
    *,
    first_number: int,
    last_number: int,
    customer_id: CustomerId | None = None,
) -> tuple[Replay, int]:
    """Send the events of a range once more, in each customer's order, beside what happens; return it and of how many.

    They keep their ids, by which a receiver tells that it has seen them. Numbers are inclusive. Raises
    EndpointNotFound, ReplayRefused, Forbidden.
    """
    endpoint = await desk.get_endpoint(tx, call, endpoint_id, permission=Permission.WEBHOOK_WRITE)
    if not 1 <= first_number <= last_number:
        raise ReplayRefused("a range begins with 1 or later, and does not end before it begins")
    stretch = Stretch(first_number - 1, last_number, customer_id, endpoint.environment)
    concerned = await feed.list_customers(tx, stretch, limit=REPLAY_CUSTOMERS_MAX + 1)
    if not concerned:
        raise ReplayRefused("there is no event in that range")
    if len(concerned) > REPLAY_CUSTOMERS_MAX:
        raise ReplayRefused(f"a range concerns at most {REPLAY_CUSTOMERS_MAX} customers; take it in parts")
    made = Replay(endpoint.id, call.new_id(), first_number, last_number, customer_id, call.at, call.principal.id)
    await store.insert_replay(tx, made, concerned, at=call.at)
    facts = {"first_number": first_number, "last_number": last_number, "customers": len(concerned)}
    await journal.audit(
        tx,
        call,
        "replay_webhook_events",
        encode("webhook_endpoint", endpoint.id),
        customer_id=customer_id or NOBODY,
        facts=facts,
    )
    return made, len(concerned)


async def replay_time(
    tx: Tx,
    call: Call,
    endpoint_id: EndpointId,
    *,
    since: datetime,
    until: datetime,
    customer_id: CustomerId | None = None,
) -> tuple[Replay, int]:
    """Replay the range of numbers that holds all events of a stretch of business time. Raises as `replay_range`."""
    endpoint = await desk.get_endpoint(tx, call, endpoint_id, permission=Permission.WEBHOOK_WRITE)
    numbers = await feed.find_numbers(tx, environment=endpoint.environment, since=since, until=until)
    if numbers is None:
        raise ReplayRefused("there is no event in that time")
    return await replay_range(
        tx, call, endpoint_id, first_number=numbers[0], last_number=numbers[1], customer_id=customer_id
    )


async def replay_event(tx: Tx, call: Call, endpoint_id: EndpointId, event_id: UUID) -> tuple[Replay, int]:
    """Replay one event. Raises as `replay_range`."""
    event = await _event(tx, call, endpoint_id, event_id)
    return await replay_range(
        tx,
        call,
        endpoint_id,
        first_number=event.number,
        last_number=event.number,
        customer_id=event.customer_id,
    )


async def skip_event(tx: Tx, call: Call, endpoint_id: EndpointId, event_id: UUID) -> Lane:
    """Leave out an event that waits first in its lane, and go on with the next. Safe to repeat.

    It may be one that cannot be read. Raises EndpointNotFound, ReplayRefused, Forbidden.
    """
    event = await _event(tx, call, endpoint_id, event_id)
    found = await store.find_lane(tx, event.customer_id, endpoint_id)
    lane = await store.lock_lane(tx, found, lease=None) if found else None
    if lane is None:
        raise ReplayRefused("nothing of this customer waits")
    if lane.done >= event.number:
        return lane
    endpoint = await desk.get_endpoint(tx, call, endpoint_id, permission=Permission.WEBHOOK_WRITE)
    stretch = Stretch(lane.done, event.number - 1, lane.customer_id)
    before, unreadable = await feed.list_events(tx, stretch, limit=LOOKED_MAX)
    if unreadable is not None or any(endpoint.wants(each.name) for each in before):
        raise ReplayRefused("another event waits before it")
    after = lanes.sent(replace(lane, wanted=max(lane.wanted, event.number)), event.number, call.at)
    await store.save_lane(tx, after, leased_until=None)
    facts = {"event_id": encode("billing_event", event.id)}
    about = encode("webhook_endpoint", endpoint_id)
    await journal.audit(tx, call, "skip_webhook_event", about, customer_id=event.customer_id, facts=facts)
    return after


async def _event(tx: Tx, call: Call, endpoint_id: EndpointId, event_id: UUID) -> Place:
    endpoint = await desk.get_endpoint(tx, call, endpoint_id, permission=Permission.WEBHOOK_WRITE)
    event = await feed.find_place(tx, event_id, environment=endpoint.environment)
    if event is None:
        raise ReplayRefused("there is no such event")
    return event
