"""Disputes as a customer and staff see them."""

from datetime import datetime

import strawberry

from api.graphql import ids
from api.graphql.enums import name_enum
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Money, money_of
from domain.access.roles import Permission
from domain.payments import dispute as disputes

name_enum(
    disputes.Stance,
    "DisputeStance",
    "Where the money of a dispute stands.",
    INQUIRY="The bank only asks, or the dispute was prevented: nothing was taken.",
    HELD="It was taken, and it is not decided whether it comes back.",
    WON="It is decided for the merchant: nothing is missing.",
    LOST="It is gone, and the invoice is charged back.",
    RETURNED="The bank has returned a debit: the money is gone, and the invoice is open again.",
)


@guarded_type(Permission.PAYMENT_READ, "A payment that its customer or a bank took back, or wants to.")
class Dispute:
    """A dispute."""

    id: strawberry.ID = strawberry.field(description="`dsp_…`")
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`")
    attempt_id: strawberry.ID = strawberry.field(description="`att_…`: the payment that is disputed.")
    gateway_dispute_id: strawberry.ID = strawberry.field(
        description="Stripe's id. It is answered with evidence, or accepted, on Stripe's own pages."
    )
    amount: Money = strawberry.field(description="What is disputed; it may be a part of the payment.")
    reason: str = strawberry.field(description="Stripe's word, such as fraudulent or insufficient_funds.")
    status: str = strawberry.field(description="Stripe's word, such as needs_response or under_review.")
    stance: disputes.Stance = strawberry.field(description="Where the money stands.")
    evidence_due_at: datetime | None = strawberry.field(
        description="Until when it can be answered, in real time; null where it cannot."
    )
    opened_at: datetime = strawberry.field(description="When it was first heard of, in business time.")
    closed_at: datetime | None = strawberry.field(description="When it was decided, in business time.")


def dispute_of(value: disputes.Dispute) -> Dispute:
    """Wrap a dispute."""
    return Dispute(
        id=ids.id_of("dispute", value.id),
        customer_id=ids.id_of("customer", value.customer_id),
        invoice_id=ids.id_of("invoice", value.invoice_id),
        attempt_id=ids.id_of("attempt", value.attempt_id),
        gateway_dispute_id=strawberry.ID(value.gateway_dispute_id),
        amount=money_of(value.amount),
        reason=value.reason,
        status=value.status,
        stance=value.stance,
        evidence_due_at=value.evidence_due_at,
        opened_at=value.opened_at,
        closed_at=value.closed_at,
    )
