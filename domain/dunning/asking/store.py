"""Statement that looks for open invoices which nobody follows."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from domain import db
from domain.customers.customer import CollectionMethod
from domain.customers.store import customer, test_clock
from domain.dunning.store import dunning_case
from domain.invoices.store import invoice
from domain.journal.jobs import CollectInvoice, CollectWhenDue, PaymentMethodMissing
from domain.journal.store import outbox_job
from domain.kernel.ids import ClockId, CustomerId, InvoiceId
from domain.kernel.values import dataclass
from domain.payments.declines import OUTCOME_LOST
from domain.payments.store import payment_attempt

_COLLECTING = (CollectInvoice.kind, CollectWhenDue.kind, PaymentMethodMissing.kind)


@dataclass(frozen=True, slots=True)
class Unfollowed:
    """An invoice that nobody follows, its customer's clock (None: real time), and what that shows."""

    customer_id: CustomerId
    invoice_id: InvoiceId
    clock_id: ClockId | None
    now: datetime


async def list_unfollowed(tx: db.Tx, *, at: datetime, limit: int) -> Sequence[Unfollowed]:
    """Return open invoices on all clocks that are due, are to be charged, and of which nothing is known or coming.

    They have no dunning case, no attempt that left a trace, and no job that waits for them. One whose job has failed
    for good is left to staff, who are told of that. `at` is real time. The longest due first.
    """
    own, case, job = invoice.c, dunning_case.c, outbox_job.c
    now = sa.func.coalesce(test_clock.c.now_at, sa.bindparam("at", at, db.Instant))
    is_filed = sa.exists().where(case.customer_id == own.customer_id, case.invoice_id == own.id)
    of_invoice = sa.and_(job.kind.in_(_COLLECTING), job.key == sa.cast(own.id, sa.Text))
    is_staged = sa.exists().where(of_invoice, sa.text("outbox_job.state = 'pending'"))
    found = (
        sa.select(own.customer_id, own.id, own.due_at, customer.c.clock_id, now.label("now"))
        .join(customer, customer.c.customer_id == own.customer_id)
        .outerjoin(test_clock, test_clock.c.id == customer.c.clock_id)
        .where(sa.text("invoice.state = 'open'"), own.collection == CollectionMethod.CHARGE, own.top_up_id.is_(None))
        .where(sa.or_(own.due_at.is_(None), own.due_at <= now), ~is_filed, ~is_staged)
        .cte("found")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    statement = (
        sa.select(found)
        .where(_first_try(found).is_(None), _first_failed_job(found).is_(None))
        .order_by(found.c.due_at.nulls_first(), found.c.customer_id, found.c.id)
        .limit(limit)
    )
    return [Unfollowed(row.customer_id, row.id, row.clock_id, row.now) for row in await tx.rows(statement)]


# Few invoices come so far: these are looked up one by one, and the whole tables are never read.


def _first_try(found: sa.CTE) -> sa.ScalarSelect[int]:
    """Look for an attempt that left a trace."""
    own = payment_attempt.c
    of_invoice = sa.and_(own.customer_id == found.c.customer_id, own.invoice_id == found.c.id)
    statement = sa.select(own.number).where(of_invoice, own.code.is_distinct_from(OUTCOME_LOST))
    return statement.limit(1).scalar_subquery()


def _first_failed_job(found: sa.CTE) -> sa.ScalarSelect[str]:
    """Look for a job of it that has failed for good."""
    job = outbox_job.c
    of_invoice = sa.and_(job.customer_id == found.c.customer_id, job.key == sa.cast(found.c.id, sa.Text))
    statement = sa.select(job.kind).where(of_invoice, job.kind.in_(_COLLECTING), job.state == "failed")
    return statement.limit(1).scalar_subquery()
