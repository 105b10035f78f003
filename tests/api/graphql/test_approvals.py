"""Enterprise of the edge product: one asks for it, another one approves, and only then can it be chosen."""

from typing import Any

import pytest

from domain.customers.customer import Customer
from domain.kernel.ids import encode
from tests.api.graphql.site import Site

_REQUESTED = "... on PlanRequested { product plan }"
_STARTED = "... on SubscriptionStarted { subscription { id plan { key version { number } } } }"
_CHANGED = "... on SubscriptionChanged { change { state } }"
_SCHEDULED = "... on SubscriptionScheduled { start { state } }"
_PUBLISHED = "... on CustomVersionPublished { plan { key } }"
_ENTERPRISE = {"product": "edge", "plan": "enterprise", "interval": "MONTH"}
_TERMS = (
    '{"prices": [{"key": "fee_month_usd", "kind": "fee", "currency": "USD", "interval": "month", "model": "flat", '
    '"definition": {"amount": "450.00"}, "description": "Negotiated fee"}]}'
)


async def _subscribe(site: Site, token: str, who: Customer, key: str) -> Any:
    customer = encode("customer", who.id)
    return await site.change("subscribe", _STARTED, token, customerId=customer, **_ENTERPRISE, idempotencyKey=key)


async def _alerts(site: Site) -> list[Any]:
    found = await site.read("{ staffAlerts(first: 10) { nodes { kind subject text } } }", site.staff("finance"))
    return [each for each in found["staffAlerts"]["nodes"] if each["kind"] == "plan_requested"]


async def test_a_customer_chooses_enterprise_once_its_terms_are_agreed(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-01")
    customer, owner = encode("customer", ada.id), site.member(ada.id)
    assert (await _subscribe(site, owner, ada, "1"))["code"] == "approval_needed"
    wish = {"customerId": customer, "product": "edge", "plan": "enterprise"}
    for _ in range(2):
        asked = await site.change("requestPlan", _REQUESTED, owner, **wish)
        assert asked == {"__typename": "PlanRequested", "product": "edge", "plan": "enterprise"}
    [alert] = await _alerts(site)
    assert alert["subject"] == f"A customer asks for enterprise: {customer}"

    finance = site.staff("finance")
    published = await site.change("publishCustomVersion", _PUBLISHED, finance, **wish, terms=_TERMS)
    assert published["plan"] == {"key": "enterprise"}
    assert (await _subscribe(site, owner, ada, "2"))["subscription"]["plan"]["key"] == "enterprise"
    await site.world.drain()
    [invoice] = await site.world.invoices(ada)
    assert invoice.total.major == "450.00"
    # What was agreed need not be asked for again.
    assert (await site.change("requestPlan", _REQUESTED, owner, **wish))["code"] == "approval_not_needed"


async def test_no_way_leads_to_enterprise_without_an_approval(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-01")
    started = await site.world.subscribe(ada, "starter", product="edge")
    customer, owner = encode("customer", ada.id), site.member(ada.id)
    wish: dict[str, Any] = {"subscriptionId": encode("subscription", started.id), "plan": "enterprise"}
    for at in ("NOW", "PERIOD_END"):
        refused = await site.change("changeSubscription", _CHANGED, owner, **wish, at=at, idempotencyKey=at)
        assert refused["code"] == "approval_needed"
    later = {"customerId": customer, **_ENTERPRISE, "startsAt": "2026-03-01T00:00:00Z", "idempotencyKey": "later"}
    assert (await site.change("scheduleSubscription", _SCHEDULED, owner, **later))["code"] == "approval_needed"
    listed = await site.client.get("/api/billing/plans", headers={"Authorization": f"Bearer {owner}"})
    assert [each["key"] for each in listed.json()["plans"] if each["on_approval"]] == ["enterprise"]
    answer = await site.client.put(
        "/api/billing/subscription", json={"plan": "enterprise"}, headers={"Authorization": f"Bearer {owner}"}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "approval_needed")
    # Support may subscribe customers, and approves nothing.
    support = await site.change("changeSubscription", _CHANGED, site.staff("support"), **wish, idempotencyKey="s")
    assert support["code"] == "approval_needed"
    assert (await site.world.subscription(started)).plan_version_id == started.plan_version_id
    done = await site.change("changeSubscription", _CHANGED, site.staff("finance"), **wish, idempotencyKey="f")
    assert done["__typename"] == "SubscriptionChanged"


async def test_who_asks_for_a_plan_that_is_not_sold_any_more_is_told_so(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-01")
    owner = site.member(ada.id)
    archived = "... on PlansArchived { plans { key } }"
    await site.change("archivePlans", archived, site.staff("admin"), product="edge", plans=["enterprise"])
    wish = {"customerId": encode("customer", ada.id), "product": "edge", "plan": "enterprise"}
    assert (await site.change("requestPlan", _REQUESTED, owner, **wish))["code"] == "plan_archived"
    assert (await _subscribe(site, owner, ada, "1"))["code"] == "plan_archived"
    assert await _alerts(site) == []


@pytest.mark.parametrize("plan", ["starter", "unknown"])
async def test_only_plans_on_approval_are_asked_for(site: Site, plan: str) -> None:
    ada, bob = await site.world.customer(on="2026-01-01"), await site.world.customer(on="2026-01-01")
    wish = {"customerId": encode("customer", ada.id), "product": "edge", "plan": plan}
    code = {"starter": "approval_not_needed", "unknown": "plan_not_found"}[plan]
    assert (await site.change("requestPlan", _REQUESTED, site.member(ada.id), **wish))["code"] == code
    of_another = await site.change("requestPlan", _REQUESTED, site.member(bob.id), **wish)
    assert of_another["code"] == "customer_not_found"
    assert await _alerts(site) == []
