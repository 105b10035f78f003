"""Load what corrections speak of, and keep what they did."""

from collections.abc import Iterable, Mapping
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.db import Tx
from domain.journal import service as journal
from domain.kernel.ids import CustomerId, ProductId, SegmentId, SubscriptionId, encode
from domain.plans.meter_definition import VOID
from domain.usage.correcting import store
from domain.usage.correction import CHAIN_MAX, Chronicle, Known, Toggle
from domain.usage.counters.counter import packed
from domain.usage.event import identity_of
from domain.usage.facts import Rules, SegmentFacts, SubscriptionFacts
from domain.usage.recount import contributions_of, digest_of
from domain.usage.resolve import Place, Row, count_of, hour_of
from domain.usage.tally import Entry
from domain.usage.verdict import UsageUnavailable

_Wanted = dict[bytes, tuple[CustomerId, str, str]]


async def open_chronicle(driver: store.Driver, rows: Iterable[Row]) -> Chronicle:
    """Load the events that rows correct, those that these correct themselves, and so on up to CHAIN_MAX."""
    wanted: _Wanted = {}
    rules: dict[CustomerId, Rules] = {}
    for row in rows:
        event = row.envelope.event
        if event.corrects is not None:
            source = row.request.sender.source
            wanted[identity_of(event.customer, source, event.corrects)] = (row.customer_id, source, event.corrects)
            rules[row.customer_id] = row.request.rules
    return await _load(driver, wanted, rules)


async def find_counted(driver: store.Driver, rows: Iterable[Row]) -> dict[bytes, Known]:
    """Load the stored events of rows that were counted before, by identity."""
    wanted: _Wanted = {}
    rules: dict[CustomerId, Rules] = {}
    for row in rows:
        event = row.envelope.event
        wanted[row.identity] = (row.customer_id, row.request.sender.source, event.id)
        rules[row.customer_id] = row.request.rules
    return (await _load(driver, wanted, rules)).known


async def _load(driver: store.Driver, wanted: _Wanted, rules: Mapping[CustomerId, Rules]) -> Chronicle:
    chronicle = Chronicle()
    for _ in range(CHAIN_MAX):
        if not wanted:
            break
        further: _Wanted = {}
        for target in await store.load_targets(driver, wanted):
            known = _known(target, rules[target.customer_id])
            chronicle.known[known.identity] = known
            if known.target is not None and target.corrects is not None and known.target not in chronicle.known:
                further[known.target] = (target.customer_id, target.event.source, target.corrects)
        wanted = further
    return chronicle


async def keep(
    tx: Tx,
    driver: store.Driver,
    done: Mapping[bytes, tuple[Toggle, ...]],
    rows: Iterable[Row],
    ids: Mapping[bytes, bytes],
) -> None:
    """Keep what corrections did, by the identities of their rows, and audit each."""
    own = [row for row in rows if row.identity in done]
    await store.insert_corrections(
        driver,
        ((toggle, ids[row.identity], row.request.received_at) for row in own for toggle in done[row.identity]),
    )
    for row in own:
        assert row.request.call is not None, "only a call corrects"
        await journal.audit(
            tx,
            row.request.call,
            "void_usage" if row.is_void else "replace_usage",
            encode("event", UUID(bytes=ids[row.identity])),
            customer_id=row.customer_id,
            facts={
                "taken_back": [_name(toggle) for toggle in done[row.identity] if toggle.sign < 0],
                "counted_again": [_name(toggle) for toggle in done[row.identity] if toggle.sign > 0],
            },
        )


def entry_of(row: Row, row_id: bytes) -> Entry:
    """Return what a counted row is counted as."""
    assert row.place is not None, "a counted row has a place"
    return Entry(row_id, row.customer_id, row.place, row.occurred_at, row.packs, row.counts, row.slow, row.digest)


def _name(toggle: Toggle) -> str:
    return encode("event", UUID(bytes=toggle.known.entry.id))


def _known(target: store.StoredTarget, rules: Rules) -> Known:
    if any(meter_id not in rules.meters for meter_id in target.event.meters):
        # A meter was published a moment ago, and another process counted by it; this one will know it in a moment.
        raise UsageUnavailable
    name = encode("customer", target.customer_id)
    corrected = None if target.corrects is None else identity_of(name, target.event.source, target.corrects)
    added = list(contributions_of(target.event, rules))
    counts = [count_of(meter, each) for meter, each in added if not meter.is_counter]
    entry = Entry(
        target.id,
        target.customer_id,
        _place(target),
        target.event.occurred_at,
        packed((meter, each.dimensions, each.quantity) for meter, each in added if meter.is_counter),
        tuple(count for count in counts if count.meter.is_plain),
        tuple(count for count in counts if not count.meter.is_plain),
        digest_of(target.customer_id, target.event),
    )
    is_void = target.event.type == VOID
    return Known(target.identity, entry, is_void, corrected, target.stands, target.put_away_by_void, target.event)


def _place(target: store.StoredTarget) -> Place:
    segment = SegmentFacts(
        SegmentId(target.segment_id),
        target.start_at,
        target.end_at,
        target.period_end_at,
        target.customer_id.bytes + target.segment_id.bytes,
        ZoneInfo(target.zone),
    )
    subscription_id = SubscriptionId(target.subscription_id)
    subscription = SubscriptionFacts(
        subscription_id,
        encode("subscription", subscription_id),
        subscription_id.hex,
        ProductId(target.product_id),
        0,
        (),
    )
    return Place(subscription, segment, hour_of(target.event.occurred_at, segment.zone, target.start_at))
