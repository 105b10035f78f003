"""One-off charges over GraphQL: staff charge once, and the customer sees it on previews and invoices alone."""

from typing import Any

import pytest

from domain.customers.customer import Customer
from domain.kernel.ids import encode
from tests.api.graphql.site import Site

SAVED = """... on OneOffChargeSaved {
    charge { id state amount { amount } unitPrice { amount } quantity invoiceId }
    invoice { state total { amount } lines { kind description quantity unit subscriptionId amount { amount } } }
}"""
LISTED = """query($id: ID!, $state: OneOffChargeState) {
    oneOffCharges(customerId: $id, state: $state) { nodes { id state description unit taxCode discountable } }
}"""
UPCOMING = "query($id: ID!) { previewInvoice(subscriptionId: $id) { lines { kind description amount { amount } } } }"


@pytest.fixture
async def ada(shared: Site) -> Customer:
    """Make a customer of the test's own."""
    return await shared.world.customer(on="2026-01-31")


async def test_staff_charge_once_for_a_key_and_take_it_back(shared: Site, ada: Customer) -> None:
    finance, own = shared.staff("finance"), {"customerId": encode("customer", ada.id)}
    subscription = await shared.world.subscribe(ada, "pro")
    given = {
        **own,
        "description": "Training",
        "unitPrice": {"amount": "12.345", "currency": "USD"},
        "quantity": "3",
        "unit": "hour",
        "idempotencyKey": "c1",
    }
    made = await shared.change("createOneOffCharge", SAVED, finance, **given)
    # 3 x 12.345 = 37.035.
    assert made["charge"] | {"id": None} == {
        "id": None,
        "state": "PENDING",
        "amount": {"amount": "37.04"},
        "unitPrice": {"amount": "12.345"},
        "quantity": "3",
        "invoiceId": None,
    }
    assert (made["invoice"], await shared.change("createOneOffCharge", SAVED, finance, **given)) == (None, made)
    [listed] = (await shared.read(LISTED, finance, id=own["customerId"]))["oneOffCharges"]["nodes"]
    assert listed == {
        "id": made["charge"]["id"],
        "state": "PENDING",
        "description": "Training",
        "unit": "hour",
        "taxCode": None,
        "discountable": True,
    }
    shown = await shared.read(UPCOMING, shared.member(ada.id), id=encode("subscription", subscription.id))
    charged = {"kind": "ONE_OFF", "description": "Training", "amount": {"amount": "37.04"}}
    assert charged in shown["previewInvoice"]["lines"]
    back = {**own, "id": made["charge"]["id"]}
    canceled = await shared.change("cancelOneOffCharge", SAVED, finance, **back)
    assert (canceled["charge"]["state"], canceled["invoice"]) == ("CANCELED", None)
    assert await shared.change("cancelOneOffCharge", SAVED, finance, **back) == canceled
    left = await shared.read(LISTED, finance, id=own["customerId"], state="PENDING")
    assert left["oneOffCharges"]["nodes"] == []


async def test_a_charge_is_invoiced_at_once_where_that_is_asked(shared: Site, ada: Customer) -> None:
    finance, own = shared.staff("finance"), {"customerId": encode("customer", ada.id)}
    amount = {"amount": "20.00", "currency": "EUR"}
    given = {**own, "description": "Set-up", "amount": amount, "invoiceNow": True, "idempotencyKey": "c2"}
    made = await shared.change("createOneOffCharge", SAVED, finance, **given)
    line = {"kind": "ONE_OFF", "description": "Set-up", "quantity": "1", "unit": "unit", "subscriptionId": None}
    lines = [{**line, "amount": {"amount": "20.00"}}]
    assert made["invoice"] == {"state": "OPEN", "total": {"amount": "20.00"}, "lines": lines}
    assert (made["charge"]["state"], made["charge"]["invoiceId"][:4]) == ("INVOICED", "inv_")
    assert await shared.change("createOneOffCharge", SAVED, finance, **given) == made
    late = await shared.change("cancelOneOffCharge", SAVED, finance, **own, id=made["charge"]["id"])
    assert (late["__typename"], late["code"]) == ("Conflict", "charge_invoiced")
    await shared.world.drain()
    assert (await shared.world.invoices(ada))[0].paid_at is not None


async def test_what_is_wrong_or_not_allowed_is_refused(shared: Site, ada: Customer) -> None:
    finance, own = shared.staff("finance"), {"customerId": encode("customer", ada.id), "description": "x"}
    usd = {"amount": "1.00", "currency": "USD"}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "charge_malformed"),
        ({"amount": usd, "unitPrice": usd}, "charge_malformed"),
        ({"amount": usd, "quantity": "2"}, "charge_malformed"),
        ({"amount": {"amount": "-1.00", "currency": "USD"}}, "charge_negative"),
        ({"amount": {"amount": "1.001", "currency": "USD"}}, "amount_malformed"),
    ]
    for number, (given, code) in enumerate(wrong):
        refused = await shared.change("createOneOffCharge", SAVED, finance, **own, **given, idempotencyKey=f"w{number}")
        assert (refused["__typename"], refused["code"]) == ("InvalidInput", code)
    for token in (shared.member(ada.id), shared.staff("support")):
        refused = await shared.change("createOneOffCharge", SAVED, token, **own, amount=usd, idempotencyKey="w9")
        assert refused["__typename"] == "NotPermitted"
    assert (await shared.read(LISTED, finance, id=own["customerId"]))["oneOffCharges"]["nodes"] == []
