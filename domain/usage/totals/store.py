"""The statements that read totals: by meter, however they are kept."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import sqlalchemy as sa

from domain import db
from domain.kernel.ids import CustomerId, MeterId, SegmentId
from domain.statement import Statement, among, narrowed
from domain.subscriptions.subscription import Subscription
from domain.usage.counters.counter import SLOTS
from domain.usage.event import DIGEST_MODULUS
from domain.usage.reading import Hour, MeterUsage, SegmentTotal
from domain.usage.store import dimension_set, usage_version
from domain.usage.totals.rows import Row, arranged, rows_of

# A view.
hour_of_meter = sa.table(
    "hour_of_meter",
    *(sa.column(name, db.Id) for name in ("customer_id", "segment_id", "meter_id", "dimensions")),
    sa.column("hour_at", db.Instant),
    sa.column("quantity", sa.Numeric),
    sa.column("events", sa.BigInteger),
    sa.column("digest", sa.Numeric),
)
_SUMS = ", ".join(f"sum(q{slot}) AS q{slot}" for slot in range(SLOTS))
_SLOT_NAMES = ", ".join(f"t.q{slot}" for slot in range(SLOTS))
_NO_SUMS = ", ".join(["NULL::numeric"] * SLOTS)
_NO_MORE_SUMS = ", NULL" * (SLOTS - 1)
# Sums are the last columns of a total, one for each slot.
_SUMS_AT = 5
_VERSION, _MEASURED, _SET, _COUNTER, _OTHER = range(5)

_OF_IDS = "ANY($2::uuid[])"
_OF_PERIOD = """ANY(ARRAY(
    SELECT id FROM segment WHERE customer_id = $1::uuid AND subscription_id = $2::uuid
                             AND period_start_at = $4::timestamptz AND period_end_at = $5::timestamptz
))"""


def _totals(segments: str) -> str:
    """Write the statement that reads the totals of segments.

    Totals of counters, of other meters, which meters are in the sets of the first, the version, and whether the product
    has other meters: told by `kind`.
    """
    return f"""
    WITH counters AS (
        SELECT set_id, dimensions, sum(events)::bigint AS events, {_SUMS}
        FROM counter_total WHERE customer_id = $1::uuid AND segment_id = {segments}
        GROUP BY set_id, dimensions
    ), others AS (
        SELECT meter_id, dimensions, sum(events)::bigint AS events, sum(quantity) AS quantity
        FROM usage_total WHERE customer_id = $1::uuid AND segment_id = {segments}
        GROUP BY meter_id, dimensions
    )
    SELECT {_VERSION} AS kind, NULL::uuid AS owner, NULL::uuid AS part, NULL::text AS named, version AS events,
           {_NO_SUMS}
    FROM usage_version WHERE customer_id = $1::uuid
    UNION ALL
    SELECT {_MEASURED}, id, NULL, NULL, 1, {_NO_SUMS}
    FROM (SELECT id FROM meter WHERE product_id = $3::uuid AND aggregation NOT IN ('count', 'sum', 'cost') LIMIT 1) m
    UNION ALL
    SELECT {_SET}, id, meter_id, NULL, slot, {_NO_SUMS} FROM meter_set WHERE id IN (SELECT set_id FROM counters)
    UNION ALL
    SELECT {_COUNTER}, t.set_id, t.dimensions, d."values"::text, t.events, {_SLOT_NAMES}
    FROM counters t LEFT JOIN dimension_set d ON d.customer_id = $1::uuid AND d.id = t.dimensions
    UNION ALL
    SELECT {_OTHER}, t.meter_id, t.dimensions, d."values"::text, t.events, t.quantity{_NO_MORE_SUMS}
    FROM others t LEFT JOIN dimension_set d ON d.customer_id = $1::uuid AND d.id = t.dimensions
    """  # noqa: S608 -- made of constants of this module


_TOTALS, _PERIOD_TOTALS = _totals(_OF_IDS), _totals(_OF_PERIOD)


async def find_version(tx: db.Tx, customer_id: CustomerId) -> int:
    """Return how many commits have moved the customer's totals."""
    statement = sa.select(usage_version.c.version).where(usage_version.c.customer_id == customer_id)
    return await tx.value(statement) or 0


async def hold_version(tx: db.Tx, customer_id: CustomerId) -> None:
    """Wait for transactions that move the customer's totals, and keep others from moving them until this one ends."""
    statement = sa.select(usage_version.c.version).where(usage_version.c.customer_id == customer_id)
    await tx.execute(statement.with_for_update(read=True))


class Totals(NamedTuple):
    """Running totals of one moment, by meter. `is_measured`: the product has meters that are no counters."""

    version: int
    meters: Mapping[MeterId, MeterUsage]
    is_measured: bool


async def list_totals(tx: db.Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]) -> Totals:
    """Return the running totals of segments, added up by meter and combination, in one statement."""
    driver = await tx.raw()
    return _arranged(await driver.fetch(_TOTALS, customer_id, list(segment_ids), None))


async def list_period_totals(tx: db.Tx, of: Subscription) -> Totals:
    """Return the running totals of all segments of a subscription's present usage period, in one statement.

    Says too whether the product measures more than counters.
    """
    driver = await tx.raw()
    return _arranged(
        await driver.fetch(_PERIOD_TOTALS, of.customer_id, of.id, of.product_id, of.period.start, of.period.end)
    )


def _arranged(found: Iterable[asyncpg.Record]) -> Totals:
    version, is_measured = 0, False
    sets: dict[UUID, dict[int, MeterId]] = {}
    rows: list[tuple[UUID, Row]] = []
    for row in found:
        kind = row["kind"]
        if kind == _VERSION:
            version = row["events"]
        elif kind == _MEASURED:
            is_measured = True
        elif kind == _SET:
            sets.setdefault(row["owner"], {})[row["events"]] = row["part"]
        else:
            _, owner, part, named, events = row[:_SUMS_AT]
            rows.append((owner, Row(part, named, events, row[_SUMS_AT:])))
    return Totals(version, arranged(rows_of(rows), sets).meters, is_measured)


@cache
def _segment_totals() -> Statement:
    own = hour_of_meter.c
    columns = (own.segment_id, own.meter_id, own.dimensions)
    return Statement(
        sa.select(
            *columns,
            sa.func.sum(own.quantity).label("quantity"),
            sa.func.sum(own.events).label("events"),
            sa.func.mod(sa.func.sum(own.digest), sa.literal(DIGEST_MODULUS, sa.Numeric)).label("digest"),
            _values_of(own),
        )
        .where(*narrowed(hour_of_meter, ("customer_id",)), among(own.segment_id, "segment_ids"))
        .group_by(own.customer_id, *columns)
        .order_by(*columns)
    )


async def list_segment_totals(
    tx: db.Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]
) -> dict[SegmentId, list[SegmentTotal]]:
    """Return what each segment counted, summed from its hours, by meter and combination."""
    found: dict[SegmentId, list[SegmentTotal]] = {segment_id: [] for segment_id in segment_ids}
    for row in await _segment_totals().rows(tx, customer_id=customer_id, segment_ids=list(segment_ids)):
        total = SegmentTotal(row.meter_id, row.values or {}, row.quantity, int(row.events), int(row.digest))
        found[row.segment_id].append(total)
    return found


async def list_hours(
    tx: db.Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId], *, meter_id: MeterId | None, limit: int
) -> Sequence[Hour]:
    """Return the hours of segments in order of time, of all meters or of one."""
    own = hour_of_meter.c
    columns = (own.hour_at, own.meter_id, own.dimensions)
    statement = (
        sa.select(
            *columns,
            sa.func.sum(own.quantity).label("quantity"),
            sa.func.sum(own.events).label("events"),
            _values_of(own),
        )
        .where(own.customer_id == customer_id, own.segment_id.in_(segment_ids))
        .group_by(own.customer_id, *columns)
        .order_by(*columns)
        .limit(limit)
    )
    if meter_id is not None:
        statement = statement.where(own.meter_id == meter_id)
    return [
        Hour(row.hour_at, row.meter_id, row.values or {}, row.quantity, int(row.events))
        for row in await tx.rows(statement)
    ]


def _values_of(own: Any) -> sa.ColumnElement[Any]:
    """Select the values of a row's combination; null for the sum over all."""
    found = sa.select(dimension_set.c["values"]).where(
        dimension_set.c.customer_id == own.customer_id, dimension_set.c.id == own.dimensions
    )
    return found.scalar_subquery().label("values")
