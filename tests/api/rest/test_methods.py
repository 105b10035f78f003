"""The routes of payment methods: give, list, choose, remove; and nothing of anybody else."""

from collections.abc import AsyncIterator

import pytest

from api.local.throwaway import TemporaryServers
from domain.adapters.memory import MemoryGateway
from tests.api.graphql.site import Site, open_site
from tests.api.rest.test_billing import Counter
from tests.databases import fresh_database


@pytest.fixture(scope="module")
async def counter(servers: TemporaryServers, seeded: str) -> AsyncIterator[Counter]:
    """Open a site with two customers, of which neither has a method."""
    async with fresh_database(servers, "methods", seeded) as database, open_site(database) as site:
        ada, bob = [await site.world.customer(on="2026-04-01", card=None) for _ in range(2)]
        yield Counter(site, ada, bob)
        await site.world.close()


def gateway_of(site: Site) -> MemoryGateway:
    """Return the gateway in memory."""
    return site.world.gateway


async def test_a_customer_gives_chooses_and_removes_methods(counter: Counter) -> None:
    path = "payment-methods"
    status, begun = await counter.ask("POST", f"{path}/setup", {"way": "card"}, key="s1")
    assert (status, begun["state"]) == (200, "waiting")
    assert (await counter.ask("POST", f"{path}/setup", {"way": "card"}, key="s1"))[1] == begun
    status, first = await counter.ask("POST", path, {"payment_method": "pm_card_visa"})
    assert (status, first["type"], first["last4"], first["is_default"]) == (200, "card", "4242", True)
    again = {"payment_method": first["stripe_payment_method_id"]}
    assert await counter.ask("POST", path, again) == (200, first)
    _, second = await counter.ask("POST", path, {"payment_method": "pm_card_mastercard"})
    status, chosen = await counter.ask("POST", f"{path}/{second['id']}/default")
    assert (status, chosen["is_default"]) == (200, True)
    status, page = await counter.ask("GET", path)
    assert [each["id"] for each in page["payment_methods"]] == [second["id"], first["id"]]

    stranger = counter.site.member(counter.bob.id)
    for method, where in (("DELETE", first["id"]), ("POST", f"{first['id']}/default")):
        status, refused = await counter.ask(method, f"{path}/{where}", token=stranger)
        assert (status, refused["code"]) == (404, "payment_method_not_found")
    assert (await counter.ask("GET", path, token=stranger))[1] == {"payment_methods": []}

    await counter.ask("POST", "subscribe", {"plan": "starter"})
    for _ in range(2):
        status, gone = await counter.ask("DELETE", f"{path}/{first['id']}")
        assert (status, gone["id"], gone["detached_at"] is not None) == (200, first["id"], True)
    status, refused = await counter.ask("DELETE", f"{path}/{second['id']}")
    assert (status, refused["code"]) == (409, "last_payment_method")
    await counter.site.world.drain()
    left = [each.gateway_customer_id is not None for each in gateway_of(counter.site).methods.values()]
    assert left == [False, True]
