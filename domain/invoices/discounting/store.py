"""Discounts on the lines of drafts, and which plan a price belongs to."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from domain import db
from domain.credits import discount
from domain.invoices.invoice import Invoice, Line
from domain.invoices.store import invoice_line
from domain.kernel.ids import PlanId, PriceId, ProductId
from domain.plans.store import plan, plan_version, price
from domain.statement import Statement, narrowed

_SAVE = Statement(
    sa.update(invoice_line)
    .where(*narrowed(invoice_line, ("customer_id", "invoice_id", "id")))
    .values(discount_minor=sa.bindparam("discount_minor"), discounts=sa.bindparam("discounts"))
)


async def save_discounts(tx: db.Tx, draft: Invoice, lines: Sequence[Line]) -> None:
    """Write the discounts of some lines of a draft; the database refuses it once the invoice is opened."""
    own = {"customer_id": draft.customer_id, "invoice_id": draft.id}
    for line in lines:
        values = {"discount_minor": line.discount.minor, "discounts": discount.to_json(line.discounts)}
        written = await _SAVE.run(tx, **own, id=line.id, **values)
        assert written == 1, "lines of a draft are changed under its lock"


async def plans_by_price(tx: db.Tx, ids: Collection[PriceId]) -> dict[PriceId, tuple[ProductId, PlanId]]:
    """Return the product and the plan of prices."""
    statement = (
        sa.select(price.c.id, plan.c.product_id, plan.c.id.label("plan_id"))
        .join(plan_version, plan_version.c.id == price.c.plan_version_id)
        .join(plan, plan.c.id == plan_version.c.plan_id)
        .where(price.c.id.in_(ids))
    )
    return {row.id: (row.product_id, row.plan_id) for row in await tx.rows(statement)}
