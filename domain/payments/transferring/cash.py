"""Money that a customer has transferred: what is left of it, and what its open invoices still wait for."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from domain.invoices.invoice import Invoice, InvoiceKind, State, minimum
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, InvoiceId, encode
from domain.kernel.money import Money
from domain.kernel.values import dataclass


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that came for a customer by transfer; below zero, it paid an invoice or went back.

    `moved_at` is the gateway's real time, `booked_at` our business time of it.
    """

    customer_id: CustomerId
    gateway_id: str
    kind: str
    amount: Money
    gateway_payment_id: str | None
    moved_at: datetime
    booked_at: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """What is kept of the account that a customer transfers to: enough to name it, too little to use it."""

    customer_id: CustomerId
    currency: str
    country: str
    bank_name: str | None
    last4: str


@dataclass(frozen=True, slots=True)
class Awaited:
    """An open invoice that was sent, and what is due on it."""

    customer_id: CustomerId
    invoice_id: InvoiceId
    due: Money


def missing(awaited: Sequence[Awaited], available: Mapping[str, int]) -> dict[InvoiceId, Money]:
    """Return what is still to be transferred for each open invoice of one customer, the oldest first.

    `available` is what has arrived and is not used, in minor units by currency. An invoice is paid whole: until what is
    there covers it, it stays open, and what is there is taken off what is missing.
    """
    left = dict(available)
    found = {}
    for each in awaited:
        taken = min(max(left.get(each.due.currency, 0), 0), each.due.minor)
        left[each.due.currency] = left.get(each.due.currency, 0) - taken
        found[each.invoice_id] = Money(each.due.minor - taken, each.due.currency)
    return found


def account_key(environment: Environment, customer_id: CustomerId, currency: str) -> str:
    """Return the idempotency key with which an account is asked for."""
    return f"{environment}:funding:{encode('customer', customer_id)}:{currency}"


def is_transferred(invoice: Invoice) -> bool:
    """Whether an invoice was sent, and balances left enough of it to be paid: as it was when it was opened."""
    is_issued = invoice.state is not State.DRAFT and invoice.kind is InvoiceKind.INVOICE
    return is_issued and invoice.is_sent and invoice.total - invoice.applied >= minimum(invoice.currency)
