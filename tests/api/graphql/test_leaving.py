"""Why customers leave is read by staff in the customers' own words, and by a customer of itself alone."""

from typing import Any

from domain.kernel.ids import encode
from domain.subscriptions.subscription import Subscription
from tests.api.graphql.site import Site

_CANCELLED = "... on SubscriptionCancelled { subscription { id } }"
_ENDS = """query($filter: CancellationFilter, $after: String) {
  cancellations(filter: $filter, first: 2, after: $after) {
    nodes { customerId subscriptionId askedAt endsAt reason feedback plan { key } }
    pageInfo { hasNextPage endCursor } }
  cancellationReasons(filter: $filter) { reason count } }"""


async def _cancel(site: Site, of: Subscription, **said: str) -> None:
    name = encode("subscription", of.id)
    done = await site.change(
        "cancelSubscription", _CANCELLED, site.staff(), subscriptionId=name, idempotencyKey=name, **said
    )
    assert done["__typename"] == "SubscriptionCancelled"


async def _three_ends(site: Site) -> list[Subscription]:
    """Have three of four leave: two of them as it is too dear, one without a word; the fourth comes back."""
    world = site.world
    begun = [await world.subscribe(await world.customer(on="2026-01-01"), plan) for plan in ("basic", "pro", "pro")]
    await _cancel(site, begun[0], reason="TOO_EXPENSIVE", feedback="29 is a lot, für mich")
    await world.advance(to="2026-01-10")
    await _cancel(site, begun[1], reason="TOO_EXPENSIVE")
    await _cancel(site, begun[2])
    back = await world.subscribe(await world.customer(on="2026-01-01"), "basic")
    await _cancel(site, back, reason="OTHER")
    undone = {"subscriptionId": encode("subscription", back.id)}
    taken_back = "... on SubscriptionKept { subscription { id } }"
    await site.change("undoCancelSubscription", taken_back, site.staff(), **undone)
    return begun


async def test_staff_read_who_leaves_and_why(site: Site) -> None:
    first, second, third = await _three_ends(site)
    found = await site.read(_ENDS, site.staff("viewer"))
    page = found["cancellations"]
    assert [each["subscriptionId"] for each in page["nodes"]] == [
        encode("subscription", each.id) for each in (third, second)
    ]
    assert found["cancellationReasons"] == [{"reason": "TOO_EXPENSIVE", "count": 2}, {"reason": None, "count": 1}]
    last = await site.read(_ENDS, site.staff("viewer"), after=page["pageInfo"]["endCursor"])
    assert last["cancellations"]["nodes"] == [
        {
            "customerId": encode("customer", first.customer_id),
            "subscriptionId": encode("subscription", first.id),
            "askedAt": "2026-01-01T00:00:00Z",
            "endsAt": "2026-02-01T00:00:00Z",
            "reason": "TOO_EXPENSIVE",
            "feedback": "29 is a lot, für mich",
            "plan": {"key": "basic"},
        }
    ]
    early: dict[str, Any] = {"askedBefore": "2026-01-10T00:00:00Z", "environment": "TEST"}
    narrowed = await site.read(_ENDS, site.staff("viewer"), filter=early)
    assert narrowed["cancellationReasons"] == [{"reason": "TOO_EXPENSIVE", "count": 1}]
    live = await site.read(_ENDS, site.staff("viewer"), filter={"environment": "LIVE"})
    assert (live["cancellations"]["nodes"], live["cancellationReasons"]) == ([], [])


async def test_a_member_reads_its_own_ends_alone(site: Site) -> None:
    first, _, _ = await _three_ends(site)
    own = await site.read(_ENDS, site.member(first.customer_id))
    assert [each["feedback"] for each in own["cancellations"]["nodes"]] == ["29 is a lot, für mich"]
    assert own["cancellationReasons"] == [{"reason": "TOO_EXPENSIVE", "count": 1}]
    at = "2026-01-10T00:00:00Z"
    refused = await site.run(_ENDS, site.staff("viewer"), filter={"askedFrom": at, "askedBefore": at})
    assert {each["extensions"]["code"] for each in refused["errors"]} == {"leaving_refused"}
