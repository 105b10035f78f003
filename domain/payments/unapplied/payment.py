"""A payment that no invoice can take, and what has become of it: pure rules. What is left of it is the customer's."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from domain.invoices.invoice import Invoice, State
from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import (
    AttemptId,
    CustomerId,
    DisputeId,
    InvoiceId,
    UnappliedCreditId,
    UnappliedPaymentId,
    encode,
)
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.payments.refund import RefundMalformed, RefundUnsupported

# Only these take money: a void invoice asks for none, and a paid one has it.
_TAKES = frozenset((State.OPEN, State.UNCOLLECTIBLE, State.CHARGED_BACK))


class Cause(StrEnum):
    """Why an invoice could not take it."""

    CLOSED = "closed"  # it was void, or paid otherwise, when the money came
    REINSTATED = "reinstated"  # a bank gave back what had been lost, and the invoice was asked for again meanwhile


@dataclass(eq=False)
class UnappliedPaymentNotFound(DomainError):
    """There is no such unapplied payment. See the list of unapplied payments."""

    code = "unapplied_payment_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class UnappliedPaymentSpent(DomainError):
    """Only {left} {currency} of this payment is left. Give an amount above zero up to that."""

    code = "unapplied_payment_spent"
    kind = Kind.CONFLICT
    left: str
    currency: str


@dataclass(frozen=True, slots=True)
class UnappliedPayment:
    """Money of a customer that came for an invoice which cannot take it.

    `applied_minor` has paid other invoices, `refunded_minor` went back or is on its way, `withheld_minor` a bank has
    taken for a dispute, `credited_minor` became the customer's credit; `left` is the rest. `gateway_payment_id` is
    where it can be sent back to; None: not through the gateway. `dispute_id` is that of money won back. `booked_at` is
    business time, `created_at` real time.
    """

    customer_id: CustomerId
    id: UnappliedPaymentId
    environment: Environment
    invoice_id: InvoiceId
    attempt_id: AttemptId
    cause: Cause
    amount: Money
    gateway_payment_id: str | None
    booked_at: datetime
    created_at: datetime
    dispute_id: DisputeId | None = None
    applied_minor: int = 0
    refunded_minor: int = 0
    withheld_minor: int = 0
    version: int = 1
    credited_minor: int = 0

    @property
    def left(self) -> Money:
        """What can still be applied, sent back or credited."""
        gone = self.applied_minor + self.refunded_minor + self.withheld_minor + self.credited_minor
        return Money(self.amount.minor - gone, self.amount.currency)


@dataclass(frozen=True, slots=True)
class Application:
    """What an unapplied payment has paid of an invoice, by an attempt of its own. `applied_at` is business time."""

    customer_id: CustomerId
    attempt_id: AttemptId
    unapplied_payment_id: UnappliedPaymentId
    invoice_id: InvoiceId
    amount: Money
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class UnappliedCredit:
    """What of an unapplied payment became its customer's credit, at business time: next invoices are paid with it."""

    customer_id: CustomerId
    id: UnappliedCreditId
    unapplied_payment_id: UnappliedPaymentId
    amount: Money
    credited_at: datetime


def takes_money(invoice: Invoice) -> bool:
    """Whether money that comes for an invoice pays it: it is open, or what was given up comes after all."""
    return invoice.state in _TAKES


def payable(before: UnappliedPayment, invoice: Invoice) -> Money:
    """Return what a payment can give an invoice: all that is due, or less where no more is left."""
    due = invoice.outstanding
    is_enough = before.left.currency == due.currency and before.left.minor >= due.minor
    return due if is_enough else before.left


def applied(before: UnappliedPayment, amount: Money) -> UnappliedPayment:
    """Note that a part has paid another invoice. Raises UnappliedPaymentSpent."""
    _check_left(before, amount)
    return replace(before, applied_minor=before.applied_minor + amount.minor)


def refunding(before: UnappliedPayment, wanted: Money | None) -> tuple[UnappliedPayment, Money]:
    """Note that a part goes back, None is all that is left; return the amount too.

    Raises RefundUnsupported where it did not come through the gateway, RefundMalformed, UnappliedPaymentSpent.
    """
    if before.gateway_payment_id is None:
        raise RefundUnsupported
    amount = wanted or before.left
    if wanted is not None and (wanted.currency != before.amount.currency or wanted.minor <= 0):
        raise RefundMalformed(before.amount.currency)
    _check_left(before, amount)
    return replace(before, refunded_minor=before.refunded_minor + amount.minor), amount


def crediting(before: UnappliedPayment, wanted: Money | None) -> tuple[UnappliedPayment, Money]:
    """Note that a part becomes the customer's credit, None is all that is left; return the amount too.

    Raises UnappliedPaymentSpent, for an amount of another currency too.
    """
    amount = wanted or before.left
    _check_left(before, amount)
    return replace(before, credited_minor=before.credited_minor + amount.minor), amount


def refund_failed(before: UnappliedPayment, minor: int) -> UnappliedPayment:
    """Note that a refund did not come off, or came back: it is left again."""
    return replace(before, refunded_minor=before.refunded_minor - minor)


def withheld(before: UnappliedPayment, minor: int) -> tuple[UnappliedPayment, int]:
    """Note that a bank has taken some of it for a dispute; return how much of that was left here."""
    taken = max(min(minor, before.left.minor), 0)
    return replace(before, withheld_minor=before.withheld_minor + taken), taken


def released(before: UnappliedPayment, minor: int) -> UnappliedPayment:
    """Note that a bank gave back what it had taken."""
    return replace(before, withheld_minor=before.withheld_minor - minor)


def facts_of(payment: UnappliedPayment) -> dict[str, str]:
    """Return what staff are told: ids, the amount, and why it was not applied."""
    why = {
        Cause.CLOSED: "it was void, or paid otherwise, when the money came",
        Cause.REINSTATED: "a dispute of it is won after all, and it had been asked for again",
    }
    return {
        "customer_id": encode("customer", payment.customer_id),
        "invoice_id": encode("invoice", payment.invoice_id),
        "amount": payment.amount.major,
        "currency": payment.amount.currency,
        "why": why[payment.cause],
    }


def _check_left(before: UnappliedPayment, amount: Money) -> None:
    if amount.currency != before.left.currency or not 0 < amount.minor <= before.left.minor:
        raise UnappliedPaymentSpent(before.left.major, before.left.currency)
