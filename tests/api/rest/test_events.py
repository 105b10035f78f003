"""POST /v1/events over HTTP, on real Postgres."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

import asyncpg
import httpx2
import msgspec
import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.routing import Route

from api.auth import Authenticator
from api.context import Serving
from api.intake import BODY_BYTES_MAX, GZIP_MEMBERS_MAX, Inflow
from api.local.throwaway import TemporaryServers
from api.problems import on_refusal
from api.rest.events import post_events
from domain.access import service as access
from domain.access.roles import Permission
from domain.adapters.memory_wakeups import MemoryWakeups
from domain.customers.customer import Customer
from domain.db import Database
from domain.kernel.call import Call, Environment, Principal
from domain.kernel.errors import DomainError
from domain.runtime import Runtime
from domain.usage import service as usage
from domain.usage.recording.service import Recorder
from domain.vault import Vault
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
    owner: Customer
    serving: Serving
    before: dict[str, int]

    async def stored(self, table: str) -> int:
        """Count the rows that this test has stored."""
        return await self.world.count(table) - self.before[table]

    async def post(self, body: Any, *, query: str = "", **headers: str) -> httpx2.Response:
        """Send a body, as it is or as JSON."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await self.client.post(f"/v1/events{query}", content=content, headers=headers)

    def call(self, event_id: str, **fields: Any) -> dict[str, Any]:
        """Make an event of 1,000 tokens."""
        properties = {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 1000}
        return {"id": event_id, "type": "llm.call", "customer": name_of(self.owner), "properties": properties, **fields}


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


def _app(serving: Serving) -> Starlette:
    app = Starlette(
        routes=[Route("/v1/events", post_events, methods=["POST"])], exception_handlers={DomainError: on_refusal}
    )
    app.state.serving = serving
    return app


@pytest.fixture(scope="module")
async def served(servers: TemporaryServers, template: str) -> AsyncIterator[World]:
    """Open one world for all tests here: each has a customer of its own."""
    name = f"{template}_events"
    connection = await asyncpg.connect(**servers.postgres.asyncpg_arguments())
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    db = Database(servers.postgres.dsn(name), Vault(b"\x01" * 32))
    async with open_world(db) as world:
        yield world
    await db.close()
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture
async def site(served: World) -> AsyncIterator[Site]:
    """Serve the route in this process."""
    ada, _ = await served.subscriber()
    authenticator = Authenticator(served.db, _PEPPER, _NoTokens())
    serving = Serving(cast("Runtime", _Clock()), authenticator, served.recorder)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=_app(serving)),
        base_url="http://tollgate.test",
        headers={"Authorization": f"Bearer {await _secret(served.db, 'usage:write')}"},
    ) as client:
        yield Site(served, client, ada, serving, await served.counts())


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
    assert await site.stored("usage_event") == 1


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


async def test_a_body_that_is_no_json_is_refused_with_a_clear_problem(site: Site) -> None:
    for body in (b"", b"{", b"nonsense", b"[1,]", b'"text"', b"7", b'[{"id":"\xff"}]', b"[" * 100_000):
        answer = await site.post(body)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "events_malformed"
    assert await site.stored("event_identity") == 0


async def test_empty_and_oversized_batches_are_refused_whole(site: Site) -> None:
    empty = await site.post([])
    assert (empty.status_code, empty.json()["code"]) == (422, "batch_empty")
    many = await site.post([site.call(f"e{n}") for n in range(1001)])
    assert (many.status_code, many.json()["code"]) == (413, "batch_too_large")
    unreadable = await site.post([{}] * 1001)
    assert (unreadable.status_code, unreadable.json()["code"]) == (413, "batch_too_large")
    large = await site.post(b"[" + b" " * BODY_BYTES_MAX + b"]")
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    assert await site.stored("event_identity") == 0


async def test_an_atomic_batch_with_a_bad_event_lists_every_one_and_stores_nothing(site: Site) -> None:
    batch = [site.call("e1"), {"id": "e2"}, {**site.call("e3"), "type": "coffee.cup"}]
    answer = await site.post(batch, query="?mode=atomic")
    assert answer.status_code == 422
    assert answer.json()["bad"] == [1, 2]
    assert [result["status"] for result in answer.json()["results"]] == ["counted", "rejected", "quarantined"]
    assert answer.json()["code"] == "batch_refused"
    assert await site.stored("event_identity") == 0
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
    assert await site.stored("event_identity") == 0


async def test_a_stopped_recorder_answers_503_with_a_time_to_come_back(site: Site) -> None:
    site.serving.recorder = Recorder(site.world.db, MemoryWakeups())  # never started
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
        stored = await usage.list_events(tx, reader, site.owner.id)
    assert {event.event_id: event.properties["input_tokens"] for event in stored} == {
        "e1": Decimal("0.1"),
        "e2": Decimal("12345678901234567890.123456789012345678"),
    }


async def test_lines_are_read_one_by_one_whatever_ends_them_and_a_broken_one_is_rejected_by_itself(site: Site) -> None:
    e1, e2, e3 = (msgspec.json.encode(site.call(name)) for name in ("e1", "e2", "e3"))
    body = e1 + b"\r\n\n" + e2[:-2] + b"\n" + e2 + b"\r  \r\n" + e1 + e3 + b"\n" + e3
    answer = await site.post(body, **{"Content-Type": "application/x-ndjson; charset=utf-8"})
    assert answer.status_code == 200
    assert [(result["id"], result["status"], result.get("reason")) for result in answer.json()["results"]] == [
        ("e1", "counted", None),
        (None, "rejected", "malformed"),  # cut off
        ("e2", "counted", None),
        (None, "rejected", "malformed"),  # two on one line
        ("e3", "counted", None),
    ]
    assert await site.stored("usage_event") == 3


async def test_lines_without_an_event_and_too_many_of_them_are_refused_whole(site: Site) -> None:
    lines = {"Content-Type": "application/x-ndjson"}
    assert (await site.post(b"\n \r\n", **lines)).json()["code"] == "batch_empty"
    many = await site.post(b"{}\n" * 1001, **lines)
    assert (many.status_code, many.json()["code"]) == (413, "batch_too_large")
    atomic = await site.post(msgspec.json.encode(site.call("e1")) + b"\n{", query="?mode=atomic", **lines)
    assert (atomic.status_code, atomic.json()["bad"]) == (422, [1])
    assert await site.stored("event_identity") == 0


def _cloud(site: Site, event_id: str, **attributes: Any) -> dict[str, Any]:
    event = site.call(event_id)
    sent = {"specversion": "1.0", "id": event_id, "source": "/eu/1", "type": "llm.call", "subject": event["customer"]}
    return {**sent, "time": "2026-01-15T11:00:00Z", "data": event["properties"], "traceparent": "00-1", **attributes}


async def test_a_cloud_event_is_counted_under_its_source_and_id(site: Site) -> None:
    one = {"Content-Type": "application/cloudevents+json"}
    batch = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
    first = await site.post(_cloud(site, "e1", datacontenttype="application/json"), **one)
    assert first.json()["results"] == [{"id": "e1", "status": "counted"}]
    again = await site.post([_cloud(site, "e1"), _cloud(site, "e1", source="/eu/2")], **batch)
    assert [result["status"] for result in again.json()["results"]] == ["duplicate", "counted"]
    # "gateway" is the source of the key: there the event's own id is the whole identity, in whatever form it comes.
    same = await site.post([_cloud(site, "e2", source="gateway")], **batch)
    assert same.json()["counted"] == 1
    assert (await site.post([{**site.call("e2"), "occurred_at": "2026-01-15T11:00:00Z"}])).json()["duplicate"] == 1
    assert await site.stored("usage_event") == 3


async def test_a_cloud_event_that_lacks_an_attribute_is_rejected_by_itself(site: Site) -> None:
    whole = _cloud(site, "e1")
    lacking = [{name: value for name, value in whole.items() if name != left} for left in whole]
    odd = [{**whole, "specversion": "0.3"}, {**whole, "source": "a b"}, {**whole, "data_base64": "AA=="}]
    odd += [{**whole, "datacontenttype": "text/xml"}, {**whole, "data": [1]}, {**whole, "source": "/" * 254}]
    answer = await site.post(lacking + odd, **{"Content-Type": "application/cloudevents-batch+json"})
    found = [(result["id"], result["status"], result.get("reason")) for result in answer.json()["results"]]
    bad = ("e1", "rejected", "malformed")
    # In order: specversion, id, source, type, subject; then time, data and traceparent, which need not be there.
    assert found[:5] == [bad, (None, "rejected", "malformed"), bad, bad, bad]
    # Without a time it is another event than the first one; without data no meter's property is there.
    assert [each[1] for each in found[5:8]] == ["counted", "conflict", "conflict"]
    assert found[8:] == [bad] * 6
    messages = [result.get("message", "") for result in answer.json()["results"]]
    assert "subject" in messages[4]
    assert "specversion" in messages[8]
    assert "`id`" in messages[13]


async def test_other_cloud_events_are_refused_with_415(site: Site) -> None:
    answer = await site.post(_cloud(site, "e1"), **{"Content-Type": "application/cloudevents+avro"})
    assert (answer.status_code, answer.json()["code"]) == (415, "form_unknown")


_GZIP = {"Content-Encoding": "gzip"}


async def test_a_gzip_body_is_inflated_in_one_or_more_members(site: Site) -> None:
    text = msgspec.json.encode([site.call("e1"), site.call("e2")])
    assert (await site.post(gzip.compress(text), **_GZIP)).json()["counted"] == 2
    parts = gzip.compress(text[:40]) + gzip.compress(b"") + gzip.compress(text[40:])
    assert (await site.post(parts, **_GZIP)).json()["duplicate"] == 2
    assert (await site.post(text, **{"Content-Encoding": "identity"})).json()["duplicate"] == 2


async def test_a_large_gzip_body_is_whole_to_its_last_event(site: Site) -> None:
    """Its inflated size is many times the part that is inflated at once, in a few hundred bytes that were sent."""
    text = b"[" + b" " * (BODY_BYTES_MAX - 1_000) + msgspec.json.encode(site.call("e1")) + b"]"
    assert (await site.post(gzip.compress(text), **_GZIP)).json()["counted"] == 1


async def test_a_gzip_bomb_is_refused_before_it_is_inflated(site: Site) -> None:
    bomb = gzip.compress(b" " * 200_000_000, compresslevel=1)
    # There is room for one body of the largest size and not for a byte more.
    site.serving.inflow = Inflow(bytes_max=BODY_BYTES_MAX)
    answer = await site.post(bomb, **_GZIP)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert site.serving.inflow.held == 0


async def test_a_gzip_body_that_is_cut_off_or_damaged_is_refused_whole(site: Site) -> None:
    for body in (
        gzip.compress(b'[{"id":"a"}]')[:-9],
        gzip.compress(b"[]")[:5],
        gzip.compress(b"[]") + b"rest",
        b"[]",
        b"\x1f\x8b" + b"\xff" * 30,
        gzip.compress(b"") * (GZIP_MEMBERS_MAX + 1),
    ):
        answer = await site.post(body, **_GZIP)
        assert (answer.status_code, answer.json()["code"]) == (400, "body_not_gzip")
        assert site.serving.inflow.held == 0


async def test_an_empty_gzip_body_is_no_json_and_another_encoding_is_refused(site: Site) -> None:
    assert (await site.post(b"", **_GZIP)).json()["code"] == "events_malformed"
    answer = await site.post([site.call("e1")], **{"Content-Encoding": "br"})
    assert (answer.status_code, answer.json()["code"]) == (415, "encoding_unknown")
    assert answer.headers["accept-encoding"] == "gzip"


async def test_bodies_beyond_what_a_process_holds_are_sent_away_and_may_come_again(site: Site) -> None:
    text = msgspec.json.encode([site.call("e1")])
    site.serving.inflow = Inflow(bytes_max=len(text) + 10)
    site.serving.inflow.take(11)
    answer = await site.post(text)
    assert (answer.status_code, answer.json()["code"]) == (429, "usage_busy")
    assert answer.headers["retry-after"] == "1"
    assert await site.stored("event_identity") == 0
    site.serving.inflow.give_back(11)
    assert (await site.post(text)).json()["counted"] == 1
    assert site.serving.inflow.held == 0


async def test_a_body_is_held_until_its_events_are_committed(site: Site) -> None:
    text = msgspec.json.encode([site.call("e1")])
    site.serving.inflow = Inflow(bytes_max=len(text) + 10)
    async with site.world.db.transaction() as tx:
        await tx.execute(sa.text("LOCK TABLE event_identity IN ACCESS EXCLUSIVE MODE"))
        posts = asyncio.as_completed([site.post(text) for _ in range(5)])
        assert [(await next(posts)).status_code for _ in range(4)] == [429] * 4
    assert (await next(posts)).status_code == 200
