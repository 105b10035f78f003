"""Table and statements of reservations."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.money import exact_text
from domain.limits.reservation import Change, Measure, Name, Reservation, State, StoredReservation

limit_reservation = sa.Table(
    "limit_reservation",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column(
        "id", db.Id, primary_key=True, comment="digest of source, type of event and the id that the caller chose"
    ),
    sa.Column("holder", db.Id, nullable=False, comment="the process whose leases it is held on"),
    sa.Column("subscription_id", db.Id, nullable=False),
    sa.Column("event_type", sa.Text, nullable=False),
    sa.Column("period_start_at", db.Instant, nullable=False),
    sa.Column("holds", db.Json, nullable=False, comment="amounts by the keys of limits"),
    sa.Column("created_at", db.Instant, nullable=False),
    sa.Column("expires_at", db.Instant, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("ended_at", db.Instant),
    sa.Column("measure", sa.Text),
    sa.Column("reference", sa.Text),
    sa.Column("overrun", db.Json, nullable=False, comment="what was used above the holds"),
    sa.Column("asked", sa.LargeBinary, comment="digest of the properties that it was asked for with"),
    sa.Column("cost", db.Quantity, comment="what it may come to at list prices, in their currency"),
    sa.Column(
        "metered", sa.Boolean, nullable=False, server_default=sa.false(), comment="of a call that a meter passes on"
    ),
    sa.CheckConstraint("state IN ('held', 'settled', 'released')", name="state"),
    sa.CheckConstraint("measure IN ('measured', 'estimated', 'unknown')", name="measure"),
    sa.CheckConstraint("(state = 'held') = (ended_at IS NULL)", name="ended"),
    sa.Index("limit_reservation_expires_at_idx", "expires_at"),
)


_CHANGES = """
SELECT r.customer_id, r.id, r.holder, r.state, r.expires_at
FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS k (customer_id, id, expires_at)
JOIN limit_reservation r ON r.customer_id = k.customer_id AND r.id = k.id
WHERE r.state <> 'held' OR r.holder <> $4 OR r.expires_at > k.expires_at
"""
_SAVE_HELD = """
INSERT INTO limit_reservation AS t (customer_id, id, holder, subscription_id, event_type, period_start_at, holds,
                                    created_at, expires_at, state, overrun, asked, cost, metered)
SELECT a, b, $1, c, d, e, f::jsonb, g, h, 'held', '{}', i, j, l
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[], $7::text[], $8::timestamptz[],
            $9::timestamptz[], $10::bytea[], $11::numeric[], $12::boolean[]) AS k (a, b, c, d, e, f, g, h, i, j, l)
ORDER BY a, b
ON CONFLICT (customer_id, id) DO UPDATE
SET holder = excluded.holder, holds = excluded.holds, expires_at = greatest(t.expires_at, excluded.expires_at),
    asked = coalesce(excluded.asked, t.asked), cost = coalesce(excluded.cost, t.cost),
    period_start_at = excluded.period_start_at
WHERE t.state = 'held'
"""


async def save_held(tx: db.Tx, holder: UUID, reservations: Sequence[Reservation]) -> None:
    """Write what is held; a reservation that has ended stays as it is."""
    if not reservations:
        return
    ordered = sorted(reservations, key=lambda each: (each.name.customer_id.int, each.name.key.int))
    await (await tx.raw()).execute(
        _SAVE_HELD,
        holder,
        [each.name.customer_id for each in ordered],
        [each.name.key for each in ordered],
        [each.subscription_id for each in ordered],
        [each.event_type for each in ordered],
        [each.period_start_at for each in ordered],
        [msgspec.json.encode(_texts(each.holds)).decode() for each in ordered],
        [each.created_at for each in ordered],
        [each.expires_at for each in ordered],
        [each.asked or None for each in ordered],
        [each.cost for each in ordered],
        [each.is_metered for each in ordered],
    )


async def list_changes(tx: db.Tx, holder: UUID, times: Mapping[Name, datetime]) -> dict[tuple[UUID, UUID], Change]:
    """Return what became elsewhere of a holder's reservations, by customer and key, given until when each is held."""
    if not times:
        return {}
    customers, keys = [each.customer_id for each in times], [each.key for each in times]
    rows = await (await tx.raw()).fetch(_CHANGES, customers, keys, list(times.values()), holder)
    return {
        (row["customer_id"], row["id"]): Change(row["holder"], State(row["state"]), row["expires_at"]) for row in rows
    }


async def save_expiry(tx: db.Tx, name: Name, expires_at: datetime) -> bool:
    """Hold a reservation longer; False where it has ended."""
    own = limit_reservation.c
    statement = sa.update(limit_reservation).where(
        own.customer_id == name.customer_id, own.id == name.key, own.state == State.HELD.value
    )
    longer = sa.func.greatest(own.expires_at, sa.literal(expires_at, db.Instant))
    return await tx.value(statement.values(expires_at=longer).returning(own.id)) is not None


async def find_reservation(tx: db.Tx, name: Name) -> StoredReservation | None:
    """Return a reservation, or None; it may not be written yet, and is lost with the process that held it."""
    own = limit_reservation.c
    statement = sa.select(limit_reservation).where(own.customer_id == name.customer_id, own.id == name.key)
    row = await tx.row(statement)
    if row is None:
        return None
    return StoredReservation(
        row.holder,
        row.subscription_id,
        row.event_type,
        row.period_start_at,
        row.created_at,
        row.expires_at,
        State(row.state),
        _fractions(row.holds),
        _fractions(row.overrun),
        row.asked or b"",
        row.cost,
        row.metered,
    )


async def save_ended(
    tx: db.Tx,
    reservation: Reservation,
    *,
    holder: UUID,
    state: State,
    at: datetime,
    measure: Measure | None = None,
    reference: str | None = None,
    overrun: Mapping[str, Fraction] | None = None,
) -> bool:
    """Settle or release a reservation, known or not; False where it was settled before, or released twice."""
    own = limit_reservation.c
    ended = {
        "state": state.value,
        "ended_at": at,
        "measure": measure.value if measure else None,
        "reference": reference,
        "overrun": _texts(overrun or {}),
    }
    values: dict[str, Any] = {
        "customer_id": reservation.name.customer_id,
        "id": reservation.name.key,
        "holder": holder,
        "subscription_id": reservation.subscription_id,
        "event_type": reservation.event_type,
        "period_start_at": reservation.period_start_at,
        "holds": _texts(reservation.holds),
        "created_at": reservation.created_at,
        "expires_at": reservation.expires_at,
    }
    # What was released may turn out to have been used after all; nothing follows a settlement.
    before = (State.HELD, State.RELEASED) if state is State.SETTLED else (State.HELD,)
    statement = pg.insert(limit_reservation).values(**values, **ended)
    statement = statement.on_conflict_do_update(
        index_elements=[own.customer_id, own.id], set_=ended, where=own.state.in_([each.value for each in before])
    )
    return await tx.value(statement.returning(own.id)) is not None


async def delete_reservations(tx: db.Tx, before: datetime, *, limit: int) -> int:
    """Delete reservations that have long ended, a bounded number; return how many."""
    own = limit_reservation.c
    old = sa.select(own.customer_id, own.id).where(own.expires_at < before).order_by(own.expires_at).limit(limit)
    deleted = await tx.execute(sa.delete(limit_reservation).where(sa.tuple_(own.customer_id, own.id).in_(old)))
    return deleted.rowcount


def _texts(amounts: Mapping[str, Fraction]) -> dict[str, str]:
    return {key: exact_text(amount) for key, amount in amounts.items()}


def _fractions(texts: Mapping[str, str]) -> dict[str, Fraction]:
    return {key: Fraction(text) for key, text in texts.items()}
