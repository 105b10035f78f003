"""The baselines of ingest: the same rows, written by plain statements.

`Direct` records one event in one transaction, as a service without a committer would: it reads and prices the event
with the domain's own functions, then inserts the identity and the event and adds to the totals with their hour and to
the customer's version. `bare` is the ceiling: the statements of one batch, with all their parameters made beforehand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from bench.world import sender
from domain.db import Database
from domain.kernel.call import Call
from domain.usage.counters.counter import PackSum
from domain.usage.event import DIGEST_MODULUS, Envelope, UsageEvent, read_event, row_id
from domain.usage.facts import sender_of
from domain.usage.resolve import Request, Row, resolve
from domain.usage.snapshots.service import Snapshots

IDENTITIES = """
INSERT INTO event_identity (customer_id, identity, payload_digest, verdict, received_at)
SELECT a, b, c, 1, d FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::timestamptz[])
     AS k (a, b, c, d)
ON CONFLICT DO NOTHING RETURNING identity
"""
_SAME = "SELECT payload_digest FROM event_identity WHERE customer_id = $1::uuid AND identity = $2::uuid"
EVENTS = """
INSERT INTO usage_event (customer_id, id, received_at, source, event_id, type, subscription_id, segment_id, occurred_at,
                         properties, meter_set, cost, price_ids)
SELECT a, b, c, d, e, f, g, h, i, j, k, l, m::uuid[]
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::timestamptz[], $4::text[], $5::text[], $6::text[],
            $7::text::uuid[], $8::text::uuid[], $9::text::timestamptz[], $10::text[], $11::text::uuid[],
            $12::text::numeric[], $13::text[]) AS t (a, b, c, d, e, f, g, h, i, j, k, l, m)
"""


def _totals(slots: int) -> str:
    """Write the statement that adds to totals and to their newest hour, which is the present one."""
    running, newest = [f"q{slot}" for slot in range(slots)], [f"h{slot}" for slot in range(slots)]
    grown = ["events", "hour_events", *running, *newest]
    return f"""
    INSERT INTO counter_total AS t (customer_id, segment_id, set_id, dimensions, hour_at, events, hour_events,
                                    hour_digest, {", ".join((*running, *newest))})
    SELECT a, b, c, d, e, f, f, g, {", ".join((*running, *running))}
    FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::uuid[], $5::text::timestamptz[],
                $6::text::bigint[], $7::text::numeric[]
                {"".join(f", ${slot + 8}::text::numeric[]" for slot in range(slots))})
         AS u (a, b, c, d, e, f, g, {", ".join(running)})
    ON CONFLICT (customer_id, segment_id, set_id, dimensions) DO UPDATE
    SET {", ".join(f"{name} = t.{name} + excluded.{name}" for name in grown)},
        hour_digest = mod(t.hour_digest + excluded.hour_digest, {DIGEST_MODULUS})
    """  # noqa: S608 -- only numbers


VERSIONS = """
INSERT INTO usage_version AS t (customer_id, version) SELECT a, 1 FROM unnest($1::text::uuid[]) AS k (a)
ON CONFLICT (customer_id) DO UPDATE SET version = t.version + 1
"""


@dataclass(frozen=True, slots=True)
class Resolver:
    """Reads and prices events for one product, with the facts that a process remembers."""

    snapshots: Snapshots
    product: str

    async def resolve(self, events: Sequence[UsageEvent]) -> list[Row]:
        """Return the rows of events that count."""
        call: Call = sender(self.product)
        rules = await self.snapshots.rules(call.at)
        request = Request(sender_of(call.principal, rules.products), rules, call.at, call.at.isoformat())
        facts = await self.snapshots.customers({event.customer for event in events})
        rows = []
        for event in events:
            envelope = read_event(event)
            assert isinstance(envelope, Envelope), envelope
            row = resolve(envelope, request, facts.get(event.customer), call.at)
            assert isinstance(row, Row), row
            assert row.place is not None, row
            rows.append(row)
        return rows


class Direct:
    """Records one event in one transaction."""

    def __init__(self, db: Database, pool: "asyncpg.Pool[asyncpg.Record]", product: str) -> None:
        self._pool = pool
        self._resolver = Resolver(Snapshots(db), product)

    async def record(self, event: UsageEvent) -> bool:
        """Return whether the event was new."""
        [row] = await self._resolver.resolve([event])
        [identity, *rest] = statements([row])
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetch(*identity):
                found = await connection.fetchval(_SAME, row.customer_id, row.identity.hex())
                assert found is not None, "another transaction has committed it"
                return False
            for each in rest:
                await connection.execute(*each)
        return True


async def bare(connection: "asyncpg.Connection[asyncpg.Record]", made: Sequence[tuple[Any, ...]]) -> None:
    """Run the statements of one batch in one transaction."""
    async with connection.transaction():
        for each in made:
            await connection.execute(*each)


def statements(rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Make the statements with their parameters; of rows with one identity the first counts."""
    unique = list({row.identity: row for row in reversed(rows)}.values())
    unique.sort(key=lambda row: (row.customer_id.bytes, row.identity))
    totals = _sums(unique)
    slots = max(len(each.quantities) for each in totals.values())
    return [
        (
            IDENTITIES,
            _array(row.customer_id.hex for row in unique),
            _array(row.identity.hex() for row in unique),
            _array(row.envelope.payload_digest.hex() for row in unique),
            _array(row.request.received_text for row in unique),
        ),
        _events(unique),
        (
            _totals(slots),
            *(_array(key[place] for key in totals) for place in range(5)),
            _array(str(each.events) for each in totals.values()),
            _array(str(each.digest % DIGEST_MODULUS) for each in totals.values()),
            *(_array(str(each.quantities[slot]) for each in totals.values()) for slot in range(slots)),
        ),
        (VERSIONS, _array(sorted({row.customer_id.hex for row in unique}))),
    ]


def _sums(rows: Sequence[Row]) -> dict[tuple[str, ...], PackSum]:
    """Sum what rows add to totals and to their hour, in the order of the keys."""
    totals: dict[tuple[str, ...], PackSum] = {}
    for row in rows:
        assert row.place is not None, "resolved rows have a place"
        segment, hour = row.place.segment.id.hex, row.place.hour_at.isoformat()
        [pack] = row.packs
        key = (row.customer_id.hex, segment, pack.counters.id.hex(), pack.combination.id.hex(), hour)
        if key in totals:
            totals[key].add(pack.quantities, 1, row.digest)
        else:
            totals[key] = PackSum(pack.quantities, 1, row.digest)
    return dict(sorted(totals.items()))


def _events(rows: Sequence[Row]) -> tuple[Any, ...]:
    places = [row.place for row in rows if row.place is not None]
    return (
        EVENTS,
        _array(row.customer_id.hex for row in rows),
        _array(row_id(row.request.received_at, row.identity).hex() for row in rows),
        _array(row.request.received_text for row in rows),
        [row.request.sender.source for row in rows],
        [row.envelope.event.id for row in rows],
        [row.envelope.event.type for row in rows],
        _array(place.subscription.id.hex for place in places),
        _array(place.segment.id.hex for place in places),
        _array(row.occurred_at.isoformat() for row in rows),
        [row.kept.decode() for row in rows],
        _array(row.meters.id.hex() for row in rows),
        _array("NULL" if row.cost is None else str(row.cost) for row in rows),
        [f"{{{','.join(map(str, row.price_ids))}}}" if row.price_ids else None for row in rows],
    )


def _array(values: Any) -> str:
    return f"{{{','.join(values)}}}"
