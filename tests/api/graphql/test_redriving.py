"""redriveEvents: what waits in quarantine is counted, or priced, once what it lacked is there."""

from datetime import timedelta
from typing import Any

from domain.customers.customer import Customer
from domain.kernel.call import Environment
from domain.kernel.ids import encode
from domain.usage.event import UsageEvent
from domain.usage.verdict import COUNTED, Status
from tests import make
from tests.api.graphql.site import Site
from tests.world import llm_call

START = make.at("2026-01-31")
_REDRIVEN = "... on EventsRedriven { resolvedIds kept { id reason } lastId }"
_PRICED = "... on ProviderPricesAdded { prices { pool } }"
_WAITING = "{ quarantinedEvents(first: 100) { nodes { id eventId reason } } }"
_NEW_MODEL = "gemini-9-ultra"


async def _waiting(site: Site) -> dict[str, str]:
    """Return the ids of the events that wait, by the senders' ids."""
    found = await site.read(_WAITING, site.staff())
    return {each["eventId"]: each["id"] for each in found["quarantinedEvents"]["nodes"]}


def _call(customer: Customer, event_id: str, minute: int, **properties: Any) -> UsageEvent:
    """Make a call of 1,000,000 input tokens."""
    sent = llm_call(customer, START + timedelta(minutes=minute), **{"input_tokens": 1_000_000, **properties})
    return UsageEvent(event_id, sent.type, sent.customer, None, sent.occurred_at, sent.properties)


async def _price(site: Site) -> None:
    """Price the new model from the hour of its first call on: 2 USD a million tokens in."""
    given = {"provider": "gemini", "model": _NEW_MODEL, "validFrom": "2026-01-31T00:00:00Z"}
    row = {"pool": "input", "amount": "2", "per": "1000000"}
    added = await site.change("addProviderPrices", _PRICED, site.staff("finance"), **given, prices=[row])
    assert added == {"__typename": "ProviderPricesAdded", "prices": [{"pool": "input"}]}


async def _cost(site: Site, customer: Customer) -> str:
    document = "query($id: ID!) { usage(customerId: $id) { subscriptions { cost { amount } } } }"
    found = await site.read(document, site.staff(), id=encode("customer", customer.id))
    return str(found["usage"]["subscriptions"][0]["cost"]["amount"])


async def test_what_had_no_price_gets_its_cost_once_it_has_one_and_a_second_time_nothing(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-31")
    await site.world.subscribe(ada, "pro")
    sent = [_call(ada, f"e{n}", n, model=_NEW_MODEL) for n in range(3)]
    assert await site.world.use("llm", *sent) == [COUNTED] * 3
    await site.world.close()
    waiting = await _waiting(site)
    in_order = [waiting["e0"], waiting["e1"], waiting["e2"]]
    kept = await site.change("redriveEvents", _REDRIVEN, site.staff("finance"), reason="unpriced")
    assert kept == {
        "__typename": "EventsRedriven",
        "resolvedIds": [],
        "kept": [{"id": each, "reason": "unpriced"} for each in in_order],
        "lastId": in_order[-1],
    }
    assert await _cost(site, ada) == "0"
    await _price(site)
    # Page by page, and what was resolved is not looked at again.
    first = await site.change("redriveEvents", _REDRIVEN, site.staff("finance"), first=2)
    assert (first["resolvedIds"], first["kept"], first["lastId"]) == (in_order[:2], [], in_order[1])
    rest = await site.change("redriveEvents", _REDRIVEN, site.staff("finance"), after=first["lastId"])
    assert (rest["resolvedIds"], rest["lastId"]) == (in_order[2:], in_order[2])
    assert await _waiting(site) == {}
    for given in ({}, {"ids": in_order}):
        again = await site.change("redriveEvents", _REDRIVEN, site.staff("finance"), **given)
        assert again == {"__typename": "EventsRedriven", "resolvedIds": [], "kept": [], "lastId": None}
    # 3 x 1,000,000 x 2 / 1M
    assert await _cost(site, ada) == "6"


async def test_only_the_events_that_are_named_are_looked_at(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-31")
    before = [_call(ada, f"e{n}", n) for n in range(2)]
    assert {verdict.status for verdict in await site.world.use("llm", *before)} == {Status.QUARANTINED}
    await site.world.subscribe(ada, "pro")
    waiting = await _waiting(site)
    done = await site.change("redriveEvents", _REDRIVEN, site.staff(), ids=[waiting["e1"]])
    assert (done["resolvedIds"], done["kept"]) == ([waiting["e1"]], [])
    assert await _waiting(site) == {"e0": waiting["e0"]}
    other = await site.change("redriveEvents", _REDRIVEN, site.staff(), reason="unpriced")
    assert (other["resolvedIds"], other["kept"], other["lastId"]) == ([], [], None)
    await site.world.close()


async def test_a_wish_out_of_bounds_and_an_unknown_reason_are_refused(site: Site) -> None:
    event = encode("event", make.new_id())
    wishes: list[tuple[dict[str, Any], str, str]] = [
        ({"first": 0}, "TooLarge", "redrive_out_of_bounds"),
        ({"first": 101}, "TooLarge", "redrive_out_of_bounds"),
        ({"ids": []}, "TooLarge", "redrive_out_of_bounds"),
        ({"ids": [event] * 101}, "TooLarge", "redrive_out_of_bounds"),
        ({"ids": ["evt_1"]}, "InvalidInput", "id_malformed"),
        ({"after": "evt_1"}, "InvalidInput", "id_malformed"),
        ({"reason": "expensive"}, "InvalidInput", "reason_unknown"),
    ]
    for wish, problem, code in wishes:
        found = await site.change("redriveEvents", _REDRIVEN, site.staff(), **wish)
        assert (found["__typename"], found["code"]) == (problem, code)


async def test_a_caller_re_drives_only_what_it_may_see(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-31")
    await site.world.use("llm", _call(ada, "e0", 0))
    await site.world.subscribe(ada, "pro")
    [waiting] = (await _waiting(site)).values()
    for token in (site.staff("support"), site.member(ada.id), await site.key("event:read")):
        found = await site.change("redriveEvents", _REDRIVEN, token, ids=[waiting])
        assert (found["__typename"], found["code"]) == ("NotPermitted", "forbidden")
    live = await site.key("event:write", environment=Environment.LIVE)
    found = await site.change("redriveEvents", _REDRIVEN, live, ids=[waiting])
    assert (found["resolvedIds"], found["kept"]) == ([], [])
    assert list((await _waiting(site)).values()) == [waiting]
    found = await site.change("redriveEvents", _REDRIVEN, await site.key("event:write"), ids=[waiting])
    assert found["resolvedIds"] == [waiting]
    await site.world.close()
