"""Counting once and billing once: recorded through `domain/usage/recording`, billed through `domain/contracts`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dateutil.relativedelta import relativedelta

from api.conformance.case import Area, Found, Given, NotBuilt, instant
from api.conformance.system import NOON, System, call_at, current_usage, event, new_invoices_of_runs
from domain.customers.customer import Customer
from domain.journal.service import input_digest
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval
from domain.usage import service as usage
from domain.usage.event import BATCH_MAX, WINDOW_AHEAD, WINDOW_BACK, UsageEvent, in_window, read_event
from domain.usage.reading import StoredEvent
from domain.usage.verdict import BatchEmpty, BatchTooLarge, Status, Verdict

_INTERVALS = {"P1M": Interval.MONTH, "P1Y": Interval.YEAR}


async def _stored(system: System, customer: Customer) -> Sequence[StoredEvent]:
    async with system.db.transaction() as tx:
        return await usage.list_events(tx, call_at(NOON), customer.id)


async def _batch_size(system: System, given: Given) -> Found:
    """Send as many events as the case has in relation to its limit; ours is BATCH_MAX."""
    customer, subscription = await system.subscriber(NOON)
    count = BATCH_MAX + given["count"] - given["limit"] if given["count"] else 0
    events = [event(customer, str(number), "call", NOON, value=1) for number in range(count)]
    try:
        await system.record(NOON, events)
    except (BatchEmpty, BatchTooLarge) as refused:
        error: dict[str, Any] = {"error": refused.message}
    else:
        error = {}
    counted = (await current_usage(system, subscription)).quantity(system.meter("value"))
    return {"accepted": not error, "stored": min(int(counted), given["count"]), **error}


async def _ingest_twice(system: System, given: Given) -> Found:
    first, second = given["first"], given["second"]
    if first.get("subscription") != second.get("subscription"):
        raise NotBuilt("one id for two subscriptions")
    customer, subscription = await system.subscriber(NOON)
    verdicts: list[Verdict] = []
    for each in (first, second):
        verdicts += await system.record(NOON, [event(customer, each["id"], "call", NOON, value=Decimal(each["value"]))])
    return {
        "stored": len(await _stored(system, customer)),
        "sum": (await current_usage(system, subscription)).quantity(system.meter("value")),
        "second_result": verdicts[1].status.value,
    }


async def _event_time(system: System, given: Given) -> Found:
    """Read the time that an event carries; one without a time is recorded, to see which it gets."""
    timestamp, received_at = given["timestamp"], instant(given["received_at"])
    if timestamp is None:
        customer, _ = await system.subscriber(received_at)
        await system.record(received_at, [event(customer, "1", "call", None, value=1)])
        [stored] = await _stored(system, customer)
        return {"event_time": stored.occurred_at}
    envelope = read_event(UsageEvent("1", "call", "customer", occurred_at=_as_sent(timestamp)))
    if isinstance(envelope, Verdict):
        return {"event_time": None, "error": envelope.message}
    return {"event_time": envelope.occurred_at}


def _as_sent(timestamp: Any) -> Any:
    """Read seconds since 1970, which files hold as text, as the number that a sender writes."""
    is_number = isinstance(timestamp, str) and timestamp.replace(".", "", 1).isdecimal()
    return Decimal(timestamp) if is_number else timestamp


async def _store_same_id_same_time(system: System, given: Given) -> Found:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    customer, subscription = await system.subscriber(start)
    events = [
        event(customer, each["id"], "call", start + timedelta(days=each["day"] - 1), value=Decimal(each["value"]))
        for each in given["events"]
    ]
    await system.record(NOON, events)
    return {
        "recommended_sum": (await current_usage(system, subscription)).quantity(system.meter("value")),
        "count": len(await _stored(system, customer)),
    }


async def _dedupe_key(system: System, given: Given) -> Found:
    tenants = {each["tenant"]: (await system.subscriber(NOON))[0] for each in given["events"]}
    kept = []
    for index, each in enumerate(given["events"]):
        sent = event(tenants[each["tenant"]], each["id"], each["type"], NOON, value=1)
        [verdict] = await system.record(NOON, [sent], each["source"])
        if verdict.status not in {Status.DUPLICATE, Status.CONFLICT}:
            kept.append(index)
    return {"kept": kept}


async def _dedupe_window(system: System, given: Given) -> Found:
    """Send the same event at both times. Identities are kept for ever, whatever window the case has."""
    first_at, second_at = instant(given["first_at"]), instant(given["second_at"])
    customer, _ = await system.subscriber(first_at)
    sent = event(customer, "1", "call", first_at, value=1)
    await system.record(first_at, [sent])
    [verdict] = await system.record(second_at, [sent])
    return {"second": verdict.status.value}


def _ingest_window(given: Given) -> Found:
    back, ahead = timedelta(days=given["past_days"]), timedelta(minutes=given["future_minutes"])
    if (back, ahead) != (WINDOW_BACK, WINDOW_AHEAD):
        raise NotBuilt(f"a window of {back} back and {ahead} ahead")
    return {"accepted": in_window(instant(given["timestamp"]), instant(given["now"]))}


def _composite_key(given: Given) -> Found:
    return {"same": input_digest(given["a"]) == input_digest(given["b"])}


async def _rerun_invoice(system: System, given: Given) -> Found:
    start = instant(given["start"])
    if given["bill_day"] != start.day or given["every"] not in _INTERVALS:
        raise NotBuilt(f"a bill day apart from the start, every {given['every']}")
    runs = [instant(given["first_target"]), instant(given["second_target"])]
    created = await new_invoices_of_runs(system, start, _INTERVALS[given["every"]], "UTC", runs)
    return {"new_invoices_on_second_run": created[1]}


async def _event_on_boundary(system: System, given: Given) -> Found:
    """Record an event around a boundary, and look in which segments it is counted."""
    boundary, event_at = instant(given["boundary"]), instant(given["event_at"])
    customer, subscription = await system.subscriber(boundary - relativedelta(months=1))
    await system.record(max(boundary, event_at), [event(customer, "1", "call", event_at, value=1)])
    async with system.db.transaction() as tx:
        segments = (await subscriptions.segments_of(tx, [subscription.id]))[subscription.id]
        totals = await usage.usage_of_segments(tx, customer.id, [segment.id for segment in segments])
    counting = [segment for segment in segments if totals.get(segment.id)]
    names = {True: "period starting at the boundary", False: "period ending at the boundary"}
    return {
        "counted_in": [names[segment.during.start == boundary] for segment in counting],
        "times": sum(total.events for segment in counting for total in totals[segment.id]),
    }


AREA = Area(
    {"ingest_window": _ingest_window, "composite_key": _composite_key},
    served={
        "batch_size": _batch_size,
        "ingest_twice": _ingest_twice,
        "event_time": _event_time,
        "store_same_id_same_time": _store_same_id_same_time,
        "dedupe_key": _dedupe_key,
        "dedupe_window": _dedupe_window,
        "rerun_invoice": _rerun_invoice,
        "event_on_boundary": _event_on_boundary,
    },
)
