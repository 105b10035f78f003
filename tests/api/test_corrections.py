"""Corrections come in by every way in which events come: an event is replaced, and voided, and counted accordingly."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from domain.kernel.ids import encode
from tests.api.graphql.site import Site

Sent = dict[str, Any]
Way = Callable[[Site, str, Sent], Awaitable[Sent]]
_RECORDED = "... on UsageRecorded { results { id status reason message } }"
_BATCH = "... on UsageBatchRecorded { results }"
_USED = """query($id: ID!) {
    usage(customerId: $id) { subscriptions { meters { key quantity } } }
    usageEvents(customerId: $id, first: 100) { nodes { eventId type corrects properties } } }"""


async def _post(site: Site, token: str, body: Any, content_type: str) -> Sent:
    answer = await site.post(body, token, path="/v1/events", headers={"Content-Type": content_type})
    assert answer.status_code == 200, answer.text
    [result] = answer.json()["results"]
    return dict(result)


async def _object(site: Site, token: str, event: Sent) -> Sent:
    return await _post(site, token, event, "application/json")


async def _array(site: Site, token: str, event: Sent) -> Sent:
    return await _post(site, token, [event], "application/json")


async def _lines(site: Site, token: str, event: Sent) -> Sent:
    return await _post(site, token, msgspec.json.encode(event) + b"\n", "application/x-ndjson")


def _cloud(event: Sent) -> Sent:
    """Write an event as a CloudEvent of a source of its own; `corrects` is an extension attribute."""
    names = {"customer": "subject", "occurred_at": "time", "properties": "data"}
    named = {names.get(name, name): value for name, value in event.items()}
    return {"specversion": "1.0", "source": "/eu/1", **named}


async def _cloud_event(site: Site, token: str, event: Sent) -> Sent:
    return await _post(site, token, _cloud(event), "application/cloudevents+json")


async def _cloud_batch(site: Site, token: str, event: Sent) -> Sent:
    return await _post(site, token, [_cloud(event)], "application/cloudevents-batch+json")


async def _typed(site: Site, token: str, event: Sent) -> Sent:
    names = {"customer": "customerId", "occurred_at": "occurredAt"}
    given = {names.get(name, name): value for name, value in event.items()}
    found = await site.change("recordUsage", _RECORDED, token, events=[given])
    [result] = found["results"]
    return {name: value for name, value in result.items() if value is not None} | {"status": result["status"].lower()}


async def _json_value(site: Site, token: str, event: Sent) -> Sent:
    found = await site.change("recordUsageBatch", _BATCH, token, events=[event])
    [result] = found["results"]
    return dict(result)


_WAYS: dict[str, Way] = {
    "object": _object,
    "array": _array,
    "lines": _lines,
    "CloudEvent": _cloud_event,
    "CloudEvents": _cloud_batch,
    "recordUsage": _typed,
    "recordUsageBatch": _json_value,
}


@pytest.fixture(params=_WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """Send one event by one of the ways, and return the answer to it."""
    return _WAYS[request.param]


async def _customer(site: Site) -> str:
    """Make a customer on Pro from 31 January 2026 on."""
    made = await site.world.customer(on="2026-01-31")
    await site.world.subscribe(made, "pro")
    return encode("customer", made.id)


def _call(customer: str, event_id: str, tokens: int, **more: str) -> Sent:
    properties = {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": tokens}
    at = "2026-01-31T00:00:00Z"
    return {
        "id": event_id,
        "type": "llm.call",
        "customer": customer,
        "occurred_at": at,
        "properties": properties,
        **more,
    }


async def _tokens(site: Site, customer: str) -> str:
    """Return how many input tokens are counted."""
    [used] = (await site.read(_USED, site.staff(), id=customer))["usage"]["subscriptions"]
    return {each["key"]: str(each["quantity"]) for each in used["meters"]}.get("input_tokens", "0")


async def test_an_event_is_replaced_and_voided_by_every_way_in(shared: Site, way: Way) -> None:
    customer, token = await _customer(shared), await shared.key("usage:write", "usage:correct", product="llm")
    counted = {"status": "counted"}
    assert await way(shared, token, _call(customer, "e1", 1_000)) == {"id": "e1", **counted}
    assert await way(shared, token, _call(customer, "e2", 50)) == {"id": "e2", **counted}
    replacement = _call(customer, "e3", 7, corrects="e1")
    assert await way(shared, token, replacement) == {"id": "e3", **counted}
    assert await way(shared, token, replacement) == {"id": "e3", "status": "duplicate"}
    # The 7 of the replacement beside the 50 of the second.
    assert await _tokens(shared, customer) == "57"
    # A void has no properties, and needs no time of its own.
    void = {"id": "v1", "type": "void", "customer": customer, "corrects": "e2"}
    assert await way(shared, token, void) == {"id": "v1", **counted}
    assert await way(shared, token, {**void, "id": "v2"}) == {"id": "v2", "status": "duplicate"}
    assert await _tokens(shared, customer) == "7"
    listed = (await shared.read(_USED, shared.staff(), id=customer))["usageEvents"]["nodes"]
    # What was replaced and voided stays stored; a CloudEvent's id begins with its source.
    told = [(each["eventId"].removeprefix("/eu/1 "), each["type"], each["corrects"]) for each in reversed(listed)]
    prefix = "/eu/1 " if listed[0]["eventId"].startswith("/eu/1 ") else ""
    assert told == [
        ("e1", "llm.call", None),
        ("e2", "llm.call", None),
        ("e3", "llm.call", f"{prefix}e1"),
        ("v1", "void", f"{prefix}e2"),
    ]


async def test_a_correction_is_refused_by_every_way_in_where_it_may_not_be(shared: Site, way: Way) -> None:
    customer, reporter = await _customer(shared), await shared.key("usage:write", product="llm")
    assert (await way(shared, reporter, _call(customer, "e1", 1_000)))["status"] == "counted"
    void = {"id": "v1", "type": "void", "customer": customer, "corrects": "e1"}
    cases = [
        (void, "rejected", "corrects_not_allowed", "Corrections need the scope usage:correct."),
        ({"id": "v2", "type": "void", "customer": customer}, "rejected", "corrects_malformed", None),
        ({**void, "corrects": ""}, "rejected", None, None),
        ({**void, "corrects": "e" * 256}, "rejected", "corrects_malformed", None),
    ]
    for event, status, reason, message in cases:
        found = await way(shared, reporter, event)
        assert found["status"] == status, event
        assert reason in {None, found["reason"]}, event
        assert message in {None, found["message"]}, event
    assert await _tokens(shared, customer) == "1000"


async def test_a_correction_of_what_was_never_sent_waits_for_staff(shared: Site, way: Way) -> None:
    customer, token = await _customer(shared), await shared.key("usage:write", "usage:correct", product="llm")
    void = {"id": "v1", "type": "void", "customer": customer, "corrects": "e1"}
    found = await way(shared, token, void)
    assert (found["status"], found["reason"]) == ("quarantined", "unknown_event")


async def test_an_event_of_one_form_is_corrected_in_another_by_its_whole_id(shared: Site) -> None:
    customer, token = await _customer(shared), await shared.key("usage:write", "usage:correct", product="llm")
    assert (await _cloud_event(shared, token, _call(customer, "e1", 1_000)))["status"] == "counted"
    void = {"id": "v1", "type": "void", "customer": customer, "corrects": "/eu/1 e1"}
    assert (await _typed(shared, token, void))["status"] == "counted"
    assert await _tokens(shared, customer) == "0"


async def test_an_atomic_batch_with_a_correction_that_cannot_be_is_refused_whole(shared: Site) -> None:
    customer, token = await _customer(shared), await shared.key("usage:write", "usage:correct", product="llm")
    void = {"type": "void", "customer": customer}
    batch = [_call(customer, "e1", 5), {**void, "id": "v1", "corrects": "e1"}, {**void, "id": "v2", "corrects": "e9"}]
    answer = await shared.post(batch, token, path="/v1/events?mode=atomic")
    assert (answer.status_code, answer.json()["bad"]) == (422, [2])
    refused = "... on UsageBatchRefused { bad }"
    found = await shared.change("recordUsageBatch", refused, token, events=batch, mode="ATOMIC")
    assert (found["__typename"], found["bad"]) == ("UsageBatchRefused", [2])
    answer = await shared.post(batch[:2], token, path="/v1/events?mode=atomic")
    assert (answer.status_code, answer.json()["counted"]) == (200, 2)
    assert await _tokens(shared, customer) == "0"
