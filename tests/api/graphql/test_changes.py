"""Change a subscription over GraphQL, after a look at what that would cost."""

from domain.kernel.ids import encode
from tests.api.graphql.site import Site

CHANGED = """... on SubscriptionChanged {
    subscription { quantity plan { key } waitingChanges { state } }
    creditNotes { number total { amount } lines { amount { amount } } }
    change { id state direction quantity interval effectiveAt expiresAt invoiceId plan { key } } }"""
CANCELED = "... on ScheduledChangeCanceled { subscription { waitingChanges { state } } }"
PREVIEW = """query($input: PreviewChangeInput!) { previewChange(input: $input) {
    prorationDate at direction violations { key }
    creditNotes { invoiceId offset { amount } credited { amount } lines { amount { amount } } }
    invoice { currency total { amount } lines { kind quantity amount { amount } period { start } } } } }"""
UPCOMING = "query($id: ID!) { previewInvoice(subscriptionId: $id) { at total { amount } lines { kind } } }"
START = """query($id: ID!) { previewSubscribe(customerId: $id, product: "edge", plan: "starter", interval: YEAR) {
    total { amount } } }"""
WAITING = "query($id: ID!) { subscription(id: $id) { waitingChanges { state plan { key } effectiveAt } } }"


async def test_a_member_previews_an_upgrade_and_makes_it_once(shared: Site) -> None:
    ada = await shared.world.customer(on="2026-01-31", card=None)
    started = await shared.world.subscribe(ada, "basic")
    wanted, token = encode("subscription", started.id), shared.member(ada.id)
    shown = (await shared.read(PREVIEW, token, input={"subscriptionId": wanted, "plan": "pro"}))["previewChange"]
    # The clock stands at the start: all of 29.00 is replaced by 79.00. The first invoice is not paid: nothing is due.
    assert (shown["at"], shown["direction"], shown["violations"]) == ("NOW", "UPGRADE", [])
    assert shown["invoice"]["total"] == {"amount": "79.00"}
    assert [each["offset"] for each in shown["creditNotes"]] == [{"amount": "29.00"}]
    given = {
        "subscriptionId": wanted,
        "plan": "pro",
        "prorationDate": shown["prorationDate"],
        "idempotencyKey": "up1",
    }
    first = await shared.change("changeSubscription", CHANGED, token, **given)
    assert (first["subscription"]["plan"]["key"], first["change"]["state"]) == ("pro", "APPLIED")
    [note] = first["creditNotes"]
    assert (note["total"], note["number"][:8]) == ({"amount": "29.00"}, "TEST-CN-")
    assert await shared.change("changeSubscription", CHANGED, token, **given) == first
    again = await shared.change("changeSubscription", CHANGED, token, **{**given, "idempotencyKey": "up2"})
    assert (again["__typename"], again["code"]) == ("InvalidInput", "nothing_to_change")
    other = await shared.change("changeSubscription", CHANGED, token, **{**given, "plan": "free"})
    assert other["code"] == "idempotency_conflict"


async def test_a_downgrade_waits_is_shown_and_can_be_taken_back(shared: Site) -> None:
    ada = await shared.world.customer(on="2026-01-31", card=None)
    started = await shared.world.subscribe(ada, "pro")
    wanted, token = encode("subscription", started.id), shared.member(ada.id)
    done = await shared.change(
        "changeSubscription", CHANGED, token, subscriptionId=wanted, plan="basic", idempotencyKey="down1"
    )
    assert (done["change"]["state"], done["change"]["direction"]) == ("SCHEDULED", "DOWNGRADE")
    [waiting] = (await shared.read(WAITING, token, id=wanted))["subscription"]["waitingChanges"]
    assert (waiting["state"], waiting["plan"]["key"], waiting["effectiveAt"]) == (
        "SCHEDULED",
        "basic",
        done["change"]["effectiveAt"],
    )
    next_invoice = (await shared.read(UPCOMING, token, id=wanted))["previewInvoice"]
    assert (next_invoice["total"], next_invoice["at"]) == ({"amount": "29.00"}, done["change"]["effectiveAt"])
    for _ in range(2):
        kept = await shared.change("cancelScheduledChange", CANCELED, token, subscriptionId=wanted)
        assert kept["subscription"]["waitingChanges"] == []


async def test_a_viewer_previews_and_cannot_change(shared: Site) -> None:
    ada = await shared.world.customer(on="2026-01-31", card=None)
    started = await shared.world.subscribe(ada, "basic")
    wanted, viewer = encode("subscription", started.id), shared.member(ada.id, "viewer")
    # 29.00 a month less 10 % for a year: 313.20.
    start = await shared.read(START, viewer, id=encode("customer", ada.id))
    assert start["previewSubscribe"]["total"] == {"amount": "313.20"}
    shown = await shared.read(PREVIEW, viewer, input={"subscriptionId": wanted, "plan": "pro"})
    assert shown["previewChange"]["invoice"]["total"] == {"amount": "79.00"}
    refused = await shared.change(
        "changeSubscription", CHANGED, viewer, subscriptionId=wanted, plan="pro", idempotencyKey="v1"
    )
    assert refused["code"] == "forbidden"
