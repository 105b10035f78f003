"""Money won back after it was paid again: staff are told, pay another invoice with it, and send the rest back."""

from decimal import Decimal

from domain.contracts.charging import service as charging
from domain.customers.customer import Customer
from domain.invoices.one_off_charge import ChargeWish
from domain.kernel.ids import encode
from domain.payments import store as payments
from domain.payments.disputing import service as disputing
from tests.api.graphql.site import Site
from tests.domain.payments.gateways import MemoryProbe
from tests.stories.owing import mail

_HELD = """query($id: ID, $open: Boolean! = false) { unappliedPayments(customerId: $id, openOnly: $open) { nodes {
    id customerId invoiceId attemptId cause amount { amount currency } left { amount } refunded { amount }
    withheld { amount } bookedAt applications { invoiceId amount { amount } } } } }"""
_REFUNDS = """query($id: ID!) { customer(id: $id) { invoices(first: 5) { nodes { id
    refunds { id creditNoteId unappliedPaymentId status amount { amount } } } } } }"""
_APPLIED = "... on UnappliedPaymentApplied { payment { id left { amount } } invoice { id state } }"
_ORDERED = "... on UnappliedRefundOrdered { payment { left { amount } } refund { id status amount { amount } } }"
_CREDITED = """... on UnappliedPaymentCredited { credit { id amount { amount } creditedAt }
    payment { left { amount } credits { id amount { amount } creditedAt } } }"""
_CREDIT = "query($id: ID!) { customer(id: $id) { credit { amount currency } } }"
_AGAIN = "... on InvoiceAskedAgain { invoice { id } }"


async def _won_back(site: Site, ada: Customer) -> None:
    """Have 79.00 lost, collected again, and won back after all."""
    world, probe = site.world, MemoryProbe(site.world.gateway)
    [invoice] = await world.invoices(ada)
    async with world.runtime.db.transaction() as tx:
        [paid] = (await payments.list_attempts_of(tx, [(ada.id, invoice.id)]))[invoice.id]
    dispute_id = await probe.dispute(paid.gateway_payment_id or "", "product_not_received")
    for status in ("lost", "won"):
        await probe.decide(dispute_id, status)
        await disputing.settle_from_gateway(world.runtime.db, world.gateway, world.call, dispute_id)
        if status == "lost":
            wish = {"invoiceId": encode("invoice", invoice.id), "idempotencyKey": "a1"}
            assert "invoice" in await site.change("collectChargedBackInvoice", _AGAIN, site.staff("finance"), **wish)
        await world.drain()


async def _owed(site: Site, ada: Customer) -> str:
    """Have 50.00 owed; return the invoice's id."""
    async with site.world.runtime.db.transaction() as tx:
        wish = ChargeWish("USD", "Set-up", Decimal(50))
        _, due = await charging.charge(tx, site.world.call, customer_id=ada.id, wish=wish, at_once=True)
    assert due is not None
    return encode("invoice", due.id)


async def _alerts(site: Site) -> list[tuple[str, bool]]:
    """Return which unapplied payments staff were told of, and whether with the amount."""
    found = await site.read("{ staffAlerts(first: 5) { nodes { kind about text } } }", site.staff("finance"))
    own = [each for each in found["staffAlerts"]["nodes"] if each["kind"] == "payment_unapplied"]
    return [(each["about"], "79.00 USD" in each["text"]) for each in own]


async def test_money_that_paid_nothing_is_shown_applied_once_and_sent_back_once(site: Site) -> None:
    world = site.world
    ada, bob = await world.customer(on="2026-01-31"), await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")  # 79.00 a month
    await _won_back(site, ada)
    customer, finance = encode("customer", ada.id), site.staff("finance")
    [held] = (await site.read(_HELD, finance, id=customer, open=True))["unappliedPayments"]["nodes"]
    assert (held["cause"], held["amount"], held["applications"]) == (
        "REINSTATED",
        {"amount": "79.00", "currency": "USD"},
        [],
    )
    # The customer sees their own, another one nothing of it.
    assert (await site.read(_HELD, site.member(ada.id, "owner")))["unappliedPayments"]["nodes"] == [held]
    assert (await site.read(_HELD, site.member(bob.id, "owner")))["unappliedPayments"]["nodes"] == []
    assert await _alerts(site) == [(held["id"], True)]

    given = {"unappliedPaymentId": held["id"], "invoiceId": await _owed(site, ada), "idempotencyKey": "u1"}
    support = await site.change("applyUnappliedPayment", _APPLIED, site.staff("support"), **given)
    assert support["code"] == "forbidden"
    first = await site.change("applyUnappliedPayment", _APPLIED, finance, **given)
    again = await site.change("applyUnappliedPayment", _APPLIED, finance, **given)
    assert first == again
    # 79.00 - 50.00.
    assert (first["payment"]["left"]["amount"], first["invoice"]["state"]) == ("29.00", "PAID")
    late = await site.change("applyUnappliedPayment", _APPLIED, finance, **{**given, "idempotencyKey": "u2"})
    assert late["code"] == "invoice_state_refused"

    back = {"unappliedPaymentId": held["id"], "reason": "DUPLICATE", "idempotencyKey": "u3"}
    dear = {**back, "amount": {"amount": "29.01", "currency": "USD"}, "idempotencyKey": "u4"}
    assert (await site.change("refundUnappliedPayment", _ORDERED, finance, **dear))["code"] == "unapplied_payment_spent"
    sent = await site.change("refundUnappliedPayment", _ORDERED, finance, **back)
    assert sent == await site.change("refundUnappliedPayment", _ORDERED, finance, **back)
    assert (sent["refund"]["status"], sent["payment"]["left"]["amount"]) == ("PENDING", "0.00")
    await world.drain()
    assert [each.amount_minor for each in world.gateway.listing.refunds] == [2_900]
    assert [minor for _, minor in world.gateway.charges] == [7_900, 7_900]
    assert (await site.read(_HELD, finance, open=True))["unappliedPayments"]["nodes"] == []
    [done] = (await site.read(_HELD, finance))["unappliedPayments"]["nodes"]
    assert (done["refunded"]["amount"], [each["amount"]["amount"] for each in done["applications"]]) == (
        "29.00",
        ["50.00"],
    )
    invoices = (await site.read(_REFUNDS, finance, id=customer))["customer"]["invoices"]["nodes"]
    [shown] = [each for invoice in invoices for each in invoice["refunds"]]
    assert (shown["creditNoteId"], shown["unappliedPaymentId"], shown["status"]) == (None, held["id"], "SUCCEEDED")
    assert not [subject for subject in mail(world) if "failed" in subject]


async def test_it_is_made_credit_once_for_a_key_and_pays_the_next_invoice(site: Site) -> None:
    world = site.world
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")  # 79.00 a month
    await _won_back(site, ada)
    customer, finance = encode("customer", ada.id), site.staff("finance")
    [held] = (await site.read(_HELD, finance, id=customer, open=True))["unappliedPayments"]["nodes"]
    part = {"amount": {"amount": "30.00", "currency": "USD"}}
    given = {"unappliedPaymentId": held["id"], **part, "idempotencyKey": "c1"}
    for refused in (site.staff("support"), site.member(ada.id, "owner")):
        assert (await site.change("creditUnappliedPayment", _CREDITED, refused, **given))["code"] == "forbidden"
    first = await site.change("creditUnappliedPayment", _CREDITED, finance, **given)
    assert first == await site.change("creditUnappliedPayment", _CREDITED, finance, **given)
    # 79.00 - 30.00.
    assert (first["credit"]["amount"]["amount"], first["payment"]["left"]["amount"]) == ("30.00", "49.00")
    assert first["payment"]["credits"] == [first["credit"]]
    dear = {**given, "amount": {"amount": "49.01", "currency": "USD"}, "idempotencyKey": "c2"}
    spent = await site.change("creditUnappliedPayment", _CREDITED, finance, **dear)
    assert spent["code"] == "unapplied_payment_spent"
    assert await site.read(_CREDIT, site.member(ada.id, "owner"), id=customer) == {
        "customer": {"credit": [{"amount": "30.00", "currency": "USD"}]}
    }
    await _owed(site, ada)
    assert await site.read(_CREDIT, finance, id=customer) == {"customer": {"credit": []}}
