"""A plan that is not sold any more: nobody takes it, who has it keeps it, and it can be taken back."""

from typing import Any

from domain.kernel.ids import CustomerId, encode
from tests.api.graphql.site import Site

_ARCHIVED = "... on PlansArchived { plans { key archivedAt } }"
_RESTORED = "... on PlansRestored { plans { key archivedAt } }"
_STARTED = "... on SubscriptionStarted { subscription { id } }"
_CHANGED = "... on SubscriptionChanged { subscription { quantity plan { key archivedAt } } }"
_SOLD = "{ products { key plans { key } } }"
_ALL = """query($archived: Boolean!) { products { key plans(archived: $archived) { key archivedAt
    versions { number liveSubscriptions(environment: TEST) } } } }"""
_AUDIT = "{ auditEntries { nodes { action facts } } }"


def _keys(answer: Any, product: str) -> list[str]:
    return next([plan["key"] for plan in each["plans"]] for each in answer["products"] if each["key"] == product)


def _wish(customer_id: CustomerId, plan: str, key: str) -> dict[str, Any]:
    named = {"customerId": encode("customer", customer_id), "product": "llm", "plan": plan}
    return {**named, "interval": "MONTH", "idempotencyKey": key}


async def test_an_archived_plan_is_taken_by_nobody_and_kept_by_who_has_it(site: Site) -> None:
    world, finance = site.world, site.staff("finance")
    ada, bob = await world.customer(on="2026-01-31"), await world.customer(on="2026-01-31")
    adas, bobs = await world.subscribe(ada, "basic"), await world.subscribe(bob, "pro")

    done = await site.change("archivePlans", _ARCHIVED, finance, product="llm", plans=["basic"])
    assert [(each["key"], each["archivedAt"] is None) for each in done["plans"]] == [("basic", False)]
    assert await site.change("archivePlans", _ARCHIVED, finance, product="llm", plans=["basic"]) == done
    # It is in no list of what is sold, and staff find it all the same.
    own = site.member(bob.id)
    assert _keys(await site.read(_SOLD, own), "llm") == ["free", "pro", "enterprise"]
    assert _keys(await site.read(_ALL, finance, archived=True), "llm") == ["free", "basic", "pro", "enterprise"]
    plans = await site.client.get("/api/subscription/plans", headers={"Authorization": f"Bearer {own}"})
    assert "basic" not in plans.text
    assert "enterprise" in plans.text

    # Nobody takes it: not by subscribing, now or later, and not by a change.
    eve = await world.customer(on="2026-01-31")
    refused = await site.change("subscribe", _STARTED, site.member(eve.id), **_wish(eve.id, "basic", "s1"))
    assert (refused["__typename"], refused["code"]) == ("Conflict", "plan_archived")
    later = {**_wish(eve.id, "basic", "s2"), "startsAt": "2026-03-01T00:00:00Z"}
    scheduled = await site.change("scheduleSubscription", "", site.member(eve.id), **later)
    assert scheduled["code"] == "plan_archived"
    down = {"subscriptionId": encode("subscription", bobs.id), "plan": "basic", "idempotencyKey": "c1"}
    assert (await site.change("changeSubscription", _CHANGED, own, **down))["code"] == "plan_archived"

    # Ada keeps it: she takes another quantity of it, and it renews.
    more = {"subscriptionId": encode("subscription", adas.id), "quantity": 2, "idempotencyKey": "c2"}
    changed = await site.change("changeSubscription", _CHANGED, site.member(ada.id), **more)
    assert changed["subscription"]["plan"] == {"key": "basic", "archivedAt": done["plans"][0]["archivedAt"]}
    await world.advance(to="2026-03-01")
    assert (await world.subscription(adas)).status == "active"
    assert (await world.subscription(adas)).fee_period.start == (await world.subscription(bobs)).fee_period.start

    restored = await site.change("restorePlans", _RESTORED, finance, product="llm")
    assert {each["archivedAt"] for each in restored["plans"]} == {None}
    started = await site.change("subscribe", _STARTED, site.member(eve.id), **_wish(eve.id, "basic", "s3"))
    assert started["__typename"] == "SubscriptionStarted"
    # What changed nothing is not noted: the second time, and the plans that were sold all along.
    noted = (await site.read(_AUDIT, site.staff()))["auditEntries"]["nodes"]
    assert [each["facts"] for each in noted if each["action"] in {"archive_plan", "restore_plan"}] == [
        {"product": "llm", "key": "basic"}
    ] * 2


async def test_only_who_writes_the_catalogue_archives_and_of_what_there_is_not_nothing_is(site: Site) -> None:
    for role in ("support", "viewer"):
        refused = await site.change("archivePlans", _ARCHIVED, site.staff(role), product="llm")
        assert refused["code"] == "forbidden"
    unknown = await site.change("archivePlans", _ARCHIVED, site.staff(), product="llm", plans=["pro", "toy"])
    assert unknown["code"] == "plan_not_found"
    assert _keys(await site.read(_SOLD, site.staff()), "llm") == ["free", "basic", "pro", "enterprise"]
    whole = await site.change("archivePlans", _ARCHIVED, site.staff(), product="llm")
    assert len(whole["plans"]) == 4
    assert _keys(await site.read(_SOLD, site.staff()), "llm") == []


async def test_versions_of_a_plan_are_shown_with_how_many_are_on_each(site: Site) -> None:
    world, finance = site.world, site.staff("finance")
    ada, bob = await world.customer(on="2026-01-31"), await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")
    written = (await site.read('{ productDefinition(product: "llm") }', finance))["productDefinition"]
    other = written.replace('"79', '"89')
    published = "... on ProductPublished { plans { plan version } }"
    await site.change("publishProduct", published, finance, definition=other)
    await world.subscribe(bob, "pro")
    [pro] = [
        plan
        for each in (await site.read(_ALL, finance, archived=False))["products"]
        for plan in each["plans"]
        if plan["key"] == "pro"
    ]
    assert pro["versions"] == [{"number": 2, "liveSubscriptions": 1}, {"number": 1, "liveSubscriptions": 1}]
    # Customers are shown what is sold, not what it has cost before.
    answer = await site.run(_ALL, site.member(ada.id), archived=False)
    assert {each["extensions"]["code"] for each in answer["errors"]} == {"forbidden"}
