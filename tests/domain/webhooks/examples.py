"""Events and subscriptions of the gateway."""

import dataclasses
from datetime import datetime
from typing import Any

from domain.kernel.call import Environment
from domain.kernel.period import Period
from domain.payments.port import GatewayEvent, GatewaySubscription
from tests import make

NOON = make.at("2026-01-15T12:00")


def event(event_type: str, object_id: str, event_id: str = "evt_1", **changed: Any) -> GatewayEvent:
    """Make an event as the gateway sends it."""
    payload = b'{"id": "in_1", "card": "something sensitive"}'
    made = GatewayEvent(
        event_id, event_type, "2026-10-28.endive", NOON, Environment.TEST, "invoice", object_id, payload
    )
    return dataclasses.replace(made, **changed)


def subscription(**changed: Any) -> GatewaySubscription:
    """Make an active subscription to Edge Starter by the month."""
    start, end = make.at("2026-01-15"), make.at("2026-02-15")
    made = GatewaySubscription(
        id="sub_1",
        status="active",
        gateway_customer_id="cus_unknown",
        customer_id=None,
        plan="edge:starter:month",
        currency="USD",
        started_at=start,
        anchor_at=start,
        period=Period(start, end),
        cancel_at=None,
        canceled_at=None,
        ended_at=None,
    )
    return dataclasses.replace(made, **changed)


def ended(at: datetime) -> dict[str, Any]:
    """Say that a subscription was canceled."""
    return {"status": "canceled", "canceled_at": at, "ended_at": at}
