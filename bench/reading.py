"""Current usage of one customer with 80 combinations of dimensions over 31 days, and the rating of its totals.

One customer has 100 times as many events as the other; what is read should not care. The events beyond the first of
each combination are copied by statements, hours and totals with them: reading them back does not show how they came.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from bench.report import Result, at_least, at_most, middle
from bench.singles import Silent
from bench.world import LLM, MODELS, Servers, opened, sender
from domain.adapters import clock
from domain.db import Database
from domain.invoices.rating import SegmentUsage, usage_lines
from domain.kernel.ids import CustomerId, decode
from domain.plans import service as plans
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Subscription
from domain.usage import service as usage
from domain.usage.counters.counter import SLOTS
from domain.usage.event import BATCH_MAX, UsageEvent

COMBINATIONS = 80
FEW, MANY = 10_000, 1_000_000
RATIO_MAX, SERVICE_MS_MAX = 1.2, 2
ROWS_PER_S_MIN = 20_000
CALLS = 100
RATINGS = 20
_MS = 1_000

_COPY_EVENTS = """
INSERT INTO usage_event (customer_id, id, received_at, source, event_id, type, subscription_id, segment_id, occurred_at,
                         properties, meter_set, cost, price_ids)
SELECT e.customer_id, gen_random_uuid(), e.received_at, e.source, e.event_id || '-' || n, e.type, e.subscription_id,
       e.segment_id, e.occurred_at + n * interval '1 second', e.properties, e.meter_set, e.cost,
       e.price_ids
FROM usage_event e, generate_series(1, $2::int - 1) AS n WHERE e.customer_id = $1
"""
_COPY_HOURS = f"""
INSERT INTO counter_hour (customer_id, segment_id, set_id, dimensions, hour_at, events, digest,
                          {", ".join(f"q{slot}" for slot in range(SLOTS))})
SELECT customer_id, segment_id, set_id, dimensions, hour_at - n * interval '1 hour', hour_events, hour_digest,
       {", ".join(f"h{slot}" for slot in range(SLOTS))}
FROM counter_total, generate_series(1, $2::int - 1) AS n WHERE customer_id = $1
"""  # noqa: S608 -- made of constants of this module
_RAISE_TOTALS = f"""
UPDATE counter_total SET events = events * $2::int, {", ".join(f"q{slot} = q{slot} * $2::int" for slot in range(SLOTS))}
WHERE customer_id = $1
"""  # noqa: S608 -- the same
_HOURS = 31 * 24


@dataclass(frozen=True, slots=True)
class _Person:
    customer_id: CustomerId
    subscription: Subscription


async def measure(running: Servers, database: str, names: Sequence[str], runs: int, many: int) -> list[Result]:
    """Return what reading costs with few and with many events, and how fast totals become lines."""
    async with opened(running, database) as db:
        few, large = [
            await _fill(running, db, database, name, count) for name, count in ((names[0], FEW), (names[1], many))
        ]
        figures: dict[CustomerId, list[float]] = {few.customer_id: [], large.customer_id: []}
        for _ in range(runs + 1):
            for person in (few, large):
                figures[person.customer_id].append(await _read_ms(db, person))
        few_ms, large_ms = (middle(figures[person.customer_id][1:]) for person in (few, large))
        rated = await _rate(db, large, runs)
    work = f"current usage, {COMBINATIONS} combinations of 6 meters"
    return [
        at_most(f"{work}, {many:,} events", large_ms, SERVICE_MS_MAX, digits=2, unit=" ms"),
        at_most(f"{work}: {many:,} events against {FEW:,}", large_ms / few_ms, RATIO_MAX, digits=2),
        at_least("rating: rows of totals made into lines with derivation, one core", rated, ROWS_PER_S_MIN, unit="/s"),
    ]


async def _fill(running: Servers, db: Database, database: str, name: str, events: int) -> _Person:
    """Record one event for each combination, then copy it until there are so many."""
    customer_id = CustomerId(decode("customer", name))
    recorder = usage.Recorder(db, Silent())
    recorder.start()
    first = [_event(name, number) for number in range(COMBINATIONS)]
    assert len(first) <= BATCH_MAX, "one batch"
    await recorder.record(sender(LLM), first)
    await recorder.stop()
    connection = await asyncpg.connect(**running.postgres.asyncpg_arguments(database))
    try:
        await connection.execute(_COPY_EVENTS, customer_id, events // COMBINATIONS)
        await connection.execute(_COPY_HOURS, customer_id, min(_HOURS, events // COMBINATIONS))
        await connection.execute(_RAISE_TOTALS, customer_id, events // COMBINATIONS)
        await connection.execute("VACUUM ANALYZE usage_event, counter_hour, counter_total")
    finally:
        await connection.close()
    async with db.transaction() as tx:
        catalogue = await plans.load_catalogue(tx)
        product_id = catalogue.product(LLM).id
        found = await subscriptions.list_subscriptions(tx, customer_id)
    [subscription] = [each for each in found if each.product_id == product_id]
    return _Person(customer_id, subscription)


def _event(name: str, number: int) -> UsageEvent:
    provider, model = MODELS[number % len(MODELS)]
    properties = {"provider": provider, "model": model, "endpoint": f"endpoint {number // len(MODELS)}"}
    tokens = {"input_tokens": 2048, "output_tokens": 28, "cache_read_tokens": 512}
    return UsageEvent(f"first-{number}", LLM, name, properties=properties | tokens)


async def _read_ms(db: Database, person: _Person) -> float:
    started = time.perf_counter()
    for _ in range(CALLS):
        async with db.transaction() as tx:
            found = await usage.current_usage(tx, person.customer_id, person.subscription)
    elapsed = time.perf_counter() - started
    assert sum(len(meter.combinations) for meter in found.meters.values()) == 6 * COMBINATIONS, "all are there"
    return elapsed / CALLS * _MS


async def _rate(db: Database, person: _Person, runs: int) -> float:
    """Return how many rows of totals a second become invoice lines."""
    async with db.transaction() as tx:
        catalogue = await plans.load_catalogue(tx)
        ending_after = clock.now() - timedelta(days=40)
        found = await subscriptions.segments_of(tx, [person.subscription.id], ending_after=ending_after)
        segments = {segment.id: segment for segment in found[person.subscription.id]}
        by_segment = await usage.usage_of_segments(tx, person.customer_id, list(segments))
    segment_id, totals = max(by_segment.items(), key=lambda each: len(each[1]))
    counted = SegmentUsage(person.subscription, segments[segment_id], totals, {})
    rates = []
    for _ in range(runs + 1):
        started = time.process_time()
        for _ in range(RATINGS):
            lines = usage_lines(counted, catalogue)
        rates.append(len(totals) * RATINGS / (time.process_time() - started))
    assert lines, "there is something to bill"
    return middle(rates[1:])
