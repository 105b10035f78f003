"""Wake lanes for what has happened, hand over one event at a time, and keep the log."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from domain.access.roles import Permission
from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.db import Database, Tx
from domain.journal import service as journal
from domain.journal.numbering import service as numbering
from domain.journal.numbering.store import Numbered
from domain.kernel.call import Call, Environment
from domain.kernel.ids import NOBODY, CustomerId, EndpointId, encode
from domain.kernel.values import dataclass
from domain.webhooks import endpoint as endpoints
from domain.webhooks import lane as lanes
from domain.webhooks.delivering import store
from domain.webhooks.delivering.store import Delivery
from domain.webhooks.endpoint import DisabledBy, Endpoint, EndpointState
from domain.webhooks.endpoints import service as desk
from domain.webhooks.endpoints import store as endpoint_store
from domain.webhooks.event_kind import ERASED, kind_of
from domain.webhooks.feed import store as feed
from domain.webhooks.feed.store import Place, Stretch
from domain.webhooks.lane import LIVE, Lane
from domain.webhooks.payload import TEST_TYPE, Event, body_of, probe_body
from domain.webhooks.port import Outcome, Reply, WebhookSender
from domain.webhooks.queueing import store as queue
from domain.webhooks.queueing.store import Waiting
from domain.webhooks.signature import sign

LEASE = timedelta(seconds=60)
# How many events of a lane are looked through for the next one that its endpoint wants.
LOOKED_MAX = 200
DELIVERY_DAYS = 30
FORGET_BATCH = 5_000
# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101
_GONE = 410


@dataclass(frozen=True, slots=True)
class _Order:
    """What one try is made with."""

    endpoint: Endpoint
    lane: Lane
    event: Event
    body: bytes
    secrets: tuple[str, ...]


async def publish(tx: Tx, call: Call) -> int:
    """Give numbers to what was committed, and wake the lanes of the endpoints that want it; return how many.

    Of an erased customer it is told that it was erased, and nothing else. An endpoint that is disabled hears of it once
    it is enabled. Safe to repeat.
    """
    numbered = await numbering.number_events(tx)
    if not numbered:
        return 0
    every = await endpoint_store.list_endpoints(tx, environment=None, limit=2 * endpoints.ENDPOINTS_MAX)
    if every:
        known = await feed.environments_by_id(tx, {each.customer_id for each in numbered})
        present = {key: environment for key, (environment, is_erased) in known.items() if not is_erased}
        erased = {key: environment for key, (environment, is_erased) in known.items() if is_erased}
        told = _reach([each for each in numbered if each.customer_id in present], every, present)
        await queue.wake_lanes(tx, told, at=call.at)
        last = [each for each in numbered if each.customer_id in erased and each.type == ERASED]
        await queue.wake_lanes(tx, _reach(last, every, erased), at=call.at, only=True)
    return len(numbered)


def _reach(
    numbered: Sequence[Numbered], every: Sequence[Endpoint], environments: Mapping[CustomerId, Environment]
) -> list[tuple[CustomerId, EndpointId, int, int]]:
    """Return from which of some events to which the lanes of the endpoints that want them are woken."""
    reach: dict[tuple[CustomerId, EndpointId], tuple[int, int]] = {}
    for each in numbered:
        name = _name_of(each)
        for endpoint in every:
            concerned = name is None or endpoint.wants(name)
            if endpoint.environment is environments[each.customer_id] and concerned:
                first, _ = reach.get((each.customer_id, endpoint.id), (each.number, 0))
                reach[each.customer_id, endpoint.id] = (first, each.number)
    return [(*key, *numbers) for key, numbers in sorted(reach.items())]


async def leave_out(tx: Tx, customer_id: CustomerId) -> None:
    """Send nothing of a customer that is erased but that: what waits is left out, and what follows wakes no lane."""
    await queue.empty_lanes_of(tx, customer_id)


async def list_enabled(tx: Tx) -> Sequence[EndpointId]:
    """Return the endpoints that events are sent to now."""
    every = await endpoint_store.list_endpoints(tx, environment=None, limit=2 * endpoints.ENDPOINTS_MAX)
    return [each.id for each in every if each.state is EndpointState.ENABLED]


async def claim(tx: Tx, call: Call, endpoint_id: EndpointId, *, limit: int) -> Sequence[Lane]:
    """Take some lanes of an endpoint that are due, for LEASE, under the call's id."""
    return await queue.claim_lanes(tx, endpoint_id, at=call.at, until=call.at + LEASE, lease=call.id, limit=limit)


async def deliver_next(
    db: Database, sender: WebhookSender, call: Call, lane: Lane, *, lease: UUID, jitter: int
) -> Lane | None:
    """Send the next event of a lane that was claimed under a lease; return the lane while more can be sent at once.

    An event keeps its id and its body however often it is sent, also where the note of its arrival was lost. `jitter`
    is a random whole number from 0 to JITTER_PARTS - 1.
    """
    async with db.transaction() as tx:
        order = await _order(tx, call, lane, lease)
    if order is None:
        return None
    event_id = encode("billing_event", order.event.id)
    reply = await sender.post(order.endpoint.url, sign(order.secrets, event_id, call.at, order.body), order.body)
    async with db.transaction() as tx:
        return await _note(tx, call, order, reply, lease=lease, jitter=jitter)


async def give_back(tx: Tx, lane: Lane, *, lease: UUID) -> None:
    """Let others have a lane that was claimed, before its lease is over. Safe to repeat."""
    present = await queue.lock_lane(tx, lane, lease=lease)
    if present is not None:
        await queue.save_lane(tx, present, leased_until=None)


async def _order(tx: Tx, call: Call, lane: Lane, lease: UUID) -> _Order | None:
    """Find the next event that a lane's endpoint wants; without one the lane is empty, and given back."""
    endpoint = await endpoint_store.find_endpoint(tx, lane.endpoint_id)
    present = await queue.lock_lane(tx, lane, lease=lease)
    if endpoint is None or present is None:
        return None
    if endpoint.state is not EndpointState.ENABLED:
        await queue.save_lane(tx, present, leased_until=None)
        return None
    stretch = Stretch(present.done, present.wanted, present.customer_id)
    found, unreadable = await feed.list_events(tx, stretch, limit=LOOKED_MAX)
    wanted = next((each for each in found if endpoint.wants(each.name)), None)
    if wanted is not None:
        body = body_of(wanted, endpoint.schema_version)
        secrets = await endpoint_store.list_secrets(tx, endpoint.id, call.at)
        # The events before it are of no interest to the endpoint: the lane has passed them.
        return _Order(endpoint, present, wanted, body, tuple(each.text for each in secrets))
    if unreadable is not None and present.is_live:
        await _hold(tx, call, endpoint, present, unreadable)
    elif unreadable is not None:
        # A replay keeps nobody's order: what it cannot send once more it passes.
        await _pass_by(tx, call, present, unreadable.number)
    else:
        await _pass_by(tx, call, present, found[-1].number if len(found) == LOOKED_MAX else present.wanted)
    return None


async def _pass_by(tx: Tx, call: Call, lane: Lane, number: int) -> None:
    """Let a lane go on after the event with a number; with nothing behind that it is empty."""
    after = lanes.sent(lane, number, call.at)
    if after.next_at is None:
        await _end(tx, lanes.emptied(lane))
    else:
        await queue.save_lane(tx, after, leased_until=None)


def _name_of(event: Numbered) -> str | None:
    """Return the type of an event outside; None where it cannot be told: then it may concern every endpoint."""
    if not isinstance(event.metadata, dict):
        return None
    return kind_of(event.type, event.metadata).name


async def _hold(tx: Tx, call: Call, endpoint: Endpoint, lane: Lane, event: Place) -> None:
    """Let a lane wait for staff before an event that cannot be read, and tell them, once for all endpoints.

    Nobody can say that what follows it does not build on it, so that customer's order is kept and the rest goes on.
    """
    await queue.save_lane(tx, lanes.held(lane, event.number, call.at), leased_until=None)
    about = encode("billing_event", event.id)
    facts = {"endpoint": endpoint.name, "customer_id": encode("customer", event.customer_id)}
    kind = StaffAlertKind.WEBHOOK_UNREADABLE
    await staffing.raise_alert(tx, call, kind, about, environment=endpoint.environment, facts=facts)
    await journal.audit(
        tx,
        call,
        "hold_webhook_lane",
        encode("webhook_endpoint", endpoint.id),
        customer_id=event.customer_id,
        facts={"event_id": about},
    )


async def _note(tx: Tx, call: Call, order: _Order, reply: Reply, *, lease: UUID, jitter: int) -> Lane | None:
    """Log a try, and move the lane: on, or to a later try, or out of the way."""
    at = call.at + timedelta(milliseconds=reply.latency_ms)
    succeeded = reply.outcome is Outcome.DELIVERED
    await store.insert_delivery(tx, _delivery(call, order, reply))
    endpoint = await endpoint_store.lock_endpoint(tx, order.endpoint.id)
    present = await queue.lock_lane(tx, order.lane, lease=lease)
    if endpoint is None:
        return None
    await endpoint_store.save_outcome(tx, endpoint.id, at, succeeded=succeeded)
    if present is None or present.done != order.lane.done:
        # The lease was over, and somebody else has gone on: theirs counts.
        return None
    if succeeded:
        after = lanes.sent(present, order.event.number, at)
        if after.next_at is None:
            await _end(tx, after)
            return None
        await queue.save_lane(tx, after, leased_until=at + LEASE)
        return after
    after = lanes.failed(present, at, jitter)
    await queue.save_lane(tx, after, leased_until=None)
    await _give_up(tx, call, endpoint, after, order.event, is_gone=reply.status == _GONE)
    return None


async def _give_up(tx: Tx, call: Call, endpoint: Endpoint, lane: Lane, event: Event, *, is_gone: bool) -> None:
    """Disable an endpoint that is gone or has failed for too long, or tell that one customer's events are held."""
    if is_gone or endpoints.gives_up(endpoint, lane):
        by = DisabledBy.GONE if is_gone else DisabledBy.FAILING
        after = endpoints.disabled(endpoint, by, call.at)
        if after == endpoint:
            return
        await endpoint_store.save_endpoint(tx, endpoint, after)
        about = encode("webhook_endpoint", endpoint.id)
        await journal.audit(tx, call, "disable_webhook_endpoint", about, facts={"disabled_by": by})
        await _tell_staff(tx, call, StaffAlertKind.WEBHOOK_DISABLED, endpoint, {"endpoint": endpoint.name, "by": by})
    elif lane.held_at is not None:
        facts = {
            "endpoint": endpoint.name,
            "customer_id": encode("customer", lane.customer_id),
            "event_id": encode("billing_event", event.id),
        }
        await _tell_staff(tx, call, StaffAlertKind.WEBHOOK_HELD, endpoint, facts)


async def _tell_staff(tx: Tx, call: Call, kind: StaffAlertKind, endpoint: Endpoint, facts: dict[str, str]) -> None:
    about = encode("webhook_endpoint", endpoint.id)
    await staffing.raise_alert(tx, call, kind, about, environment=endpoint.environment, facts=facts)


async def _end(tx: Tx, lane: Lane) -> None:
    """Give back a lane in which nothing waits; that of a replay has done its work."""
    if lane.is_live:
        await queue.save_lane(tx, lane, leased_until=None)
    else:
        await queue.delete_lane(tx, lane)


def _delivery(call: Call, order: _Order, reply: Reply) -> Delivery:
    return Delivery(
        customer_id=order.event.customer_id,
        id=call.new_id(),
        endpoint_id=order.endpoint.id,
        event_id=order.event.id,
        replay_id=order.lane.replay_id,
        type=order.event.name,
        number=order.event.number,
        attempt=order.lane.attempts + 1,
        at=call.at,
        outcome=reply.outcome,
        status=reply.status,
        latency_ms=reply.latency_ms,
        excerpt=reply.excerpt,
    )


async def probe_endpoint(db: Database, sender: WebhookSender, call: Call, endpoint_id: EndpointId) -> Delivery:
    """Send an endpoint, also a disabled one, an event that is about nothing, once, and return what came of it.

    Raises EndpointNotFound, Forbidden.
    """
    async with db.transaction() as tx:
        endpoint = await desk.get_endpoint(tx, call, endpoint_id, permission=Permission.WEBHOOK_WRITE)
        secrets = [each.text for each in await endpoint_store.list_secrets(tx, endpoint.id, call.at)]
    event_id = call.new_id()
    name = encode("billing_event", event_id)
    body = probe_body(name, endpoint.environment, endpoint.schema_version, call.at)
    reply = await sender.post(endpoint.url, sign(secrets, name, call.at, body), body)
    made = Delivery(
        customer_id=NOBODY,
        id=call.new_id(),
        endpoint_id=endpoint.id,
        event_id=event_id,
        replay_id=LIVE,
        type=TEST_TYPE,
        number=None,
        attempt=1,
        at=call.at,
        outcome=reply.outcome,
        status=reply.status,
        latency_ms=reply.latency_ms,
        excerpt=reply.excerpt,
    )
    async with db.transaction() as tx:
        await store.insert_delivery(tx, made)
        await journal.audit(tx, call, "test_webhook_endpoint", encode("webhook_endpoint", endpoint.id))
    return made


async def waiting_by_id(tx: Tx, call: Call, ids: Sequence[EndpointId]) -> dict[EndpointId, Waiting]:
    """Return what waits for some endpoints that the caller has found to be visible. Raises Forbidden."""
    desk.need_merchant(call, Permission.WEBHOOK_READ)
    return {each: Waiting() for each in ids} | await queue.count_waiting(tx, ids)


async def list_deliveries(
    tx: Tx,
    call: Call,
    endpoint_id: EndpointId,
    *,
    customer_id: CustomerId | None = None,
    failed_only: bool = False,
    before: UUID | None = None,
    limit: int = PAGE_MAX,
) -> Sequence[Delivery]:
    """Return the tries at an endpoint of the last DELIVERY_DAYS, newest first. Raises EndpointNotFound, Forbidden."""
    endpoint = await desk.get_endpoint(tx, call, endpoint_id)
    return await store.list_deliveries(
        tx,
        endpoint.id,
        customer_id=customer_id,
        failed_only=failed_only,
        before=before,
        limit=max(0, min(limit, PAGE_MAX)),
    )


async def forget(tx: Tx, call: Call) -> int:
    """Forget tries older than DELIVERY_DAYS, at most FORGET_BATCH; return how many."""
    return await store.delete_deliveries(tx, before=call.at - timedelta(days=DELIVERY_DAYS), limit=FORGET_BATCH)
