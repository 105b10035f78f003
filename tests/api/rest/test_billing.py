"""The billing routes: subscribe, look, change, cancel; once for each key, and about nobody else's customer."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from api.local.throwaway import TemporaryServers
from domain.customers.customer import Customer
from domain.kernel.ids import encode
from domain.limits import service as limits
from domain.limits.override import Wish
from domain.usage.event import UsageEvent
from tests.api.graphql.site import Site, open_site
from tests.databases import fresh_database

_exact = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True)
class Counter:
    """Ada, who buys, and Bob, who does not."""

    site: Site
    ada: Customer
    bob: Customer

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        key: str | None = None,
        **query: str,
    ) -> tuple[int, Any]:
        """Ask as Ada unless told."""
        headers = {"Authorization": f"Bearer {token or self.site.member(self.ada.id)}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        content = None if body is None else msgspec.json.encode(body)
        answer = await self.site.client.request(
            method, f"/api/billing/{path}", params=query, headers=headers, content=content
        )
        return answer.status_code, _exact.decode(answer.content)


@pytest.fixture(scope="module")
async def counter(servers: TemporaryServers, seeded: str) -> AsyncIterator[Counter]:
    """Open a site with two customers, on 1 April 2026."""
    async with fresh_database(servers, "billing", seeded) as database, open_site(database) as site:
        ada, bob = [await site.world.customer(on="2026-04-01") for _ in range(2)]
        yield Counter(site, ada, bob)
        await site.world.close()


async def test_a_customer_subscribes_once_looks_and_cancels(counter: Counter) -> None:
    status, sold = await counter.ask("GET", "plans")
    assert (status, [plan["key"] for plan in sold["plans"]][:2]) == (200, ["free", "starter"])
    assert (await counter.ask("GET", "subscription"))[1]["code"] == "subscription_not_found"

    wanted = {"plan": "starter", "quantity": 1}
    status, started = await counter.ask("POST", "subscribe", wanted, key="k1")
    assert (status, started["status"], started["plan"], started["product"]) == (200, "active", "starter", "edge")
    assert (started["current_period_start"], started["current_period_end"]) == (
        "2026-04-01T00:00:00Z",
        "2026-05-01T00:00:00Z",
    )
    # The same key again: the same outcome; with another body: refused; another key: a second subscription.
    assert await counter.ask("POST", "subscribe", wanted, key="k1") == (200, started)
    status, other = await counter.ask("POST", "subscribe", {"plan": "free"}, key="k1")
    assert (status, other["code"]) == (409, "idempotency_conflict")
    for _ in range(2):
        status, second = await counter.ask("POST", "subscribe", wanted, key="k2")
        assert (status, second["code"], second["title"]) == (409, "already_subscribed", "Conflict")
    assert (await counter.ask("GET", "subscription"))[1] == started

    status, used = await counter.ask("GET", "usage")
    requests = next(each for each in used["limits"] if each["key"] == "requests")
    assert (status, requests["used"], requests["limit"], requests["state"]) == (200, 0, 100_000, "ok")
    catalogue = await counter.site.runtime.catalogue()
    async with counter.site.runtime.db.transaction() as tx:
        wish = Wish("edge", "requests", Decimal(250_000), "agreed")
        await limits.set_override(tx, counter.site.world.call, catalogue, counter.ada.id, wish)
    status, used = await counter.ask("GET", "usage")
    requests = next(each for each in used["limits"] if each["key"] == "requests")
    assert (status, requests["limit"]) == (200, 250_000)
    status, page = await counter.ask("GET", "invoices")
    assert (status, [str(each["total"]) for each in page["invoices"]], page["next"]) == (200, ["29.00"], None)
    assert await counter.ask("GET", "invoices", product="edge") == (status, page)
    assert await counter.ask("GET", "invoices", product="llm") == (200, {"invoices": [], "next": None})
    status, unknown = await counter.ask("GET", "invoices", product="toys")
    assert (status, unknown["code"]) == (404, "product_not_found")

    status, ended = await counter.ask("POST", "cancel", {"reason": "unused", "feedback": "too quiet"}, key="k3")
    assert (status, ended["status"], ended["cancel_at"], ended["cancel_reason"]) == (
        200,
        "active",
        "2026-05-01T00:00:00Z",
        "unused",
    )
    assert await counter.ask("POST", "cancel", {}) == (200, ended)
    dated = {"cancel_at": "2026-04-20T00:00:00Z"}
    assert (await counter.ask("POST", "cancel", dated))[1]["cancel_at"] == "2026-04-20T00:00:00Z"


async def test_a_customer_changes_plan_once_and_not_to_one_that_is_too_small(counter: Counter) -> None:
    world = counter.site.world
    eve = await world.customer(on="2026-04-01")
    await world.subscribe(eve, "starter", product="edge")
    token = counter.site.member(eve.id)

    async def totals() -> list[str]:
        return [str(each["total"]) for each in (await counter.ask("GET", "invoices", token=token))[1]["invoices"]]

    # The card answers at once, so the upgrade waits for its invoice: 99.00 less 29.00, for the whole of April.
    wanted = {"plan": "professional", "at": "now"}
    status, asked = await counter.ask("PUT", "subscription", wanted, token=token, key="p1")
    assert (status, asked["plan"], asked["change"]["state"]) == (200, "starter", "pending")
    assert (asked["change"]["plan"], asked["change"]["expires_at"]) == ("professional", "2026-04-01T23:00:00Z")
    assert await totals() == ["70.00", "29.00"]
    assert await counter.ask("PUT", "subscription", wanted, token=token, key="p1") == (200, asked)
    status, other = await counter.ask("PUT", "subscription", {"quantity": 2}, token=token, key="p1")
    assert (status, other["code"]) == (409, "idempotency_conflict")
    assert (await counter.ask("PUT", "subscription", wanted, token=token, key="p2"))[1]["code"] == "change_waits"
    await world.drain()
    status, paid = await counter.ask("PUT", "subscription", wanted, token=token, key="p1")
    assert (status, paid["plan"], paid["change"]) == (200, "professional", {**asked["change"], "state": "applied"})
    assert await totals() == ["70.00", "29.00"]

    # Starter holds 25 modules.
    at, name = "2026-04-01T00:00:00Z", encode("customer", eve.id)
    modules = UsageEvent("m", "edge.module", name, occurred_at=at, properties={"delta": 26})
    assert [verdict.status for verdict in await world.use("edge", modules)] == ["counted"]
    smaller = {"plan": "starter", "at": "now"}
    for _ in range(2):
        status, refused = await counter.ask("PUT", "subscription", smaller, token=token, key="p3")
        assert (status, refused["code"], "modules 26 of 25" in refused["detail"]) == (409, "plan_too_small", True)
    assert (await counter.ask("GET", "subscription", token=token))[1]["plan"] == "professional"
    assert await totals() == ["70.00", "29.00"]
    later = {"plan": "starter", "interval": "year", "quantity": 2, "at": "period_end"}
    status, kept = await counter.ask("PUT", "subscription", later, token=token)
    assert (status, kept["plan"], kept["change"]["effective_at"]) == (200, "professional", "2026-05-01T00:00:00Z")
    change = kept["change"]
    assert (change["state"], change["direction"], change["interval"], change["quantity"], change["invoice"]) == (
        "scheduled",
        "downgrade",
        "year",
        2,
        None,
    )


async def test_staff_name_the_customer_and_members_see_their_own_alone(counter: Counter) -> None:
    bob, staff = encode("customer", counter.bob.id), counter.site.staff()
    assert (await counter.ask("GET", "invoices", token=staff))[1]["code"] == "parameter_refused"
    assert await counter.ask("GET", "invoices", token=staff, customer=bob) == (200, {"invoices": [], "next": None})
    for method, path, body in (
        ("GET", "subscription", None),
        ("GET", "usage", None),
        ("GET", "invoices", None),
        ("POST", "subscribe", {"plan": "free"}),
        ("PUT", "subscription", {"plan": "free"}),
        ("POST", "cancel", {}),
    ):
        status, refused = await counter.ask(method, path, body, customer=bob)
        assert (status, refused["code"]) == (404, "customer_not_found"), path
    viewer = counter.site.member(counter.bob.id, "viewer")
    for method, path in (("POST", "subscribe"), ("PUT", "subscription")):
        status, refused = await counter.ask(method, path, {"plan": "free"}, token=viewer, key="k")
        assert (status, refused["code"]) == (403, "forbidden"), path
    assert (await counter.ask("GET", "invoices", token=staff, customer=bob))[1]["invoices"] == []
    assert (await counter.ask("GET", "subscription", token=viewer))[0] == 404


@pytest.mark.parametrize(
    ("path", "body", "query", "code"),
    [
        ("subscribe", {"plan": "gold"}, {}, "plan_not_found"),
        ("subscribe", {"plan": "free"}, {"product": "none"}, "product_not_found"),
        ("subscribe", {"plan": "free", "bill_day": 32}, {}, "start_refused"),
        ("subscribe", {"plan": "free", "quantity": 0}, {}, "quantity_out_of_bounds"),
        ("subscribe", {"plan": "free", "interval": "week"}, {}, "body_malformed"),
        ("subscribe", {"plan": "free", "extra": 1}, {}, "body_malformed"),
        ("subscribe", [], {}, "body_malformed"),
        ("cancel", {"cancel_at": "2026-04-20T00:00:00"}, {}, "parameter_refused"),
        ("cancel", {"cancel_at": "9999-12-31T23:59:59-14:00"}, {}, "parameter_refused"),
        ("cancel", {}, {}, "subscription_not_found"),
        ("subscription", {"plan": "free"}, {}, "subscription_not_found"),
        ("subscription", {"plan": "free"}, {"product": "none"}, "product_not_found"),
        ("subscription", {"at": "tomorrow"}, {}, "body_malformed"),
        ("subscription", {"quantity": "2"}, {}, "body_malformed"),
        ("subscription", {"proration_date": "2026-04-20T00:00:00"}, {}, "parameter_refused"),
        ("subscription", {"proration_date": "0001-01-01T00:00:00+14:00"}, {}, "parameter_refused"),
    ],
)
async def test_what_makes_no_sense_is_a_problem(
    counter: Counter, path: str, body: Any, query: dict[str, str], code: str
) -> None:
    bob, method = counter.site.member(counter.bob.id), "PUT" if path == "subscription" else "POST"
    status, refused = await counter.ask(method, path, body, token=bob, **query)
    assert (refused["code"], refused["status"]) == (code, status)
    assert (await counter.ask("GET", "invoices", token=bob))[1]["invoices"] == []
    assert (await counter.ask(method, path, body, token=bob, key="", **query))[0] >= 400
