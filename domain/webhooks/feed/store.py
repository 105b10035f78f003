"""Statements that read billing events by number, with the environment of their customer."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog

from domain import db
from domain.customers.store import customer, data_key
from domain.journal.store import billing_event
from domain.kernel.call import Environment
from domain.kernel.errors import DomainError
from domain.kernel.ids import CustomerId
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.webhooks.payload import Event

_event = billing_event.c
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which events: after a number, up to one, of one customer, of one environment; None bounds nothing."""

    after: int = 0
    until: int | None = None
    customer_id: CustomerId | None = None
    environment: Environment | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands, also one of which nothing else can be read."""

    customer_id: CustomerId
    id: UUID
    number: int


async def list_events(tx: db.Tx, stretch: Stretch, *, limit: int) -> tuple[Sequence[Event], Place | None]:
    """Return events in order of their numbers, up to the first that cannot be read; that one comes beside them."""
    found: list[Event] = []
    for row in await tx.rows(_select(stretch).order_by(_event.number).limit(limit)):
        try:
            found.append(_read(row))
        except (DomainError, TypeError, ValueError) as fault:
            _log.error("event_unreadable", event_id=str(row.id), number=row.number, error=type(fault).__name__)
            return found, _place(row)
    return found, None


async def find_place(tx: db.Tx, event_id: UUID, *, environment: Environment) -> Place | None:
    """Return where an event of an environment stands that has its number, or None."""
    row = await tx.row(_select(Stretch(environment=environment)).where(_event.id == event_id))
    return _place(row) if row else None


async def find_numbers(
    tx: db.Tx, *, environment: Environment, since: datetime | None, until: datetime | None
) -> tuple[int, int] | None:
    """Return the first and the last number of the events of a stretch of business time, or None where it has none."""
    chosen = _select(Stretch(environment=environment)).with_only_columns(
        sa.func.min(_event.number).label("first"), sa.func.max(_event.number).label("last")
    )
    if since is not None:
        chosen = chosen.where(_event.at >= since)
    if until is not None:
        chosen = chosen.where(_event.at < until)
    row = await tx.row(chosen)
    return (row.first, row.last) if row is not None and row.first is not None else None


async def list_customers(tx: db.Tx, stretch: Stretch, *, limit: int) -> Sequence[CustomerId]:
    """Return the customers with events in a stretch."""
    statement = _select(stretch).with_only_columns(_event.customer_id).distinct().limit(limit)
    return [row.customer_id for row in await tx.rows(statement)]


async def environments_by_id(tx: db.Tx, ids: Collection[CustomerId]) -> dict[CustomerId, tuple[Environment, bool]]:
    """Return the environments of some customers, each with whether it is erased."""
    known = data_key.join(customer, customer.c.customer_id == data_key.c.customer_id)
    is_erased = data_key.c.erased_at.is_not(None).label("is_erased")
    statement = sa.select(customer.c.customer_id, customer.c.environment, is_erased).select_from(known)
    rows = await tx.rows(statement.where(customer.c.customer_id.in_(ids)))
    return {row.customer_id: (Environment(row.environment), row.is_erased) for row in rows}


def _select(stretch: Stretch) -> sa.Select[Any]:
    statement = (
        sa.select(billing_event, customer.c.environment)
        .join(customer, customer.c.customer_id == _event.customer_id)
        .where(_event.number > stretch.after)
    )
    if stretch.until is not None:
        statement = statement.where(_event.number <= stretch.until)
    if stretch.customer_id is not None:
        statement = statement.where(_event.customer_id == stretch.customer_id)
    if stretch.environment is not None:
        statement = statement.where(customer.c.environment == stretch.environment)
    return statement


def _place(row: sa.Row[Any]) -> Place:
    return Place(row.customer_id, row.id, row.number)


def _read(row: sa.Row[Any]) -> Event:
    """Read an event. Raises DomainError, TypeError or ValueError where its row does not hold one."""
    if not isinstance(row.metadata, dict):
        raise TypeError(row.metadata)
    return Event(
        customer_id=row.customer_id,
        id=row.id,
        environment=Environment(row.environment),
        at=row.at,
        told=row.type,
        amount=None if row.amount_minor is None else Money(row.amount_minor, row.currency),
        metadata=row.metadata,
        number=row.number,
        sequence=row.sequence,
    )
