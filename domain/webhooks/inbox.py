"""An inbox event, what is done about each of its types, and how the gateway's words become ours."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.kernel.call import Environment
from domain.kernel.values import dataclass
from domain.payments.port import GatewaySubscription
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Status


class InboxState(StrEnum):
    """Received: waits. Processed: we follow. Ignored: not about us. Quarantined: staff decide."""

    RECEIVED = "received"
    PROCESSED = "processed"
    IGNORED = "ignored"
    QUARANTINED = "quarantined"


class Topic(StrEnum):
    """What kind of object an event makes us fetch."""

    INVOICE = "invoice"
    SUBSCRIPTION = "subscription"
    METHOD = "method"
    SETUP = "setup"
    MANDATE = "mandate"
    REFUND = "refund"
    DISPUTE = "dispute"
    CASH = "cash"


# The version of the gateway's objects that the adapter reads; an event of another one is an alarm.
API_VERSION = "2026-10-28.endive"

# The types that make us fetch what they are about and converge on it.
TOPICS = {
    "invoice.paid": Topic.INVOICE,
    "invoice.payment_succeeded": Topic.INVOICE,
    "invoice.payment_failed": Topic.INVOICE,
    "invoice.payment_action_required": Topic.INVOICE,
    "invoice.finalization_failed": Topic.INVOICE,
    "invoice.voided": Topic.INVOICE,
    "invoice.marked_uncollectible": Topic.INVOICE,
    "invoice.overpaid": Topic.INVOICE,
    "customer.subscription.created": Topic.SUBSCRIPTION,
    "customer.subscription.updated": Topic.SUBSCRIPTION,
    "customer.subscription.deleted": Topic.SUBSCRIPTION,
    "payment_method.attached": Topic.METHOD,
    "payment_method.detached": Topic.METHOD,
    "payment_method.updated": Topic.METHOD,
    "payment_method.automatically_updated": Topic.METHOD,
    "setup_intent.succeeded": Topic.SETUP,
    "mandate.updated": Topic.MANDATE,
    "refund.created": Topic.REFUND,
    "refund.updated": Topic.REFUND,
    "refund.failed": Topic.REFUND,
    "charge.dispute.created": Topic.DISPUTE,
    "charge.dispute.updated": Topic.DISPUTE,
    "charge.dispute.closed": Topic.DISPUTE,
    "charge.dispute.funds_withdrawn": Topic.DISPUTE,
    "charge.dispute.funds_reinstated": Topic.DISPUTE,
    "customer_cash_balance_transaction.created": Topic.CASH,
    "cash_balance.funds_available": Topic.CASH,
}

# The types that are kept without an effect, each with the reason. They are asked for all the same, so that a replay can
# still act on them once they have one.
KEPT = {
    "setup_intent.setup_failed": "its customer has seen the failure, and no method has come of it",
}
KINDS = (*TOPICS, *KEPT)
NO_INTEREST = "a type of no interest"

_STATUSES = {status.value: status for status in Status} | {"incomplete_expired": Status.CANCELED}


@dataclass(frozen=True, slots=True)
class InboxEvent:
    """A stored event without its payload, which nothing acts on.

    `id` is the provider's, `key` ours, in the order of arrival. `note` says why one was ignored or quarantined.
    """

    provider: str
    id: str
    key: UUID
    type: str
    object_id: str
    environment: Environment
    api_version: str | None
    received_at: datetime
    state: InboxState
    attempts: int
    processed_at: datetime | None
    note: str | None


@dataclass(frozen=True, slots=True)
class PlanReference:
    """Which plan of ours a subscription of the gateway stands for."""

    product_key: str
    plan_key: str
    interval: Interval


def plan_of(text: str | None) -> PlanReference | None:
    """Read "product:plan:interval" ("edge:starter:month"); None where it is not one."""
    parts = (text or "").split(":")
    if len(parts) != 3 or not all(parts) or parts[2] not in set(Interval):
        return None
    return PlanReference(parts[0], parts[1], Interval(parts[2]))


def why_kept(event_type: str) -> str:
    """Say why an event of a type that no object is fetched for has no effect."""
    return KEPT.get(event_type, NO_INTEREST)


def status_of(seen: GatewaySubscription) -> Status | None:
    """Return our status for the gateway's, or None for one that we do not know."""
    return _STATUSES.get(seen.status)
