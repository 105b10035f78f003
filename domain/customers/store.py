"""Tables and statements of customers, data keys and test clocks; seals and opens personal values on the way."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.customers.clock import Clock, ClockState
from domain.customers.customer import CollectionMethod, Customer, fold_email
from domain.journal.store import outbox_job
from domain.kernel.call import Environment
from domain.kernel.ids import ClockId, CustomerId
from domain.kernel.values import dataclass
from domain.statement import Row, Statement, among, narrowed, present
from domain.vault import DataKey, Vault

EMAIL_HASHED = "customer:email"

test_clock = sa.Table(
    "test_clock",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("now_at", db.Instant, nullable=False, comment="business time of the customers bound to it"),
    sa.Column("target_at", db.Instant),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("created_at", db.Instant, nullable=False, comment="real time"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint("state IN ('ready', 'advancing', 'failed')", name="state"),
    sa.CheckConstraint("(state = 'ready') = (target_at IS NULL)", name="target"),
    sa.CheckConstraint("target_at >= now_at", name="forward"),
    sa.CheckConstraint("(state = 'failed') = (reason IS NOT NULL)", name="reason"),
    sa.Index("test_clock_advancing_idx", "id", postgresql_where=sa.text("state = 'advancing'")),
)

customer = sa.Table(
    "customer",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("external_id", sa.Text, comment="the merchant's own id"),
    sa.Column("name", db.Personal, nullable=False),
    sa.Column("email", db.Personal, nullable=False),
    sa.Column("email_hash", sa.LargeBinary, nullable=False, comment="keyed hash of the address in folded case"),
    sa.Column("zone", sa.Text, nullable=False),
    sa.Column("locale", sa.Text, nullable=False),
    sa.Column("country", sa.Text),
    sa.Column("clock_id", db.Id, sa.ForeignKey("test_clock.id", ondelete="RESTRICT")),
    sa.Column("has_method", sa.Boolean, nullable=False, comment="a payment method is attached"),
    sa.Column("consolidates", sa.Boolean, nullable=False, comment="what falls due together is on one invoice"),
    sa.Column("created_at", db.Instant, nullable=False, comment="real time"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("collection", sa.Text, nullable=False, comment="how its next invoices are paid"),
    sa.UniqueConstraint("environment", "external_id"),
    sa.CheckConstraint("collection IN ('charge_automatically', 'send_invoice')", name="collection"),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("clock_id IS NULL OR environment = 'test'", name="clock"),
    sa.Index("customer_email_hash_idx", "email_hash"),
    sa.Index("customer_clock_id_idx", "clock_id", postgresql_where=sa.text("clock_id IS NOT NULL")),
)

data_key = sa.Table(
    "data_key",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.Column("erased_at", db.Instant, comment="real time; the key before is retained, or gone"),
    sa.Column("retained", sa.LargeBinary, comment="the key before, wrapped, until what the law wants kept is deleted"),
    sa.CheckConstraint("retained IS NULL OR erased_at IS NOT NULL", name="retained"),
)


@dataclass(frozen=True, slots=True)
class Sight:
    """Which customers a reader may see: one or all (`scope` None), of one environment or of both (None)."""

    scope: CustomerId | None
    environment: Environment | None = None


async def insert_customer(tx: db.Tx, new: Customer, wrapped: bytes) -> bool:
    """Insert a customer, its values sealed, with its wrapped data key. False where the external id is taken."""
    key = tx.vault.unwrap(str(new.id), wrapped)
    values = {
        "customer_id": new.id,
        "environment": new.environment,
        "external_id": new.external_id,
        **sealed_names(tx, key, new),
        "zone": new.zone,
        "locale": new.locale,
        "country": new.country,
        "clock_id": new.clock_id,
        "has_method": new.has_method,
        "consolidates": new.consolidates,
        "created_at": new.created_at,
        "version": new.version,
        "collection": new.collection,
    }
    statement = (
        pg.insert(customer)
        .values(values)
        .on_conflict_do_nothing(index_elements=["environment", "external_id"])
        .returning(customer.c.customer_id)
    )
    if await tx.value(statement) is None:
        return False
    await tx.execute(sa.insert(data_key).values(customer_id=new.id, wrapped=wrapped))
    return True


async def save_has_method(tx: db.Tx, customer_id: CustomerId, *, has_method: bool) -> None:
    """Note whether a payment method is attached; what a person edits, and its version, stay as they are."""
    statement = sa.update(customer).where(customer.c.customer_id == customer_id)
    await tx.execute(statement.values(has_method=has_method))


async def touch(tx: db.Tx, customer_id: CustomerId) -> None:
    """Write a customer's row as it is: by that it is another one for whoever has read it."""
    own = customer.c
    await tx.execute(sa.update(customer).where(own.customer_id == customer_id).values(version=own.version))


async def save_consolidates(tx: db.Tx, customer_id: CustomerId, *, consolidates: bool) -> None:
    """Set whether a customer's invoices are consolidated."""
    statement = sa.update(customer).where(customer.c.customer_id == customer_id)
    await tx.execute(statement.values(consolidates=consolidates, version=customer.c.version + 1))


@cache
def _by_id(*names: str) -> Statement:
    statement = _readable().where(among(customer.c.customer_id, "ids"), *narrowed(customer, names))
    return Statement(statement)


async def customers_by_id(tx: db.Tx, ids: Collection[CustomerId], *, sight: Sight) -> dict[CustomerId, Customer]:
    """Return the customers of these ids that may be seen."""
    known = present(customer_id=sight.scope, environment=sight.environment)
    rows = await _by_id(*known).rows(tx, ids=list(ids), **known)
    return {found.id: found for found in _customers(tx, rows)}


async def customers_by_external_id(
    tx: db.Tx, external_ids: Collection[str], *, environment: Environment, sight: Sight
) -> dict[str, Customer]:
    """Return the customers of one environment by the merchant's own ids."""
    statement = _read(sight).where(customer.c.environment == environment, customer.c.external_id.in_(external_ids))
    return {found.external_id: found for found in _customers(tx, await tx.rows(statement)) if found.external_id}


async def list_customers(
    tx: db.Tx,
    *,
    sight: Sight,
    environment: Environment | None,
    email: str | None,
    after: CustomerId | None,
    limit: int,
) -> Sequence[Customer]:
    """Return customers newest first; `after` is the id of the last one seen."""
    statement = _read(sight).order_by(customer.c.customer_id.desc()).limit(limit)
    if environment is not None:
        statement = statement.where(customer.c.environment == environment)
    if email is not None:
        statement = statement.where(customer.c.email_hash.in_(tx.vault.lookup_hashes(EMAIL_HASHED, fold_email(email))))
    if after is not None:
        statement = statement.where(customer.c.customer_id < after)
    return _customers(tx, await tx.rows(statement))


async def count_customers(tx: db.Tx, *, sight: Sight, environment: Environment | None) -> int:
    """Count the customers that may be seen, of one environment or of both."""
    statement = sa.select(sa.func.count()).select_from(customer).where(*_seen(sight))
    if environment is not None:
        statement = statement.where(customer.c.environment == environment)
    return int(await tx.value(statement) or 0)


async def save_locale(tx: db.Tx, before: Customer, locale: str) -> None:
    """Write another language over the version of the customer that was read; an earlier change is not overwritten."""
    own = customer.c
    statement = sa.update(customer).where(own.customer_id == before.id, own.version == before.version)
    await tx.execute(statement.values(locale=locale, version=before.version + 1))


async def save_zone(tx: db.Tx, before: Customer, zone: str) -> Customer:
    """Write another zone over the one that was read."""
    own = customer.c
    statement = sa.update(customer).where(own.customer_id == before.id).values(zone=zone, version=own.version + 1)
    version = await tx.value(statement.returning(own.version))
    return replace(before, zone=zone, version=version)


async def save_collection(tx: db.Tx, before: Customer, collection: CollectionMethod) -> Customer:
    """Write another way of paying over the one that was read."""
    own = customer.c
    values = {"collection": collection, "version": own.version + 1}
    statement = sa.update(customer).where(own.customer_id == before.id).values(values)
    version = await tx.value(statement.returning(own.version))
    return replace(before, collection=collection, version=version)


async def save_erased(tx: db.Tx, of: Customer, *, at: datetime, is_retained: bool) -> None:
    """Give a customer another key, seal the words for nobody with it, and keep the key before where that is needed."""
    wrapped = tx.vault.new_wrapped_key(str(of.id))
    key = tx.vault.unwrap(str(of.id), wrapped)
    own, before = customer.c, data_key.c.wrapped if is_retained else sa.null()
    sealed = {name: tx.vault.seal(key, _where(name, of.id), getattr(of, name)) for name in ("name", "email")}
    nobody = {"external_id": None, "email_hash": _email_hash(tx, f"{of.id}"), "has_method": False}
    changed = sa.update(customer).where(own.customer_id == of.id).values(**sealed, **nobody, version=own.version + 1)
    await tx.execute(changed)
    keyed = sa.update(data_key).where(data_key.c.customer_id == of.id)
    await tx.execute(keyed.values(wrapped=wrapped, erased_at=at, retained=before))


_WRAPPED_KEY = Statement(sa.select(data_key.c.wrapped).where(*narrowed(data_key, ("customer_id",))))
_WRAPPED_KEYS = Statement(sa.select(data_key).where(among(data_key.c.customer_id, "ids")))


async def find_wrapped_key(tx: db.Tx, customer_id: CustomerId) -> bytes | None:
    """Return a customer's wrapped data key, or None."""
    found: bytes | None = await _WRAPPED_KEY.value(tx, customer_id=customer_id)
    return found


async def find_wrapped_keys(tx: db.Tx, customer_ids: Collection[CustomerId]) -> dict[CustomerId, bytes]:
    """Return the wrapped data keys of customers, where they have one."""
    return {row.customer_id: row.wrapped for row in await _WRAPPED_KEYS.rows(tx, ids=list(customer_ids))}


@cache
def _now(*names: str) -> Statement:
    clocks = customer.outerjoin(test_clock, test_clock.c.id == customer.c.clock_id)
    statement = sa.select(customer.c.clock_id, test_clock.c.now_at).select_from(clocks)
    return Statement(statement.where(customer.c.customer_id == sa.bindparam("id"), *narrowed(customer, names)))


async def find_customer_now(
    tx: db.Tx, customer_id: CustomerId, *, sight: Sight
) -> tuple[ClockId | None, datetime | None] | None:
    """Return the customer's test clock and what it shows (None without one); None for no such customer."""
    known = present(customer_id=sight.scope, environment=sight.environment)
    row = await _now(*known).row(tx, id=customer_id, **known)
    return (row.clock_id, row.now_at) if row else None


async def insert_clock(tx: db.Tx, new: Clock) -> None:
    """Insert a test clock."""
    await tx.execute(sa.insert(test_clock).values(_clock_values(new)))


async def lock_clock(tx: db.Tx, clock_id: ClockId) -> Clock | None:
    """Lock one clock until the transaction ends, or return None."""
    row = await tx.row(sa.select(test_clock).where(test_clock.c.id == clock_id).with_for_update())
    return _clock(row) if row else None


_CLOCKS = Statement(sa.select(test_clock).where(among(test_clock.c.id, "ids")))


async def clocks_by_id(tx: db.Tx, ids: Collection[ClockId]) -> dict[ClockId, Clock]:
    """Return the clocks of these ids."""
    return {found.id: found for found in map(_clock, await _CLOCKS.rows(tx, ids=list(ids)))}


async def list_clocks(tx: db.Tx, *, after: ClockId | None, limit: int) -> Sequence[Clock]:
    """Return clocks newest first; `after` is the id of the last one seen."""
    statement = sa.select(test_clock).order_by(test_clock.c.id.desc()).limit(limit)
    if after is not None:
        statement = statement.where(test_clock.c.id < after)
    return [_clock(row) for row in await tx.rows(statement)]


async def list_advancing_clocks(tx: db.Tx, *, limit: int) -> Sequence[Clock]:
    """Return the clocks on their way to a target, oldest first."""
    statement = (
        sa.select(test_clock).where(test_clock.c.state == ClockState.ADVANCING).order_by(test_clock.c.id).limit(limit)
    )
    return [_clock(row) for row in await tx.rows(statement)]


async def list_clocks_with_due_jobs(
    tx: db.Tx, *, at: datetime, limit: int, kinds: Collection[str] | None = None
) -> Sequence[Clock]:
    """Return the clocks on which a pending job is due, of all kinds or of some, and not on offer, oldest first.

    `at` is the real instant at which it is not.
    """
    job = outbox_job.c
    due = sa.exists().where(
        job.clock_id == test_clock.c.id,
        job.state == "pending",
        job.run_at <= test_clock.c.now_at,
        job.retry_at <= at,
        *(() if kinds is None else (job.kind.in_(kinds),)),
    )
    statement = sa.select(test_clock).where(due).order_by(test_clock.c.id).limit(limit)
    return [_clock(row) for row in await tx.rows(statement)]


async def save_clock(tx: db.Tx, before: Clock, after: Clock) -> None:
    """Write a changed clock that the caller holds locked."""
    assert after.version == before.version + 1, "each change raises the version"
    statement = (
        sa.update(test_clock)
        .where(test_clock.c.id == before.id, test_clock.c.version == before.version)
        .values(_clock_values(after))
    )
    assert (await tx.execute(statement)).rowcount == 1, "a clock is locked before it is changed"


def _where(column: str, customer_id: CustomerId) -> str:
    """Name the place of a sealed value: moved to another row or column it does not open."""
    return f"customer:{column}:{customer_id}"


def sealed_names(tx: db.Tx, key: DataKey, of: Customer) -> dict[str, bytes]:
    """Return name and address as they are stored, with the keyed hash that finds the address."""
    sealed = {name: tx.vault.seal(key, _where(name, of.id), getattr(of, name)) for name in ("name", "email")}
    return {**sealed, "email_hash": _email_hash(tx, of.email)}


def _email_hash(tx: db.Tx, email: str) -> bytes:
    return tx.vault.lookup_hash(EMAIL_HASHED, fold_email(email))


def _seen(sight: Sight) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if sight.scope is not None:
        conditions.append(customer.c.customer_id == sight.scope)
    if sight.environment is not None:
        conditions.append(customer.c.environment == sight.environment)
    return conditions


def _read(sight: Sight) -> sa.Select[Any]:
    return _readable().where(*_seen(sight))


def _readable() -> sa.Select[Any]:
    """Select customers with their keys in one statement."""
    joined = customer.join(data_key, data_key.c.customer_id == customer.c.customer_id)
    return sa.select(customer, data_key.c.wrapped, data_key.c.erased_at).select_from(joined)


def _customers(tx: db.Tx, rows: Iterable[Row]) -> list[Customer]:
    return [_customer(tx.vault, row) for row in rows]


def _customer(vault: Vault, row: Row) -> Customer:
    key = vault.unwrap(str(row.customer_id), row.wrapped)
    return Customer(
        id=row.customer_id,
        environment=Environment(row.environment),
        external_id=row.external_id,
        name=vault.open(key, _where("name", row.customer_id), row.name).decode(),
        email=vault.open(key, _where("email", row.customer_id), row.email).decode(),
        zone=row.zone,
        locale=row.locale,
        country=row.country,
        clock_id=row.clock_id,
        created_at=row.created_at,
        version=row.version,
        has_method=row.has_method,
        consolidates=row.consolidates,
        collection=CollectionMethod(row.collection),
        erased_at=row.erased_at,
    )


def _clock_values(clock: Clock) -> dict[str, Any]:
    return {
        "id": clock.id,
        "name": clock.name,
        "now_at": clock.now_at,
        "target_at": clock.target_at,
        "state": clock.state,
        "reason": clock.reason,
        "created_at": clock.created_at,
        "version": clock.version,
    }


def _clock(row: Row) -> Clock:
    return Clock(
        id=row.id,
        name=row.name,
        now_at=row.now_at,
        target_at=row.target_at,
        state=ClockState(row.state),
        reason=row.reason,
        created_at=row.created_at,
        version=row.version,
    )
