"""What no client should send, through the whole application: a clear answer each, and nothing written."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from domain.access.roles import Permission
from domain.customers.customer import Customer
from domain.db import Database
from domain.kernel.ids import encode
from tests import make
from tests.api.graphql.site import Site, open_site

_TABLES = ("usage_event", "event_identity", "quarantined_event", "counter_total", "subscription", "invoice")


@pytest.fixture
async def site(published: Database) -> AsyncIterator[Site]:
    """Serve the application over a database with both catalogues."""
    async with open_site(published) as opened:
        yield opened


async def _customer(site: Site, plan: str | None = "pro") -> Customer:
    made = await site.world.customer(on="2026-01-31")
    if plan is not None:
        await site.world.subscribe(made, plan)
    return made


async def _written(site: Site) -> dict[str, int]:
    async with site.runtime.db.transaction() as tx:
        return {name: await tx.value(sa.text(f"SELECT count(*) FROM {name}")) for name in _TABLES}  # noqa: S608 -- constants


def _event(sender: Customer, **changed: Any) -> dict[str, Any]:
    properties = {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 1_000, "output_tokens": 10}
    at = make.at("2026-01-31").isoformat()
    plain = {"id": "e1", "type": "llm.call", "customer": encode("customer", sender.id), "occurred_at": at}
    return {**plain, "properties": properties, **changed}


async def _post(site: Site, secret: str, body: Any) -> httpx2.Response:
    headers = {"authorization": f"Bearer {secret}"}
    if isinstance(body, bytes):
        return await site.client.post(
            "/v1/events", content=body, headers={**headers, "content-type": "application/json"}
        )
    return await site.client.post("/v1/events", json=body, headers=headers)


async def test_events_that_cannot_be_counted_say_why_and_are_not_counted(site: Site) -> None:
    ada = await _customer(site)
    key = await site.key(Permission.USAGE_WRITE, product="llm")
    stranger = "cus_" + "0" * 26
    # The customer's clock stands at 31 January: 60 days before lies outside of the 35 that are taken.
    old = (make.at("2026-01-31") - timedelta(days=60)).isoformat()
    sent = [
        _event(ada, id="old", occurred_at=old),
        _event(ada, id="meter", type="no.such.type"),
        _event(ada, id="stranger", customer=stranger, occurred_at=None),
        _event(ada, id="type", properties={"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": "many"}),
        _event(ada, id="twice"),
        _event(ada, id="twice"),
        _event(ada, id="twice", type="llm.call", properties={"provider": "gemini", "model": "gemini-2.5-pro"}),
        _event(ada, id=7),
    ]
    answer = await _post(site, key, sent)
    assert answer.status_code == 200
    verdicts = [(each["status"], each.get("reason")) for each in answer.json()["results"]]
    assert verdicts == [
        ("rejected", "outside_window"),
        ("quarantined", "unknown_meter"),
        ("quarantined", "unknown_customer"),
        ("quarantined", "wrong_type"),
        ("counted", None),
        ("duplicate", None),
        ("conflict", None),
        ("rejected", "malformed"),
    ]
    written = await _written(site)
    assert (written["usage_event"], written["quarantined_event"]) == (1, 3)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b"[{", 400, "events_malformed"), (b"\xff", 400, "events_malformed"), (b"[]", 422, "batch_empty")],
)
async def test_a_body_that_is_no_batch_is_refused_whole(site: Site, body: bytes, status: int, code: str) -> None:
    key = await site.key(Permission.USAGE_WRITE, product="llm")
    before = await _written(site)
    answer = await _post(site, key, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await _written(site) == before


async def test_a_batch_of_1001_is_refused_whole(site: Site) -> None:
    ada = await _customer(site)
    key = await site.key(Permission.USAGE_WRITE, product="llm")
    before = await _written(site)
    answer = await _post(site, key, [_event(ada, id=f"e{number}") for number in range(1_001)])
    assert (answer.status_code, answer.json()["code"]) == (413, "batch_too_large")
    assert await _written(site) == before


async def test_a_viewer_cannot_subscribe_and_nobody_sees_anothers_invoice(site: Site) -> None:
    ada, bob = await _customer(site, plan=None), await _customer(site)
    wish = {"product": "llm", "plan": "pro", "interval": "MONTH", "idempotencyKey": "k1"}
    before = await _written(site)
    viewer = site.member(ada.id, "viewer")
    refused = await site.change("subscribe", "", viewer, customerId=encode("customer", ada.id), **wish)
    assert (refused["__typename"], refused["code"]) == ("NotPermitted", "forbidden")
    other = await site.change("subscribe", "", site.member(ada.id), customerId=encode("customer", bob.id), **wish)
    assert (other["__typename"], other["code"]) == ("NotFound", "customer_not_found")
    [invoice] = await site.world.invoices(bob)
    seen = await site.read("query($id: ID!) { invoice(id: $id) { number } }", viewer, id=encode("invoice", invoice.id))
    assert seen == {"invoice": None}
    assert await _written(site) == before


async def test_an_expired_and_a_revoked_key_are_refused_alike(site: Site) -> None:
    ada = await _customer(site)
    expired = site.token(lives=timedelta(seconds=-1), kind="staff", role="admin")
    for credential in (expired, "tg_test_" + "a" * 43):
        answer = await _post(site, credential, [_event(ada)])
        assert (answer.status_code, answer.json()["code"]) == (401, "credentials_rejected")
