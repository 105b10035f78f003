"""The statements that read totals: by meter, however they are kept."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import sqlalchemy as sa

from domain import db
from domain.kernel.ids import CustomerId, MeterId, SegmentId
from domain.plans.exact import EXACT
from domain.usage.counters.counter import SLOTS
from domain.usage.event import DIGEST_MODULUS
from domain.usage.reading import Combination, Hour, MeterUsage, SegmentTotal
from domain.usage.store import dimension_set, usage_version

# A view.
hour_of_meter = sa.table(
    "hour_of_meter",
    *(sa.column(name, db.Id) for name in ("customer_id", "segment_id", "meter_id", "dimensions")),
    sa.column("hour_at", db.Instant),
    sa.column("quantity", sa.Numeric),
    sa.column("events", sa.BigInteger),
    sa.column("digest", sa.Numeric),
)
# The combination that stands for the sum over all.
_ALL = UUID(int=0)
_NAMED = msgspec.json.Decoder(dict[str, str])
_SUMS = ", ".join(f"sum(q{slot}) AS q{slot}" for slot in range(SLOTS))
_SLOT_NAMES = ", ".join(f"t.q{slot}" for slot in range(SLOTS))

_COUNTERS = f"""
SELECT t.set_id, t.dimensions, d."values"::text AS named, t.events, {_SLOT_NAMES}
FROM (SELECT set_id, dimensions, sum(events)::bigint AS events, {_SUMS}
      FROM counter_total WHERE customer_id = $1::uuid AND segment_id = ANY($2::uuid[])
      GROUP BY set_id, dimensions) t
LEFT JOIN dimension_set d ON d.customer_id = $1::uuid AND d.id = t.dimensions
"""  # noqa: S608 -- made of constants of this module

_OTHERS = """
SELECT t.meter_id, t.dimensions, d."values"::text AS named, t.events, t.quantity
FROM (SELECT meter_id, dimensions, sum(events)::bigint AS events, sum(quantity) AS quantity
      FROM usage_total WHERE customer_id = $1::uuid AND segment_id = ANY($2::uuid[])
      GROUP BY meter_id, dimensions) t
LEFT JOIN dimension_set d ON d.customer_id = $1::uuid AND d.id = t.dimensions
"""

_SETS = "SELECT id, meter_id FROM meter_set WHERE id = ANY($1::uuid[]) ORDER BY id, slot"

# (meter, combination) -> (values of the combination, quantity, events)
_Read = dict[tuple[MeterId, UUID], tuple[dict[str, str], Decimal, int]]


async def find_version(tx: db.Tx, customer_id: CustomerId) -> int:
    """Return how many commits have moved the customer's totals."""
    statement = sa.select(usage_version.c.version).where(usage_version.c.customer_id == customer_id)
    return await tx.value(statement) or 0


async def list_totals(
    tx: db.Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]
) -> dict[MeterId, MeterUsage]:
    """Return the running totals of segments, added up by meter and combination."""
    driver = await tx.raw()
    wanted = list(segment_ids)
    counters = await driver.fetch(_COUNTERS, customer_id, wanted)
    sets = await _members(driver, {row["set_id"] for row in counters})
    found: _Read = {}
    for set_id, dimensions, named, events, *sums in counters:
        values = _NAMED.decode(named) if named else {}
        for meter_id, quantity in zip(sets[set_id], sums, strict=False):
            _add(found, (meter_id, dimensions), values, quantity, events)
    for meter_id, dimensions, named, events, quantity in await driver.fetch(_OTHERS, customer_id, wanted):
        found[meter_id, dimensions] = (_NAMED.decode(named) if named else {}, quantity, events)
    return _meters(found)


async def _members(driver: asyncpg.Connection, ids: Collection[UUID]) -> Mapping[UUID, Sequence[MeterId]]:
    sets: dict[UUID, list[MeterId]] = {}
    for set_id, meter_id in await driver.fetch(_SETS, list(ids)):
        sets.setdefault(set_id, []).append(meter_id)
    return sets


def _add(found: _Read, key: tuple[MeterId, UUID], values: dict[str, str], quantity: Decimal, events: int) -> None:
    """Add what the meter counted in another set under the same combination."""
    if key in found:
        _, before, counted = found[key]
        found[key] = (values, EXACT.add(before, quantity), counted + events)
    else:
        found[key] = (values, quantity, events)


def _meters(found: _Read) -> dict[MeterId, MeterUsage]:
    """Arrange totals by meter; those of all combinations are added up where they are not kept."""
    combinations: dict[MeterId, list[Combination]] = {}
    wholes: dict[MeterId, tuple[Decimal, int]] = {}
    for (meter_id, dimensions), (values, quantity, events) in found.items():
        if dimensions == _ALL:
            wholes[meter_id] = (quantity, events)
        else:
            combinations.setdefault(meter_id, []).append(Combination(values, quantity, events))
    for meter_id, own in combinations.items():
        if meter_id not in wholes:
            total = Decimal(0)
            for each in own:
                total = EXACT.add(total, each.quantity)
            wholes[meter_id] = (total, sum(each.events for each in own))
    return {
        meter_id: MeterUsage(meter_id, quantity, events, tuple(combinations.get(meter_id, ())))
        for meter_id, (quantity, events) in wholes.items()
    }


async def list_segment_totals(
    tx: db.Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]
) -> dict[SegmentId, list[SegmentTotal]]:
    """Return what each segment counted, summed from its hours, by meter and combination."""
    own = hour_of_meter.c
    columns = (own.segment_id, own.meter_id, own.dimensions)
    statement = (
        sa.select(
            *columns,
            sa.func.sum(own.quantity).label("quantity"),
            sa.func.sum(own.events).label("events"),
            sa.func.mod(sa.func.sum(own.digest), sa.literal(DIGEST_MODULUS, sa.Numeric)).label("digest"),
            _values_of(own),
        )
        .where(own.customer_id == customer_id, own.segment_id.in_(segment_ids))
        .group_by(own.customer_id, *columns)
        .order_by(*columns)
    )
    found: dict[SegmentId, list[SegmentTotal]] = {segment_id: [] for segment_id in segment_ids}
    for row in await tx.rows(statement):
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
