"""What may be recorded about money that came another way than through the gateway."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.invoices.invoice import Invoice, InvoiceStateRefused, PaymentDiffers, PaymentUnderWay, State
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import AttemptId, CustomerId, InvoiceId
from domain.kernel.money import Money
from domain.payments.attempt import LIVE, WITHDRAWABLE, Attempt

REFERENCE_LENGTH_MAX = 140
_OWED = frozenset((State.OPEN, State.UNCOLLECTIBLE))


class ReceiptMethod(StrEnum):
    """How money came."""

    BANK_TRANSFER = "bank_transfer"
    CHEQUE = "cheque"
    CASH = "cash"
    OTHER = "other"


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
    is the real time of that. `reference` names it at the bank or on the cheque.
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


def check_reference(reference: str, received_at: datetime, now: datetime) -> str:
    """Return the reference without surrounding space. Raises ReceiptMalformed."""
    said = reference.strip()
    is_dated = received_at.tzinfo is not None and received_at <= now
    if not (1 <= len(said) <= REFERENCE_LENGTH_MAX and said.isprintable() and is_dated):
        raise ReceiptMalformed(REFERENCE_LENGTH_MAX)
    return said
