"""Limits over GraphQL: checks and reservations by a product, decisions explained, overrides by staff."""

from typing import Any

from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.kernel.call import Environment
from domain.kernel.ids import encode
from tests.api.graphql.site import Site

CHECK = """query($id: ID!, $properties: JSON) {
    checkLimit(customerId: $id, type: "llm.call", properties: $properties) {
        allowed decisionId code plan refused { key used bound asked } limits { key used held asked state } } }"""
HELD = "... on UsageReserved { id isNew limits { key asked } } ... on LimitReached { decisionId }"


async def subscriber(site: Site) -> Customer:
    """Make a test customer on the free plan of the LLM product."""
    async with site.runtime.db.transaction() as tx:
        made = await customers.create_customer(
            tx, site.world.call, environment=Environment.TEST, name="Ada", email="ada@example.com"
        )
    await site.world.subscribe(made, "free")
    return made


def tokens(count: int) -> dict[str, Any]:
    """Write the properties of a call."""
    return {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": count}


async def test_a_refusal_is_explained_later_to_whoever_may_see_the_customer(shared: Site) -> None:
    ada, bob = await subscriber(shared), await subscriber(shared)
    token = await shared.key("limit:check", "usage:write", product="llm")
    name = encode("customer", ada.id)
    found = (await shared.read(CHECK, token, id=name, properties=tokens(600_000)))["checkLimit"]
    assert (found["allowed"], found["code"], found["plan"]) == (False, "limit_reached", "basic")
    # The free plan has 500,000 tokens.
    assert found["refused"] == {"key": "tokens", "used": "0", "bound": "500000", "asked": "600000"}
    explain = "query($id: ID!) { decision(id: $id) { allowed rule askedBy customerId limits { key asked } } }"
    for reader in (shared.staff("viewer"), shared.member(ada.id)):
        kept = (await shared.read(explain, reader, id=found["decisionId"]))["decision"]
        assert (kept["allowed"], kept["rule"], kept["askedBy"], kept["customerId"]) == (False, "tokens", "check", name)
        assert {"key": "tokens", "asked": "600000"} in kept["limits"]
    assert (await shared.read(explain, shared.member(bob.id), id=found["decisionId"]))["decision"] is None


async def test_a_reservation_is_held_extended_settled_and_released(shared: Site) -> None:
    ada = await subscriber(shared)
    token = await shared.key("limit:check", "usage:write", product="llm")
    given = {"customerId": encode("customer", ada.id), "type": "llm.call"}
    held = await shared.change("reserveUsage", HELD, token, id="a", properties=tokens(400_000), **given)
    assert (held["__typename"], held["isNew"]) == ("UsageReserved", True)
    refused = await shared.change("reserveUsage", HELD, token, id="b", properties=tokens(100_001), **given)
    assert (refused["__typename"], refused["code"], refused["decisionId"][:4]) == (
        "LimitReached",
        "limit_reached",
        "dec_",
    )
    other = await shared.change("reserveUsage", HELD, token, id="a", properties=tokens(1), **given)
    assert other["code"] == "reservation_conflict"
    longer = await shared.change("extendReservation", "... on ReservationExtended { id }", token, id=held["id"])
    assert longer["id"] == held["id"]
    settled = await shared.change(
        "settleReservation",
        "... on ReservationSettled { status overrun }",
        token,
        id=held["id"],
        status="MEASURED",
        properties=tokens(300_000),
    )
    assert (settled["status"], settled["overrun"]) == ("COUNTED", False)
    released = await shared.change("releaseReservation", "... on ReservationReleased { wasHeld }", token, id=held["id"])
    assert released["wasHeld"] is False
    usage = "query($id: ID!) { usage(customerId: $id) { subscriptions { limits { key used } } } }"
    found = (await shared.read(usage, shared.staff(), id=given["customerId"]))["usage"]["subscriptions"][0]["limits"]
    assert {"key": "tokens", "used": "300000"} in found


async def test_staff_grant_another_amount_and_everyone_goes_by_it(shared: Site) -> None:
    ada = await subscriber(shared)
    token = await shared.key("limit:check", "usage:write", product="llm")
    name, success = encode("customer", ada.id), "... on LimitOverrideSet { override { id key amount } }"
    given = {"customerId": name, "product": "llm", "key": "tokens", "reason": "agreed"}
    made = await shared.change("setLimitOverride", success, shared.staff("finance"), amount="1000", **given)
    assert (made["override"]["key"], made["override"]["amount"]) == ("tokens", "1000")
    found = (await shared.read(CHECK, token, id=name, properties=tokens(1_001)))["checkLimit"]
    assert (found["allowed"], found["refused"]["bound"]) == (False, "1000")
    usage = "query($id: ID!) { usage(customerId: $id) { subscriptions { limits { key limit } } } }"
    shown = (await shared.read(usage, shared.member(ada.id), id=name))["usage"]["subscriptions"][0]["limits"]
    assert {"key": "tokens", "limit": "1000"} in shown
    listed = "query($id: ID!) { limitOverrides(customerId: $id) { id amount reason } }"
    own = (await shared.read(listed, shared.member(ada.id), id=name))["limitOverrides"]
    assert own == [{"id": made["override"]["id"], "amount": "1000", "reason": "agreed"}]


async def test_what_cannot_be_granted_is_refused(shared: Site) -> None:
    ada = await subscriber(shared)
    given: dict[str, Any] = {"customerId": encode("customer", ada.id), "product": "llm", "key": "tokens"}

    async def code(by: str, **more: Any) -> str:
        answer = await shared.change("setLimitOverride", "", by, **{**given, "reason": "agreed", **more})
        return str(answer["code"])

    admin = shared.staff()
    assert await code(shared.staff("support"), amount="1") == "forbidden"
    assert await code(shared.member(ada.id), amount="1") == "forbidden"
    assert await code(admin) == "amount_ambiguous"
    assert await code(admin, amount="1", unlimited=True) == "amount_ambiguous"
    assert await code(admin, amount="-1") == "override_malformed"
    assert await code(admin, amount="1", reason="") == "override_malformed"
    assert await code(admin, amount="1", key="unheard_of") == "limit_unknown"
    assert await code(admin, amount="1", product="none") == "product_not_found"
    past = {"fromAt": "2026-02-01T00:00:00Z", "untilAt": "2026-01-01T00:00:00Z"}
    assert await code(admin, amount="1", **past) == "override_malformed"
