"""Billing changes take a second factor, whatever the way in."""

from typing import Any

from domain.kernel.ids import encode
from tests.api.graphql.site import Site


async def test_a_member_without_a_second_factor_reads_and_changes_nothing(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-01")
    started = await site.world.subscribe(ada, "pro")
    customer = encode("customer", ada.id)
    who: dict[str, Any] = {"kind": "member", "role": "owner", "env": "test", "customer": customer}
    weak, strong = site.token(factors=["pwd"], **who), site.token(**who)

    answer = await site.client.get("/api/billing/subscription?product=llm", headers={"Authorization": f"Bearer {weak}"})
    assert (answer.status_code, answer.json()["status"]) == (200, "active")
    refused = await site.post({}, weak, path="/api/billing/cancel?product=llm")
    assert (refused.status_code, refused.json()["code"]) == (403, "second_factor_required")
    wish = {"subscriptionId": encode("subscription", started.id), "idempotencyKey": "1"}
    cancelled = "... on SubscriptionCancelled { subscription { id } }"
    said = await site.change("cancelSubscription", cancelled, weak, **wish)
    assert (said["__typename"], said["code"]) == ("NotPermitted", "second_factor_required")
    assert (await site.world.subscription(started)).cancel_at is None

    viewer = (await site.read("{ viewer { permissions permissionsWithheld } }", weak))["viewer"]
    assert "subscription:write" in viewer["permissionsWithheld"]
    assert "subscription:write" not in viewer["permissions"]
    assert (await site.post({}, strong, path="/api/billing/cancel?product=llm")).status_code == 200
    assert (await site.world.subscription(started)).cancel_at is not None


async def test_staff_without_a_second_factor_read_and_a_key_is_not_asked(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-01")
    new = {"environment": "TEST", "name": "Bob", "email": "bob@example.com"}
    created = "... on CustomerCreated { customer { name } }"
    weak = site.token(factors=[], kind="staff", role="admin")
    assert (await site.change("createCustomer", created, weak, **new))["code"] == "second_factor_required"
    found = await site.read("query($id: ID!) { customer(id: $id) { name } }", weak, id=encode("customer", ada.id))
    assert found["customer"] == {"name": ada.name}
    key = await site.key("customer:write", "customer:read")
    assert (await site.change("createCustomer", created, key, **new))["customer"] == {"name": "Bob"}
