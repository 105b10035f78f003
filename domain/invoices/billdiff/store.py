"""The statement that finds the invoice before another."""

from collections.abc import Collection

import sqlalchemy as sa

from domain import db
from domain.customers.store import Sight
from domain.invoices.invoice import InvoiceKind, LineKind, State
from domain.invoices.store import invoice, invoice_line
from domain.kernel.ids import InvoiceId


async def previous_ids(tx: db.Tx, ids: Collection[InvoiceId], *, sight: Sight) -> dict[InvoiceId, InvoiceId]:
    """Return, by invoice in sight, the newest one opened before it that is not void and bills a subscription of it.

    Both are of one customer, environment and currency. A draft comes after all that are opened. Statements have none
    and are none, and one-off charges do not make two invoices comparable. One statement.
    """
    later, earlier = invoice.alias("later"), invoice.alias("earlier")
    own, before = invoice_line.alias("own"), invoice_line.alias("before")
    shares_subscription = sa.exists(
        sa.select(own.c.id)
        .join(before, (before.c.customer_id == own.c.customer_id) & (before.c.subscription_id == own.c.subscription_id))
        .where(
            own.c.customer_id == later.c.customer_id,
            own.c.invoice_id == later.c.id,
            before.c.invoice_id == earlier.c.id,
            own.c.kind != LineKind.ONE_OFF,
            before.c.kind != LineKind.ONE_OFF,
        )
        .correlate(later, earlier)
    )
    found = (
        sa.select(earlier.c.id)
        .where(
            *(earlier.c[name] == later.c[name] for name in ("customer_id", "environment", "currency")),
            earlier.c.kind == InvoiceKind.INVOICE,
            earlier.c.state.not_in((State.DRAFT, State.VOID)),
            earlier.c.id != later.c.id,
            later.c.issued_at.is_(None)
            | (sa.tuple_(earlier.c.issued_at, earlier.c.id) < sa.tuple_(later.c.issued_at, later.c.id)),
            shares_subscription,
        )
        .order_by(earlier.c.issued_at.desc(), earlier.c.id.desc())
        .limit(1)
        .correlate(later)
        .lateral("found")
    )
    wanted = ((later.c.customer_id, sight.scope), (later.c.environment, sight.environment))
    statement = (
        sa.select(later.c.id, found.c.id.label("previous_id"))
        .select_from(later.join(found, sa.true()))
        .where(
            later.c.id.in_(ids),
            later.c.kind == InvoiceKind.INVOICE,
            *(column == value for column, value in wanted if value is not None),
        )
    )
    return {row.id: row.previous_id for row in await tx.rows(statement)}
