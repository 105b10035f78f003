"""Staff make endpoints, look at what was sent, and have it sent once more."""

from domain.adapters.memory import MemoryMailer
from domain.adapters.memory_webhooks import MemoryWebhooks
from domain.alerts.port import MailRefused, MailUnavailable
from domain.alerts.staffing import service as staffing
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, StaffAlertId
from domain.webhooks.port import Outcome, Reply
from tests import make
from tests.api.graphql.outgoing import outgoing_of, publish
from tests.api.graphql.site import Site
from workers.deliveries import deliver_once

_NEW = {"environment": "TEST", "name": "CRM", "url": "https://hooks.example.com/in", "events": ["invoice.*"]}
_REPLAYED = "... on WebhookEventsReplayed { customers }"
_WAITING = "{ webhookEndpoints { waitingCustomers nextAttemptAt } }"
_STATE = "... on WebhookEndpointChanged { endpoint { name state disabledBy events waitingCustomers } }"
_DELIVERIES = """query($id: ID!, $failed: Boolean) { webhookDeliveries(endpointId: $id, failedOnly: $failed) {
    nodes { type outcome status excerpt isReplay attempt customerId number } } }"""


async def _deliver(site: Site) -> None:
    under: dict[object, object] = {}
    while await deliver_once(site.runtime, under):  # type: ignore[arg-type]
        for tasks in under.values():
            for task in list(tasks):  # type: ignore[call-overload]
                await task


async def _customer(site: Site) -> CustomerId:
    return (await site.world.customer(on="2026-01-31", card=None)).id


async def _made(site: Site) -> tuple[str, str]:
    made = await site.change(
        "createWebhookEndpoint", "... on WebhookSecretIssued { secret endpoint { id } }", site.staff(), **_NEW
    )
    return made["endpoint"]["id"], made["secret"]


async def test_an_endpoint_is_made_changed_stopped_and_deleted(site: Site) -> None:
    name, secret = await _made(site)
    assert secret.startswith("whsec_")
    staff = site.staff()
    changed = await site.change("updateWebhookEndpoint", _STATE, staff, id=name, name="ERP", events=["*"])
    assert (changed["endpoint"]["name"], changed["endpoint"]["events"]) == ("ERP", ["*"])
    stopped = await site.change("disableWebhookEndpoint", _STATE, staff, id=name)
    assert (stopped["endpoint"]["state"], stopped["endpoint"]["disabledBy"]) == ("DISABLED", "STAFF")
    enabled = await site.change("enableWebhookEndpoint", _STATE, staff, id=name)
    assert enabled["endpoint"]["state"] == "ENABLED"
    rolled = await site.change("rotateWebhookSecret", "... on WebhookSecretIssued { secret }", staff, id=name)
    assert rolled["secret"] not in {"", secret}
    await site.change("deleteWebhookEndpoint", _STATE, staff, id=name)
    assert (await site.read("{ webhookEndpoints { id } }", staff))["webhookEndpoints"] == []
    gone = await site.change("disableWebhookEndpoint", _STATE, staff, id=name)
    assert gone["code"] == "endpoint_not_found"


async def test_a_target_inside_and_an_unknown_event_are_problems(site: Site) -> None:
    inside, unknown = {"url": "https://192.168.0.1/"}, {"events": ["x.y"]}
    for given, code in ((inside, "webhook_target_refused"), (unknown, "event_pattern_unknown")):
        refused = await site.change("createWebhookEndpoint", "", site.staff(), **{**_NEW, **given})
        assert refused["code"] == code


async def _waits(site: Site) -> tuple[int, bool]:
    """Say how much waits for the only endpoint, and whether it says when it goes on."""
    [endpoint] = (await site.read(_WAITING, site.staff()))["webhookEndpoints"]
    return endpoint["waitingCustomers"], endpoint["nextAttemptAt"] is not None


async def test_what_was_sent_is_logged_and_sent_once_more(site: Site) -> None:
    name, _ = await _made(site)
    sender = site.runtime.sender
    assert isinstance(sender, MemoryWebhooks)
    await site.world.subscribe(await site.world.customer(on="2026-01-31"), "pro")
    sender.answers = [Reply(Outcome.REFUSED, 3, 500, b"no")]
    tested = await site.change(
        "testWebhookEndpoint", "... on WebhookEndpointTested { delivery { outcome type } }", site.staff(), id=name
    )
    assert tested["delivery"] == {"outcome": "REFUSED", "type": "endpoint.test"}
    await _deliver(site)
    answer = await site.read(_DELIVERIES, site.staff(), id=name)
    shown = [(each["type"], each["outcome"]) for each in answer["webhookDeliveries"]["nodes"]]
    assert shown == [("invoice.paid", "DELIVERED"), ("invoice.opened", "DELIVERED"), ("endpoint.test", "REFUSED")]
    failed = await site.read(_DELIVERIES, site.staff(), id=name, failed=True)
    assert failed["webhookDeliveries"]["nodes"] == [
        {
            "type": "endpoint.test",
            "outcome": "REFUSED",
            "status": 500,
            "excerpt": "no",
            "isReplay": False,
            "attempt": 1,
            "customerId": None,
            "number": None,
        }
    ]

    events = await site.read("{ publishedEvents(first: 100) { nodes { id type number payload } } }", site.staff())
    paid = next(each for each in events["publishedEvents"]["nodes"] if each["type"] == "invoice.paid")
    assert paid["payload"]["id"] == paid["id"]
    for given in (
        {"eventId": paid["id"]},
        {"firstNumber": paid["number"], "lastNumber": paid["number"]},
    ):
        ordered = await site.change("replayWebhookEvents", _REPLAYED, site.staff(), id=name, **given)
        assert ordered == {"__typename": "WebhookEventsReplayed", "customers": 1}
    times = {"since": "2026-01-31T00:00:00Z", "until": "2026-02-01T00:00:00Z"}
    await site.change("replayWebhookEvents", _REPLAYED, site.staff(), id=name, **times)
    before = len(sender.posted)
    assert await _waits(site) == (3, True)
    await _deliver(site)
    assert await _waits(site) == (0, False)
    # Once by its id, once by its number, and with invoice.opened by the day.
    assert len(sender.posted) - before == 4
    unclear = await site.change("replayWebhookEvents", "", site.staff(), id=name, eventId=paid["id"], **times)
    skipped = await site.change("skipWebhookEvent", _STATE, site.staff(), id=name, eventId=paid["id"])
    assert (unclear["code"], skipped["endpoint"]["waitingCustomers"]) == ("replay_refused", 0)


async def test_the_catalogue_of_events_and_versions_is_shown_to_anyone_signed_in(site: Site) -> None:
    asked = "{ webhookEventTypes { name facts } webhookSchemaVersions }"
    answer = await site.read(asked, await site.key("invoice:read"))
    assert {"name": "invoice.voided", "facts": ["invoice_id"]} in answer["webhookEventTypes"]
    assert answer["webhookSchemaVersions"] == ["2026-11-01"]


async def test_staff_see_alerts_and_the_same_trouble_is_told_once_until_it_is_read(site: Site) -> None:
    ids = await outgoing_of(site, Environment.TEST, await _customer(site))
    asked = "{ staffAlerts(unreadOnly: true) { nodes { id subject severity text about } } }"
    [alert] = (await site.read(asked, site.staff()))["staffAlerts"]["nodes"]
    assert (alert["subject"], alert["severity"]) == ("Webhook endpoint disabled: CRM", "CRITICAL")
    assert alert["about"] == ids["endpoint"]
    success = "... on StaffAlertRead { alert { readAt } }"
    for _ in range(2):
        read = await site.change("markStaffAlertRead", success, site.staff(), id=ids["staffAlert"])
        assert read["alert"]["readAt"] is not None
    assert (await site.read(asked, site.staff()))["staffAlerts"]["nodes"] == []
    await publish(site)


async def test_an_alert_is_mailed_to_each_of_the_merchants_addresses_once(site: Site) -> None:
    await outgoing_of(site, Environment.TEST, await _customer(site))
    mailer, db = site.runtime.mailer, site.runtime.db
    assert isinstance(mailer, MemoryMailer)
    async with db.transaction() as tx:
        [alert] = await staffing.list_alerts(tx, site.world.call)
    people = ["a@example.com", "b@example.com"]
    mailer.failures = [MailRefused("recipient")]
    for _ in range(2):
        await staffing.mail_alert(db, mailer, site.world.call, alert.id, recipients=people)
    [mail] = mailer.sent
    assert (mail.recipient, mail.subject) == ("b@example.com", "[critical] Webhook endpoint disabled: CRM")
    await staffing.mail_alert(db, mailer, site.world.call, StaffAlertId(make.new_id()), recipients=people)
    assert (len(mailer.sent), MailUnavailable.code) == (1, "mail_unavailable")
