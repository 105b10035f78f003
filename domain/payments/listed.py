"""What the gateway's lists hold: pages, and the parts of its objects that are compared with our rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, TypeVar

from domain.kernel.ids import CustomerId, RefundId
from domain.kernel.values import dataclass

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list, the newest first. `last_id` asks for the next one; None where this is the last."""

    items: Sequence[T]
    last_id: str | None = None


@dataclass(frozen=True, slots=True)
class GatewayHolder:
    """A customer of the gateway. `customer_id` is ours, from the metadata.

    The balance, which its next invoice would use up, is to stay 0: our own credits never go there.
    """

    id: str
    customer_id: CustomerId | None
    balance_minor: int
    currency: str | None


@dataclass(frozen=True, slots=True)
class GatewayPayment:
    """A payment of an invoice at the gateway: open, paid or canceled, and what came in.

    `payment_id` is the payment intent; None for money that came outside of the gateway.
    """

    id: str
    status: str
    currency: str
    paid_minor: int
    gateway_invoice_id: str
    payment_id: str | None


@dataclass(frozen=True, slots=True)
class GatewayRefund:
    """Money that the gateway has sent back, in its own words for the status and for a failure.

    `customer_id` and `refund_id` are ours, from the metadata: None marks a refund that we did not order.
    """

    id: str
    status: str
    currency: str
    amount_minor: int
    gateway_payment_id: str | None
    created_at: datetime
    customer_id: CustomerId | None = None
    refund_id: RefundId | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class GatewayDispute:
    """A dispute as the gateway has it now, in its own words for status and reason.

    `evidence_due_at` is until when it can be answered; None where it cannot.
    """

    id: str
    status: str
    reason: str
    currency: str
    amount_minor: int
    gateway_payment_id: str | None
    created_at: datetime
    evidence_due_at: datetime | None = None
