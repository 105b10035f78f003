"""Starts of subscriptions that lie ahead, through the API."""

from domain.kernel.ids import encode
from tests.api.graphql.site import Site

START = """start { id state startsAt product plan { key } interval currency trialDays billDay calendar promotionCode
    quantity subscriptionId refusal askedAt }"""
KEPT = f"... on SubscriptionScheduled {{ {START} }}"
LISTED = """query($id: ID!) { customer(id: $id) {
    scheduledStarts { id state subscriptionId refusal } subscriptions { id startedAt quantity } } }"""
PREVIEW = """query($id: ID!, $at: DateTime) {
    previewSubscribe(customerId: $id, product: "llm", plan: "basic", interval: MONTH, startsAt: $at, quantity: 2) {
        at total { amount } } }"""


async def test_a_member_schedules_a_start_that_then_begins_by_itself(site: Site) -> None:
    ada = await site.world.customer(on="2026-04-01")
    own, token = encode("customer", ada.id), site.member(ada.id)
    shown = (await site.read(PREVIEW, token, id=own, at="2026-04-10T00:00:00Z"))["previewSubscribe"]
    assert shown == {"at": "2026-04-10T00:00:00Z", "total": {"amount": "29.00"}}
    wish = {"customerId": own, "product": "llm", "plan": "basic", "interval": "MONTH", "idempotencyKey": "one"}
    for _ in range(2):
        kept = await site.change("scheduleSubscription", KEPT, token, **wish, startsAt="2026-04-05T00:00:00Z")
    start = kept["start"]
    assert start == {
        "id": start["id"],
        "state": "SCHEDULED",
        "startsAt": "2026-04-05T00:00:00Z",
        "product": "llm",
        "plan": {"key": "basic"},
        "interval": "MONTH",
        "currency": "USD",
        "trialDays": None,
        "billDay": None,
        "calendar": False,
        "promotionCode": None,
        "quantity": 1,
        "subscriptionId": None,
        "refusal": None,
        "askedAt": "2026-04-01T00:00:00Z",
    }
    moved = await site.change(
        "changeScheduledStart",
        f"... on ScheduledStartChanged {{ {START} }}",
        token,
        startId=start["id"],
        plan="basic",
        interval="MONTH",
        startsAt="2026-04-10T00:00:00Z",
        quantity=2,
    )
    assert (moved["start"]["startsAt"], moved["start"]["quantity"]) == ("2026-04-10T00:00:00Z", 2)
    await site.world.advance(to="2026-04-12")
    found = (await site.read(LISTED, token, id=own))["customer"]
    [subscription] = found["subscriptions"]
    # The fee of this plan is flat: two units cost what one does.
    assert (subscription["startedAt"], subscription["quantity"]) == ("2026-04-10T00:00:00Z", 2)
    assert found["scheduledStarts"] == [
        {"id": start["id"], "state": "STARTED", "subscriptionId": subscription["id"], "refusal": None}
    ]
    [invoice] = await site.world.invoices(ada)
    assert (invoice.state, invoice.total.minor) == ("paid", 2900)


async def test_a_start_that_is_refused_is_told_to_staff_and_one_that_is_cancelled_does_not_come(site: Site) -> None:
    ada = await site.world.customer(on="2026-04-01")
    own, token = encode("customer", ada.id), site.member(ada.id)
    wish = {"customerId": own, "plan": "free", "interval": "MONTH", "startsAt": "2026-04-10T00:00:00Z"}
    ids = [
        (await site.change("scheduleSubscription", KEPT, token, **wish, product=product, idempotencyKey=product))[
            "start"
        ]["id"]
        for product in ("edge", "llm")
    ]
    for _ in range(2):
        done = await site.change(
            "cancelScheduledStart", f"... on ScheduledStartCanceled {{ {START} }}", token, startId=ids[0]
        )
        assert done["start"]["state"] == "CANCELED"
    await site.world.subscribe(ada, "basic")
    await site.world.advance(to="2026-04-12")
    found = (await site.read(LISTED, token, id=own))["customer"]
    assert [(each["id"], each["state"], each["refusal"]) for each in found["scheduledStarts"]] == [
        (ids[1], "REFUSED", "already_subscribed"),
        (ids[0], "CANCELED", None),
    ]
    assert len(found["subscriptions"]) == 1
    asked = "{ staffAlerts(unreadOnly: true) { nodes { subject text about } } }"
    [alert] = (await site.read(asked, site.staff()))["staffAlerts"]["nodes"]
    assert (alert["about"], alert["subject"]) == (ids[1], f"A scheduled subscription did not start: {own}")
    assert "already_subscribed" in alert["text"]
