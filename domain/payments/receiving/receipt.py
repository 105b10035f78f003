"""What may be recorded about money that came another way than through the gateway."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from domain.invoices.credit_note import CreditNote
from domain.invoices.invoice import Invoice, InvoiceStateRefused, PaymentDiffers, PaymentUnderWay, State
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import AttemptId, CustomerId, InvoiceId
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.payments.attempt import LIVE, WITHDRAWABLE, Attempt
from domain.payments.push import Push, PushState

REFERENCE_LENGTH_MAX = 140
_OWED = frozenset((State.OPEN, State.UNCOLLECTIBLE))


class ReceiptMethod(StrEnum):
    """How money came."""

    BANK_TRANSFER = "bank_transfer"
    CHEQUE = "cheque"
    CASH = "cash"
    OTHER = "other"


class ReversalReason(StrEnum):
    """Why a recorded payment is taken back."""

    BOUNCED = "bounced"
    MISTAKE = "mistake"
    OTHER = "other"


@dataclass(eq=False)
class RecordedPaymentNotFound(DomainError):
    """There is no such recorded payment. Look it up among the invoice's recorded payments."""

    code = "recorded_payment_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class PaymentAlreadyReversed(DomainError):
    """This payment has been taken back already."""

    code = "payment_already_reversed"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class PaymentGivenBack(DomainError):
    """The credit note {number} has given back a part of this payment. It cannot be taken back any more."""

    code = "payment_given_back"
    kind = Kind.CONFLICT
    number: str


@dataclass(eq=False)
class CopyNotClosed(DomainError):
    """The payment provider's copy of this invoice is not closed yet. Do this again in a moment."""

    code = "copy_not_closed"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class ReceiptMalformed(DomainError):
    """Give a reference of 1 to {length_max} printable characters, and the instant, not in the future, at which it came.

    That instant is in business time: a test customer's is told by the test clock.
    """

    code = "receipt_malformed"
    kind = Kind.INVALID
    length_max: int


@dataclass(frozen=True, slots=True)
class Received:
    """What staff recorded of money that came; its amount is that of the attempt that stands for it.

    `received_at` is business time, when the money came; `recorded_at` likewise, when staff wrote it down; `created_at`
    is the real time of that. `reference` names it at the bank or on the cheque. `reversed_at`, in business time, says
    that it was taken back, and `reversal` why.
    """

    customer_id: CustomerId
    attempt_id: AttemptId
    invoice_id: InvoiceId
    amount: Money
    method: ReceiptMethod
    reference: str
    received_at: datetime
    recorded_at: datetime
    created_at: datetime
    reversed_at: datetime | None = None
    reversal: ReversalReason | None = None


def check_owed(invoice: Invoice, last: Attempt | None, amount: Money) -> None:
    """Refuse what does not pay all that is owed of an invoice, or meets a charge that was sent.

    An attempt that was never sent, or waits for its customer, gives way. Raises InvoiceStateRefused, PaymentUnderWay,
    PaymentDiffers.
    """
    if invoice.state not in _OWED:
        raise InvoiceStateRefused(invoice.state, State.PAID)
    if last is not None and last.state in LIVE - WITHDRAWABLE:
        raise PaymentUnderWay
    due = invoice.outstanding
    if amount != due:
        raise PaymentDiffers(amount.major, amount.currency, due.major, due.currency)


def check_reversible(received: Received, invoice: Invoice, push: Push | None, notes: Sequence[CreditNote]) -> None:
    """Refuse to take back what was taken back already, was given back by notes since, or whose copy is open still.

    Raises PaymentAlreadyReversed, InvoiceStateRefused, PaymentGivenBack, CopyNotClosed.
    """
    if received.reversed_at is not None:
        raise PaymentAlreadyReversed
    if invoice.state is not State.PAID:
        raise InvoiceStateRefused(invoice.state, State.OPEN)
    if push is not None and push.state in {PushState.PUSHING, PushState.PUSHED}:
        raise CopyNotClosed
    for note in notes:
        is_later = invoice.paid_at is not None and note.issued_at >= invoice.paid_at
        if is_later and note.credit_minor + note.refund_minor + note.wallet_minor:
            raise PaymentGivenBack(note.number)


def undone(before: Received, now: datetime, reason: ReversalReason) -> Received:
    """Note that a recorded payment was taken back."""
    return replace(before, reversed_at=now, reversal=reason)


def check_reference(reference: str, received_at: datetime, now: datetime) -> str:
    """Return the reference without surrounding space. Raises ReceiptMalformed."""
    said = reference.strip()
    is_dated = received_at.tzinfo is not None and received_at <= now
    if not (1 <= len(said) <= REFERENCE_LENGTH_MAX and said.isprintable() and is_dated):
        raise ReceiptMalformed(REFERENCE_LENGTH_MAX)
    return said
