"""Staff record a cheque for an invoice, once per idempotency key: dunning ends, and its customer sees it."""

from typing import Any

from domain.dunning.case import CaseState
from domain.kernel.ids import encode
from tests.api.graphql.site import Site
from tests.stories.owing import NO_FUNDS, case_of, mail

_INVOICES = """query($id: ID!) { customer(id: $id) { invoices(first: 5) { nodes { id state amountDue { amount }
    attempts { state methodId }
    receivedPayments { attemptId method reference receivedAt recordedAt amount { amount currency } } } } } }"""
_RECORDED = "... on PaymentRecorded { invoice { state receivedPayments { reference } } }"


async def test_a_cheque_is_recorded_once_ends_the_case_and_is_shown(site: Site) -> None:
    world = site.world
    ada = await world.customer(on="2026-03-01", card=NO_FUNDS)
    await world.subscribe(ada, "starter", product="edge")
    await world.advance(to="2026-03-02")
    customer, finance = encode("customer", ada.id), site.staff("finance")
    [invoice] = (await site.read(_INVOICES, finance, id=customer))["customer"]["invoices"]["nodes"]
    assert (invoice["amountDue"]["amount"], invoice["receivedPayments"]) == ("29.00", [])

    def given(amount: str, key: str) -> dict[str, Any]:
        return {
            "invoiceId": invoice["id"],
            "amount": {"amount": amount, "currency": "USD"},
            "method": "CHEQUE",
            "reference": "Cheque 17",
            "receivedAt": "2026-03-01T09:00:00Z",
            "idempotencyKey": key,
        }

    part = await site.change("recordPayment", _RECORDED, finance, **given("20.00", "k0"))
    assert part["code"] == "payment_differs"
    support = await site.change("recordPayment", _RECORDED, site.staff("support"), **given("29.00", "k1"))
    assert support["code"] == "forbidden"
    first = await site.change("recordPayment", _RECORDED, finance, **given("29.00", "k2"))
    again = await site.change("recordPayment", _RECORDED, finance, **given("29.00", "k2"))
    assert first == again
    assert first["invoice"] == {"state": "PAID", "receivedPayments": [{"reference": "Cheque 17"}]}
    late = await site.change("recordPayment", _RECORDED, finance, **given("29.00", "k3"))
    assert late["code"] == "invoice_state_refused"

    await world.drain()
    [shown] = (await site.read(_INVOICES, site.staff("viewer"), id=customer))["customer"]["invoices"]["nodes"]
    recorded, failed = shown["attempts"]
    assert (recorded["state"], recorded["methodId"], failed["state"]) == ("SUCCEEDED", None, "FAILED")
    [received] = shown["receivedPayments"]
    assert received["amount"] == {"amount": "29.00", "currency": "USD"}
    assert received["receivedAt"].startswith("2026-03-01T09:00")
    assert received["recordedAt"].startswith("2026-03-02T00:00")
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED
    assert mail(world)[-1].startswith("Payment received")
    # The copy there is closed, and nothing was charged.
    assert [(str(copy.state), copy.paid_minor) for copy in world.gateway.copies.values()] == [("paid", 0)]
    await world.advance(to="2026-03-20")
    assert world.gateway.charges == []
