"""Tables and statements of payment methods, the gateway's copies of customers and invoices, and payment attempts."""

import dataclasses
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.customers.store import Sight
from domain.invoices.invoice import Invoice, InvoiceNotFound
from domain.invoices.store import find_invoice
from domain.kernel.ids import AttemptId, CustomerId, InvoiceId, MethodId
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.payments.attempt import Attempt, AttemptState, Trigger
from domain.payments.declines import Decline, DeclineClass
from domain.payments.method import PaymentMethod
from domain.payments.push import Push, PushState

_CUSTOMER = "customer.customer_id"
_DECLINE_CODES = ("code", "decline_code", "advice_code", "network_decline_code", "network_advice_code")

gateway_customer = sa.Table(
    "gateway_customer",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey(_CUSTOMER, ondelete="RESTRICT"), primary_key=True),
    sa.Column("key", sa.Text, nullable=False, comment="idempotency key of its creation"),
    sa.Column("gateway_customer_id", sa.Text),
    sa.Column("created_at", db.Instant, nullable=False, comment="real time"),
    sa.Column("deletion_key", sa.Text, comment="idempotency key of its deletion; null: none was ordered"),
    sa.Index("gateway_customer_gateway_customer_id_idx", "gateway_customer_id"),
)

payment_method = sa.Table(
    "payment_method",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey(_CUSTOMER, ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("gateway_method_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("brand", sa.Text, comment="of a card; the bank's name of an account"),
    sa.Column("last4", sa.Text),
    sa.Column("exp_month", sa.Integer),
    sa.Column("exp_year", sa.Integer),
    sa.Column("fingerprint", sa.Text),
    sa.Column("is_default", sa.Boolean, nullable=False),
    sa.Column("created_at", db.Instant, nullable=False, comment="real time"),
    sa.Column("detached_at", db.Instant, comment="real time"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("blocked", sa.Text, comment="why it cannot be charged any more"),
    sa.Column("warned_month", sa.Integer, comment="expiry that its owner was warned of: 12 * year + month"),
    sa.UniqueConstraint("customer_id", "gateway_method_id"),
    sa.CheckConstraint("NOT is_default OR detached_at IS NULL", name="default"),
    sa.CheckConstraint("last4 ~ '^[0-9]{1,4}$'", name="last4"),
    sa.Index("payment_method_default_key", "customer_id", unique=True, postgresql_where=sa.text("is_default")),
    sa.Index("payment_method_gateway_method_id_idx", "gateway_method_id"),
)

gateway_invoice = sa.Table(
    "gateway_invoice",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("invoice_id", db.Id, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, comment="counts the copies begun; part of their keys"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("gateway_invoice_id", sa.Text),
    sa.Column("keyed_at", db.Instant, nullable=False, comment="real time; the age of the keys"),
    sa.Column("hosted_url", sa.Text, comment="plain, by an earlier version; see sealed_page"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("credited_minor", sa.BigInteger, nullable=False, comment="what credit notes took off the copy"),
    sa.Column("credited_before_minor", sa.BigInteger, nullable=False, comment="before this copy was begun"),
    sa.Column("paid_before_minor", sa.BigInteger, nullable=False, comment="before that, and is still here"),
    sa.ForeignKeyConstraint(["customer_id", "invoice_id"], ["invoice.customer_id", "invoice.id"], ondelete="RESTRICT"),
    sa.UniqueConstraint("customer_id", "gateway_invoice_id"),
    sa.CheckConstraint("state IN ('waiting', 'pushing', 'pushed', 'closed')", name="state"),
    sa.CheckConstraint("state <> 'pushed' OR gateway_invoice_id IS NOT NULL", name="pushed"),
    sa.CheckConstraint("number >= 1", name="number"),
    sa.Index("gateway_invoice_gateway_invoice_id_idx", "gateway_invoice_id"),
    sa.Column("sealed_page", db.Personal, comment="address of the gateway's page on which the customer can pay"),
    sa.Index("gateway_invoice_invoice_id_idx", "invoice_id"),
    sa.Index("gateway_invoice_plain_idx", "invoice_id", postgresql_where=sa.text("hosted_url IS NOT NULL")),
)

PUSH_COLUMNS = tuple(gateway_invoice.c[field.name] for field in dataclasses.fields(Push))

payment_attempt = sa.Table(
    "payment_attempt",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("invoice_id", db.Id, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("method_id", db.Id, comment="null: money that came without an attempt of ours"),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False, comment="idempotency key of the charge"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("decline_class", sa.Text),
    sa.Column("code", sa.Text),
    sa.Column("decline_code", sa.Text),
    sa.Column("advice_code", sa.Text),
    sa.Column("network_decline_code", sa.Text),
    sa.Column("network_advice_code", sa.Text),
    sa.Column("gateway_payment_id", sa.Text),
    sa.Column("created_at", db.Instant, nullable=False, comment="real time"),
    sa.Column("sent_at", db.Instant, comment="real time; the age of the key"),
    sa.Column("settled_at", db.Instant, comment="real time"),
    sa.Column("trigger", sa.Text, nullable=False, comment="who started it"),
    sa.Column("began_at", db.Instant, nullable=False, comment="business time"),
    sa.Column("ended_at", db.Instant, comment="business time"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.ForeignKeyConstraint(["customer_id", "invoice_id"], ["invoice.customer_id", "invoice.id"], ondelete="RESTRICT"),
    sa.ForeignKeyConstraint(
        ["customer_id", "method_id"], ["payment_method.customer_id", "payment_method.id"], ondelete="RESTRICT"
    ),
    sa.UniqueConstraint("customer_id", "invoice_id", "number"),
    sa.UniqueConstraint("customer_id", "key"),
    sa.CheckConstraint(
        "state IN ('planned', 'sent', 'processing', 'action_required', 'unknown', 'succeeded', 'failed', 'superseded',"
        " 'returned')",
        name="state",
    ),
    sa.CheckConstraint(
        "(state IN ('succeeded', 'failed', 'superseded', 'returned')) = (settled_at IS NOT NULL)", name="settled"
    ),
    sa.CheckConstraint("trigger IN ('billing', 'retry', 'customer', 'new_method', 'staff')", name="trigger"),
    sa.CheckConstraint("decline_class IN ('hard', 'customer', 'data', 'soft')", name="decline_class"),
    sa.CheckConstraint("state NOT IN ('failed', 'returned') OR decline_class IS NOT NULL", name="failed"),
    sa.CheckConstraint("amount_minor > 0", name="amount"),
    sa.CheckConstraint("number >= 1", name="number"),
    sa.Index(
        "payment_attempt_live_key",
        "customer_id",
        "invoice_id",
        unique=True,
        postgresql_where=sa.text("state IN ('planned', 'sent', 'processing', 'action_required', 'unknown')"),
    ),
    *(sa.Index(f"payment_attempt_{name}_idx", name) for name in ("gateway_payment_id", "id")),
    sa.Index("payment_attempt_ended_idx", "ended_at", postgresql_where=sa.text("ended_at IS NOT NULL")),
    sa.Index("payment_attempt_unresolved_idx", "sent_at", postgresql_where=sa.text("state IN ('sent', 'unknown')")),
)


@dataclass(frozen=True, slots=True)
class GatewayCustomer:
    """The gateway's customer for one of ours; its id is None until the gateway has answered."""

    customer_id: CustomerId
    key: str
    gateway_customer_id: str | None


async def insert_gateway_customer(tx: db.Tx, new: GatewayCustomer, *, at: datetime) -> None:
    """Store the key before the gateway is asked; nothing happens where a row stands."""
    values = {"customer_id": new.customer_id, "key": new.key, "created_at": at}
    await tx.execute(pg.insert(gateway_customer).values(values).on_conflict_do_nothing())


async def save_gateway_customer_id(tx: db.Tx, customer_id: CustomerId, gateway_customer_id: str) -> None:
    """Record the gateway's answer; the first one stays."""
    await tx.execute(
        sa.update(gateway_customer)
        .where(gateway_customer.c.customer_id == customer_id, gateway_customer.c.gateway_customer_id.is_(None))
        .values(gateway_customer_id=gateway_customer_id)
    )


async def find_gateway_customer(tx: db.Tx, customer_id: CustomerId) -> GatewayCustomer | None:
    """Return the gateway's customer for one of ours, or None."""
    row = await tx.row(sa.select(gateway_customer).where(gateway_customer.c.customer_id == customer_id))
    return GatewayCustomer(row.customer_id, row.key, row.gateway_customer_id) if row else None


async def lock_gateway_customer(tx: db.Tx, customer_id: CustomerId) -> None:
    """Let one change of a customer's methods follow the other."""
    statement = sa.select(gateway_customer.c.customer_id).where(gateway_customer.c.customer_id == customer_id)
    await tx.execute(statement.with_for_update())


async def find_customer_id(tx: db.Tx, gateway_customer_id: str) -> CustomerId | None:
    """Return our customer for one of the gateway's, or None."""
    own = gateway_customer.c
    statement = sa.select(own.customer_id).where(own.gateway_customer_id == gateway_customer_id)
    found: CustomerId | None = await tx.value(statement)
    return found


async def insert_method(tx: db.Tx, new: PaymentMethod) -> bool:
    """Insert a payment method. False where the customer has it already."""
    statement = (
        pg.insert(payment_method)
        .values(_values(new))
        .on_conflict_do_nothing(index_elements=["customer_id", "gateway_method_id"])
        .returning(payment_method.c.id)
    )
    return await tx.value(statement) is not None


async def save_method(tx: db.Tx, before: PaymentMethod, after: PaymentMethod) -> None:
    """Write a changed payment method over the version that was read."""
    table = payment_method.c
    values = _values(after) | {"version": before.version + 1}
    statement = sa.update(payment_method).where(
        table.customer_id == before.customer_id, table.id == before.id, table.version == before.version
    )
    assert (await tx.execute(statement.values(values))).rowcount == 1, "methods are changed under their lock"


async def find_method(tx: db.Tx, customer_id: CustomerId, gateway_method_id: str) -> PaymentMethod | None:
    """Return a customer's method by the gateway's id, detached ones too, or None."""
    table = payment_method.c
    own = (table.customer_id == customer_id, table.gateway_method_id == gateway_method_id)
    row = await tx.row(sa.select(payment_method).where(*own))
    return method_of(row) if row else None


async def find_method_owner(tx: db.Tx, gateway_method_id: str) -> CustomerId | None:
    """Return the customer who has, or had, a method of the gateway."""
    table = payment_method.c
    found: CustomerId | None = await tx.value(
        sa.select(table.customer_id).where(table.gateway_method_id == gateway_method_id)
    )
    return found


async def methods_by_id(
    tx: db.Tx, ids: Collection[MethodId], *, scope: CustomerId | None
) -> dict[MethodId, PaymentMethod]:
    """Return payment methods by id, detached ones too: one statement, for loaders."""
    statement = sa.select(payment_method).where(payment_method.c.id.in_(ids))
    if scope is not None:
        statement = statement.where(payment_method.c.customer_id == scope)
    return {row.id: method_of(row) for row in await tx.rows(statement)}


async def list_methods(tx: db.Tx, customer_id: CustomerId, *, limit: int) -> Sequence[PaymentMethod]:
    """Return the attached methods, the default one first, then the newest."""
    table = payment_method.c
    statement = (
        sa.select(payment_method)
        .where(table.customer_id == customer_id, table.detached_at.is_(None))
        .order_by(table.is_default.desc(), table.created_at.desc(), table.id.desc())
        .limit(limit)
    )
    return [method_of(row) for row in await tx.rows(statement)]


async def methods_of_customers(
    tx: db.Tx, ids: Collection[CustomerId], *, scope: CustomerId | None, limit: int
) -> dict[CustomerId, list[PaymentMethod]]:
    """Return the attached methods of several customers in one statement, each as `list_methods` does."""
    table = payment_method.c
    place = sa.func.row_number().over(
        partition_by=table.customer_id,
        order_by=(table.is_default.desc(), table.created_at.desc(), table.id.desc()),
    )
    placed = (
        sa.select(payment_method, place.label("place"))
        .where(table.customer_id.in_([each for each in ids if scope in {None, each}]), table.detached_at.is_(None))
        .subquery()
    )
    found: dict[CustomerId, list[PaymentMethod]] = {each: [] for each in ids}
    columns = [placed.c[column.name] for column in table]
    for row in await tx.rows(sa.select(*columns).where(placed.c.place <= limit).order_by(placed.c.place)):
        found[row.customer_id].append(method_of(row))
    return found


async def insert_push(tx: db.Tx, new: Push) -> bool:
    """Insert the record of an invoice's copy. False where there is one."""
    statement = (
        pg.insert(gateway_invoice)
        .values(_values(new))
        .on_conflict_do_nothing(index_elements=["customer_id", "invoice_id"])
        .returning(gateway_invoice.c.invoice_id)
    )
    return await tx.value(statement) is not None


async def save_push(tx: db.Tx, before: Push, after: Push) -> bool:
    """Write a changed record over the version that was read. False where another run was first."""
    table = gateway_invoice.c
    own = (table.customer_id == before.customer_id, table.invoice_id == before.invoice_id)
    statement = sa.update(gateway_invoice).where(*own, table.version == before.version)
    values = _values(after) | {"version": before.version + 1}
    if after.sealed_page is not None or after.number != before.number:
        # What an earlier version has left plain is of an earlier look, or of the copy before.
        values["hosted_url"] = None
    return (await tx.execute(statement.values(values))).rowcount == 1


async def find_push(tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> Push | None:
    """Return the record of an invoice's copy, or None."""
    table = gateway_invoice.c
    return await _find_push(tx, table.customer_id == customer_id, table.invoice_id == invoice_id)


async def find_push_of(tx: db.Tx, gateway_invoice_id: str) -> Push | None:
    """Return the record of the copy with this id at the gateway, or None."""
    return await _find_push(tx, gateway_invoice.c.gateway_invoice_id == gateway_invoice_id)


async def insert_attempt(tx: db.Tx, new: Attempt) -> None:
    """Insert an attempt; the database refuses a second live one of the invoice."""
    await tx.execute(sa.insert(payment_attempt).values(_attempt_values(new)))


async def save_attempt(tx: db.Tx, before: Attempt, after: Attempt) -> None:
    """Write a changed attempt over the version that was locked."""
    table = payment_attempt.c
    statement = sa.update(payment_attempt).where(
        table.customer_id == before.customer_id, table.id == before.id, table.version == before.version
    )
    values = _attempt_values(after) | {"version": before.version + 1}
    assert (await tx.execute(statement.values(values))).rowcount == 1, "attempts are changed under the invoice's lock"


async def find_attempt(tx: db.Tx, customer_id: CustomerId, attempt_id: AttemptId) -> Attempt | None:
    """Return an attempt, or None."""
    table = payment_attempt.c
    row = await tx.row(sa.select(payment_attempt).where(table.customer_id == customer_id, table.id == attempt_id))
    return attempt_of(row) if row else None


async def list_attempts_of(
    tx: db.Tx, invoices: Collection[tuple[CustomerId, InvoiceId]]
) -> dict[InvoiceId, list[Attempt]]:
    """Return the attempts of customers' invoices, the newest first: one statement, for loaders."""
    table = payment_attempt.c
    wanted = sa.tuple_(table.customer_id, table.invoice_id).in_(invoices)
    found: dict[InvoiceId, list[Attempt]] = {invoice_id: [] for _, invoice_id in invoices}
    for row in await tx.rows(sa.select(payment_attempt).where(wanted).order_by(table.number.desc())):
        found[row.invoice_id].append(attempt_of(row))
    return found


async def lock_invoice(tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> Invoice:
    """Lock a customer's invoice, before any of its attempts. Raises InvoiceNotFound."""
    found = await find_invoice(tx, invoice_id, sight=Sight(customer_id), customer_id=customer_id, lock=True)
    if found is None:
        raise InvoiceNotFound
    return found


def _values(value: PaymentMethod | Push) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def method_of(row: sa.Row[Any]) -> PaymentMethod:
    """Read the row of a payment method."""
    return PaymentMethod(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name for a row as a mapping


async def _find_push(tx: db.Tx, *conditions: sa.ColumnElement[bool]) -> Push | None:
    row = await tx.row(sa.select(*PUSH_COLUMNS).where(*conditions))
    return Push(**{**row._mapping, "state": PushState(row.state)}) if row else None  # noqa: SLF001 -- as above


def _attempt_values(attempt: Attempt) -> dict[str, Any]:
    decline = attempt.decline
    values = {field.name: getattr(attempt, field.name) for field in dataclasses.fields(attempt)}
    del values["amount"], values["decline"]
    return values | {
        "amount_minor": attempt.amount.minor,
        "currency": attempt.amount.currency,
        "decline_class": decline.kind if decline else None,
        **{name: getattr(decline, name) if decline else None for name in _DECLINE_CODES},
    }


def attempt_of(row: sa.Row[Any]) -> Attempt:
    """Read the row of an attempt."""
    return Attempt(
        customer_id=row.customer_id,
        id=row.id,
        invoice_id=row.invoice_id,
        number=row.number,
        method_id=row.method_id,
        amount=Money(row.amount_minor, row.currency),
        key=row.key,
        state=AttemptState(row.state),
        decline=_decline(row),
        gateway_payment_id=row.gateway_payment_id,
        created_at=row.created_at,
        sent_at=row.sent_at,
        settled_at=row.settled_at,
        trigger=Trigger(row.trigger),
        began_at=row.began_at,
        ended_at=row.ended_at,
        version=row.version,
    )


def _decline(row: sa.Row[Any]) -> Decline | None:
    if row.decline_class is None:
        return None
    return Decline(DeclineClass(row.decline_class), *(getattr(row, name) for name in _DECLINE_CODES))
