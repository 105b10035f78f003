"""Staff see metered calls whose usage nobody told, and settle them late with the product's key."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from domain.alerts.unsettled import service as telling
from domain.kernel.ids import encode
from domain.limits.reservation import Reservation, is_metered, name_of
from domain.limits.settling import store
from tests import make
from tests.api.graphql.site import Site
from tollgate_meter.tolls import EVENT_TYPE, new_hold_id

_LIST = """query($of: ID) { unsettledReservations(customerId: $of) { nodes {
    id customerId subscriptionId type reservedAt expiredAt foundAt costAtMost { amount currency } } } }"""
_SETTLED = "... on ReservationSettled { status overrun }"
_FORBIDDEN = "{ unsettledReservations { nodes { id } } }"


async def test_staff_see_what_nobody_told_and_settle_it_late(site: Site) -> None:
    world, hold_id = site.world, new_hold_id()
    assert is_metered(hold_id)
    ada, bob = await world.customer(on="2026-04-01"), await world.customer(on="2026-04-01")
    own = await world.subscribe(ada, "pro")
    now = world.call.at
    begun, ended = now - timedelta(minutes=16), now - timedelta(minutes=6)
    name = name_of(ada.id, EVENT_TYPE, "llm", hold_id)
    lost = Reservation(name, own.id, EVENT_TYPE, begun, begun, ended, cost=Decimal("0.0125"), is_metered=True)
    async with site.runtime.db.transaction() as tx:
        await store.save_held(tx, make.new_id(), [lost])
    async with site.runtime.db.transaction() as tx:
        await telling.tell(tx, replace(world.call, at=now))
    finance = site.staff("finance")
    [seen] = (await site.read(_LIST, finance))["unsettledReservations"]["nodes"]
    customer = encode("customer", ada.id)
    assert (seen["id"], seen["customerId"], seen["type"]) == (name.text, customer, "llm.call")
    assert seen["costAtMost"] == {"amount": "0.0125", "currency": "USD"}
    assert (seen["reservedAt"], seen["expiredAt"], seen["foundAt"]) == tuple(
        each.isoformat().replace("+00:00", "Z") for each in (begun, ended, now)
    )
    elsewhere = await site.read(_LIST, finance, of=encode("customer", bob.id))
    assert elsewhere["unsettledReservations"]["nodes"] == []
    [alert] = (await site.read("{ staffAlerts { nodes { kind about text } } }", finance))["staffAlerts"]["nodes"]
    assert (alert["kind"], alert["about"]) == ("usage_unsettled", f"{customer}:{now.date()}")
    assert "(1, found on" in alert["text"]
    assert "at most 0.0125 USD at list prices" in alert["text"]
    # The customer does not see it, nor staff who are not told of such things.
    for stranger in (site.member(ada.id, "owner"), site.staff("viewer")):
        answer = await site.run(_FORBIDDEN, stranger)
        assert answer["errors"][0]["extensions"]["code"] == "forbidden"
    key = await site.key("limit:check", "usage:write", product="llm")
    used = {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 1000, "output_tokens": 100}
    settled = await site.change("settleReservation", _SETTLED, key, id=name.text, status="ESTIMATED", properties=used)
    assert (settled["status"], settled["overrun"]) == ("COUNTED", True)
    assert (await site.read(_LIST, finance))["unsettledReservations"]["nodes"] == []
