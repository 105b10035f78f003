"""Re-drive events in quarantine: count those that can be counted now, and price those that can be priced."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.access.roles import Permission
from domain.db import Database, Tx
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, EventId, SubscriptionId, decode, encode
from domain.kernel.values import dataclass
from domain.subscriptions.buckets.store import share_buckets
from domain.usage.correcting import service as correcting
from domain.usage.correction import Known
from domain.usage.counters.counter import MeterSet, packed, set_of
from domain.usage.counting import service as counting
from domain.usage.counting import store as counting_store
from domain.usage.counting.service import FullError, MovedError, NarrowError
from domain.usage.event import Envelope, UsageEvent, read_event
from domain.usage.facts import Rules, Sender
from domain.usage.recording.store import insert_identities
from domain.usage.recount import digest_of
from domain.usage.redriving import store
from domain.usage.redriving.store import Held
from domain.usage.resolve import Request, Row
from domain.usage.snapshots.service import Snapshots
from domain.usage.tally import Tally, derive_totals, price_entry
from domain.usage.verdict import Reason, Status, UsageUnavailable, Verdict

REDRIVE_MAX = 1_000
FORGET_BATCH = 5_000
# Rows of one transaction.
CHUNK = 200
STARTS_MAX = 5


@dataclass(frozen=True, slots=True)
class Redriven:
    """What became of events: `resolved` left the quarantine, `kept` stay there. Each id is in one of the two.

    `last` is the id of the last event that was looked at: go on after it where there may be more. The totals of
    `customers` have moved.
    """

    resolved: tuple[EventId, ...]
    kept: tuple[tuple[EventId, Reason], ...]
    last: EventId | None
    customers: frozenset[CustomerId] = frozenset()


async def redrive(
    db: Database,
    call: Call,
    *,
    ids: Collection[EventId] | None = None,
    reason: Reason | None = None,
    after: EventId | None = None,
    limit: int = REDRIVE_MAX,
) -> Redriven:
    """Look at open events in quarantine once more, the first received first, at most REDRIVE_MAX.

    An event is counted as its sender would have it counted now, at the price of its day; that it came in within its
    window stands. What was counted without a price gets its cost. Each is audited. Safe to repeat and to run at once
    in two places: what is resolved is not looked at again. Raises Forbidden, UsageUnavailable.
    """
    call.need(Permission.EVENT_WRITE)
    snapshots = Snapshots(db)
    rules = await snapshots.rules(call.at)
    async with db.transaction() as tx:
        held = await store.list_held(
            await tx.raw(),
            tx.vault,
            ids=ids,
            reason=reason,
            scope=call.scope,
            environment=call.principal.environment,
            after=after,
            limit=max(0, min(limit, REDRIVE_MAX)),
        )
    resolved: list[Held] = []
    kept: list[tuple[EventId, Reason]] = []
    for start in range(0, len(held), CHUNK):
        done = await _redrive_chunk(db, call, snapshots, rules, held[start : start + CHUNK])
        resolved += [each for each, why in done if why is None]
        kept += [(each.id, why) for each, why in done if why is not None]
    customers = frozenset(CustomerId(decode("customer", each.customer)) for each in resolved)
    return Redriven(tuple(each.id for each in resolved), tuple(kept), held[-1].id if held else None, customers)


async def _redrive_chunk(
    db: Database, call: Call, snapshots: Snapshots, rules: Rules, held: Sequence[Held]
) -> list[tuple[Held, Reason | None]]:
    """Re-drive in one transaction; starts anew where facts turned out to be old."""
    full: dict[bytes, frozenset[bytes]] = {}
    corrected: set[SubscriptionId] = set()
    for _ in range(STARTS_MAX):
        resolved = await _resolve(call, snapshots, rules, held)
        try:
            async with db.transaction() as tx:
                return await _write(tx, call, resolved, full, corrected)
        except MovedError as moved:
            await snapshots.reload(moved.customers)
        except FullError as reached:
            full |= reached.groups
        except NarrowError as wider:
            corrected |= wider.subscriptions
    raise UsageUnavailable


async def _resolve(
    call: Call, snapshots: Snapshots, rules: Rules, held: Sequence[Held]
) -> list[tuple[Held, Row | Verdict]]:
    """Resolve events as their senders' keys would; the window was checked when they came in."""
    granted = call.principal.permissions | {str(Permission.USAGE_CORRECT)}
    allowed = replace(call, principal=replace(call.principal, permissions=granted))
    found: list[tuple[Held, Row | Verdict]] = []
    for each in held:
        product_id = rules.products.get(each.product)
        envelope = read_event(_sent(each, each.properties)) if each.properties is not None else None
        if product_id is None or not isinstance(envelope, Envelope):
            found.append((each, Verdict(Status.QUARANTINED, each.reason)))
            continue
        sender = Sender(each.source, product_id, each.product, each.environment, each.sender_customer_id)
        request = Request(sender, rules, each.received_at, each.received_at.isoformat(), allowed)
        [row] = await snapshots.resolve(call, [(envelope, request)], now=each.occurred_at)
        found.append((each, row))
    return found


def _sent(held: Held, properties: dict[str, Any]) -> UsageEvent:
    at = held.occurred_at.isoformat()
    return UsageEvent(held.event_id, held.type, held.customer, held.subscription, at, properties, held.corrects)


async def _write(
    tx: Tx,
    call: Call,
    resolved: Sequence[tuple[Held, Row | Verdict]],
    full: Mapping[bytes, frozenset[bytes]],
    corrected: Collection[SubscriptionId],
) -> list[tuple[Held, Reason | None]]:
    rows = [(each, row) for each, row in resolved if isinstance(row, Row) and row.verdict.status is Status.COUNTED]
    buckets = {row.place.subscription.id for _, row in rows if row.place} | set(corrected)
    await share_buckets(tx, buckets)
    driver = await tx.raw()
    await counting.check_epochs(driver, [row for _, row in rows])
    # Identities before the quarantine, as corrections take them: otherwise the two would wait for each other.
    stored = await correcting.find_counted(driver, [row for each, row in rows if _is_priced_now(each, row)])
    still = await store.lock_held(driver, [each for each, _ in resolved])
    rows = [(each, row) for each, row in rows if each.id in still]
    outcome: dict[EventId, Reason | None] = {each.id: each.reason for each, _ in resolved if each.id in still}
    for each, row in resolved:
        verdict = row.verdict if isinstance(row, Row) else row
        if each.id in still and each.reason is not Reason.UNPRICED and verdict.reason is not None:
            outcome[each.id] = verdict.reason
    unpriced = [(each, row) for each, row in rows if each.reason is Reason.UNPRICED]
    outcome |= await _price(driver, unpriced, stored, buckets)
    uncounted = [(each, row) for each, row in rows if each.reason is not Reason.UNPRICED]
    outcome |= await _count(tx, uncounted, full, buckets)
    await _close(tx, call, [each for each, _ in resolved if each.id in still], outcome)
    return [(each, outcome[each.id]) for each, _ in resolved if each.id in still]


async def _count(
    tx: Tx,
    rows: Sequence[tuple[Held, Row]],
    full: Mapping[bytes, frozenset[bytes]],
    buckets: Collection[SubscriptionId],
) -> dict[EventId, Reason | None]:
    """Count events that were not counted. One that was sent again since, by a customer now known, is resolved too."""
    driver = await tx.raw()
    outcome: dict[EventId, Reason | None] = dict.fromkeys((each.id for each, _ in rows), None)
    moved = [(each, row) for each, row in rows if row.customer_id != each.customer_id]
    new = await insert_identities(driver, [row for _, row in moved]) if moved else set()
    wanted = [(each, row) for each, row in rows if row.customer_id == each.customer_id or row.identity in new]
    fresh = {row.identity: row.verdict for _, row in wanted}
    held_ids = {row.identity: each.id.bytes for each, row in wanted}
    if not wanted:
        return outcome
    sums = await counting.count(tx, [row for _, row in wanted], fresh, full=full, held=buckets, quarantined=held_ids)
    counting.tell_unpriced(sums)
    counted = [(each, row) for each, row in wanted if fresh[row.identity].status is Status.COUNTED]
    await store.save_identities_counted(driver, [row for _, row in counted])
    # As when it is sent: a void of what was voided meanwhile is a duplicate, and holds no identity.
    again = [row for _, row in wanted if fresh[row.identity].status is Status.DUPLICATE]
    await counting_store.delete_identities(driver, again)
    for each, row in wanted:
        verdict = fresh[row.identity]
        outcome[each.id] = verdict.reason
        if verdict.status is Status.COUNTED and row.unpriced:
            outcome[each.id] = Reason.UNPRICED
    return outcome


def _is_priced_now(held: Held, row: Row) -> bool:
    return held.reason is Reason.UNPRICED and row.cost is not None


async def _price(
    driver: counting_store.Driver,
    rows: Sequence[tuple[Held, Row]],
    stored: Mapping[bytes, Known],
    buckets: Collection[SubscriptionId],
) -> dict[EventId, Reason | None]:
    """Give events their cost that were counted without: in the totals of cost, and in every digest they are part of."""
    elsewhere = {known.entry.place.subscription.id for known in stored.values()} - set(buckets)
    if elsewhere:
        raise NarrowError(elsewhere)
    sums = Tally()
    costs: dict[EventId, store.Cost] = {}
    outcome: dict[EventId, Reason | None] = {}
    for each, row in rows:
        known = stored.get(row.identity)
        if known is not None and known.stands and row.cost is not None:
            counting_meters = _add_cost(sums, known, row)
            costs[each.id] = store.Cost(each, row.cost, row.price_ids, counting_meters.id)
            outcome[each.id] = None
    if costs:
        derive_totals(sums, None)
        await counting.write(driver, sums, ())
        await counting.stage_checks(driver, [row for _, row in rows])
        await store.save_costs(driver, costs.values())
    return outcome


def _add_cost(sums: Tally, known: Known, row: Row) -> MeterSet:
    """Count an event by the meters of cost too; return all that count it then. Its other totals stay."""
    assert known.stored is not None, "it was read from the database"
    cost = [
        (meter, pack.combination.values, quantity)
        for pack in row.packs
        for meter, quantity in zip(pack.counters.meters, pack.quantities, strict=True)
        if meter.aggregation == "cost"
    ]
    counted = [
        (meter, pack.combination.values, quantity)
        for pack in known.entry.packs
        for meter, quantity in zip(pack.counters.meters, pack.quantities, strict=True)
    ]
    digest = digest_of(row.customer_id, replace(known.stored, cost=row.cost))
    price_entry(sums, known.entry, known.entry._replace(packs=packed([*counted, *cost]), digest=digest))
    meters = [row.request.rules.meters[meter_id] for meter_id in known.stored.meters]
    counting = set_of([*meters, *(meter for meter, _, _ in cost)])
    sums.sets[counting.id] = counting
    return counting


async def forget(tx: Tx, call: Call, *, days: int) -> int:
    """Delete what was resolved longer ago, at most FORGET_BATCH; return how many. What waits is never deleted."""
    return await store.delete_resolved(await tx.raw(), before=call.at - timedelta(days=days), limit=FORGET_BATCH)


async def _close(tx: Tx, call: Call, held: Iterable[Held], outcome: Mapping[EventId, Reason | None]) -> None:
    """Mark what was resolved, keep the reasons of the rest, and audit both."""
    driver = await tx.raw()
    listed = list(held)
    await store.resolve_held(driver, [each for each in listed if outcome[each.id] is None], call.at)
    kept = [(each, why, None) for each in listed if (why := outcome[each.id]) is not None and why is not each.reason]
    await store.save_reasons(driver, kept)
    for each in listed:
        facts = {"was": each.reason, "is": outcome[each.id] or "counted"}
        about = encode("event", UUID(bytes=each.id.bytes))
        await journal.audit(tx, call, "redrive_usage", about, customer_id=each.customer_id, facts=facts)
