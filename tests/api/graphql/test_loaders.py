"""What a list reaches costs a bounded number of statements, however long the list."""

from contextlib import AbstractContextManager

import pytest

from api.graphql.context import NODES_MAX, Context, QueryTooLarge
from domain.kernel.ids import CustomerId, encode
from tests.api.graphql.site import Site
from tests.statements import counted as statements_of

NESTED = """query($first: Int!) { customers(first: $first) { nodes {
    id clock { id }
    subscriptions { id product { key } plan { key version { number } } }
    invoices(first: 10) { nodes { id lines { id amount { amount } } attempts { state } } pageInfo { hasNextPage } }
    paymentMethods { id }
    billingEvents(first: 5) { nodes { type } }
} } }"""


def counted(site: Site) -> AbstractContextManager[list[str]]:
    """Collect the statements that reach Postgres."""
    return statements_of(site.runtime.db)


async def _furnish(site: Site, number: int) -> CustomerId:
    customer = await site.world.customer(on="2026-01-31")
    await site.world.subscribe(customer, "pro" if number % 2 else "basic")
    return customer.id


async def test_a_nested_query_costs_the_same_statements_for_two_customers_and_for_twelve(site: Site) -> None:
    for number in range(12):
        await _furnish(site, number)
    token = site.staff()
    await site.read(NESTED, token, first=1)
    found: dict[int, list[str]] = {}
    for first in (2, 12):
        with counted(site) as statements:
            data = await site.read(NESTED, token, first=first)
        found[first] = statements
        nodes = data["customers"]["nodes"]
        assert len(nodes) == first
        for node in nodes:
            [invoice] = node["invoices"]["nodes"]
            assert len(invoice["lines"]) == len(invoice["attempts"]) == len(node["paymentMethods"]) == 1
            assert len(node["subscriptions"]) == 1
            assert node["clock"] is not None
    # Customers, clocks, subscriptions, invoices, lines, attempts, methods and billing events: one each.
    assert len(found[2]) == len(found[12]) == 8


async def test_pages_inside_of_pages_are_each_customers_own(site: Site) -> None:
    first, second = await _furnish(site, 0), await _furnish(site, 1)
    await site.world.advance(to="2026-03-31")
    document = """query($after: String) { customers(first: 10) { nodes { id invoices(first: 2, after: $after) {
        nodes { id customerId } pageInfo { hasNextPage endCursor } } } } }"""
    nodes = (await site.read(document, site.staff()))["customers"]["nodes"]
    assert {node["id"] for node in nodes} == {encode("customer", first), encode("customer", second)}
    for node in nodes:
        # Three months: three invoices, of which two are on the page.
        assert {invoice["customerId"] for invoice in node["invoices"]["nodes"]} == {node["id"]}
        assert (len(node["invoices"]["nodes"]), node["invoices"]["pageInfo"]["hasNextPage"]) == (2, True)
    [mine] = [node for node in nodes if node["id"] == encode("customer", first)]
    rest = (await site.read(document, site.staff(), after=mine["invoices"]["pageInfo"]["endCursor"]))["customers"]
    [mine_again] = [node for node in rest["nodes"] if node["id"] == mine["id"]]
    assert (len(mine_again["invoices"]["nodes"]), mine_again["invoices"]["pageInfo"]["hasNextPage"]) == (1, False)


async def test_an_operation_loads_a_bounded_number_of_nodes(shared: Site) -> None:
    context = Context(shared.app.state.serving)
    context.spend(NODES_MAX)
    with pytest.raises(QueryTooLarge):
        context.spend(1)
