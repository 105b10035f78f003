"""The application as a whole: its addresses, its health, and what it says when something is wrong."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import httpx2
import pytest
import sqlalchemy as sa

from api.app import create_app
from domain.config import SettingMissing, Settings
from domain.db import Database
from domain.kernel.ids import encode
from tests.api.graphql.site import Site
from tests.waiting import until

T = TypeVar("T")
_END_WHO_WAITS = sa.text(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE NOT granted AND relation = 'customer'::regclass "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


async def test_a_healthy_process_says_so(shared: Site) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await shared.client.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/secret-path?key=secret"),
        ("POST", "/v1/nothing"),
        ("DELETE", "/api/billing/nothing"),
        ("OPTIONS", "/nothing"),
    ],
)
async def test_an_unknown_address_is_a_problem_that_repeats_nothing(shared: Site, method: str, path: str) -> None:
    answer = await shared.client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json() == {
        "type": "about:blank",
        "title": "NotFound",
        "status": 404,
        "code": "not_found",
        "detail": "There is nothing at this address. GET /api/openapi.json lists what there is.",
    }
    assert "Allow" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/graphql", "POST"),
        ("PUT", "/graphql", "POST"),
        # Two routes have this address.
        ("PUT", "/v1/events", "GET, HEAD, POST"),
        ("OPTIONS", "/v1/check", "POST"),
        ("PATCH", "/api/billing/payment-methods/pm_1", "DELETE"),
        ("GET", "/api/webhooks/stripe", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("PUT", "/gateway/openai/v1/models", "GET, HEAD, POST"),
        ("PUT", "/unsubscribe/cus_1", "GET, HEAD, POST"),
    ],
)
async def test_another_method_is_a_problem_that_names_those_there_are(
    shared: Site, method: str, path: str, allowed: str
) -> None:
    answer = await shared.client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
    assert (answer.headers["Allow"], answer.json()["code"], answer.json()["status"]) == (
        allowed,
        "method_not_allowed",
        405,
    )


async def test_a_browser_that_shows_a_page_is_told_in_a_line(shared: Site) -> None:
    page = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    unknown = await shared.client.get("/nothing", headers=page)
    assert (unknown.status_code, unknown.text) == (404, "Not Found")
    other = await shared.client.get("/graphql", headers=page)
    assert (other.status_code, other.text, other.headers["Allow"]) == (405, "Method Not Allowed", "POST")


async def test_every_way_in_checks_the_host(shared: Site) -> None:
    for path in ("/graphql", "/v1/events", "/api/webhooks/stripe"):
        answer = await shared.post({}, shared.staff(), path=path, headers={"Host": "evil.example"})
        assert answer.status_code == 403
    assert (await shared.client.get("/healthz", headers={"Host": "evil.example"})).status_code == 403


async def test_every_way_in_asks_who_it_is(shared: Site) -> None:
    for path in ("/graphql", "/v1/events"):
        answer = await shared.post({}, None, path=path)
        assert (answer.status_code, answer.json()["code"]) == (401, "credentials_missing")
    forged = await shared.post({}, None, path="/api/webhooks/stripe", headers={"Stripe-Signature": "t=1,v1=00"})
    assert forged.status_code == 400


async def test_a_key_cannot_be_checked_while_the_database_is_away(shared: Site) -> None:
    key = "tg_test_" + "b" * 43
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", shared.runtime.db.vault, wait_s=1)
    authenticator = shared.app.state.serving.authenticator
    kept, authenticator._db = authenticator._db, away
    try:
        answer = await shared.post({"query": "{ viewer { kind } }"}, key)
    finally:
        authenticator._db = kept
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unreachable")
    assert answer.headers["retry-after"] == "1"


async def _die_in_the_middle(site: Site, asked: Awaitable[T]) -> T:
    """Answer a request whose connection is ended while its statement waits for the table of customers."""
    async with site.runtime.db.transaction() as tx:
        await tx.execute(sa.text("LOCK TABLE customer IN ACCESS EXCLUSIVE MODE"))
        answering = asyncio.ensure_future(asked)
        await until(lambda: tx.value(_END_WHO_WAITS), "a statement that waits for the table")
        return await answering


async def test_a_database_that_dies_in_the_middle_of_a_statement_is_no_crash(shared: Site) -> None:
    customer = await shared.world.customer(on="2026-04-01", card=None)
    name, token = encode("customer", customer.id), shared.member(customer.id)
    own = {"Authorization": f"Bearer {token}"}

    read = await _die_in_the_middle(shared, shared.client.get("/api/billing/invoices", headers=own))
    assert (read.status_code, read.json()["code"], read.headers["retry-after"]) == (503, "database_unreachable", "1")
    put = shared.client.put("/api/billing/subscription", headers=own | {"Idempotency-Key": "k"}, content=b"{}")
    written = await _die_in_the_middle(shared, put)
    assert (written.status_code, written.headers["retry-after"]) == (503, "1")
    # It was not remembered: the next try with the same key is answered by what there is.
    put = shared.client.put("/api/billing/subscription", headers=own | {"Idempotency-Key": "k"}, content=b"{}")
    assert (await put).json()["code"] == "subscription_not_found"

    found = await _die_in_the_middle(shared, shared.run(f'{{ customer(id: "{name}") {{ id }} }}', token))
    assert found["errors"][0]["extensions"] == {"code": "database_unreachable"}
    subscribe = shared.change(
        "subscribe",
        "... on SubscriptionStarted { subscription { id } }",
        token,
        customerId=name,
        product="llm",
        plan="free",
        interval="MONTH",
        idempotencyKey="k",
    )
    refused = await _die_in_the_middle(shared, subscribe)
    assert (refused["__typename"], refused["code"]) == ("Unavailable", "database_unreachable")
    assert (await shared.client.get("/api/billing/invoices", headers=own)).json()["invoices"] == []


async def test_a_crash_outside_of_graphql_tells_nothing(shared: Site) -> None:
    serving = shared.app.state.serving
    shared.app.state.serving = None
    try:
        answer = await shared.post({}, shared.staff(), path="/v1/events")
    finally:
        shared.app.state.serving = serving
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "NoneType" not in answer.text


@pytest.mark.parametrize(("given", "is_kept"), [("proxy-0001", True), ("two words, not one", False), ("short", False)])
async def test_a_crash_is_found_in_the_log_by_the_id_in_its_answer(
    shared: Site, capsys: pytest.CaptureFixture[str], given: str, is_kept: bool
) -> None:
    serving = shared.app.state.serving
    shared.app.state.serving = None
    try:
        answer = await shared.client.post("/v1/events", headers={"X-Request-Id": given}, json={})
    finally:
        shared.app.state.serving = serving
    found = answer.headers["X-Request-Id"]
    assert answer.status_code == 500
    assert (found == given) is is_kept
    assert found in capsys.readouterr().out


async def test_an_application_without_its_settings_does_not_start() -> None:
    app = create_app(Settings())
    with pytest.raises(SettingMissing):
        async with app.router.lifespan_context(app), httpx2.AsyncClient():
            pass
