"""The table and statements of one-off charges."""

from collections.abc import Collection

import sqlalchemy as sa

from domain import db
from domain.invoices.invoice import Invoice, Line, LineKind
from domain.invoices.one_off_charge import PENDING_MAX, ChargeState, ChargeWish, OneOffCharge
from domain.invoices.store import LINES, invoice_line, line_of
from domain.kernel.ids import CustomerId, InvoiceId, OneOffChargeId
from domain.statement import Row, Statement, narrowed

one_off_charge = sa.Table(
    "one_off_charge",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False, comment="the customer reads it on the invoice"),
    sa.Column("quantity", sa.Numeric(38, 18), nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("unit_price", sa.Numeric(38, 18), nullable=False, comment="major units, never rounded"),
    sa.Column("tax_code", sa.Text, comment="what is sold, to taxes; null: nothing in particular"),
    sa.Column("discountable", sa.Boolean, nullable=False, comment="whether coupons reduce it"),
    sa.Column("subscription_id", db.Id, comment="null: not of a subscription"),
    sa.Column("service_start_at", db.Instant, nullable=False, comment="business time, as all instants here"),
    sa.Column("service_end_at", db.Instant, comment="null: it is for an instant"),
    sa.Column("created_at", db.Instant, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("invoice_id", db.Id, comment="the opened invoice that its line stands on"),
    sa.Column("canceled_at", db.Instant),
    sa.ForeignKeyConstraint(
        ["customer_id", "subscription_id"],
        ["subscription.customer_id", "subscription.id"],
        name="one_off_charge_subscription_fkey",
        ondelete="RESTRICT",
    ),
    sa.ForeignKeyConstraint(
        ["customer_id", "invoice_id"],
        ["invoice.customer_id", "invoice.id"],
        name="one_off_charge_invoice_fkey",
        ondelete="RESTRICT",
    ),
    sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
    sa.CheckConstraint("unit_price >= 0", name="unit_price"),
    sa.CheckConstraint("service_start_at < service_end_at", name="service"),
    sa.CheckConstraint("state IN ('pending', 'invoiced', 'canceled')", name="state"),
    sa.CheckConstraint("(invoice_id IS NOT NULL) = (state = 'invoiced')", name="invoice_id"),
    sa.CheckConstraint("(canceled_at IS NOT NULL) = (state = 'canceled')", name="canceled_at"),
    sa.Index("one_off_charge_pending_idx", "customer_id", "currency", postgresql_where=sa.text("state = 'pending'")),
    sa.Index(
        "one_off_charge_invoice_idx",
        "customer_id",
        "invoice_id",
        postgresql_where=sa.text("invoice_id IS NOT NULL"),
    ),
)
_WISHED = (
    *("currency", "description", "quantity", "unit", "unit_price", "tax_code", "discountable", "subscription_id"),
    "service_end_at",
)


async def insert_charge(tx: db.Tx, new: OneOffCharge) -> None:
    """Insert a charge that waits."""
    values = {name: getattr(new.wish, name) for name in _WISHED} | {
        "customer_id": new.customer_id,
        "id": new.id,
        "service_start_at": new.service.start,
        "created_at": new.created_at,
        "state": new.state,
    }
    await tx.execute(sa.insert(one_off_charge).values(values))


_PENDING = Statement(
    sa.select(one_off_charge)
    .where(*narrowed(one_off_charge, ("customer_id", "currency")), one_off_charge.c.state == ChargeState.PENDING)
    .order_by(one_off_charge.c.id)
    .limit(sa.bindparam("limit", type_=sa.BigInteger))
)
_DRAFTED = Statement(
    LINES.where(*narrowed(invoice_line, ("customer_id", "invoice_id")), invoice_line.c.kind == LineKind.ONE_OFF).limit(
        PENDING_MAX
    )
)


async def list_pending(tx: db.Tx, customer_id: CustomerId, currency: str, *, limit: int) -> list[OneOffCharge]:
    """Return the charges that wait for an invoice of a customer in a currency, oldest first."""
    return [_charge(row) for row in await _PENDING.rows(tx, customer_id=customer_id, currency=currency, limit=limit)]


async def find_charge(
    tx: db.Tx, customer_id: CustomerId, charge_id: OneOffChargeId, *, lock: bool = False
) -> OneOffCharge | None:
    """Return a customer's charge, or None."""
    own = one_off_charge.c
    statement = sa.select(one_off_charge).where(own.customer_id == customer_id, own.id == charge_id)
    row = await tx.row(statement.with_for_update() if lock else statement)
    return _charge(row) if row else None


async def charges_by_id(
    tx: db.Tx, customer_id: CustomerId, ids: Collection[OneOffChargeId]
) -> dict[OneOffChargeId, OneOffCharge]:
    """Return those of a customer's charges that exist."""
    own = one_off_charge.c
    statement = sa.select(one_off_charge).where(own.customer_id == customer_id, own.id.in_(ids))
    return {row.id: _charge(row) for row in await tx.rows(statement)}


async def list_charges(
    tx: db.Tx,
    customer_id: CustomerId,
    *,
    state: ChargeState | None,
    before: OneOffChargeId | None,
    limit: int,
) -> list[OneOffCharge]:
    """Return a customer's charges newest first; `before` is the id of the last one seen."""
    own = one_off_charge.c
    statement = sa.select(one_off_charge).where(own.customer_id == customer_id)
    if state is not None:
        statement = statement.where(own.state == state)
    if before is not None:
        statement = statement.where(own.id < before)
    return [_charge(row) for row in await tx.rows(statement.order_by(own.id.desc()).limit(limit))]


async def save_state(tx: db.Tx, after: OneOffCharge) -> None:
    """Write where a charge stands; the caller holds its lock."""
    own = one_off_charge.c
    await tx.execute(
        sa.update(one_off_charge)
        .where(own.customer_id == after.customer_id, own.id == after.id)
        .values(state=after.state, invoice_id=after.invoice_id, canceled_at=after.canceled_at)
    )


async def take(tx: db.Tx, draft: Invoice, ids: Collection[OneOffChargeId]) -> None:
    """Note that charges stand on an invoice that is being opened; one that does not wait any more is refused."""
    own = one_off_charge.c
    statement = (
        sa.update(one_off_charge)
        .where(own.customer_id == draft.customer_id, own.id.in_(ids), own.state == ChargeState.PENDING)
        .values(state=ChargeState.INVOICED, invoice_id=draft.id)
    )
    assert (await tx.execute(statement)).rowcount == len(ids), "what is on a draft waits, under the derivation's lock"


async def release(tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> None:
    """Let the charges of an invoice that is taken back wait again. Safe to repeat."""
    own = one_off_charge.c
    await tx.execute(
        sa.update(one_off_charge)
        .where(own.customer_id == customer_id, own.invoice_id == invoice_id)
        .values(state=ChargeState.PENDING, invoice_id=None)
    )


async def list_drafted_lines(tx: db.Tx, draft: Invoice) -> list[Line]:
    """Return the lines of one-off charges on a draft."""
    return [line_of(row) for row in await _DRAFTED.rows(tx, customer_id=draft.customer_id, invoice_id=draft.id)]


def _charge(row: Row) -> OneOffCharge:
    return OneOffCharge(
        customer_id=row.customer_id,
        id=row.id,
        wish=ChargeWish(
            currency=row.currency,
            description=row.description,
            unit_price=row.unit_price,
            quantity=row.quantity,
            unit=row.unit,
            tax_code=row.tax_code,
            discountable=row.discountable,
            subscription_id=row.subscription_id,
            service_start_at=row.service_start_at,
            service_end_at=row.service_end_at,
        ),
        created_at=row.created_at,
        state=ChargeState(row.state),
        invoice_id=row.invoice_id,
        canceled_at=row.canceled_at,
    )
