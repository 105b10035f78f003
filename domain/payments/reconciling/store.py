"""Tables and statements of comparisons and their findings, and the pages of our rows that are compared."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.customers.store import customer, data_key
from domain.invoices.store import invoice
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId
from domain.kernel.period import Period
from domain.payments.push import Push, PushState
from domain.payments.reconciling.finding import Difference, Finding, Found, Outcome
from domain.payments.reconciling.run import Run, Stage
from domain.payments.store import PUSH_COLUMNS, gateway_customer, gateway_invoice, payment_attempt

reconciliation_run = sa.Table(
    "reconciliation_run",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("started_at", db.Instant, nullable=False, comment="real time, as all instants here"),
    sa.Column("window_start", db.Instant, nullable=False),
    sa.Column("window_end", db.Instant, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("after", sa.Text, comment="the last id of the stage that was compared"),
    sa.Column("compared", sa.BigInteger, nullable=False),
    sa.Column("ended_at", db.Instant),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("trigger IN ('schedule', 'staff', 'command')", name="trigger"),
    sa.CheckConstraint("window_start < window_end", name="window"),
    sa.Index(
        "reconciliation_run_running_key", "environment", unique=True, postgresql_where=sa.text("ended_at IS NULL")
    ),
)

drift_finding = sa.Table(
    "drift_finding",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False, comment="the gateway's id of the thing"),
    sa.Column("customer_id", db.Id),
    sa.Column("ours", sa.Text, nullable=False),
    sa.Column("theirs", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("first_seen_at", db.Instant, nullable=False, comment="real time, as all instants here"),
    sa.Column("last_seen_at", db.Instant, nullable=False),
    sa.Column("run_id", db.Id, sa.ForeignKey("reconciliation_run.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("closed_at", db.Instant),
    sa.Column("note", sa.Text),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("outcome IN ('open', 'healed', 'gone', 'closed')", name="outcome"),
    sa.CheckConstraint("(outcome = 'open') = (closed_at IS NULL)", name="closed"),
    sa.Index(
        "drift_finding_open_key",
        "environment",
        "kind",
        "about",
        unique=True,
        postgresql_where=sa.text("outcome = 'open'"),
    ),
    sa.Index("drift_finding_run_id_idx", "run_id"),
)


async def insert_run(tx: db.Tx, new: Run) -> bool:
    """Insert a comparison. False where one of its environment is under way."""
    statement = (
        pg.insert(reconciliation_run)
        .values(_values(new))
        .on_conflict_do_nothing(index_elements=["environment"], index_where=sa.text("ended_at IS NULL"))
        .returning(reconciliation_run.c.id)
    )
    return await tx.value(statement) is not None


async def save_run(tx: db.Tx, before: Run, after: Run) -> bool:
    """Write how far a comparison is over the version that was read. False where another worker was first."""
    own = reconciliation_run.c
    statement = sa.update(reconciliation_run).where(own.id == before.id, own.version == before.version)
    values = _values(after) | {"version": before.version + 1}
    return (await tx.execute(statement.values(values))).rowcount == 1


async def find_run(tx: db.Tx, run_id: UUID) -> Run | None:
    """Return a comparison, or None."""
    row = await tx.row(sa.select(reconciliation_run).where(reconciliation_run.c.id == run_id))
    return _run(row) if row else None


async def list_runs(tx: db.Tx, *, environment: Environment | None, before: UUID | None, limit: int) -> Sequence[Run]:
    """Return comparisons, the newest first; `before` is the id of the last one seen."""
    own = reconciliation_run.c
    statement = sa.select(reconciliation_run).order_by(own.id.desc()).limit(limit)
    if environment is not None:
        statement = statement.where(own.environment == environment)
    if before is not None:
        statement = statement.where(own.id < before)
    return [_run(row) for row in await tx.rows(statement)]


async def find_last_ended(tx: db.Tx, environment: Environment) -> Run | None:
    """Return the newest comparison of an environment that came to its end, or None."""
    own = reconciliation_run.c
    statement = sa.select(reconciliation_run).where(own.environment == environment, own.ended_at.is_not(None))
    row = await tx.row(statement.order_by(own.id.desc()).limit(1))
    return _run(row) if row else None


async def upsert_finding(tx: db.Tx, run: Run, found: Found, *, new_id: UUID, at: datetime) -> None:
    """Write a difference that stays: a new finding, or the one that is open for it, seen once more."""
    values = _finding_values(run, found, new_id=new_id, at=at) | {"outcome": Outcome.OPEN, "closed_at": None}
    statement = pg.insert(drift_finding).values(values)
    again = {name: values[name] for name in ("ours", "theirs", "last_seen_at", "run_id")}
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["environment", "kind", "about"], index_where=sa.text("outcome = 'open'"), set_=again
        )
    )


async def insert_healed(tx: db.Tx, run: Run, found: Found, *, new_id: UUID, at: datetime) -> None:
    """Write a difference that was healed: on the finding that is open for it, or on a new one, once in a run."""
    own = drift_finding.c
    is_it = (own.environment == run.environment, own.kind == found.kind, own.about == found.about)
    healed = {"outcome": Outcome.HEALED, "closed_at": at, "last_seen_at": at, "run_id": run.id}
    of_run = (own.outcome == Outcome.OPEN) | ((own.outcome == Outcome.HEALED) & (own.run_id == run.id))
    changed = await tx.execute(sa.update(drift_finding).where(*is_it, of_run).values(healed))
    if changed.rowcount == 0:
        values = _finding_values(run, found, new_id=new_id, at=at) | healed
        await tx.execute(sa.insert(drift_finding).values(values))


async def lock_finding(tx: db.Tx, finding_id: UUID) -> Finding | None:
    """Return a finding and hold it until the transaction ends, or None."""
    row = await tx.row(sa.select(drift_finding).where(drift_finding.c.id == finding_id).with_for_update())
    return _finding(row) if row else None


async def save_closed(
    tx: db.Tx, ids: Collection[UUID], *, outcome: Outcome, at: datetime, note: str | None = None
) -> None:
    """End open findings."""
    own = drift_finding.c
    statement = sa.update(drift_finding).where(own.id.in_(ids), own.outcome == Outcome.OPEN)
    await tx.execute(statement.values(outcome=outcome, closed_at=at, note=note))


async def list_findings(
    tx: db.Tx,
    *,
    environment: Environment | None,
    outcome: Outcome | None,
    run_id: UUID | None,
    before: UUID | None,
    limit: int,
) -> Sequence[Finding]:
    """Return findings, the newest first; `before` is the id of the last one seen."""
    own = drift_finding.c
    statement = sa.select(drift_finding).order_by(own.id.desc()).limit(limit)
    if environment is not None:
        statement = statement.where(own.environment == environment)
    if outcome is not None:
        statement = statement.where(own.outcome == outcome)
    if run_id is not None:
        statement = statement.where(own.run_id == run_id)
    if before is not None:
        statement = statement.where(own.id < before)
    return [_finding(row) for row in await tx.rows(statement)]


async def count_healed(tx: db.Tx, run: Run) -> int:
    """Count what a comparison has healed."""
    own = drift_finding.c
    healed = (own.run_id == run.id, own.outcome == Outcome.HEALED)
    return int(await tx.value(sa.select(sa.func.count()).select_from(drift_finding).where(*healed)) or 0)


async def count_open(tx: db.Tx, environment: Environment) -> int:
    """Count the findings of an environment that need a person."""
    own = drift_finding.c
    waits = (own.environment == environment, own.outcome == Outcome.OPEN)
    return int(await tx.value(sa.select(sa.func.count()).select_from(drift_finding).where(*waits)) or 0)


async def list_unseen(tx: db.Tx, run: Run, *, after: UUID | None, limit: int) -> Sequence[Finding]:
    """Return the open findings of an environment that a run has not seen, in the order of their ids."""
    own = drift_finding.c
    statement = (
        sa.select(drift_finding)
        .where(own.environment == run.environment, own.outcome == Outcome.OPEN, own.run_id != run.id)
        .order_by(own.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(own.id > after)
    return [_finding(row) for row in await tx.rows(statement)]


async def page_gateway_customers(
    tx: db.Tx, environment: Environment, *, after: UUID | None, limit: int
) -> Sequence[tuple[CustomerId, str]]:
    """Return our customers whom the gateway knows, and who are not erased, with its ids of them, by our ids."""
    own = gateway_customer.c
    statement = (
        sa.select(own.customer_id, own.gateway_customer_id)
        .join(customer, customer.c.customer_id == own.customer_id)
        .join(data_key, data_key.c.customer_id == own.customer_id)
        .where(
            customer.c.environment == environment, own.gateway_customer_id.is_not(None), data_key.c.erased_at.is_(None)
        )
        .order_by(own.customer_id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(own.customer_id > after)
    return [(row.customer_id, row.gateway_customer_id) for row in await tx.rows(statement)]


async def gateway_customers_of(tx: db.Tx, ids: Collection[CustomerId]) -> dict[CustomerId, str]:
    """Return the gateway's ids of customers of ours."""
    own = gateway_customer.c
    statement = sa.select(own.customer_id, own.gateway_customer_id).where(
        own.customer_id.in_(ids), own.gateway_customer_id.is_not(None)
    )
    return {row.customer_id: row.gateway_customer_id for row in await tx.rows(statement)}


async def pushes_of(tx: db.Tx, gateway_invoice_ids: Collection[str]) -> dict[str, Push]:
    """Return the records of copies by the gateway's ids."""
    statement = sa.select(*PUSH_COLUMNS).where(gateway_invoice.c.gateway_invoice_id.in_(gateway_invoice_ids))
    return {row.gateway_invoice_id: _push(row) for row in await tx.rows(statement)}


async def pushes_of_invoices(tx: db.Tx, ids: Collection[UUID]) -> dict[UUID, Push]:
    """Return the records of the copies of invoices of ours."""
    statement = sa.select(*PUSH_COLUMNS).where(gateway_invoice.c.invoice_id.in_(ids))
    return {row.invoice_id: _push(row) for row in await tx.rows(statement)}


async def page_pushes(
    tx: db.Tx, environment: Environment, window: Period, *, after: UUID | None, limit: int
) -> Sequence[Push]:
    """Return the records of copies whose invoice is open, or which were begun in a stretch, by the invoice's id."""
    own = gateway_invoice.c
    lately = (own.keyed_at >= window.start) & (own.keyed_at < window.end)
    statement = (
        sa.select(*PUSH_COLUMNS)
        .join(invoice, (invoice.c.customer_id == own.customer_id) & (invoice.c.id == own.invoice_id))
        .where(invoice.c.environment == environment, own.gateway_invoice_id.is_not(None))
        .where((invoice.c.state == "open") | lately, own.keyed_at < window.end)
        .order_by(own.invoice_id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(own.invoice_id > after)
    return [_push(row) for row in await tx.rows(statement)]


async def payers_of(tx: db.Tx, payment_ids: Collection[str]) -> dict[str, CustomerId]:
    """Return whose attempts have these payments of the gateway."""
    own = payment_attempt.c
    statement = sa.select(own.gateway_payment_id, own.customer_id).where(own.gateway_payment_id.in_(payment_ids))
    return {row.gateway_payment_id: row.customer_id for row in await tx.rows(statement)}


def _values(value: Run) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _run(row: sa.Row[Any]) -> Run:
    found = dict(row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name for a row as a mapping
    return Run(**found | {"environment": Environment(row.environment), "stage": Stage(row.stage)})


def _push(row: sa.Row[Any]) -> Push:
    return Push(**{**row._mapping, "state": PushState(row.state)})  # noqa: SLF001 -- as above


def _finding_values(run: Run, found: Found, *, new_id: UUID, at: datetime) -> dict[str, Any]:
    return {
        "id": new_id,
        "environment": run.environment,
        "kind": found.kind,
        "about": found.about,
        "customer_id": found.customer_id,
        "ours": found.ours,
        "theirs": found.theirs,
        "first_seen_at": at,
        "last_seen_at": at,
        "run_id": run.id,
        "note": None,
    }


def _finding(row: sa.Row[Any]) -> Finding:
    found = dict(row._mapping)  # noqa: SLF001 -- as above
    words = {"kind": Difference(row.kind), "outcome": Outcome(row.outcome), "environment": Environment(row.environment)}
    return Finding(**found | words)
