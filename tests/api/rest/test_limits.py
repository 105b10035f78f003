"""Limits over HTTP, as a product's server meets them."""

import asyncio
from typing import Any

import httpx2
import pytest

from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.kernel.call import Environment
from domain.kernel.ids import encode
from tests.api.graphql.site import Site


async def subscriber(site: Site, plan: str = "free", product: str = "llm") -> Customer:
    """Make a test customer who subscribes now."""
    async with site.runtime.db.transaction() as tx:
        made = await customers.create_customer(
            tx, site.world.call, environment=Environment.TEST, name="Ada", email="ada@example.com"
        )
    await site.world.subscribe(made, plan, product=product)
    return made


def wanted(customer: Customer, **properties: Any) -> dict[str, Any]:
    """Write a call of Gemini 2.5 Pro with 1,000 tokens in."""
    given = {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 1000} | properties
    return {"customer": encode("customer", customer.id), "type": "llm.call", "properties": given}


async def key(site: Site, *scopes: str, product: str = "llm") -> str:
    """Make a key that may check, reserve and settle."""
    return await site.key(*(scopes or ("limit:check", "usage:write")), product=product)


async def test_a_check_tells_each_limit_and_writes_the_standard_headers(shared: Site) -> None:
    ada, token = await subscriber(shared), await key(shared)
    answer = await shared.post(wanted(ada), token, path="/v1/check")
    assert answer.status_code == 200
    body = answer.json()
    assert body["allowed"] is True
    found = {each["key"]: each for each in body["limits"]}
    # The free plan: 100 calls of Gemini, 500,000 tokens, 1.00 USD. 1,000 x 1.25 / 1M = 0.00125.
    assert found["gemini_calls"] == {
        "key": "gemini_calls",
        "name": "Calls to Gemini a month",
        "unit": "call",
        "limit": "100",
        "bound": "100",
        "used": "0",
        "held": "0",
        "asked": "1",
        "state": "active",
        "resets_at": found["tokens"]["resets_at"],
    }
    assert found["monthly_cost"]["asked"] == "0.00125"
    assert '"gemini_calls";q=100;w=' in answer.headers["RateLimit-Policy"]
    assert '"gemini_calls";r=99;t=' in answer.headers["RateLimit"]
    assert "Retry-After" not in answer.headers


async def test_a_refusal_names_numbers_reset_plan_and_a_decision(shared: Site) -> None:
    ada, token = await subscriber(shared), await key(shared)
    answer = await shared.post(wanted(ada, input_tokens=600_000), token, path="/v1/check")
    assert answer.status_code == 429
    body = answer.json()
    assert (body["allowed"], body["code"], body["decision"][:4]) == (False, "limit_reached", "dec_")
    refusal = body["refusal"]
    assert (refusal["key"], refusal["asked"], refusal["bound"], refusal["state"]) == (
        "tokens",
        "600000",
        "500000",
        "blocked",
    )
    assert refusal["plan"] == {"key": "basic", "name": "Basic"}
    assert body["message"].startswith(
        "Tokens of all kinds a month: 600,000 more would pass 500,000; 0 of 500,000 are used."
    )
    # At least the 28 days of the shortest month, less the time that the test takes.
    assert int(answer.headers["Retry-After"]) > 27 * 86_400


async def test_a_reservation_goes_its_whole_way(shared: Site) -> None:
    ada, token = await subscriber(shared), await key(shared)
    body = {**wanted(ada, input_tokens=400_000), "id": "call-1", "expires_in_s": 60}
    made = await shared.post(body, token, path="/v1/reservations")
    again = await shared.post(body, token, path="/v1/reservations")
    assert (made.status_code, again.status_code) == (201, 200)
    name = made.json()["reservation"]
    # One form of instants everywhere.
    assert made.json()["expires_at"].endswith("Z")
    assert (again.json()["reservation"], again.json()["limits"]) == (name, made.json()["limits"])
    refused = await shared.post({**body, "id": "call-2"}, token, path="/v1/reservations")
    assert (refused.status_code, refused.json()["refusal"]["held"]) == (429, "400000")
    # Only a hold is in the way, and it returns within a minute of its end.
    assert refused.headers["Retry-After"] == "60"
    path = f"/v1/reservations/{name}"
    longer = await shared.post({"expires_in_s": 600}, token, path=f"{path}/extend")
    larger = await shared.post(
        {"properties": wanted(ada, input_tokens=900_000)["properties"]}, token, path=f"{path}/extend"
    )
    assert (longer.status_code, larger.status_code) == (200, 429)
    other = await shared.post({**body, **wanted(ada, input_tokens=7)}, token, path="/v1/reservations")
    assert (other.status_code, other.json()["code"]) == (409, "reservation_conflict")
    settle = {"status": "measured", "properties": wanted(ada, input_tokens=500_000)["properties"], "reference": "x-1"}
    settled = await shared.post(settle, token, path=f"{path}/settle")
    repeated = await shared.post(settle, token, path=f"{path}/settle")
    assert (settled.status_code, settled.json()) == (200, {"status": "counted", "overrun": True})
    assert (repeated.status_code, repeated.json()) == (200, {"status": "duplicate", "overrun": True})
    released = await shared.post({}, token, path=f"{path}/release")
    assert (released.status_code, released.json()) == (200, {"released": False})
    reused = await shared.post(body, token, path="/v1/reservations")
    assert (reused.status_code, reused.json()["code"]) == (409, "reservation_closed")


async def test_what_cannot_be_read_or_seen_is_refused_as_a_problem(shared: Site) -> None:
    ada, token = await subscriber(shared), await key(shared)
    edge = await key(shared, product="edge")
    checks = await key(shared, "limit:check")
    held = await shared.post({**wanted(ada), "id": "x"}, token, path="/v1/reservations")
    name = held.json()["reservation"]

    async def refused(body: Any, by: str | None, path: str) -> tuple[int, str]:
        answer: httpx2.Response = await shared.post(body, by, path=path)
        said = answer.json()
        assert said["message"] == said["detail"]
        return answer.status_code, said["code"]

    assert await refused(wanted(ada), None, "/v1/check") == (401, "credentials_missing")
    assert await refused(wanted(ada), await key(shared, "usage:write"), "/v1/check") == (403, "forbidden")
    assert await refused({**wanted(ada), "id": "y"}, checks, "/v1/reservations") == (403, "forbidden")
    deep = b'{"properties": ' + b'{"a":' * 50_000
    for body in (b"", b"{", b"[]", b"\xff", deep, b'{"customer": 1}', {**wanted(ada), "more": 1}):
        assert await refused(body, token, "/v1/check") == (400, "body_malformed")
    told = (await shared.post({**wanted(ada), "more": 1}, token, path="/v1/check")).json()["message"]
    assert told.startswith("The body is not JSON of the right shape: Object contains unknown field `more`.")
    assert await refused(b'{"a":"' + b"x" * 262_144, token, "/v1/check") == (413, "body_too_large")
    for tokens in (-1, 10**20, "1"):
        assert await refused(wanted(ada, input_tokens=tokens), token, "/v1/check") == (400, "estimate_refused")
    assert await refused({**wanted(ada), "id": ""}, token, "/v1/reservations") == (400, "reservation_malformed")
    assert await refused({**wanted(ada), "customer": "cus_x"}, token, "/v1/check") == (404, "customer_not_found")
    assert await refused({**wanted(ada), "type": "edge.build", "properties": {"minutes": 1}}, edge, "/v1/check") == (
        409,
        "nothing_subscribed",
    )
    for action in ("settle", "release", "extend"):
        body = {"status": "measured"} if action == "settle" else {}
        assert await refused(body, edge, f"/v1/reservations/{name}/{action}") == (404, "reservation_not_found")
        assert await refused(body, token, f"/v1/reservations/rsv_1/{action}") == (404, "reservation_not_found")
    settle = f"/v1/reservations/{name}/settle"
    assert await refused({"status": "guessed"}, token, settle) == (400, "body_malformed")
    # What was forgotten is not counted as nothing: the hold stays, and can be settled or given back.
    for status in ("measured", "estimated"):
        assert await refused({"status": status}, token, settle) == (400, "estimate_refused")
    assert (await shared.post({}, token, path=f"/v1/reservations/{name}/release")).json() == {"released": True}


@pytest.mark.parametrize("callers", [40])
async def test_however_many_race_no_more_is_held_than_there_is(shared: Site, callers: int) -> None:
    ada, token = await subscriber(shared), await key(shared)
    # 500,000 tokens: eight reservations of 60,000 fit, a ninth does not.
    answers = await asyncio.gather(
        *(
            shared.post({**wanted(ada, input_tokens=60_000), "id": f"c{n}"}, token, path="/v1/reservations")
            for n in range(callers)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 8 + [429] * 32
    # Holds are in the way, not usage: it may help to ask again within a minute.
    assert {answer.headers.get("Retry-After") for answer in answers} == {None, "60"}
