"""Order attempts: the row stands before anything is sent, so each order is carried out exactly once."""

from collections.abc import Sequence
from datetime import datetime

from domain.customers import service as customers
from domain.db import Tx
from domain.invoices.invoice import Invoice, State
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.job import Job
from domain.kernel.call import Call
from domain.kernel.ids import AttemptId, CustomerId, InvoiceId, MethodId
from domain.kernel.values import dataclass
from domain.payments import ending, store
from domain.payments.attempt import LIVE, Attempt, AttemptState, Trigger
from domain.payments.method import PaymentMethod
from domain.payments.ordering import store as orders
from domain.payments.push import Push, pay_key

METHODS_MAX = 50
# More than the widest cap of a card network counts.
TRIES_MAX = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """An invoice that is collected: its attempts, the newest first, and what its customer can be charged by."""

    invoice: Invoice
    attempts: Sequence[Attempt]
    methods: Sequence[PaymentMethod]

    @property
    def last(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[0] if self.attempts else None

    @property
    def under_way(self) -> Attempt | None:
        """The attempt that has not ended, if there is one."""
        return self.last if self.last is not None and self.last.state in LIVE else None


async def look(tx: Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> Standing:
    """Return how the collection of an invoice stands, with the invoice locked. Raises InvoiceNotFound."""
    invoice = await store.lock_invoice(tx, customer_id, invoice_id)
    attempts = (await store.list_attempts_of(tx, [(customer_id, invoice_id)]))[invoice_id]
    return Standing(invoice, attempts, await store.list_methods(tx, customer_id, limit=METHODS_MAX))


async def have_ended(tx: Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> bool:
    """Whether an invoice has lines of subscriptions, and all of these have ended."""
    return ending.have_ended(await orders.list_shares(tx, customer_id, invoice_id))


async def is_over(tx: Tx, standing: Standing, push: Push | None) -> bool:
    """Whether an invoice is charged no more unless a person orders it, as what it asks for has ended.

    A method was there in time where it is older than the copy (`push`), which is begun when the invoice is collected.
    """
    invoice = standing.invoice
    shares = await orders.list_shares(tx, invoice.customer_id, invoice.id)
    had_method = push is None or any(each.created_at <= push.keyed_at for each in standing.methods)
    return ending.is_over(invoice, shares, standing.attempts, had_method=had_method)


async def order_attempt(
    tx: Tx, call: Call, now: datetime, standing: Standing, *, method_id: MethodId, trigger: Trigger
) -> Attempt | None:
    """Write an attempt on an open invoice down and have it carried out. None where one is under way, or none is due.

    The caller holds the invoice by `look`. Written in the transaction that decides on it, it is made once, whatever
    crashes.
    """
    if standing.under_way is not None or standing.invoice.state is not State.OPEN:
        return None
    ordered = planned(call, now, standing.invoice, standing.last, method_id=method_id, trigger=trigger)
    await store.insert_attempt(tx, ordered)
    await stage(tx, call, jobs.CollectInvoice(ordered.customer_id, ordered.invoice_id), ordered.customer_id)
    return ordered


async def tries_on(tx: Tx, method: PaymentMethod, *, since: datetime) -> Sequence[datetime]:
    """Return when a customer's method, or another one with its fingerprint, was charged since a business instant."""
    return await orders.list_tries(tx, method, since=since, limit=TRIES_MAX)


def planned(
    call: Call, now: datetime, invoice: Invoice, last: Attempt | None, *, method_id: MethodId | None, trigger: Trigger
) -> Attempt:
    """Return the attempt that follows the last one of an invoice."""
    number = last.number + 1 if last else 1
    return Attempt(
        customer_id=invoice.customer_id,
        id=AttemptId(call.new_id()),
        invoice_id=invoice.id,
        number=number,
        method_id=method_id,
        amount=invoice.outstanding,
        key=pay_key(invoice.environment, invoice.id, number),
        state=AttemptState.PLANNED,
        decline=None,
        gateway_payment_id=None,
        created_at=call.at,
        sent_at=None,
        settled_at=None,
        trigger=trigger,
        began_at=now,
    )


async def stage(tx: Tx, call: Call, job: Job, customer_id: CustomerId) -> None:
    """Stage a job of a customer, due now on the customer's clock."""
    clock_id, now = await customers.clock_of(tx, call, customer_id)
    await journal.stage(tx, call, job, customer_id=customer_id, clock_id=clock_id, run_at=now)
