"""What the payment gateway in memory keeps of an invoice, and how its test methods decline."""

from dataclasses import field

from domain.kernel.ids import CreditNoteId
from domain.kernel.values import dataclass
from domain.payments.port import GatewayInvoiceState, PayOutcome, PushedInvoice, PushedLine

DECLINES = {
    "pm_card_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_chargeCustomerFail": ("card_declined", "generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_chargeDeclinedLostCard": ("card_declined", "lost_card"),
    "pm_usBankAccount_insufficientFunds": ("insufficient_funds", None),
    "pm_usBankAccount_accountClosed": ("account_closed", None),
}


@dataclass(slots=True)
class Copy:
    """An invoice at the gateway."""

    id: str
    pushed: PushedInvoice
    lines: list[PushedLine] = field(default_factory=list)
    state: GatewayInvoiceState = GatewayInvoiceState.DRAFT
    outcome: PayOutcome | None = None
    token: str = ""
    paid_minor: int = 0
    credits: dict[CreditNoteId, int] = field(default_factory=dict)
