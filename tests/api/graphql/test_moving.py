"""Bill days and zones through the API."""

from domain.kernel.ids import encode
from tests.api.graphql.site import Site

SHOWN = "subscription { movesAt zone fee: feePeriod { end } }"
MOVED = f"... on BillDayMoved {{ {SHOWN} }}"
KEPT = f"... on BillDayKept {{ {SHOWN} }}"
PREVIEW = "query($input: PreviewBillDayInput!) { previewBillDay(input: $input) { at total { amount } } }"
ZONE = "query($id: ID!) { customer(id: $id) { zone subscriptions { zone zoneChange { zone at } } } }"


async def test_a_member_previews_moves_and_keeps_a_bill_day(site: Site) -> None:
    ada = await site.world.customer(on="2026-04-01")
    started = await site.world.subscribe(ada, "basic")
    wanted, token = encode("subscription", started.id), site.member(ada.id)
    # Half of 29.00 taken back and 29.00 charged on the 16th.
    shown = (await site.read(PREVIEW, token, input={"subscriptionId": wanted, "day": 16}))["previewBillDay"]
    assert shown == {"at": "2026-04-16T00:00:00Z", "total": {"amount": "14.50"}}
    for _ in range(2):
        done = await site.change("moveBillDay", MOVED, token, subscriptionId=wanted, day=16, idempotencyKey="one")
        assert done["subscription"]["movesAt"] == "2026-04-16T00:00:00Z"
    kept = await site.change("keepBillDay", KEPT, token, subscriptionId=wanted)
    assert kept["subscription"]["movesAt"] is None
    refused = await site.change("moveBillDay", MOVED, token, subscriptionId=wanted, idempotencyKey="two")
    assert refused["code"] == "bill_day_out_of_bounds"


async def test_a_zone_that_waits_for_a_boundary_is_shown(site: Site) -> None:
    ada = await site.world.customer(on="2026-04-01", card=None)
    await site.world.subscribe(ada, "basic")
    own, token = encode("customer", ada.id), site.member(ada.id)
    done = await site.change("changeZone", "... on ZoneChanged { zone }", token, customerId=own, zone="Asia/Kolkata")
    assert done["zone"] == "Asia/Kolkata"
    found = (await site.read(ZONE, token, id=own))["customer"]
    assert found["zone"] == "Asia/Kolkata"
    assert found["subscriptions"] == [
        {"zone": "UTC", "zoneChange": {"zone": "Asia/Kolkata", "at": "2026-05-01T00:00:00Z"}}
    ]
    refused = await site.change(
        "changeZone", "... on ZoneChanged { zone }", token, customerId=own, zone="Europe/Atlantis"
    )
    assert refused["code"] == "zone_unknown"
