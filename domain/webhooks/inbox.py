"""An inbox event, which types are acted on, and how the gateway's words for a subscription become ours."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.kernel.call import Environment
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


TOPICS = {
    "invoice.paid": Topic.INVOICE,
    "invoice.payment_succeeded": Topic.INVOICE,
    "invoice.payment_failed": Topic.INVOICE,
    "invoice.payment_action_required": Topic.INVOICE,
    "customer.subscription.created": Topic.SUBSCRIPTION,
    "customer.subscription.updated": Topic.SUBSCRIPTION,
    "customer.subscription.deleted": Topic.SUBSCRIPTION,
    "payment_method.attached": Topic.METHOD,
    "payment_method.detached": Topic.METHOD,
    "payment_method.updated": Topic.METHOD,
    "payment_method.automatically_updated": Topic.METHOD,
}

_STATUSES = {status.value: status for status in Status} | {"incomplete_expired": Status.CANCELED}


@dataclass(frozen=True, slots=True)
class InboxEvent:
    """A stored event without its payload, which nothing acts on."""

    provider: str
    id: str
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


def status_of(seen: GatewaySubscription) -> Status | None:
    """Return our status for the gateway's, or None for one that we do not know."""
    return _STATUSES.get(seen.status)
