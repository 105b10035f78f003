"""What the scene has of outgoing webhooks and alerts to staff."""

from domain.alerts import store as mails
from domain.alerts.mail_state import MailState
from domain.alerts.notice import Content
from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.alerts.store import Mail
from domain.customers import service as customers
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, encode
from domain.webhooks.delivering import service as delivering
from domain.webhooks.endpoints import service as endpoints
from tests.api.graphql.site import Site


async def outgoing_of(server: Site, environment: Environment, customer_id: CustomerId) -> dict[str, str]:
    """Make two endpoints of an environment, an alert about the first, and a mail to a customer that failed.

    The event is one that there is not.
    """
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
        "billingEvent": encode("billing_event", customer_id),
        "mail": await _failed_mail(server, customer_id),
    }


async def _failed_mail(server: Site, customer_id: CustomerId) -> str:
    """Write a mail whose server does not answer."""
    async with server.runtime.db.transaction() as tx:
        key = await customers.data_key(tx, customer_id)
        mail = Mail(
            customer_id=customer_id,
            id=server.world.call.new_id(),
            notice="weekly_digest",
            about="2026-03-02",
            state=MailState.FAILED,
            content=Content("someone@example.com", "Your week", "Hello", "<p>Hello</p>"),
            message_id=f"<{customer_id}@example.com>",
            created_at=server.world.call.at,
            sent_at=None,
        )
        assert await mails.insert_mail(tx, mail, key)
    return encode("mail", mail.id)


async def publish(server: Site) -> None:
    """Give numbers to all that has happened."""
    async with server.runtime.db.transaction() as tx:
        while await delivering.publish(tx, server.world.call):
            pass
