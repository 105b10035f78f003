"""The table of what is set for invoices of a customer or of one of its subscriptions, and of a draft itself."""

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.invoices.heading import Heading
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.plans.store import plan_version
from domain.statement import Statement, among, narrowed
from domain.subscriptions.store import subscription

invoice_heading = sa.Table(
    "invoice_heading",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("about", db.Id, primary_key=True, comment="the customer, one of its subscriptions, or a draft"),
    sa.Column("net_days", sa.Integer, comment="days from issue to due; null: as the customer's, else none"),
    sa.Column("memo", sa.Text),
    sa.Column("purchase_order", sa.Text),
    sa.CheckConstraint("net_days BETWEEN 0 AND 365", name="net_days"),
)


async def headings_about(tx: db.Tx, customer_id: CustomerId, about: Collection[UUID]) -> dict[UUID, Heading]:
    """Return what is set for the customer, its subscriptions or drafts; what has nothing is left out."""
    own = invoice_heading.c
    statement = sa.select(invoice_heading).where(own.customer_id == customer_id, own.about.in_(about))
    return {row.about: Heading(row.net_days, row.memo, row.purchase_order) for row in await tx.rows(statement)}


def _with_plans() -> Statement:
    own, sold = invoice_heading.c, plan_version.c
    is_set = sa.select(own.about, own.net_days, own.memo, own.purchase_order, sa.false().label("of_plan")).where(
        *narrowed(invoice_heading, ("customer_id",)), among(own.about, "about")
    )
    nothing = sa.null().cast(sa.Text)
    of_plans = (
        sa.select(subscription.c.id, sold.net_days, nothing, nothing, sa.true())
        .join(plan_version, sold.id == subscription.c.plan_version_id)
        .where(
            *narrowed(subscription, ("customer_id",)),
            among(subscription.c.id, "subscription_ids"),
            sold.net_days.is_not(None),
        )
    )
    return Statement(sa.union_all(is_set, of_plans))


_WITH_PLANS = _with_plans()


async def headings_with_plans(
    tx: db.Tx, customer_id: CustomerId, about: Collection[UUID], subscription_ids: Collection[SubscriptionId]
) -> tuple[dict[UUID, Heading], dict[SubscriptionId, int]]:
    """Return what is set, as `headings_about`, and the net days of the versions that subscriptions pin.

    A subscription whose version has no terms is left out. One statement: every invoice that is opened asks.
    """
    ids = {"about": list(about), "subscription_ids": list(subscription_ids)}
    rows = await _WITH_PLANS.rows(tx, customer_id=customer_id, **ids)
    headings = {row.about: Heading(row.net_days, row.memo, row.purchase_order) for row in rows if not row.of_plan}
    return headings, {SubscriptionId(row.about): row.net_days for row in rows if row.of_plan}


async def headings_by_id(tx: db.Tx, about: Collection[UUID]) -> dict[UUID, Heading]:
    """Return what is set for customers, subscriptions or drafts that may be seen: one statement, for loaders."""
    statement = sa.select(invoice_heading).where(invoice_heading.c.about.in_(about))
    return {row.about: Heading(row.net_days, row.memo, row.purchase_order) for row in await tx.rows(statement)}


async def save_heading(tx: db.Tx, customer_id: CustomerId, about: UUID, heading: Heading) -> None:
    """Set what invoices carry; the last one stays."""
    values = {"net_days": heading.net_days, "memo": heading.memo, "purchase_order": heading.purchase_order}
    statement = pg.insert(invoice_heading).values(customer_id=customer_id, about=about, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["customer_id", "about"], set_=values))
