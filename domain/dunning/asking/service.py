"""Follow an invoice that could not be charged, as its customer has no payment method: that is a payment that failed.

The case waits for its customer to the last day. A method that is attached meanwhile is charged at once (`payments`),
and the invoice can be paid on its page.
"""

from domain.contracts.owing import service as owing
from domain.db import Tx
from domain.dunning.asking import store
from domain.dunning.case import CaseState
from domain.dunning.filing import service as filing
from domain.dunning.filing.service import Untried
from domain.invoices.invoice import State
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId, encode
from domain.payments import store as payments
from domain.payments.attempt import is_untried
from domain.payments.declines import Decline, DeclineClass
from domain.payments.method import method_to_charge
from domain.payments.ordering import service as orders
from domain.payments.ordering.service import Standing

STAGE_MAX = 500
_NO_METHOD = Untried(Decline(DeclineClass.CUSTOMER, "payment_method_missing"), "card", "payment_method_missing")


async def stage_unfollowed(tx: Tx, call: Call, *, limit: int = STAGE_MAX) -> int:
    """Have open invoices collected that are due and that nobody follows, on all clocks; return how many.

    Nothing is to be found: whoever opens an invoice stages its collection, and that ends in an attempt or in a case.
    What was missed all the same, also before there were cases without an attempt, is caught up here: it is charged, or
    its copy is made and its customer is asked. At most STAGE_MAX at a time; those have a job, so that the next call
    finds others. Safe to repeat and to run beside itself: one job waits for an invoice, and an invoice has one case.
    """
    found = await store.list_unfollowed(tx, at=call.at, limit=min(limit, STAGE_MAX))
    for each in found:
        job = jobs.CollectInvoice(each.customer_id, each.invoice_id)
        await journal.stage(tx, call, job, customer_id=each.customer_id, clock_id=each.clock_id, run_at=each.now)
    return len(found)


async def follow(tx: Tx, call: Call, *, customer_id: CustomerId, invoice_id: InvoiceId) -> None:
    """Open the case of an invoice that is due and has nothing to be charged to, from now on. Safe to repeat.

    The case of one that had been paid, and is asked for again, begins anew.
    Where it has been paid, is being charged, or can be charged by now, nothing is opened. Where all that it asks for
    has ended its case is closed at once: nobody is asked. Raises InvoiceNotFound.
    """
    desk = await owing.hold(tx, call, customer_id)
    standing, filed = await filing.take(tx, call, desk, invoice_id)
    is_followed = filed is not None and filed.case.state is not CaseState.RECOVERED
    if is_followed or not _is_owed(standing):
        return
    if await orders.is_over(tx, standing, await payments.find_push(tx, customer_id, invoice_id)):
        if filed is None:
            await filing.drop(tx, call, desk, standing)
        return
    if method_to_charge(standing.methods, None) is not None:
        return
    await journal.tell(
        tx,
        call,
        desk.now,
        customer_id,
        "payment_method_missing",
        description="There is no payment method to collect the invoice from",
        amount=standing.invoice.outstanding,
        metadata={"invoice_id": encode("invoice", invoice_id)},
    )
    if filed is None:
        await filing.open_untried(tx, call, desk, standing, failed_at=desk.now, untried=_NO_METHOD)
    else:
        await filing.begin_untried_anew(tx, call, filed, untried=_NO_METHOD)


def _is_owed(standing: Standing) -> bool:
    """Whether somebody has to act before the invoice is paid. Nobody is dunned for a top-up: it lapses."""
    invoice = standing.invoice
    is_asked_for = invoice.state is State.OPEN and not invoice.is_sent and invoice.top_up_id is None
    return is_asked_for and is_untried(standing.attempts)
