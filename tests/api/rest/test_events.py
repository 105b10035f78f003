"""POST /v1/events over HTTP, on real Postgres."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from api.auth import Authenticator
from api.context import Serving
from api.problems import on_refusal
from api.rest.events import BODY_BYTES_MAX, EventsMalformed, decode_batch, post_events
from domain.access import service as access
from domain.access.roles import Permission
from domain.db import Database
from domain.kernel.call import Call, Environment, Principal
from domain.kernel.errors import DomainError
from domain.runtime import Runtime
from domain.usage import service as usage
from domain.usage.event import UsageEvent
from domain.usage.verdict import Reason, Verdict
from tests import make
from tests.domain.usage.world import World, name_of, open_world

_PEPPER = b"p" * 32
_NOW = "2026-01-15T12:00"


class _Clock:
    """What the route needs of a runtime: a present instant and calls."""

    def now(self) -> datetime:
        """Return the test's instant."""
        return make.at(_NOW)

    def call(self, principal: Principal) -> Call:
        """Start a call at the test's instant."""
        return make.call(_NOW, principal)


class _NoTokens:
    """Refuses every bearer token."""

    async def verify(self, token: str, at: datetime) -> Principal:
        """Nobody has one."""
        raise AssertionError(token, at)


@dataclass(frozen=True, slots=True)
class Site:
    """A served route, and a customer with a key for it."""

    world: World
    client: httpx2.AsyncClient
    customer: str

    async def post(self, body: Any, *, query: str = "", **headers: str) -> httpx2.Response:
        """Send a body, as it is or as JSON."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await self.client.post(f"/v1/events{query}", content=content, headers=headers)

    def call(self, event_id: str, **fields: Any) -> dict[str, Any]:
        """Make an event of 1,000 tokens."""
        properties = {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 1000}
        return {"id": event_id, "type": "llm.call", "customer": self.customer, "properties": properties, **fields}


async def _secret(db: Database, *scopes: str) -> str:
    async with db.transaction() as tx:
        _, secret = await access.create_key(
            tx,
            make.call(by=make.principal(*Permission)),
            name="gateway",
            environment=Environment.LIVE,
            scopes=scopes,
            product_key="llm",
            customer_id=None,
            source="gateway",
            expires_at=make.at("2026-02-01"),
            pepper=_PEPPER,
        )
    return secret


def _app(world: World) -> Starlette:
    authenticator = Authenticator(world.db, _PEPPER, _NoTokens())
    app = Starlette(
        routes=[Route("/v1/events", post_events, methods=["POST"])], exception_handlers={DomainError: on_refusal}
    )
    app.state.serving = Serving(cast("Runtime", _Clock()), authenticator, world.recorder)
    return app


@pytest.fixture
async def site(db: Database) -> AsyncIterator[Site]:
    """Serve the route in this process."""
    async with open_world(db) as world:
        ada, _ = await world.subscriber()
        secret = await _secret(db, "usage:write")
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=_app(world)),
            base_url="http://tollgate.test",
            headers={"Authorization": f"Bearer {secret}"},
        ) as client:
            yield Site(world, client, name_of(ada))


async def test_a_batch_is_answered_event_by_event_after_the_commit(site: Site) -> None:
    odd = {**site.call("e2"), "type": "coffee.cup"}
    wrong = {**site.call("e3"), "properties": {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": -1}}
    answer = await site.post([site.call("e1"), site.call("e1"), odd, wrong, {**site.call("e1"), "occurred_at": 1}])
    assert answer.status_code == 200
    body = answer.json()
    assert [(result["id"], result["status"], result.get("reason")) for result in body["results"]] == [
        ("e1", "counted", None),
        ("e1", "duplicate", None),
        ("e2", "quarantined", "unknown_meter"),
        ("e3", "rejected", "negative_value"),
        ("e1", "conflict", None),
    ]
    counts = {name: body[name] for name in ("counted", "duplicate", "conflict", "quarantined", "rejected")}
    assert counts == {"counted": 1, "duplicate": 1, "conflict": 1, "quarantined": 1, "rejected": 1}
    assert body["results"][3]["message"]
    assert await site.world.count("usage_event") == 1


async def test_a_single_object_is_a_batch_of_one(site: Site) -> None:
    answer = await site.post(b"\n " + msgspec.json.encode(site.call("e1")))
    assert answer.json()["results"] == [{"id": "e1", "status": "counted"}]


async def test_an_event_that_cannot_be_read_is_rejected_by_itself(site: Site) -> None:
    answer = await site.post([site.call("e1"), {"id": "e2"}, 7, {**site.call("e3"), "ocurred_at": "x"}, {"id": 4}])
    results = answer.json()["results"]
    assert [(result["id"], result["status"], result.get("reason")) for result in results] == [
        ("e1", "counted", None),
        ("e2", "rejected", "malformed"),
        (None, "rejected", "malformed"),
        ("e3", "rejected", "malformed"),
        (None, "rejected", "malformed"),
    ]
    assert "ocurred_at" in results[3]["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"[1,]", b'"text"', b"7", b'[{"id":"\xff"}]', b"[" * 100_000])
async def test_a_body_that_is_no_json_is_refused_with_a_clear_problem(site: Site, body: bytes) -> None:
    answer = await site.post(body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "events_malformed"
    assert await site.world.count("event_identity") == 0


async def test_empty_and_oversized_batches_are_refused_whole(site: Site) -> None:
    empty = await site.post([])
    assert (empty.status_code, empty.json()["code"]) == (422, "batch_empty")
    many = await site.post([site.call(f"e{n}") for n in range(1001)])
    assert (many.status_code, many.json()["code"]) == (413, "batch_too_large")
    unreadable = await site.post([{}] * 1001)
    assert (unreadable.status_code, unreadable.json()["code"]) == (413, "batch_too_large")
    large = await site.post(b"[" + b" " * BODY_BYTES_MAX + b"]")
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    assert await site.world.count("event_identity") == 0


async def test_an_atomic_batch_with_a_bad_event_lists_every_one_and_stores_nothing(site: Site) -> None:
    batch = [site.call("e1"), {"id": "e2"}, {**site.call("e3"), "type": "coffee.cup"}]
    answer = await site.post(batch, query="?mode=atomic")
    assert answer.status_code == 422
    assert answer.json()["bad"] == [1, 2]
    assert [result["status"] for result in answer.json()["results"]] == ["counted", "rejected", "quarantined"]
    assert answer.json()["code"] == "batch_refused"
    assert await site.world.count("event_identity") == 0
    assert (await site.post(batch[:1], query="?mode=atomic")).json()["counted"] == 1
    assert (await site.post(batch[:1], query="?mode=atomic")).json()["duplicate"] == 1
    assert (await site.post(batch, query="?mode=some")).json()["code"] == "mode_unknown"


async def test_who_has_no_good_key_of_the_scope_is_sent_away(site: Site) -> None:
    missing = await site.client.post("/v1/events", content=b"[]", headers={"Authorization": ""})
    assert (missing.status_code, missing.json()["code"]) == (401, "credentials_missing")
    wrong = await site.post([site.call("e1")], Authorization="Bearer tg_live_" + "x" * 43)
    assert (wrong.status_code, wrong.json()["code"]) == (401, "credentials_rejected")
    reader = await _secret(site.world.db, "usage:read")
    forbidden = await site.post([site.call("e1")], Authorization=f"Bearer {reader}")
    assert (forbidden.status_code, forbidden.json()["code"]) == (403, "forbidden")
    assert await site.world.count("event_identity") == 0


async def test_a_stopped_recorder_answers_503_with_a_time_to_come_back(site: Site) -> None:
    await site.world.recorder.stop()
    answer = await site.post([site.call("e1")])
    assert (answer.status_code, answer.json()["code"]) == (503, "usage_unavailable")
    assert answer.headers["retry-after"] == "1"


async def test_numbers_keep_every_digit_from_the_wire_to_the_table(site: Site) -> None:
    row = msgspec.json.encode(site.call("e1")).replace(b"1000", b"0.1")
    big = msgspec.json.encode(site.call("e2")).replace(b"1000", b"12345678901234567890.123456789012345678")
    huge = msgspec.json.encode(site.call("e3")).replace(b"1000", b"1e400")
    long = msgspec.json.encode(site.call("e4")).replace(b"1000", b"9" * 5000)
    answer = await site.post(b"[" + b",".join((row, big, huge, long)) + b"]")
    results = [(result["status"], result.get("reason")) for result in answer.json()["results"]]
    assert results == [
        ("counted", None),
        ("counted", None),
        ("rejected", "number_out_of_range"),
        ("rejected", "malformed"),
    ]
    reader = make.call(by=make.principal(Permission.EVENT_READ))
    async with site.world.db.transaction() as tx:
        [customer_id] = set(site.world.wakeups.published)
        stored = await usage.list_events(tx, reader, customer_id)
    assert {event.event_id: event.properties["input_tokens"] for event in stored} == {
        "e1": Decimal("0.1"),
        "e2": Decimal("12345678901234567890.123456789012345678"),
    }


def test_decoding_gives_exact_numbers_and_never_a_float() -> None:
    properties = b'{"x":0.1,"y":100000000000000000001}'
    body = b'[{"id":"a","type":"t","customer":"c","occurred_at":1768478400.25,"properties":%b}]'
    names, [event] = decode_batch(body % properties)
    assert names == ["a"]
    assert isinstance(event, UsageEvent)
    assert event.occurred_at == Decimal("1768478400.25")
    assert event.properties == {"x": Decimal("0.1"), "y": 100000000000000000001}
    assert [type(value) for value in event.properties.values()] == [Decimal, int]


def test_deep_nesting_in_one_event_does_no_harm_to_the_others() -> None:
    with pytest.raises(EventsMalformed):
        decode_batch(b'[{"id":"a","type":"t","customer":"c","properties":{"x":' + b"[" * 5000 + b"]" * 5000 + b"}}]")
    names, [event] = decode_batch(b'{"id":"a","type":7}')
    assert names == ["a"]
    assert isinstance(event, Verdict)
    assert event.reason is Reason.MALFORMED
