"""Tables and statements of lanes and replays."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.ids import CustomerId, EndpointId
from domain.kernel.values import dataclass
from domain.webhooks.lane import LIVE, Lane

_ENDPOINT = "webhook_endpoint.id"

webhook_replay = sa.Table(
    "webhook_replay",
    db.metadata,
    sa.Column("endpoint_id", db.Id, sa.ForeignKey(_ENDPOINT, ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("first_number", sa.BigInteger, nullable=False),
    sa.Column("last_number", sa.BigInteger, nullable=False),
    sa.Column("customer_id", db.Id, comment="null: every customer's"),
    sa.Column("created_at", db.Instant, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.CheckConstraint("first_number <= last_number", name="range"),
)

webhook_lane = sa.Table(
    "webhook_lane",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("endpoint_id", db.Id, sa.ForeignKey(_ENDPOINT, ondelete="RESTRICT"), primary_key=True),
    sa.Column("replay_id", db.Id, primary_key=True, comment="all zero for the lane that follows what happens"),
    sa.Column("done", sa.BigInteger, nullable=False, comment="number of the last event that is done"),
    sa.Column("wanted", sa.BigInteger, nullable=False, comment="number of the last event that is to be sent"),
    sa.Column("next_at", db.Instant, comment="null: nothing waits, or it is held for staff"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("failing_since", db.Instant),
    sa.Column("held_at", db.Instant),
    sa.Column("leased_until", db.Instant),
    sa.Column("lease", db.Id),
    sa.CheckConstraint("done <= wanted", name="range"),
    sa.CheckConstraint("attempts >= 0", name="attempts"),
    sa.CheckConstraint("held_at IS NULL OR next_at IS NULL", name="held"),
    sa.CheckConstraint("(leased_until IS NULL) = (lease IS NULL)", name="leased"),
    sa.Index("webhook_lane_due_idx", "endpoint_id", "next_at", postgresql_where=sa.text("next_at IS NOT NULL")),
)

_lane = webhook_lane.c
_COLUMNS = [_lane[each.name] for each in fields(Lane)]


@dataclass(frozen=True, slots=True)
class Replay:
    """An order to send a stretch of events once more."""

    endpoint_id: EndpointId
    id: UUID
    first_number: int
    last_number: int
    customer_id: CustomerId | None
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many lanes of an endpoint have something to send, how many of them are held for staff, and when one goes on.

    `next_at` is real time; None where nothing waits but for staff.
    """

    lanes: int = 0
    held: int = 0
    next_at: datetime | None = None


async def wake_lanes(
    tx: db.Tx, numbers: Sequence[tuple[CustomerId, EndpointId, int, int]], *, at: datetime, only: bool = False
) -> None:
    """Let lanes go on to new events: (customer, endpoint, first new number, last one). A held lane stays held.

    With `only` these events alone are sent: whatever was before them is left out, and no lane is held for it.
    """
    if not numbers:
        return
    rows = [
        {
            "customer_id": customer_id,
            "endpoint_id": endpoint_id,
            "replay_id": LIVE,
            "done": first - 1,
            "wanted": last,
            "next_at": at,
            "attempts": 0,
        }
        for customer_id, endpoint_id, first, last in numbers
    ]
    statement = pg.insert(webhook_lane)
    is_idle = sa.and_(_lane.next_at.is_(None), _lane.held_at.is_(None))
    go_on = {
        "wanted": sa.func.greatest(_lane.wanted, statement.excluded.wanted),
        "next_at": sa.case((is_idle, statement.excluded.next_at), else_=_lane.next_at),
    }
    begin_anew: dict[str, Any] = {name: statement.excluded[name] for name in ("done", "wanted", "next_at", "attempts")}
    begin_anew |= {"failing_since": sa.null(), "held_at": sa.null()}
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["customer_id", "endpoint_id", "replay_id"], set_=begin_anew if only else go_on
        ),
        rows,
    )


async def insert_replay(tx: db.Tx, new: Replay, customers: Collection[CustomerId], *, at: datetime) -> None:
    """Store a replay with a lane for each customer concerned."""
    await tx.execute(sa.insert(webhook_replay).values({each.name: getattr(new, each.name) for each in fields(Replay)}))
    rows = [
        {
            "customer_id": each,
            "endpoint_id": new.endpoint_id,
            "replay_id": new.id,
            "done": new.first_number - 1,
            "wanted": new.last_number,
            "next_at": at,
            "attempts": 0,
        }
        for each in customers
    ]
    if rows:
        await tx.execute(sa.insert(webhook_lane), rows)


async def claim_lanes(
    tx: db.Tx, endpoint_id: EndpointId, *, at: datetime, until: datetime, lease: UUID, limit: int
) -> Sequence[Lane]:
    """Take the lanes of an endpoint that are due, the longest due first, and keep them from others for a while."""
    due = (
        sa.select(_lane.customer_id, _lane.replay_id)
        .where(
            _lane.endpoint_id == endpoint_id,
            _lane.next_at <= at,
            sa.or_(_lane.leased_until.is_(None), _lane.leased_until <= at),
        )
        .order_by(_lane.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    statement = (
        sa.update(webhook_lane)
        .where(
            _lane.endpoint_id == endpoint_id,
            _lane.customer_id == due.c.customer_id,
            _lane.replay_id == due.c.replay_id,
        )
        .values(leased_until=until, lease=lease)
        .returning(*_COLUMNS)
    )
    return [Lane(*tuple(row)) for row in await tx.rows(statement)]


async def lock_lane(tx: db.Tx, of: Lane, *, lease: UUID | None) -> Lane | None:
    """Return a lane and keep others from it; with a lease, None where it is not held under that any more."""
    statement = sa.select(*_COLUMNS).where(_is(of)).with_for_update()
    row = await tx.row(statement if lease is None else statement.where(_lane.lease == lease))
    return Lane(*tuple(row)) if row else None


async def save_lane(tx: db.Tx, after: Lane, *, leased_until: datetime | None) -> None:
    """Write a lane that the caller has locked, and give it back where `leased_until` is None."""
    values: dict[str, Any] = {each.name: getattr(after, each.name) for each in fields(Lane)}
    lease = {"leased_until": leased_until} if leased_until is not None else {"leased_until": None, "lease": None}
    await tx.execute(sa.update(webhook_lane).where(_is(after)).values(values | lease))


async def delete_lane(tx: db.Tx, of: Lane) -> None:
    """Forget the lane of a replay that has ended."""
    await tx.execute(sa.delete(webhook_lane).where(_is(of)))


async def find_lane(tx: db.Tx, customer_id: CustomerId, endpoint_id: EndpointId) -> Lane | None:
    """Return the lane that follows what happens to a customer, or None where nothing has."""
    row = await tx.row(
        sa.select(*_COLUMNS).where(
            _lane.customer_id == customer_id, _lane.endpoint_id == endpoint_id, _lane.replay_id == LIVE
        )
    )
    return Lane(*tuple(row)) if row else None


async def resume_lanes(tx: db.Tx, endpoint_id: EndpointId, *, at: datetime) -> None:
    """Let all lanes of an endpoint with something to send go on at once, also those that are held."""
    await tx.execute(
        sa.update(webhook_lane)
        .where(_lane.endpoint_id == endpoint_id, _lane.done < _lane.wanted)
        .values(next_at=at, attempts=0, failing_since=None, held_at=None)
    )


async def empty_lanes(tx: db.Tx, endpoint_id: EndpointId) -> None:
    """Leave out all that waits for an endpoint."""
    await tx.execute(
        sa.update(webhook_lane)
        .where(_lane.endpoint_id == endpoint_id)
        .values(done=_lane.wanted, next_at=None, attempts=0, failing_since=None, held_at=None)
    )


async def empty_lanes_of(tx: db.Tx, customer_id: CustomerId) -> None:
    """Leave out all that waits of a customer, at every endpoint."""
    await tx.execute(
        sa.update(webhook_lane)
        .where(_lane.customer_id == customer_id)
        .values(done=_lane.wanted, next_at=None, attempts=0, failing_since=None, held_at=None)
    )


async def delete_lanes(tx: db.Tx, endpoint_id: EndpointId) -> None:
    """Forget all lanes of an endpoint."""
    await tx.execute(sa.delete(webhook_lane).where(_lane.endpoint_id == endpoint_id))


async def count_waiting(tx: db.Tx, ids: Collection[EndpointId]) -> dict[EndpointId, Waiting]:
    """Count the lanes of some endpoints that have something to send: one statement, for lists."""
    statement = (
        sa.select(_lane.endpoint_id, sa.func.count().label("lanes"), sa.func.count(_lane.held_at).label("held"))
        .add_columns(sa.func.min(_lane.next_at).label("next_at"))
        .where(_lane.endpoint_id.in_(ids), _lane.done < _lane.wanted)
        .group_by(_lane.endpoint_id)
    )
    return {row.endpoint_id: Waiting(row.lanes, row.held, row.next_at) for row in await tx.rows(statement)}


def _is(of: Lane) -> sa.ColumnElement[bool]:
    return sa.and_(
        _lane.customer_id == of.customer_id,
        _lane.endpoint_id == of.endpoint_id,
        _lane.replay_id == of.replay_id,
    )
