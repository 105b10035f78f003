"""Tables of usage, and events as they are read back. The statements of a flush are in the folders beside."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.customers.store import data_key
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, EventId, SubscriptionId
from domain.usage.counters.counter import SLOTS
from domain.usage.reading import QuarantinedEvent, StoredEvent
from domain.usage.sealed import open_sent
from domain.usage.verdict import Reason
from domain.vault import Vault

# What the driver or the server says when the database cannot be reached: no other statement would fare better.
UNREACHABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InterfaceError,
    sa.exc.InterfaceError,
    sa.exc.TimeoutError,
)


def _key(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, db.Instant if name.endswith("_at") else db.Id, primary_key=True) for name in names]


def _need(kind: Any, *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False) for name in names]


event_identity = sa.Table(
    "event_identity",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("identity", db.Id, primary_key=True, comment="digest of customer, source and id"),
    *_need(db.Id, "payload_digest"),
    sa.Column("verdict", sa.SmallInteger, nullable=False, comment="1 counted, 2 quarantined"),
    *_need(db.Instant, "received_at"),
    sa.CheckConstraint("verdict IN (1, 2)", name="verdict"),
    postgresql_partition_by="HASH (customer_id)",
)

usage_event = sa.Table(
    "usage_event",
    db.metadata,
    *_key("customer_id", "id", "received_at"),
    *_need(sa.Text, "source", "event_id", "type"),
    *_need(db.Id, "subscription_id", "segment_id"),
    *_need(db.Instant, "occurred_at"),
    sa.Column("properties", sa.Text, nullable=False, comment="JSON in the form that is digested"),
    sa.Column("meter_set", db.Id, nullable=False, comment="the meters that counted it"),
    sa.Column("cost", sa.Numeric, comment="exact, at the provider price list of its instant"),
    sa.Column("price_ids", pg.ARRAY(db.Id)),
    sa.Column("corrects", sa.Text, comment="the id of the event that this one voids or replaces"),
    sa.Index("usage_event_segment_idx", "customer_id", "segment_id", "occurred_at"),
    postgresql_partition_by="RANGE (received_at)",
)

quarantined_event = sa.Table(
    "quarantined_event",
    db.metadata,
    *_key("customer_id", "id"),
    *_need(db.Instant, "received_at"),
    *_need(sa.Text, "environment", "product", "source", "event_id", "type"),
    sa.Column("customer", sa.Text, nullable=False, comment="as sent; the row of an unknown customer belongs to nobody"),
    sa.Column("subscription", sa.Text),
    sa.Column("sender_customer_id", db.Id, comment="the only customer whom the sending key could report on"),
    sa.Column("corrects", sa.Text),
    *_need(db.Instant, "occurred_at"),
    sa.Column("properties", db.Json, comment="plain, by an earlier version; see sealed"),
    *_need(sa.Text, "reason"),
    sa.Column("detail", sa.Text),
    sa.Column("resolved_at", db.Instant),
    sa.Column("sealed", db.Personal, comment="properties as sent, so that it can be re-driven"),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("properties IS NULL OR sealed IS NULL", name="sent"),
    sa.Index("quarantined_event_plain_idx", "id", postgresql_where=sa.text("properties IS NOT NULL")),
    sa.Index("quarantined_event_open_idx", "id", postgresql_where=sa.text("resolved_at IS NULL")),
    sa.Index("quarantined_event_resolved_idx", "resolved_at", postgresql_where=sa.text("resolved_at IS NOT NULL")),
)

usage_hour = sa.Table(
    "usage_hour",
    db.metadata,
    *_key("customer_id", "segment_id", "meter_id", "dimensions", "hour_at"),
    *_need(sa.Numeric, "quantity"),
    *_need(sa.BigInteger, "events"),
    sa.Column("digest", sa.Numeric(78, 0), nullable=False, comment="sum of the digests of its events modulo 2^256"),
    sa.CheckConstraint("events >= 0", name="events"),
)

usage_total = sa.Table(
    "usage_total",
    db.metadata,
    *_key("customer_id", "segment_id", "meter_id"),
    sa.Column("dimensions", db.Id, primary_key=True, comment="all zero: the sum over all combinations"),
    *_need(sa.Numeric, "quantity"),
    *_need(sa.BigInteger, "events"),
    sa.CheckConstraint("events >= 0", name="events"),
)

usage_level = sa.Table(
    "usage_level",
    db.metadata,
    *_key("customer_id", "subscription_id", "meter_id"),
    sa.Column("dimensions", db.Id, primary_key=True, comment="all zero: the sum over all combinations"),
    *_need(sa.Numeric, "quantity"),
    sa.CheckConstraint("quantity >= 0", name="quantity"),
)

meter_set = sa.Table(
    "meter_set",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("slot", sa.SmallInteger, primary_key=True, autoincrement=False),
    *_need(db.Id, "meter_id"),
    comment="meters that count the same events; the id is a digest of theirs",
)

counter_total = sa.Table(
    "counter_total",
    db.metadata,
    *_key("customer_id", "segment_id", "set_id", "dimensions"),
    *_need(db.Instant, "hour_at"),
    *_need(sa.BigInteger, "events", "hour_events"),
    *_need(sa.Numeric(78, 0), "hour_digest"),
    *(sa.Column(f"{sum_of}{slot}", sa.Numeric) for sum_of in "qh" for slot in range(SLOTS)),
    sa.CheckConstraint("events >= 0", name="events"),
    comment="running sums of counters, q0 for the meter in slot 0 and so on; h0 and so on are those of the newest hour",
)

counter_hour = sa.Table(
    "counter_hour",
    db.metadata,
    *_key("customer_id", "segment_id", "set_id", "dimensions", "hour_at"),
    *_need(sa.BigInteger, "events"),
    *_need(sa.Numeric(78, 0), "digest"),
    *(sa.Column(f"q{slot}", sa.Numeric) for slot in range(SLOTS)),
    comment="sums of counters by the hour, but for the newest hour of each total",
)

dimension_set = sa.Table(
    "dimension_set",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True, comment="digest of names and values"),
    *_need(db.Json, "values"),
)

usage_reading = sa.Table(
    "usage_reading",
    db.metadata,
    *_key("customer_id", "subscription_id", "meter_id", "dimensions"),
    sa.Column("key", db.Id, primary_key=True, comment="digest of what a unique count counts, else all zero"),
    *_key("occurred_at"),
    sa.Column("id", db.Id, primary_key=True, comment="of the row of the event: the order of arrival"),
    *_need(db.Id, "segment_id"),
    *_need(db.Instant, "hour_at"),
    *_need(sa.Boolean, "sets"),
    *_need(sa.Numeric, "value"),
    sa.Column("delta", sa.Numeric, nullable=False, comment="what it changed in the order of time"),
)

usage_value = sa.Table(
    "usage_value",
    db.metadata,
    *_key("customer_id", "segment_id", "meter_id", "dimensions"),
    sa.Column("value", sa.Numeric, primary_key=True),
    *_key("hour_at"),
    *_need(sa.BigInteger, "events"),
    sa.CheckConstraint("events >= 0", name="events"),
    comment="the exact histogram of a percentile, by the hour",
)

usage_beside = sa.Table(
    "usage_beside",
    db.metadata,
    *_key("customer_id", "segment_id", "meter_id", "dimensions", "hour_at"),
    sa.Column(
        "quantity",
        sa.Numeric,
        nullable=False,
        comment="what a level rated by days lost in the hour; what a weighted level rose in the segment",
    ),
)

usage_correction = sa.Table(
    "usage_correction",
    db.metadata,
    *_key("customer_id"),
    sa.Column("id", db.Id, primary_key=True, comment="the event that was taken back (-1) or counted again (1)"),
    sa.Column("by_id", db.Id, primary_key=True, comment="the event that did so"),
    *_need(db.Id, "segment_id"),
    *_need(sa.SmallInteger, "sign"),
    *_need(db.Instant, "received_at"),
    sa.CheckConstraint("sign IN (-1, 1)", name="sign"),
    sa.Index("usage_correction_segment_idx", "customer_id", "segment_id"),
    comment="an event stands while the signs of its corrections add up to zero",
)

unpriced_model = sa.Table(
    "unpriced_model",
    db.metadata,
    *(sa.Column(name, sa.Text, primary_key=True) for name in ("provider", "model")),
    sa.Column("day", sa.Date, primary_key=True),
    comment="models of which the operator was told that calls have no price, once a day",
)

usage_version = sa.Table("usage_version", db.metadata, *_key("customer_id"), *_need(sa.BigInteger, "version"))

# Numbers come back as they were stored: a float would lose digits.
_EXACT_JSON = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


async def list_events(
    tx: db.Tx, customer_id: CustomerId, *, subscription_id: SubscriptionId | None, before: EventId | None, limit: int
) -> Sequence[StoredEvent]:
    """Return counted events, the last received first; `before` is the id of the last one seen."""
    own = usage_event.c
    statement = sa.select(usage_event).where(own.customer_id == customer_id).order_by(own.id.desc()).limit(limit)
    if subscription_id is not None:
        statement = statement.where(own.subscription_id == subscription_id)
    if before is not None:
        statement = statement.where(own.id < before)
    return [
        StoredEvent(
            row.customer_id,
            row.id,
            row.received_at,
            row.source,
            row.event_id,
            row.type,
            row.subscription_id,
            row.segment_id,
            row.occurred_at,
            _EXACT_JSON.decode(row.properties),
            row.cost,
            row.corrects,
        )
        for row in await tx.rows(statement)
    ]


async def list_quarantined(
    tx: db.Tx,
    *,
    scope: CustomerId | None,
    environment: Environment | None,
    open_only: bool,
    before: EventId | None,
    limit: int,
) -> Sequence[QuarantinedEvent]:
    """Return events in quarantine, the last received first; `before` is the id of the last one seen.

    Those of customers that are erased have no properties.
    """
    own = quarantined_event.c
    statement = (
        sa.select(quarantined_event, sa.cast(own.properties, sa.Text).label("plain"), *_KEY)
        .outerjoin(data_key, data_key.c.customer_id == own.customer_id)
        .order_by(own.id.desc())
        .limit(limit)
    )
    if scope is not None:
        statement = statement.where(own.customer_id == scope)
    if environment is not None:
        statement = statement.where(own.environment == environment)
    if open_only:
        statement = statement.where(own.resolved_at.is_(None))
    if before is not None:
        statement = statement.where(own.id < before)
    return [
        QuarantinedEvent(
            row.customer_id,
            row.id,
            row.received_at,
            row.source,
            row.event_id,
            row.type,
            row.customer,
            row.subscription,
            row.occurred_at,
            _sent(tx.vault, row) or {},
            Reason(row.reason),
            row.detail,
            row.resolved_at,
        )
        for row in await tx.rows(statement)
    ]


_KEY = (data_key.c.wrapped, data_key.c.erased_at)


def _sent(vault: Vault, row: sa.Row[Any]) -> dict[str, Any] | None:
    is_erased = row.erased_at is not None
    return open_sent(
        vault, row.customer_id, row.id, plain=row.plain, sealed=row.sealed, key=row.wrapped, is_erased=is_erased
    )


async def list_event_partitions(tx: db.Tx, *, lock: bool = False) -> set[str]:
    """Return the names of the tables that hold events; `lock` keeps others from adding one until the end."""
    if lock:
        await tx.execute(sa.text("LOCK TABLE usage_event IN SHARE UPDATE EXCLUSIVE MODE"))
    statement = sa.text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'usage_event'::regclass")
    return {str(row[0]) for row in await tx.rows(statement)}


async def create_event_partition(tx: db.Tx, name: str, start_at: datetime, end_at: datetime) -> None:
    """Create the table of one month, with what the default one had to hold of it meanwhile."""
    start, end = start_at.isoformat(), end_at.isoformat()
    month = f"received_at >= '{start}' AND received_at < '{end}'"
    for statement in (
        "LOCK TABLE usage_event_default IN ACCESS EXCLUSIVE MODE",
        f"CREATE TABLE {name} (LIKE usage_event INCLUDING ALL)",
        f"INSERT INTO {name} SELECT * FROM usage_event_default WHERE {month}",  # noqa: S608 -- made from a month
        f"DELETE FROM usage_event_default WHERE {month}",  # noqa: S608 -- the same
        f"ALTER TABLE usage_event ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')",
    ):
        await tx.execute(sa.text(statement.replace(":", "\\:")))


async def copy_levels(tx: db.Tx, customer_id: CustomerId, before: SubscriptionId, after: SubscriptionId) -> None:
    """Insert the levels of one subscription for another one; those that it has already stay."""
    own = usage_level.c
    names = ["customer_id", "subscription_id", "meter_id", "dimensions", "quantity"]
    levels = sa.select(
        own.customer_id, sa.literal(after, db.Id).label("subscription_id"), own.meter_id, own.dimensions, own.quantity
    ).where(own.customer_id == customer_id, own.subscription_id == before)
    await tx.execute(pg.insert(usage_level).from_select(names, levels).on_conflict_do_nothing())
