"""What the scene has of outgoing webhooks and alerts to staff."""

from uuid import UUID

from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.kernel.call import Environment
from domain.kernel.ids import encode
from domain.webhooks.delivering import service as delivering
from domain.webhooks.endpoints import service as endpoints
from tests.api.graphql.site import Site


async def outgoing_of(server: Site, environment: Environment, no_event: UUID) -> dict[str, str]:
    """Make two endpoints of an environment and an alert about the first, and name an event that there is not."""
    made = [
        await endpoints.create_endpoint(
            server.runtime.db,
            server.runtime.sender,
            server.world.call,
            environment=environment,
            name="CRM",
            url="https://hooks.example.com/",
            events=["*"],
        )
        for _ in range(2)
    ]
    names = [encode("webhook_endpoint", endpoint.id) for endpoint, _ in made]
    facts = {"endpoint": "CRM", "by": "failing"}
    async with server.runtime.db.transaction() as tx:
        call = server.world.call
        await staffing.raise_alert(
            tx, call, StaffAlertKind.WEBHOOK_DISABLED, names[0], environment=environment, facts=facts
        )
        [alert, *_] = await staffing.list_alerts(tx, call)
    return {
        "endpoint": names[0],
        "endpointToDelete": names[1],
        "staffAlert": encode("staff_alert", alert.id),
        "billingEvent": encode("billing_event", no_event),
    }


async def publish(server: Site) -> None:
    """Give numbers to all that has happened."""
    async with server.runtime.db.transaction() as tx:
        while await delivering.publish(tx, server.world.call):
            pass
