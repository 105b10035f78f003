"""Tables and statements of exports; each part is compressed and sealed under its customer's key."""

import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.customers.store import data_key
from domain.kernel.ids import CustomerId
from domain.privacy.export import Export, ExportState, Place
from domain.vault import DataKey

privacy_export = sa.Table(
    "privacy_export",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("requested_at", db.Instant, nullable=False, comment="real time, as all here"),
    sa.Column("requested_by", sa.Text, nullable=False, comment="the principal's id"),
    sa.Column("reads", sa.Text, comment="the table that is read next; null: everything was read"),
    sa.Column("after", pg.ARRAY(sa.Text), comment="the key of the row that was read last of it"),
    sa.Column("parts", sa.Integer, nullable=False),
    sa.Column("lines", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False, comment="of the file"),
    sa.Column("ended_at", db.Instant),
    sa.Column("expires_at", db.Instant, comment="the file is deleted from then on"),
    sa.CheckConstraint("state IN ('running', 'ready', 'failed')", name="state"),
    sa.CheckConstraint("(state = 'running') = (ended_at IS NULL)", name="ended"),
    sa.CheckConstraint("(state = 'ready') = (expires_at IS NOT NULL)", name="expires"),
    sa.Index("privacy_export_running_key", "customer_id", unique=True, postgresql_where=sa.text("state = 'running'")),
    sa.Index("privacy_export_id_idx", "id"),
)

privacy_export_part = sa.Table(
    "privacy_export_part",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("export_id", db.Id, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("sealed", db.Personal, nullable=False, comment="lines, compressed"),
    sa.ForeignKeyConstraint(
        ["customer_id", "export_id"],
        ["privacy_export.customer_id", "privacy_export.id"],
        name="privacy_export_part_export_fkey",
        ondelete="CASCADE",
    ),
)

_own = privacy_export.c


async def insert_export(tx: db.Tx, new: Export) -> bool:
    """Insert an export. False where one of the customer is running."""
    statement = pg.insert(privacy_export).values(_values(new)).on_conflict_do_nothing().returning(_own.id)
    return await tx.value(statement) is not None


async def lock_export(tx: db.Tx, customer_id: CustomerId, export_id: UUID) -> Export | None:
    """Lock an export, or return None."""
    row = await tx.row(sa.select(privacy_export).where(_is(customer_id, export_id)).with_for_update())
    return _export(row) if row else None


async def find_export(tx: db.Tx, export_id: UUID) -> Export | None:
    """Return an export, whosever it is, or None."""
    row = await tx.row(sa.select(privacy_export).where(_own.id == export_id))
    return _export(row) if row else None


async def list_exports(tx: db.Tx, customer_id: CustomerId, *, limit: int) -> Sequence[Export]:
    """Return a customer's exports, newest first."""
    statement = sa.select(privacy_export).where(_own.customer_id == customer_id).order_by(_own.id.desc()).limit(limit)
    return [_export(row) for row in await tx.rows(statement)]


async def save_part(tx: db.Tx, key: DataKey, before: Export, after: Export, lines: bytes) -> None:
    """Write the next part of an export that the caller has locked, and how far it has come."""
    place = _where(before.id, before.parts)
    sealed = tx.vault.seal(key, place, zlib.compress(lines))
    of = {"customer_id": before.customer_id, "export_id": before.id, "number": before.parts, "sealed": sealed}
    await tx.execute(sa.insert(privacy_export_part).values(of))
    await tx.execute(sa.update(privacy_export).where(_is(before.customer_id, before.id)).values(_values(after)))


async def find_part(tx: db.Tx, of: Export, number: int) -> bytes | None:
    """Return the lines of a part, or None where there is none any more, or its customer's key was taken away."""
    part = privacy_export_part.c
    joined = privacy_export_part.join(data_key, data_key.c.customer_id == part.customer_id)
    statement = sa.select(part.sealed, data_key.c.wrapped).select_from(joined)
    row = await tx.row(
        statement.where(part.customer_id == of.customer_id, part.export_id == of.id, part.number == number)
    )
    if row is None:
        return None
    key = tx.vault.unwrap(str(of.customer_id), row.wrapped)
    return zlib.decompress(tx.vault.open(key, _where(of.id, number), row.sealed))


async def delete_old(tx: db.Tx, *, at: datetime, ended_before: datetime, limit: int) -> int:
    """Delete exports whose time is over, and those that failed before an instant, with their parts."""
    over = sa.or_(_own.expires_at <= at, sa.and_(_own.state == ExportState.FAILED, _own.ended_at < ended_before))
    old = sa.select(_own.customer_id, _own.id).where(over).limit(limit).cte("old")
    statement = sa.delete(privacy_export).where(_own.customer_id == old.c.customer_id, _own.id == old.c.id)
    return (await tx.execute(statement)).rowcount


def _is(customer_id: CustomerId, export_id: UUID) -> sa.ColumnElement[bool]:
    return sa.and_(_own.customer_id == customer_id, _own.id == export_id)


def _where(export_id: UUID, number: int) -> str:
    return f"privacy_export_part:sealed:{export_id}:{number}"


def _values(of: Export) -> dict[str, Any]:
    return {
        "customer_id": of.customer_id,
        "id": of.id,
        "state": of.state,
        "requested_at": of.requested_at,
        "requested_by": of.requested_by,
        "reads": of.place.table if of.place else None,
        "after": list(of.place.after) if of.place and of.place.after is not None else None,
        "parts": of.parts,
        "lines": of.lines,
        "bytes": of.bytes,
        "ended_at": of.ended_at,
        "expires_at": of.expires_at,
    }


def _export(row: sa.Row[Any]) -> Export:
    place = Place(row.reads, tuple(row.after) if row.after is not None else None) if row.reads else None
    names = ("customer_id", "id", "requested_at", "requested_by", "parts", "lines", "bytes", "ended_at", "expires_at")
    return Export(**{name: getattr(row, name) for name in names}, state=ExportState(row.state), place=place)
