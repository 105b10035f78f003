"""Plain flushes: one call of the database does what the statements of a judged flush do, or does nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import event as hooks

from domain.customers.customer import Customer
from domain.db import Database
from domain.usage.event import Envelope, UsageEvent, read_event
from domain.usage.facts import sender_of
from domain.usage.recording.plain import plain_flush_of
from domain.usage.resolve import Request, Row
from domain.usage.verdict import CONFLICT, COUNTED, DUPLICATE, Reason, Status
from domain.vault import Vault
from tests import make
from tests.domain.usage.world import World, key, llm, open_world

_PLAIN = "record_plain_usage"
# Everything that a flush writes for a customer, but for ids that differ from one to the next.
_TOTAL = "set_id, dimensions, hour_at, events, q0, q1, q2, q3, q4, q5, q6, q7"
_NEWEST = "hour_events, h0, h1, h2, h3, h4, h5, h6, h7"
_EVENT = "received_at, source, event_id, type, occurred_at, properties, meter_set, cost, price_ids, corrects"
_WRITTEN = (
    "SELECT verdict, received_at FROM event_identity WHERE customer_id = :customer",
    f"SELECT {_EVENT} FROM usage_event WHERE customer_id = :customer ORDER BY event_id",  # noqa: S608 -- constants
    f"SELECT {_TOTAL}, {_NEWEST} FROM counter_total WHERE customer_id = :customer ORDER BY 1, 2",  # noqa: S608 -- constants
    f"SELECT {_TOTAL} FROM counter_hour WHERE customer_id = :customer ORDER BY 1, 2, 3",  # noqa: S608 -- constants
    'SELECT id, "values"::text FROM dimension_set WHERE customer_id = :customer ORDER BY id',
    "SELECT version FROM usage_version WHERE customer_id = :customer",
    "SELECT kind, state, run_at, retry_at, attempts, created_at FROM outbox_job WHERE customer_id = :customer",
)


@asynccontextmanager
async def watched_world(url: str, vault: Vault) -> AsyncIterator[tuple[World, list[str]]]:
    """Open a world whose statements are noted."""
    statements: list[str] = []
    db = Database(url, vault, pool_size=3)

    def note(connection: Any, _: Any) -> None:
        connection.driver_connection.add_query_logger(lambda record: statements.append(record.query))

    hooks.listen(db._engine.sync_engine, "connect", note)
    async with open_world(db) as world:
        yield world, statements
    await db.close()


async def written_for(world: World, customer: Customer) -> list[list[tuple[Any, ...]]]:
    """Read everything that was written for a customer."""
    async with world.db.transaction() as tx:
        return [
            [tuple(row) for row in (await tx.execute(sa.text(each), {"customer": customer.id})).all()]
            for each in _WRITTEN
        ]


def call(hour: int, customer: Customer, name: str, **properties: Any) -> UsageEvent:
    """Make a call on 15 January 2026."""
    return llm(customer, name, at=f"2026-01-15T{hour:02}:30:00Z", **properties)


def batches(customer: Customer) -> list[list[UsageEvent]]:
    """Make batches: two models, repetitions, a later hour, one that comes late, and one that leaves a number out."""
    flash = "gemini-2.5-flash"
    first = [call(8, customer, "e1"), call(8, customer, "e2", model=flash), call(8, customer, "e3")]
    short = UsageEvent(
        "e9",
        "llm.call",
        first[0].customer,
        occurred_at=first[0].occurred_at,
        properties={name: value for name, value in first[0].properties.items() if name != "output_tokens"},
    )
    return [
        [call(8, customer, "e0")],
        first,
        [call(8, customer, "e2", model=flash), call(8, customer, "e4"), call(8, customer, "e4")],
        [call(9, customer, "e5"), call(9, customer, "e6", model=flash)],
        [call(8, customer, "e7"), call(11, customer, "e8", model=flash), call(8, customer, "e5-late")],
        [short],
        [short, call(11, customer, "e10", model=flash, input_tokens=3)],
    ]


async def test_a_plain_flush_writes_what_a_judged_one_writes(database_url: str, vault: Vault) -> None:
    async with watched_world(database_url, vault) as (world, statements):
        ada, _ = await world.subscriber()
        bea, _ = await world.subscriber()
        answers = {}
        # An atomic batch is always judged.
        for customer, atomic in ((bea, True), (ada, False)):
            statements.clear()
            answers[customer.id] = [await world.record(*each, atomic=atomic) for each in batches(customer)]
            assert sum(_PLAIN in each for each in statements) == (0 if atomic else 7)
        assert answers[ada.id] == answers[bea.id]
        assert answers[ada.id][2] == [DUPLICATE, COUNTED, DUPLICATE]
        assert await written_for(world, ada) == await written_for(world, bea)


async def test_events_that_are_stored_already_change_nothing(world: World) -> None:
    ada, _ = await world.subscriber()
    await world.record(call(10, ada, "e1"), call(10, ada, "e2"))
    before = await written_for(world, ada)
    assert await world.record(call(10, ada, "e1"), call(10, ada, "e2", input_tokens=7)) == [DUPLICATE, CONFLICT]
    assert await written_for(world, ada) == before


async def test_a_meter_that_is_full_takes_no_more_through_a_plain_flush(database_url: str, vault: Vault) -> None:
    async with watched_world(database_url, vault) as (world, statements):
        ada, _ = await world.subscriber()
        await world.record(*(call(10, ada, f"e{number}", model=f"model {number}") for number in range(1_000)))
        before = await world.count("counter_total")
        statements.clear()
        [verdict] = await world.record(call(10, ada, "one too many", model="model 1000"))
        # Tried as a plain flush, refused by the database, and then judged.
        assert sum(_PLAIN in each for each in statements) <= 1
        assert (verdict.status, verdict.reason) == (Status.QUARANTINED, Reason.TOO_MANY_COMBINATIONS)
        assert await world.count("counter_total") == before


async def test_ids_are_in_the_order_in_which_events_were_sent(world: World) -> None:
    ada, _ = await world.subscriber()
    await world.record(call(8, ada, "first"))
    names = [f"e{number}" for number in range(20)]
    assert await world.record(*(call(9, ada, name) for name in names)) == [COUNTED] * 20
    async with world.db.transaction() as tx:
        found = await tx.rows(sa.text("SELECT event_id FROM usage_event WHERE event_id <> 'first' ORDER BY id"))
    assert [row.event_id for row in found] == names


async def test_ids_and_names_of_any_text_are_kept_as_they_were_sent(world: World) -> None:
    ada, _ = await world.subscriber()
    await world.record(call(8, ada, "first"))
    # Quotes, braces and backslashes mean something in an array, and the last one is what parts texts of a flush.
    odd = ['"', "{}", "a\\b", "NULL", "a,b", "\u00e9", "a\x1fb"]
    assert await world.record(*(call(9, ada, name, model="gemini-2.5-pro") for name in odd)) == [COUNTED] * 7
    async with world.db.transaction() as tx:
        found = await tx.rows(sa.text("SELECT event_id FROM usage_event WHERE event_id <> 'first' ORDER BY id"))
    assert [row.event_id for row in found] == odd


async def test_a_flush_names_each_epoch_at_which_its_events_were_resolved(world: World) -> None:
    # One of two requests of a flush may have been resolved before a border moved, and the other one after it.
    ada, subscription = await world.subscriber()
    request_call = make.call("2026-01-15T12:00", key())
    snapshots = world.recorder.snapshots
    rules = await snapshots.rules(request_call.at)
    request = Request(
        sender_of(request_call.principal, rules.products),
        rules,
        request_call.at,
        request_call.at.isoformat(),
        request_call,
    )
    envelopes = [read_event(call(9, ada, name)) for name in ("e1", "e2")]
    readable = [(each, request) for each in envelopes if isinstance(each, Envelope)]
    before, after = [row for row in await snapshots.resolve(request_call, readable) if isinstance(row, Row)]
    assert after.place is not None
    epoch = after.place.subscription.epoch
    moved = after.place._replace(subscription=replace(after.place.subscription, epoch=epoch + 1))
    flush = plain_flush_of([before, msgspec.structs.replace(after, place=moved)], {before.meters.id})
    assert flush is not None
    assert {place.subscription.epoch for place in flush.places} == {epoch, epoch + 1}
    assert {place.subscription.id for place in flush.places} == {subscription.id}
    assert plain_flush_of([before, after], ()) is None
