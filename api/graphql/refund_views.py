"""Refunds as a customer and staff see them."""

from datetime import datetime

import strawberry

from api.graphql import ids
from api.graphql.enums import name_enum
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Money, money_of
from domain.access.roles import Permission
from domain.payments import refund as refunds

name_enum(
    refunds.RefundStatus,
    "RefundStatus",
    "Where a refund stands.",
    PENDING="It is on its way; a card takes 5 to 10 days to show it.",
    SUCCEEDED="The money has gone.",
    FAILED="It did not come off, or came back: the money is owed again.",
)
name_enum(
    refunds.RefundReason,
    "RefundReason",
    "Why money goes back.",
    DUPLICATE="It was paid twice.",
    FRAUDULENT="The payment was not the customer's.",
    REQUESTED_BY_CUSTOMER="The customer asked for it.",
)


@guarded_type(
    Permission.INVOICE_READ,
    "Money that goes back to a customer the way it came: for a credit note, or because no invoice could take it.",
)
class Refund:
    """A refund."""

    id: strawberry.ID = strawberry.field(description="`rfd_…`")
    credit_note_id: strawberry.ID | None = strawberry.field(
        description="`cn_…` whose part to be refunded it pays back; null where it pays back an unapplied payment."
    )
    unapplied_payment_id: strawberry.ID | None = strawberry.field(
        description="`uap_…` that it pays back; null where that is a credit note."
    )
    amount: Money = strawberry.field(description="What goes back.")
    status: refunds.RefundStatus = strawberry.field(description="Where it stands.")
    reason: refunds.RefundReason = strawberry.field(description="Why.")
    ordered_at: datetime = strawberry.field(description="When it was ordered, in business time.")
    ended_at: datetime | None = strawberry.field(
        description="When it was known to have succeeded or failed, in business time; null while it is on its way."
    )


def refund_of(value: refunds.Refund) -> Refund:
    """Wrap a refund."""
    return Refund(
        id=ids.id_of("refund", value.id),
        credit_note_id=ids.id_of("credit_note", value.credit_note_id) if value.credit_note_id else None,
        unapplied_payment_id=(
            ids.id_of("unapplied_payment", value.unapplied_payment_id) if value.unapplied_payment_id else None
        ),
        amount=money_of(value.amount),
        status=value.status,
        reason=value.reason,
        ordered_at=value.ordered_at,
        ended_at=value.ended_at,
    )
