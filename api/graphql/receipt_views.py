"""Payments that staff recorded, as a customer and staff see them."""

from datetime import datetime

import strawberry

from api.graphql import ids
from api.graphql.enums import name_enum
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Money, money_of
from domain.access.roles import Permission
from domain.payments.receiving import receipt

name_enum(
    receipt.ReceiptMethod,
    "ReceiptMethod",
    "How money came that did not come through Stripe.",
    BANK_TRANSFER="To a bank account of the merchant's own.",
    CHEQUE="By cheque.",
    CASH="In cash.",
    OTHER="Another way.",
)

name_enum(
    receipt.ReversalReason,
    "ReversalReason",
    "Why a recorded payment is taken back.",
    BOUNCED="The cheque bounced, or the bank took the money back.",
    MISTAKE="It was recorded by mistake: another invoice, another amount, or no money.",
    OTHER="Another reason.",
)


@guarded_type(Permission.PAYMENT_READ, "Money for an invoice that came another way than through Stripe.")
class ReceivedPayment:
    """A payment that staff recorded."""

    attempt_id: strawberry.ID = strawberry.field(description="`att_…` that stands for it among the invoice's attempts.")
    amount: Money = strawberry.field(description="What came: all that was due.")
    method: receipt.ReceiptMethod = strawberry.field(description="How it came.")
    reference: str = strawberry.field(description="What names it at the bank or on the cheque.")
    received_at: datetime = strawberry.field(description="When the money came, in business time.")
    recorded_at: datetime = strawberry.field(
        description="When staff recorded it, in business time; the invoice is paid as of then."
    )
    reversed_at: datetime | None = strawberry.field(
        description="When staff took it back, in business time; null where it stands."
    )
    reversal: receipt.ReversalReason | None = strawberry.field(description="Why it was taken back; null as well.")


def received_of(value: receipt.Received) -> ReceivedPayment:
    """Wrap a recorded payment."""
    return ReceivedPayment(
        attempt_id=ids.id_of("attempt", value.attempt_id),
        amount=money_of(value.amount),
        method=value.method,
        reference=value.reference,
        received_at=value.received_at,
        recorded_at=value.recorded_at,
        reversed_at=value.reversed_at,
        reversal=value.reversal,
    )
