"""Tables and statements of webhook endpoints and their secrets."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from domain import db
from domain.kernel.call import Environment
from domain.kernel.ids import EndpointId
from domain.webhooks.endpoint import DisabledBy, Endpoint, EndpointState, Secret

webhook_endpoint = sa.Table(
    "webhook_endpoint",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("events", db.Json, nullable=False, comment="types, groups such as invoice.*, or *"),
    sa.Column("schema_version", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("disabled_by", sa.Text),
    sa.Column("disabled_at", db.Instant),
    sa.Column("last_success_at", db.Instant),
    sa.Column("last_failure_at", db.Instant),
    sa.Column("created_at", db.Instant, nullable=False, comment="real time, as all instants here"),
    sa.Column("deleted_at", db.Instant),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("state IN ('enabled', 'disabled')", name="state"),
    sa.CheckConstraint(
        "(state = 'disabled') = (disabled_by IS NOT NULL) AND (disabled_by IS NULL) = (disabled_at IS NULL)",
        name="disabled",
    ),
)

webhook_secret = sa.Table(
    "webhook_secret",
    db.metadata,
    sa.Column("endpoint_id", db.Id, sa.ForeignKey("webhook_endpoint.id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("sealed", db.Personal, nullable=False),
    sa.Column("created_at", db.Instant, nullable=False),
    sa.Column("expires_at", db.Instant, comment="null: the present one; two sign while they overlap"),
    sa.Index("webhook_secret_present_key", "endpoint_id", unique=True, postgresql_where=sa.text("expires_at IS NULL")),
)

_COLUMNS = [webhook_endpoint.c[field.name] for field in fields(Endpoint)]


async def insert_endpoint(tx: db.Tx, new: Endpoint) -> None:
    """Insert an endpoint."""
    await tx.execute(sa.insert(webhook_endpoint).values(_values(new)))


async def lock_environment(tx: db.Tx, environment: Environment) -> None:
    """Let nobody else make an endpoint in an environment until the transaction ends: their number is bounded."""
    key = sa.func.hashtextextended(f"webhook_endpoint:{environment}", 0)
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


async def find_endpoint(tx: db.Tx, endpoint_id: EndpointId) -> Endpoint | None:
    """Return an endpoint that is not deleted, or None."""
    row = await tx.row(_read().where(webhook_endpoint.c.id == endpoint_id))
    return _endpoint(row) if row else None


async def lock_endpoint(tx: db.Tx, endpoint_id: EndpointId) -> Endpoint | None:
    """Return an endpoint and keep others from changing it, or None.

    Rows that name it may be written beside: two tries at one endpoint, each logged before it locks, would deadlock.
    """
    row = await tx.row(_read().where(webhook_endpoint.c.id == endpoint_id).with_for_update(key_share=True))
    return _endpoint(row) if row else None


async def list_endpoints(tx: db.Tx, *, environment: Environment | None, limit: int) -> Sequence[Endpoint]:
    """Return the endpoints of one environment or of both, oldest first."""
    statement = _read().order_by(webhook_endpoint.c.id).limit(limit)
    if environment is not None:
        statement = statement.where(webhook_endpoint.c.environment == environment)
    return [_endpoint(row) for row in await tx.rows(statement)]


async def save_endpoint(tx: db.Tx, before: Endpoint, after: Endpoint) -> None:
    """Write an endpoint that the caller has locked. What deliveries have noted meanwhile stays."""
    values = {
        name: value for name, value in _values(after).items() if name not in {"last_success_at", "last_failure_at"}
    }
    await tx.execute(
        sa.update(webhook_endpoint)
        .where(webhook_endpoint.c.id == before.id)
        .values({**values, "version": before.version + 1})
    )


async def save_outcome(tx: db.Tx, endpoint_id: EndpointId, at: datetime, *, succeeded: bool) -> None:
    """Note when an event last arrived, or last did not; neither goes back."""
    column = webhook_endpoint.c.last_success_at if succeeded else webhook_endpoint.c.last_failure_at
    newest = sa.func.greatest(column, sa.literal(at, db.Instant))
    await tx.execute(sa.update(webhook_endpoint).where(webhook_endpoint.c.id == endpoint_id).values({column: newest}))


async def insert_secret(tx: db.Tx, endpoint_id: EndpointId, secret_id: UUID, secret: Secret) -> None:
    """Store a secret, sealed."""
    sealed = tx.vault.seal(tx.vault.system, _where(endpoint_id, secret_id), secret.text)
    await tx.execute(
        sa.insert(webhook_secret).values(
            endpoint_id=endpoint_id,
            id=secret_id,
            sealed=sealed,
            created_at=secret.created_at,
            expires_at=secret.expires_at,
        )
    )


async def list_secrets(tx: db.Tx, endpoint_id: EndpointId, at: datetime) -> list[Secret]:
    """Return the secrets that sign at a real instant, opened, the newest first; at most two."""
    secret = webhook_secret.c
    statement = (
        sa.select(webhook_secret)
        .where(secret.endpoint_id == endpoint_id, sa.or_(secret.expires_at.is_(None), secret.expires_at > at))
        .order_by(secret.id.desc())
        .limit(2)
    )
    return [_secret(tx, endpoint_id, row) for row in await tx.rows(statement)]


async def save_rotation(tx: db.Tx, endpoint_id: EndpointId, *, at: datetime, until: datetime) -> None:
    """Let the present secret end at an instant, and forget those before it."""
    secret = webhook_secret.c
    await tx.execute(sa.delete(webhook_secret).where(secret.endpoint_id == endpoint_id, secret.expires_at.is_not(None)))
    end = sa.update(webhook_secret).where(secret.endpoint_id == endpoint_id).values(expires_at=until)
    forget = sa.delete(webhook_secret).where(secret.endpoint_id == endpoint_id)
    await tx.execute(end if until > at else forget)


async def delete_secrets(tx: db.Tx, endpoint_id: EndpointId) -> None:
    """Forget the secrets of an endpoint that is deleted."""
    await tx.execute(sa.delete(webhook_secret).where(webhook_secret.c.endpoint_id == endpoint_id))


def _read() -> sa.Select[Any]:
    return sa.select(*_COLUMNS).where(webhook_endpoint.c.deleted_at.is_(None))


def _values(value: Endpoint) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(Endpoint)} | {"events": list(value.events)}


def _endpoint(row: sa.Row[Any]) -> Endpoint:
    return Endpoint(
        **{
            **{each.name: getattr(row, each.name) for each in fields(Endpoint)},
            "environment": Environment(row.environment),
            "events": tuple(row.events),
            "state": EndpointState(row.state),
            "disabled_by": DisabledBy(row.disabled_by) if row.disabled_by else None,
        }
    )


def _secret(tx: db.Tx, endpoint_id: EndpointId, row: sa.Row[Any]) -> Secret:
    text = tx.vault.open(tx.vault.system, _where(endpoint_id, row.id), row.sealed).decode()
    return Secret(text, row.created_at, row.expires_at)


def _where(endpoint_id: UUID, secret_id: UUID) -> str:
    return f"webhook_secret:sealed:{endpoint_id}:{secret_id}"
