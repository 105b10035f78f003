"""Follow an invoice that was sent: remind of it by the calendar of its policy, and open its case once it is overdue.

The case has no attempt: it waits for its customer to the last day, and ends as any other.
"""

from datetime import datetime

from domain.contracts.desk.service import Desk
from domain.contracts.owing import service as owing
from domain.db import Tx
from domain.dunning.calendar import BY_TRANSFER, OVERDUE, Day, Happens, calendar, due_now, next_after
from domain.dunning.filing import service as filing
from domain.dunning.filing.service import Untried
from domain.dunning.policies import service as policies
from domain.dunning.policy import Policy
from domain.invoices.invoice import Invoice, State
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import ClockId, encode
from domain.kernel.values import dataclass
from domain.payments.ordering import service as orders
from domain.payments.ordering.service import Standing

DUE_SOON, STILL_OVERDUE = "invoice_due_soon", "invoice_still_overdue"
_NOT_TRANSFERRED = Untried(OVERDUE, BY_TRANSFER, "invoice_overdue")


@dataclass(frozen=True, slots=True)
class Coming:
    """When an invoice's calendar goes on, on a customer's clock, and by which job."""

    job: jobs.FollowSentInvoice
    at: datetime
    clock_id: ClockId | None


async def follow(tx: Tx, call: Call, job: jobs.FollowSentInvoice) -> Coming | None:
    """Do what has come of an invoice's calendar, and return when it goes on; None: it is over, or the invoice closed.

    The caller marks the job done and calls `stage_next` in the same transaction. Safe to repeat.
    """
    desk = await owing.hold(tx, call, job.customer_id)
    standing = await orders.look(tx, job.customer_id, job.invoice_id)
    invoice = standing.invoice
    if invoice.state is not State.OPEN or not invoice.is_sent:
        return None
    assert invoice.issued_at is not None, "an open invoice was issued"
    assert invoice.due_at is not None, "and is due"
    days = calendar(await _policy(tx, desk, invoice), invoice.issued_at, invoice.due_at)
    # At the first look nothing is left out: an invoice may be due as it is issued.
    since = datetime.fromisoformat(job.after) if job.after else None
    for day in due_now(days, after=since, now=desk.now):
        await _happens(tx, call, desk, standing, day)
    at = next_after(days, desk.now)
    next_job = jobs.FollowSentInvoice(job.customer_id, job.invoice_id, desk.now.isoformat())
    return Coming(next_job, at, desk.customer.clock_id) if at is not None else None


async def stage_next(tx: Tx, call: Call, coming: Coming) -> None:
    """Stage the job of the next day. The one before it is done: one at a time waits for an invoice."""
    await journal.stage(
        tx, call, coming.job, customer_id=coming.job.customer_id, clock_id=coming.clock_id, run_at=coming.at
    )


async def _policy(tx: Tx, desk: Desk, invoice: Invoice) -> Policy:
    """Return the policy that the invoice's case would follow now."""
    on_it = await owing.subscriptions_on(tx, desk, invoice.id)
    version, _ = await policies.policies_for(tx, desk.catalogue, desk.customer.id, on_it)
    return version.policy


async def _happens(tx: Tx, call: Call, desk: Desk, standing: Standing, day: Day) -> None:
    if day.what is Happens.DUE_SOON:
        await _remind(tx, call, desk, standing.invoice, notice=DUE_SOON, day=day)
        return
    _, filed = await filing.take(tx, call, desk, standing.invoice.id)
    if filed is None:
        await _open(tx, call, desk, standing)
    elif day.what is Happens.STILL_OVERDUE and not filed.case.is_still:
        await _remind(tx, call, desk, standing.invoice, notice=STILL_OVERDUE, day=day)


async def _remind(tx: Tx, call: Call, desk: Desk, invoice: Invoice, *, notice: str, day: Day) -> None:
    # With its date: where the due date is extended, a day of the same distance comes once more.
    job = jobs.SendNotice(invoice.customer_id, notice, f"{invoice.id}:{day.days}:{day.at.date()}")
    clock_id = desk.customer.clock_id
    await journal.stage(tx, call, job, customer_id=invoice.customer_id, clock_id=clock_id, run_at=desk.now)


async def _open(tx: Tx, call: Call, desk: Desk, standing: Standing) -> None:
    """Open the case of an overdue invoice as of its due date."""
    invoice = standing.invoice
    assert invoice.due_at is not None, "an open invoice is due"
    await journal.tell(
        tx,
        call,
        desk.now,
        invoice.customer_id,
        "invoice_overdue",
        description=f"Invoice {invoice.number} is overdue",
        amount=invoice.amount_due,
        metadata={"invoice_id": encode("invoice", invoice.id)},
    )
    await filing.open_untried(tx, call, desk, standing, failed_at=invoice.due_at, untried=_NOT_TRANSFERRED)
