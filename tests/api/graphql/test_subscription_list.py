"""Staff find the subscriptions of all customers by what is known of them, and count them."""

from typing import Any

from domain.kernel.ids import encode
from tests.api.graphql.site import Site

_FIND = """query($filter: SubscriptionFilter, $first: Int! = 20, $after: String) {
    subscriptions(filter: $filter, first: $first, after: $after) { nodes { customerId plan { key version { id } }
    customer { id } } pageInfo { hasNextPage endCursor } } }"""
_COUNT = """query($filter: SubscriptionFilter) { subscriptionTotals(filter: $filter) {
    environment product plan interval currency status count quantity } }"""
_CANCELLED = "... on SubscriptionCancelled { subscription { cancelAt } }"


async def _plans(site: Site, token: str, **wanted: Any) -> list[str]:
    found = (await site.read(_FIND, token, filter=wanted))["subscriptions"]["nodes"]
    assert all(each["customer"]["id"] == each["customerId"] for each in found)
    return [each["plan"]["key"] for each in found]


async def test_subscriptions_of_all_customers_are_found_and_counted(site: Site) -> None:
    world, support = site.world, site.staff("support")
    ada, bob, eve = [await world.customer(on="2026-01-31") for _ in range(3)]
    await world.subscribe(ada, "pro")
    await world.subscribe(ada, "starter", product="edge")
    leaving = await world.subscribe(bob, "pro")
    await world.subscribe(eve, "free", product="edge")
    await world.cancel(leaving)

    assert await _plans(site, support) == ["free", "pro", "starter", "pro"]
    assert await _plans(site, support, product="edge") == ["free", "starter"]
    assert await _plans(site, support, product="llm", plan="pro") == ["pro", "pro"]
    assert await _plans(site, support, product="edge", plan="professional") == []
    assert await _plans(site, support, customerId=encode("customer", ada.id)) == ["starter", "pro"]
    assert await _plans(site, support, statuses=["PAST_DUE", "UNPAID"]) == []
    assert await _plans(site, support, statuses=["ACTIVE"], interval="YEAR") == []
    assert await _plans(site, support, environment="LIVE") == []
    assert await _plans(site, support, currency="EUR") == []
    # Bob's ends on 28 February, where the fees of the others are due again.
    february = {"start": "2026-02-01T00:00:00Z", "end": "2026-03-01T00:00:00Z"}
    assert await _plans(site, support, ends=february) == ["pro"]
    assert await _plans(site, support, renews=february) == ["free", "starter", "pro"]
    assert await _plans(site, support, started=february) == []
    assert await _plans(site, support, trialEnds=february) == []
    [bobs] = (await site.read(_FIND, support, filter={"ends": february}))["subscriptions"]["nodes"]
    assert bobs["customerId"] == encode("customer", bob.id)
    assert await _plans(site, support, versionId=bobs["plan"]["version"]["id"]) == ["pro", "pro"]

    paged, after = [], None
    for _ in range(4):
        found = (await site.read(_FIND, support, first=1, after=after))["subscriptions"]
        paged += found["nodes"]
        after = found["pageInfo"]["endCursor"]
    assert (paged, found["pageInfo"]["hasNextPage"]) == (
        (await site.read(_FIND, support))["subscriptions"]["nodes"],
        False,
    )

    same = {"environment": "TEST", "interval": "MONTH", "currency": "USD", "status": "ACTIVE"}
    assert (await site.read(_COUNT, support))["subscriptionTotals"] == [
        {**same, "product": "edge", "plan": "free", "count": 1, "quantity": 1},
        {**same, "product": "edge", "plan": "starter", "count": 1, "quantity": 1},
        {**same, "product": "llm", "plan": "pro", "count": 2, "quantity": 2},
    ]
    assert (await site.read(_COUNT, support, filter={"plan": "pro", "product": "llm", "ends": february}))[
        "subscriptionTotals"
    ] == [{**same, "product": "llm", "plan": "pro", "count": 1, "quantity": 1}]


async def test_nonsense_is_refused_and_a_member_finds_its_own_subscriptions_only(site: Site) -> None:
    ada, bob = await site.world.customer(on="2026-01-31"), await site.world.customer(on="2026-01-31")
    await site.world.subscribe(ada, "pro")
    await site.world.subscribe(bob, "basic")
    backwards = {"start": "2026-02-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}
    for wanted, code in (
        ({"plan": "pro"}, "subscription_filter_refused"),
        ({"started": backwards}, "subscription_filter_refused"),
        ({"renews": backwards}, "subscription_filter_refused"),
        ({"currency": "dollars"}, "currency_unknown"),
        ({"product": "toys"}, "product_not_found"),
        ({"product": "llm", "plan": "toys"}, "plan_not_found"),
        ({"customerId": f"cus_{'0' * 26}"}, "customer_not_found"),
        ({"versionId": "plv_1"}, "id_malformed"),
    ):
        for document in (_FIND, _COUNT):
            answer = await site.run(document, site.staff("viewer"), filter=wanted)
            assert [each["extensions"]["code"] for each in answer["errors"]] == [code], wanted

    member = site.member(ada.id, "viewer")
    assert await _plans(site, member) == ["pro"]
    assert [(each["plan"], each["count"]) for each in (await site.read(_COUNT, member))["subscriptionTotals"]] == [
        ("pro", 1)
    ]
    foreign = await site.run(_FIND, member, filter={"customerId": encode("customer", bob.id)})
    assert [each["extensions"]["code"] for each in foreign["errors"]] == ["customer_not_found"]
