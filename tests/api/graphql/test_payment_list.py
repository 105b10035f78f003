"""Staff find payments of all customers: what came and what failed in a stretch of time, and whose one of Stripe is."""

from typing import Any

from domain.kernel.ids import encode
from tests.api.graphql.site import Site
from tests.stories.owing import NO_FUNDS

_FIND = """query($filter: PaymentFilter, $first: Int! = 20, $after: String) {
    payments(filter: $filter, first: $first, after: $after) {
    nodes { id state customerId invoiceId gatewayPaymentId amount { amount } } pageInfo { endCursor } } }"""


async def _amounts(site: Site, token: str, **wanted: Any) -> list[tuple[str, str]]:
    found = (await site.read(_FIND, token, filter=wanted))["payments"]["nodes"]
    return [(each["state"], each["amount"]["amount"]) for each in found]


async def test_payments_of_all_customers_are_found(site: Site) -> None:
    world, support = site.world, site.staff("support")
    ada, bob = await world.customer(on="2026-03-01"), await world.customer(on="2026-03-01", card=NO_FUNDS)
    await world.subscribe(ada, "pro")
    await world.subscribe(bob, "starter", product="edge")
    came, failed = ("SUCCEEDED", "79.00"), ("FAILED", "29.00")
    assert await _amounts(site, support) == [failed, came]
    assert await _amounts(site, support, states=["FAILED"]) == [failed]
    assert await _amounts(site, support, customerId=encode("customer", ada.id)) == [came]
    assert await _amounts(site, support, endedFrom="2026-03-01T00:00:00Z", endedBefore="2026-03-02T00:00:00Z") == [
        failed,
        came,
    ]
    assert await _amounts(site, support, endedBefore="2026-03-01T00:00:00Z") == []
    assert await _amounts(site, support, environment="LIVE") == []

    [paid] = (await site.read(_FIND, support, filter={"states": ["SUCCEEDED"]}))["payments"]["nodes"]
    [invoice] = await world.invoices(ada)
    assert (paid["customerId"], paid["invoiceId"]) == (encode("customer", ada.id), encode("invoice", invoice.id))
    assert await _amounts(site, support, gatewayPaymentId=paid["gatewayPaymentId"]) == [came]
    first = (await site.read(_FIND, support, first=1))["payments"]
    rest = (await site.read(_FIND, support, after=first["pageInfo"]["endCursor"]))["payments"]["nodes"]
    assert rest == [paid]

    # A member finds its own; nonsense and other customers are refused.
    assert await _amounts(site, site.member(ada.id, "viewer")) == [came]
    for token, wanted, code in (
        (support, {"gatewayPaymentId": ""}, "payment_filter_refused"),
        (site.member(ada.id), {"customerId": encode("customer", bob.id)}, "customer_not_found"),
    ):
        answer = await site.run(_FIND, token, filter=wanted)
        assert [each["extensions"]["code"] for each in answer["errors"]] == [code]
