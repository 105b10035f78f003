"""Staff list disputes and have what was lost collected again; its customer sees what became of the invoice."""

from domain.kernel.ids import encode
from domain.payments import store as payments
from domain.payments.disputing import service as disputing
from tests.api.graphql.site import Site
from tests.domain.payments.gateways import MemoryProbe

_DISPUTES = """query($id: ID, $open: Boolean! = false, $stance: DisputeStance) {
    disputes(customerId: $id, openOnly: $open, stance: $stance) { nodes {
        id invoiceId reason status stance evidenceDueAt closedAt amount { amount currency } } } }"""
_INVOICES = """query($id: ID!) { customer(id: $id) { invoices(first: 5) { nodes {
    id state amountDue { amount } amountPaid { amount } amountDisputed { amount } amountChargedBack { amount }
    attempts { state } disputes { id stance } } } } }"""
_AGAIN = "... on InvoiceAskedAgain { invoice { id state amountDue { amount } } }"


async def _sums(site: Site, customer: str) -> list[str]:
    """Return the state of the only invoice, and what is due, paid, disputed and charged back."""
    found = await site.read(_INVOICES, site.staff("viewer"), id=customer)
    [invoice] = found["customer"]["invoices"]["nodes"]
    names = ("amountDue", "amountPaid", "amountDisputed", "amountChargedBack")
    return [invoice["state"], *(invoice[name]["amount"] for name in names)]


async def test_a_dispute_is_listed_and_what_was_lost_is_collected_again_once(site: Site) -> None:
    world = site.world
    ada, bob = await world.customer(on="2026-01-31"), await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")  # 79.00 a month
    customer, finance, probe = encode("customer", ada.id), site.staff("finance"), MemoryProbe(world.gateway)
    [invoice] = await world.invoices(ada)
    async with world.runtime.db.transaction() as tx:
        [paid] = (await payments.list_attempts_of(tx, [(ada.id, invoice.id)]))[invoice.id]
    assert paid.gateway_payment_id is not None
    dispute_id = await probe.dispute(paid.gateway_payment_id, "product_not_received", 3_000)
    await disputing.settle_from_gateway(world.runtime.db, world.gateway, world.call, dispute_id)
    await world.drain()
    assert await _sums(site, customer) == ["PAID", "0.00", "79.00", "30.00", "0.00"]
    [shown] = (await site.read(_DISPUTES, finance, id=customer, open=True))["disputes"]["nodes"]
    assert (shown["stance"], shown["status"], shown["amount"]["amount"]) == ("HELD", "needs_response", "30.00")
    assert (shown["invoiceId"], shown["reason"]) == (encode("invoice", invoice.id), "product_not_received")
    wish = {"invoiceId": encode("invoice", invoice.id), "idempotencyKey": "a1"}
    assert (await site.change("collectChargedBackInvoice", _AGAIN, finance, **wish))["code"] == "invoice_state_refused"

    await probe.decide(dispute_id, "lost")
    await disputing.settle_from_gateway(world.runtime.db, world.gateway, world.call, dispute_id)
    await world.drain()
    assert await _sums(site, customer) == ["CHARGED_BACK", "0.00", "49.00", "0.00", "30.00"]
    assert (await site.read(_DISPUTES, finance, open=True))["disputes"]["nodes"] == []
    [lost] = (await site.read(_DISPUTES, finance, stance="LOST"))["disputes"]["nodes"]
    assert (lost["id"], lost["closedAt"] is None) == (shown["id"], False)
    # A member of another customer sees nothing of it.
    assert (await site.read(_DISPUTES, site.member(bob.id, "owner")))["disputes"]["nodes"] == []

    wish["idempotencyKey"] = "a2"
    first = await site.change("collectChargedBackInvoice", _AGAIN, finance, **wish)
    again = await site.change("collectChargedBackInvoice", _AGAIN, finance, **wish)
    assert first == again
    assert (first["invoice"]["state"], first["invoice"]["amountDue"]["amount"]) == ("OPEN", "30.00")
    await world.drain()
    assert await _sums(site, customer) == ["PAID", "0.00", "79.00", "0.00", "0.00"]
    assert [minor for _, minor in world.gateway.charges] == [7_900, 3_000]
