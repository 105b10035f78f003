"""The run's customers, clock and subscriptions: made once, found again, and finished after an interruption."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest

from api.replay.cast import gather_cast
from api.replay.client import Client
from api.replay.errors import ReplayError
from api.replay.trace import HEADER, Run, parse
from tests.make import at

RUN = Run(parse(f"{HEADER}\n2023-11-16 18:17:03,1,1\n".encode()), 2, "llm", "pro", "gemini", "gemini-2.5-pro")
PERIOD = {"start": "2026-01-15T12:00:00Z", "end": "2026-02-15T12:00:00Z"}


class World:
    """What a server remembers of customers and clocks, behind the fields that the replay uses."""

    def __init__(self) -> None:
        self.clocks: list[dict[str, Any]] = []
        self.customers: dict[str, dict[str, Any]] = {}
        self.changes: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one GraphQL request."""
        body = json.loads(request.content)
        found = re.search(r"\{\s*(\w+)", body["query"].partition(")")[2] or body["query"])
        assert found is not None, "the document has a field"
        name = found.group(1)
        given = body["variables"].get("input", body["variables"])
        if "input" in body["variables"]:
            self.changes.append(name)
        return httpx.Response(200, json={"data": {name: getattr(self, f"on_{name}")(given)}})

    def on_testClocks(self, _: Any) -> Any:  # noqa: N802 -- the field's name
        """List clocks."""
        return {"nodes": self.clocks, "pageInfo": {"hasNextPage": False, "endCursor": None}}

    def on_createTestClock(self, given: Any) -> Any:  # noqa: N802 -- the field's name
        """Make a clock."""
        self.clocks.append({"id": f"clk_{len(self.clocks) + 1}", "name": given["name"], "nowAt": given["nowAt"]})
        return {"clock": self.clocks[-1]}

    def on_customers(self, given: Any) -> Any:
        """Find a customer by its external id."""
        found = [each for each in self.customers.values() if each["externalId"] == given["externalId"]]
        return {"nodes": found}

    def on_customer(self, given: Any) -> Any:
        """Show a customer."""
        return self.customers[given["id"]]

    def on_createCustomer(self, given: Any) -> Any:  # noqa: N802 -- the field's name
        """Make a customer."""
        new = {
            "id": f"cus_{len(self.customers) + 1}",
            "externalId": given["externalId"],
            "clock": next(clock for clock in self.clocks if clock["id"] == given["clockId"]),
            "paymentMethods": [],
            "subscriptions": [],
        }
        self.customers[new["id"]] = new
        return {"customer": new}

    def on_attachPaymentMethod(self, given: Any) -> Any:  # noqa: N802 -- the field's name
        """Attach a card."""
        self.customers[given["customerId"]]["paymentMethods"].append({"id": "pm_1"})
        return {"method": {"id": "pm_1"}}

    def on_subscribe(self, given: Any) -> Any:
        """Start a subscription."""
        customer = self.customers[given["customerId"]]
        new = {
            "id": f"sub_of_{customer['id']}",
            "startedAt": PERIOD["start"],
            "product": {"key": given["product"]},
            "plan": {"key": given["plan"]},
            "period": dict(PERIOD),
        }
        customer["subscriptions"].append(new)
        return {"subscription": new}

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Open a client of this server."""
        async with Client("http://127.0.0.1:1", "staff", transport=httpx.MockTransport(self.answer)) as client:
            yield client


async def gather(world: World, now: datetime) -> Any:
    async with world.client() as client:
        return await gather_cast(client, RUN, now)


async def test_the_first_replay_makes_a_clock_and_customers_that_pay() -> None:
    world = World()

    cast = await gather(world, at("2026-01-15T12:00"))

    each = ["createCustomer", "attachPaymentMethod", "subscribe"]
    assert world.changes == ["createTestClock", *each, *each]
    assert world.clocks[0]["name"] == RUN.name
    assert world.clocks[0]["nowAt"] == "2026-01-15T12:00:00+00:00"
    assert [one.subscription_id for one in cast.customers] == ["sub_of_cus_1", "sub_of_cus_2"]
    assert (cast.clock_id, cast.started_at, cast.ends_at) == ("clk_1", at("2026-01-15T12:00"), at("2026-02-15T12:00"))


async def test_a_later_replay_finds_everything_and_changes_nothing() -> None:
    world = World()
    first = await gather(world, at("2026-01-15T12:00"))
    made = len(world.changes)

    assert await gather(world, at("2026-03-01")) == first
    assert len(world.changes) == made


async def test_an_interrupted_replay_is_finished() -> None:
    world = World()
    await gather(world, at("2026-01-15T12:00"))
    # As if it had ended after the first customer was made, without card and subscription.
    del world.customers["cus_2"]
    world.customers["cus_1"] |= {"paymentMethods": [], "subscriptions": []}
    world.changes.clear()

    await gather(world, at("2026-03-01"))

    assert world.changes == ["attachPaymentMethod", "subscribe", "createCustomer", "attachPaymentMethod", "subscribe"]
    assert len(world.clocks) == 1


async def test_a_clock_without_customers_is_found_by_its_name() -> None:
    world = World()
    world.clocks = [{"id": "clk_9", "name": "another"}, {"id": "clk_7", "name": RUN.name}]

    assert (await gather(world, at("2026-03-01"))).clock_id == "clk_7"
    assert "createTestClock" not in world.changes


async def test_a_closed_period_is_known_by_the_period_having_moved_on() -> None:
    world = World()
    await gather(world, at("2026-01-15T12:00"))
    for customer in world.customers.values():
        customer["subscriptions"][0]["period"] = {"start": PERIOD["end"], "end": "2026-03-15T12:00:00Z"}

    cast = await gather(world, at("2026-03-01"))

    assert (cast.started_at, cast.ends_at) == (at("2026-01-15T12:00"), None)


async def test_a_customer_without_a_clock_is_not_taken_over() -> None:
    world = World()
    world.customers["cus_1"] = {"id": "cus_1", "externalId": RUN.external_ids()[0], "clock": None}

    with pytest.raises(ReplayError, match="is bound to no test clock"):
        await gather(world, at("2026-03-01"))

    assert world.changes == []
