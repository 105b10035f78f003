"""Tables and statements of dunning cases, of the subscriptions on them, and of their steps."""

import dataclasses
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from domain import db
from domain.customers.store import Sight
from domain.dunning.case import Case, CaseState
from domain.dunning.recovery import Tally
from domain.invoices.store import invoice
from domain.journal.jobs import RunDunning
from domain.journal.store import outbox_job
from domain.kernel.call import Environment
from domain.kernel.ids import CaseId, ClockId, CustomerId, InvoiceId, PolicyId, SubscriptionId
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.payments.attempt import Trigger

_OF_CASE = (["customer_id", "case_id"], ["dunning_case.customer_id", "dunning_case.id"])

dunning_case = sa.Table(
    "dunning_case",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("invoice_id", db.Id, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("clock_id", db.Id, comment="null: due by real time"),
    sa.Column("policy_id", db.Id, sa.ForeignKey("dunning_policy.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("first_failed_at", db.Instant, nullable=False, comment="business time, as all but created_at"),
    sa.Column("counted", sa.Integer, nullable=False, comment="failures that use up retries"),
    sa.Column("skipped", sa.Integer, nullable=False, comment="days of the calendar that passed without a retry"),
    sa.Column("next_attempt_at", db.Instant),
    sa.Column("waits_until", db.Instant),
    sa.Column("notice_at", db.Instant, comment="when the last notice is mailed"),
    sa.Column("charging_since", db.Instant, comment="an attempt is under way, and both clocks stand"),
    sa.Column("paused_at", db.Instant),
    sa.Column("closed_at", db.Instant),
    sa.Column("due_at", db.Instant, comment="when something happens by time; null: nothing does"),
    sa.Column("noted_number", sa.Integer, nullable=False, comment="number of the newest attempt that was followed"),
    sa.Column("noted_ended", sa.Boolean, nullable=False, comment="whether it had ended"),
    sa.Column("recovered_by", sa.Text, comment="who started the attempt that was paid"),
    sa.Column("created_at", db.Instant, nullable=False, comment="real time"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.ForeignKeyConstraint(["customer_id", "invoice_id"], ["invoice.customer_id", "invoice.id"], ondelete="RESTRICT"),
    sa.UniqueConstraint("customer_id", "invoice_id"),
    sa.CheckConstraint("state IN ('open', 'recovered', 'given_up', 'dropped', 'written_off')", name="state"),
    sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
    sa.CheckConstraint("next_attempt_at IS NULL OR waits_until IS NULL", name="planned"),
    sa.CheckConstraint("due_at IS NULL OR state = 'open'", name="due"),
    sa.Index("dunning_case_due_idx", "due_at", postgresql_where=sa.text("due_at IS NOT NULL")),
    sa.Index(
        "dunning_case_owed_idx",
        "customer_id",
        "invoice_id",
        postgresql_where=sa.text("state IN ('open', 'given_up')"),
    ),
    sa.Index("dunning_case_first_failed_at_idx", "environment", "first_failed_at"),
    sa.Index("dunning_case_id_idx", "id"),
)

dunning_holding = sa.Table(
    "dunning_holding",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("case_id", db.Id, primary_key=True),
    sa.Column("subscription_id", db.Id, primary_key=True),
    sa.Column("policy_id", db.Id, sa.ForeignKey("dunning_policy.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("grace_ends_at", db.Instant, nullable=False, comment="business time; access is restricted from then on"),
    sa.ForeignKeyConstraint(*_OF_CASE, ondelete="RESTRICT"),
    sa.ForeignKeyConstraint(
        ["customer_id", "subscription_id"], ["subscription.customer_id", "subscription.id"], ondelete="RESTRICT"
    ),
    comment="a subscription with a line on the invoice of a case, under its own policy of access",
)

dunning_step = sa.Table(
    "dunning_step",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("case_id", db.Id, nullable=False),
    sa.Column("at", db.Instant, nullable=False, comment="business time"),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("facts", db.Json, nullable=False),
    sa.ForeignKeyConstraint(*_OF_CASE, ondelete="RESTRICT"),
    sa.Index("dunning_step_case_id_idx", "case_id", "id"),
)


@dataclass(frozen=True, slots=True)
class StoredCase:
    """A case with what it is about. `noted` is the newest attempt that was followed: its number, whether it had ended.

    `due_at` is when something happens by time. `amount` is what was owed when it was opened. `created_at` is real time.
    """

    customer_id: CustomerId
    id: CaseId
    invoice_id: InvoiceId
    environment: Environment
    clock_id: ClockId | None
    policy_id: PolicyId
    amount: Money
    case: Case
    due_at: datetime | None
    noted: tuple[int, bool]
    recovered_by: Trigger | None
    created_at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True)
class Holding:
    """A subscription on a case, the policy of its access, and when its grace ends."""

    customer_id: CustomerId
    case_id: CaseId
    subscription_id: SubscriptionId
    policy_id: PolicyId
    grace_ends_at: datetime


@dataclass(frozen=True, slots=True)
class CaseStep:
    """Something that happened to a case, at business time."""

    id: UUID
    at: datetime
    kind: str
    facts: dict[str, Any]


async def insert_case(tx: db.Tx, new: StoredCase, holdings: Sequence[Holding]) -> None:
    """Insert a case with its subscriptions; the database refuses a second one of an invoice."""
    await tx.execute(sa.insert(dunning_case).values(_values(new)))
    if holdings:
        await tx.execute(sa.insert(dunning_holding), [dataclasses.asdict(each) for each in holdings])


async def save_case(tx: db.Tx, before: StoredCase, after: StoredCase) -> StoredCase:
    """Write a changed case over the version that was read under the lock of its invoice."""
    own = dunning_case.c
    statement = sa.update(dunning_case).where(
        own.customer_id == before.customer_id, own.id == before.id, own.version == before.version
    )
    values = _values(after) | {"version": before.version + 1}
    assert (await tx.execute(statement.values(values))).rowcount == 1, "cases are changed under the invoice's lock"
    return dataclasses.replace(after, version=before.version + 1)


async def save_grace(tx: db.Tx, holding: Holding, grace_ends_at: datetime) -> None:
    """Write when the grace of a subscription on a case ends."""
    own = dunning_holding.c
    await tx.execute(
        sa.update(dunning_holding)
        .where(own.customer_id == holding.customer_id, own.case_id == holding.case_id)
        .where(own.subscription_id == holding.subscription_id)
        .values(grace_ends_at=grace_ends_at)
    )


async def find_case(tx: db.Tx, case_id: CaseId, *, sight: Sight) -> StoredCase | None:
    """Return a case that may be seen, or None."""
    row = await tx.row(_seen(sight).where(dunning_case.c.id == case_id))
    return _case(row) if row else None


async def find_case_of(tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> StoredCase | None:
    """Return the case of an invoice, or None. Whoever changes it holds the invoice."""
    own = dunning_case.c
    statement = sa.select(dunning_case).where(own.customer_id == customer_id, own.invoice_id == invoice_id)
    row = await tx.row(statement)
    return _case(row) if row else None


async def list_cases(
    tx: db.Tx,
    *,
    sight: Sight,
    customer_id: CustomerId | None,
    state: CaseState | None,
    before: UUID | None,
    limit: int,
) -> Sequence[StoredCase]:
    """Return cases that may be seen, the newest first; `before` is the id of the last one seen."""
    own = dunning_case.c
    statement = _seen(sight).order_by(own.id.desc()).limit(limit)
    if customer_id is not None:
        statement = statement.where(own.customer_id == customer_id)
    if state is not None:
        statement = statement.where(own.state == state)
    if before is not None:
        statement = statement.where(own.id < before)
    return [_case(row) for row in await tx.rows(statement)]


async def list_owed_cases(tx: db.Tx, customer_id: CustomerId, *, limit: int) -> Sequence[StoredCase]:
    """Return a customer's cases whose money has not come and is still owed, the oldest first."""
    own = dunning_case.c
    statement = (
        sa.select(dunning_case)
        .where(own.customer_id == customer_id, sa.text("dunning_case.state IN ('open', 'given_up')"))
        .order_by(own.id)
        .limit(limit)
    )
    return [_case(row) for row in await tx.rows(statement)]


async def list_due_cases(
    tx: db.Tx, *, clock_id: ClockId | None, now: datetime, limit: int
) -> Sequence[tuple[CustomerId, CaseId]]:
    """Return a clock's cases to which something happens by now and for which no job waits, the oldest first."""
    own = dunning_case.c
    statement = (
        sa.select(own.customer_id, own.id)
        .where(own.due_at <= now, own.clock_id.is_not_distinct_from(clock_id), ~_is_staged())
        .order_by(own.due_at, own.id)
        .limit(limit)
    )
    return [(row.customer_id, row.id) for row in await tx.rows(statement)]


async def list_overtaken_cases(
    tx: db.Tx, *, clock_id: ClockId | None, limit: int
) -> Sequence[tuple[CustomerId, CaseId]]:
    """Return a clock's cases whose invoice is no longer open: it was paid, voided or written off another way.

    Those for which a job waits are left out.
    """
    own = dunning_case.c
    statement = (
        sa.select(own.customer_id, own.id)
        .join(invoice, sa.and_(invoice.c.customer_id == own.customer_id, invoice.c.id == own.invoice_id))
        .where(sa.text("dunning_case.state IN ('open', 'given_up')"), invoice.c.state != "open")
        .where(own.clock_id.is_not_distinct_from(clock_id), ~_is_staged())
        .limit(limit)
    )
    return [(row.customer_id, row.id) for row in await tx.rows(statement)]


async def find_next_due_at(tx: db.Tx, *, clock_id: ClockId) -> datetime | None:
    """Return the earliest business instant at which something happens to a case of a clock, or None."""
    own = dunning_case.c
    found: datetime | None = await tx.value(sa.select(sa.func.min(own.due_at)).where(own.clock_id == clock_id))
    return found


async def holdings_of(tx: db.Tx, cases: Collection[tuple[CustomerId, CaseId]]) -> dict[CaseId, list[Holding]]:
    """Return the subscriptions on cases: one statement, for loaders."""
    own = dunning_holding.c
    found: dict[CaseId, list[Holding]] = {case_id: [] for _, case_id in cases}
    statement = sa.select(dunning_holding).where(sa.tuple_(own.customer_id, own.case_id).in_(cases))
    for row in await tx.rows(statement.order_by(own.subscription_id)):
        found[row.case_id].append(Holding(**row._mapping))  # noqa: SLF001 -- a row as a mapping
    return found


async def insert_step(tx: db.Tx, values: dict[str, Any]) -> None:
    """Append a step of a case."""
    await tx.execute(sa.insert(dunning_step).values(values))


async def find_last_step(
    tx: db.Tx, customer_id: CustomerId, case_id: CaseId, *, kinds: Collection[str]
) -> CaseStep | None:
    """Return the newest step of some kinds of a case, or None."""
    own = dunning_step.c
    statement = sa.select(dunning_step).where(
        own.customer_id == customer_id, own.case_id == case_id, own.kind.in_(kinds)
    )
    row = await tx.row(statement.order_by(own.id.desc()).limit(1))
    return CaseStep(row.id, row.at, row.kind, row.facts) if row else None


async def steps_of_cases(
    tx: db.Tx, cases: Collection[tuple[CustomerId, CaseId]], *, limit: int
) -> dict[CaseId, list[CaseStep]]:
    """Return the first steps of each of several cases, the oldest first: one statement, for loaders."""
    own = dunning_step.c
    place = sa.func.row_number().over(partition_by=own.case_id, order_by=own.id)
    placed = (
        sa.select(own.case_id, own.id, own.at, own.kind, own.facts, place.label("place"))
        .where(sa.tuple_(own.customer_id, own.case_id).in_(cases))
        .subquery()
    )
    found: dict[CaseId, list[CaseStep]] = {case_id: [] for _, case_id in cases}
    statement = sa.select(placed).where(placed.c.place <= limit).order_by(placed.c.id)
    for row in await tx.rows(statement):
        found[row.case_id].append(CaseStep(row.id, row.at, row.kind, row.facts))
    return found


async def list_tallies(tx: db.Tx, *, sight: Sight, start: datetime, end: datetime) -> list[Tally]:
    """Return sums over the cases that began in a stretch of business time, by currency."""
    own = dunning_case.c
    came = own.state == "recovered"
    took = sa.func.extract("epoch", own.closed_at - own.first_failed_at)
    counted, summed = sa.func.count(), sa.func.sum(own.amount_minor)
    zero = sa.literal(0)
    statement = (
        sa.select(
            own.currency,
            counted.label("cases"),
            counted.filter(came).label("recovered"),
            counted.filter(own.state.in_(("given_up", "written_off"))).label("lost"),
            counted.filter(own.state == "open").label("open"),
            sa.cast(summed, sa.BigInteger).label("failed_minor"),
            sa.cast(sa.func.coalesce(summed.filter(came), zero), sa.BigInteger).label("recovered_minor"),
            sa.cast(sa.func.coalesce(sa.func.sum(took).filter(came), zero), sa.BigInteger).label("recovered_s"),
        )
        .where(own.first_failed_at >= start, own.first_failed_at < end)
        .group_by(own.currency)
    )
    if sight.scope is not None:
        statement = statement.where(own.customer_id == sight.scope)
    if sight.environment is not None:
        statement = statement.where(own.environment == sight.environment)
    return [Tally(*tuple(row)) for row in await tx.rows(statement)]


def _is_staged() -> sa.ColumnElement[bool]:
    """Say that a job waits for a case."""
    job = outbox_job.c
    is_of_it = (job.kind == RunDunning.kind) & (job.key == sa.cast(dunning_case.c.id, sa.Text))
    return sa.exists().where(is_of_it, sa.text("outbox_job.state = 'pending'"))


def _seen(sight: Sight) -> sa.Select[Any]:
    statement = sa.select(dunning_case)
    if sight.scope is not None:
        statement = statement.where(dunning_case.c.customer_id == sight.scope)
    if sight.environment is not None:
        statement = statement.where(dunning_case.c.environment == sight.environment)
    return statement


def _values(stored: StoredCase) -> dict[str, Any]:
    values = {field.name: getattr(stored, field.name) for field in dataclasses.fields(stored)}
    del values["case"], values["amount"], values["noted"]
    number, ended = stored.noted
    return values | {
        **dataclasses.asdict(stored.case),
        "amount_minor": stored.amount.minor,
        "currency": stored.amount.currency,
        "noted_number": number,
        "noted_ended": ended,
    }


def _case(row: sa.Row[Any]) -> StoredCase:
    known = {field.name: getattr(row, field.name) for field in dataclasses.fields(Case)}
    return StoredCase(
        customer_id=row.customer_id,
        id=row.id,
        invoice_id=row.invoice_id,
        environment=Environment(row.environment),
        clock_id=row.clock_id,
        policy_id=row.policy_id,
        amount=Money(row.amount_minor, row.currency),
        case=Case(**known | {"state": CaseState(row.state)}),
        due_at=row.due_at,
        noted=(row.noted_number, row.noted_ended),
        recovered_by=Trigger(row.recovered_by) if row.recovered_by else None,
        created_at=row.created_at,
        version=row.version,
    )
