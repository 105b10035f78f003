"""Staff record a cheque for an invoice, once per idempotency key: dunning ends, and its customer sees it."""

from typing import Any

from domain.dunning.case import CaseState
from domain.kernel.ids import encode
from domain.subscriptions.subscription import Status
from tests import make
from tests.api.graphql.site import Site
from tests.stories.owing import NO_FUNDS, case_of, live, mail

_INVOICES = """query($id: ID!) { customer(id: $id) { invoices(first: 5) { nodes { id state amountDue { amount }
    attempts { state methodId }
    receivedPayments { attemptId method reference receivedAt recordedAt amount { amount currency } } } } } }"""
_REVERSED = "... on RecordedPaymentReversed { invoice { state receivedPayments { reversal } } }"
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


async def test_a_bounced_cheque_is_taken_back_once_and_the_invoice_is_dunned_from_then_on(site: Site) -> None:
    world = site.world
    ada = await world.customer(on="2026-03-01", card=NO_FUNDS)
    await world.subscribe(ada, "starter", product="edge")
    await world.advance(to="2026-03-02")
    customer, finance = encode("customer", ada.id), site.staff("finance")
    [invoice] = (await site.read(_INVOICES, finance, id=customer))["customer"]["invoices"]["nodes"]
    given = {
        "invoiceId": invoice["id"],
        "amount": {"amount": "29.00", "currency": "USD"},
        "method": "CHEQUE",
        "reference": "Cheque 17",
        "receivedAt": "2026-03-01T09:00:00Z",
        "idempotencyKey": "k1",
    }
    await site.change("recordPayment", _RECORDED, finance, **given)
    await world.drain()
    await world.advance(to="2026-03-05")
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED
    [invoice] = (await site.read(_INVOICES, finance, id=customer))["customer"]["invoices"]["nodes"]
    [received] = invoice["receivedPayments"]

    wish = {"attemptId": received["attemptId"], "reason": "BOUNCED", "idempotencyKey": "k2"}
    support = await site.change("reverseRecordedPayment", _REVERSED, site.staff("support"), **wish)
    assert support["code"] == "forbidden"
    first = await site.change("reverseRecordedPayment", _REVERSED, finance, **wish)
    assert first == await site.change("reverseRecordedPayment", _REVERSED, finance, **wish)
    assert first["invoice"] == {"state": "OPEN", "receivedPayments": [{"reversal": "BOUNCED"}]}
    late = await site.change("reverseRecordedPayment", _REVERSED, finance, **{**wish, "idempotencyKey": "k3"})
    assert late["code"] == "payment_already_reversed"

    await world.drain()
    case = (await case_of(world, ada)).case
    # The calendar begins with the day on which it bounced: the first retry is two days later, on the card there is.
    assert (case.state, case.next_attempt_at) == (CaseState.OPEN, make.at("2026-03-07"))
    assert [status for _, status, _ in await live(world, ada)] == [Status.PAST_DUE]
    assert world.gateway.charges == []
