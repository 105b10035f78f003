"""What a customer of the scene has: a credit note, a dunning case, a dispute, unapplied money, coupons."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from domain.contracts.charging import service as charging
from domain.contracts.invoicing import service as invoicing
from domain.contracts.scheduling import service as scheduling
from domain.contracts.starting.wish import Wish
from domain.credits.coupon import Duration
from domain.credits.coupons import service as coupons
from domain.credits.coupons.service import Offer
from domain.credits.wallets import service as wallets
from domain.credits.wallets.reading import service as reading
from domain.credits.wallets.service import GrantTerms
from domain.dunning.store import insert_case, insert_step
from domain.invoices import service as invoices
from domain.invoices.credit_note import CreditKind, CreditPart, CreditReason
from domain.invoices.invoice import Invoice
from domain.invoices.one_off_charge import ChargeWish
from domain.invoices.topping import service as topping
from domain.kernel.ids import CustomerId, DisputeId, InvoiceId, LineId, UnappliedPaymentId, encode
from domain.kernel.money import Money
from domain.payments import store as payments
from domain.payments.attempt import AttemptState
from domain.payments.dispute import Dispute, Stance
from domain.payments.disputing.store import insert_dispute
from domain.payments.receiving.receipt import ReceiptMethod, Received
from domain.payments.receiving.store import insert_received
from domain.payments.unapplied.payment import Cause, UnappliedPayment
from domain.payments.unapplied.store import insert_payment
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from tests import make
from tests.api.graphql.site import Site
from tests.domain.payments import examples


async def note_of(server: Site, invoice_id: InvoiceId, line_id: LineId) -> str:
    """Give a cent back; return the id of the credit note."""
    async with server.runtime.db.transaction() as tx:
        note = await invoicing.credit(
            tx,
            server.world.call,
            invoice_id=invoice_id,
            parts=[CreditPart(line_id, 1)],
            reason=CreditReason.GOODWILL,
            kind=CreditKind.CUSTOMER_CREDIT,
        )
    return encode("credit_note", note.id)


async def charge_of(server: Site, customer_id: CustomerId) -> str:
    """Charge a dollar with the next invoice; return the id of the charge."""
    wish = ChargeWish("USD", "Set-up", Decimal(1))
    async with server.runtime.db.transaction() as tx:
        made, _ = await charging.charge(tx, server.world.call, customer_id=customer_id, wish=wish)
    return made.origin


async def followed_of(server: Site, invoice: Invoice) -> dict[str, str]:
    """Follow an invoice up, dispute a payment of it, and hold money that it could not take."""
    dispute = await _dispute_of(server, invoice)
    return {
        "dunning": await _case_of(server, invoice),
        "dispute": encode("dispute", dispute.id),
        "unapplied": await _unapplied_of(server, dispute),
        "received": await _received_of(server, invoice),
    }


async def _case_of(server: Site, invoice: Invoice) -> str:
    """Follow an invoice up."""
    new = make.dunning_case(invoice)
    async with server.runtime.db.transaction() as tx:
        await insert_case(tx, new, [])
        step = {"customer_id": new.customer_id, "id": make.new_id(), "case_id": new.id, "at": new.created_at}
        await insert_step(tx, {**step, "kind": "opened", "facts": {}})
    return encode("dunning_case", new.id)


async def _dispute_of(server: Site, invoice: Invoice) -> Dispute:
    now = server.runtime.now()
    owner: dict[str, Any] = {"customer_id": invoice.customer_id, "invoice_id": invoice.id}
    # Far from the numbers that collecting gives.
    paid = examples.attempt(AttemptState.SUCCEEDED, number=999, key=f"test:{invoice.id}", **owner)
    new = Dispute(
        **owner,
        id=DisputeId(make.new_id()),
        attempt_id=paid.id,
        environment=invoice.environment,
        gateway_dispute_id=f"dp_{invoice.id}",
        gateway_payment_id=f"pi_{invoice.id}",
        amount=Money(100, "USD"),
        reason="fraudulent",
        status="won",
        stance=Stance.WON,
        disputed_at=now,
        evidence_due_at=None,
        created_at=now,
        opened_at=now,
        closed_at=now,
    )
    async with server.runtime.db.transaction() as tx:
        await payments.insert_attempt(tx, paid)
        await insert_dispute(tx, new)
    return new


async def _received_of(server: Site, invoice: Invoice) -> str:
    """Record a cheque; return the id of its attempt."""
    owner: dict[str, Any] = {"customer_id": invoice.customer_id, "invoice_id": invoice.id}
    paid = examples.attempt(AttemptState.SUCCEEDED, number=998, key=f"test:cheque:{invoice.id}", **owner)
    now = server.runtime.now()
    new = Received(
        **owner,
        attempt_id=paid.id,
        amount=paid.amount,
        method=ReceiptMethod.CHEQUE,
        reference="Cheque",
        received_at=now,
        recorded_at=now,
        created_at=now,
    )
    async with server.runtime.db.transaction() as tx:
        await payments.insert_attempt(tx, paid)
        await insert_received(tx, new)
    return encode("attempt", paid.id)


async def _unapplied_of(server: Site, dispute: Dispute) -> str:
    """Hold what a bank gave back; return its id."""
    new = UnappliedPayment(
        customer_id=dispute.customer_id,
        id=UnappliedPaymentId(make.new_id()),
        environment=dispute.environment,
        invoice_id=dispute.invoice_id,
        attempt_id=dispute.attempt_id,
        cause=Cause.REINSTATED,
        amount=Money(1_000_000, "USD"),
        gateway_payment_id=dispute.gateway_payment_id,
        booked_at=dispute.opened_at,
        created_at=dispute.created_at,
        dispute_id=dispute.id,
    )
    async with server.runtime.db.transaction() as tx:
        await insert_payment(tx, new)
    return encode("unapplied_payment", new.id)


async def coupon_of(server: Site, name: str, customer_id: CustomerId) -> dict[str, str]:
    """Give a customer a coupon that can be taken up as often as one likes, by a code too."""
    call = server.world.call
    offer = Offer(f"for-{name.lower()}", "Offer", Duration.ONCE, percent_off=Decimal(10), per_customer_max=None)
    async with server.runtime.db.transaction() as tx:
        coupon = await coupons.create_coupon(tx, call, offer)
        code = await coupons.create_code(tx, call, coupon.id, f"code-{name}")
        applied = await coupons.apply_coupon(tx, call, customer_id, coupon.id)
    return {
        "coupon": encode("coupon", coupon.id),
        "code": encode("promotion_code", code.id),
        "codeText": code.code.lower(),
        "applied": encode("applied_coupon", applied.id),
    }


async def wallet_of(server: Site, customer_id: CustomerId) -> dict[str, str]:
    """Open a wallet of a customer in a currency that no invoice is in: given to, bought into, and ordered more for."""
    call = server.world.call
    async with server.runtime.db.transaction() as tx:
        made = await wallets.create_wallet(tx, call, customer_id, name="Wallet", currency="EUR")
        gift = await wallets.grant(tx, call, customer_id, made.id, GrantTerms("Gift", Money(500, "EUR"), 50))
        bought, ordered = [await topping.order(tx, call, customer_id, made.id, Money(500, "EUR")) for _ in range(2)]
        await invoices.mark_paid(
            tx,
            call,
            bought.created_at,
            customer_id=customer_id,
            invoice_id=bought.invoice_id,
            amount=bought.amount,
            about="a transfer",
        )
        [standing] = await reading.list_wallets(tx, call, customer_id)
    return {
        "wallet": encode("wallet", made.id),
        "walletGrant": encode("wallet_grant", gift.id),
        "topUp": encode("top_up", ordered.id),
        "bought": encode("wallet_grant", standing.shown[0].id),
    }


async def start_of(server: Site, own: Subscription) -> str:
    """Schedule a start of the other product, ten days ahead."""
    async with server.runtime.db.transaction() as tx:
        kept = await scheduling.schedule(
            tx,
            server.world.call,
            customer_id=own.customer_id,
            product_key="edge",
            plan_key="free",
            interval=Interval.MONTH,
            wish=Wish(starts_at=own.started_at + timedelta(days=10)),
        )
    return encode("scheduled_start", kept.id)


async def method_of(server: Site, customer_id: CustomerId) -> str:
    """Return the id of the customer's payment method; one is written for whom the gateway of the tests refuses."""
    async with server.runtime.db.transaction() as tx:
        found = await payments.list_methods(tx, customer_id, limit=1)
        if not found:
            found = [examples.method(customer_id=customer_id, is_default=True)]
            await payments.insert_method(tx, found[0])
    return encode("method", found[0].id)


async def credits_of(server: Site, name: str, subscription: Subscription) -> dict[str, str]:
    """Give a customer a coupon, a wallet, a start ahead and a charge; return their ids and the payment method's."""
    owner = subscription.customer_id
    return {
        **await coupon_of(server, name, owner),
        **await wallet_of(server, owner),
        "method": await method_of(server, owner),
        "start": await start_of(server, subscription),
        "oneOff": await charge_of(server, owner),
    }
