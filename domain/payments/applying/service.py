"""Pay another invoice with money that no invoice could take, make it the customer's credit, or send it back.

All are decided under the row's lock, in the transaction that writes them: however often, and by however many people
it is ordered, no more goes than is left. A refund is carried out by its job, as that of a credit note is.
"""

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.customers.store import Sight
from domain.db import Database, Tx
from domain.invoices import service as invoices
from domain.invoices.balances import service as balances
from domain.invoices.invoice import Invoice, InvoiceNotFound
from domain.journal import service as journal
from domain.kernel.call import Call, Forbidden
from domain.kernel.ids import InvoiceId, RefundId, UnappliedCreditId, UnappliedPaymentId, encode
from domain.kernel.money import Money
from domain.ledger import account as books
from domain.ledger import service as ledger
from domain.payments import store as payments
from domain.payments.ordering import service as orders
from domain.payments.port import PaymentGateway
from domain.payments.receiving import service as receiving
from domain.payments.receiving.receipt import check_owed
from domain.payments.refund import Refund, RefundReason, RefundState, refund_key
from domain.payments.refunding import service as refunding
from domain.payments.unapplied import payment as rules
from domain.payments.unapplied import store
from domain.payments.unapplied.payment import (
    Application,
    UnappliedCredit,
    UnappliedPayment,
    UnappliedPaymentNotFound,
)


async def find_payment(tx: Tx, call: Call, payment_id: UnappliedPaymentId) -> UnappliedPayment:
    """Return an unapplied payment about which the caller may decide. Raises Forbidden, UnappliedPaymentNotFound."""
    call.need(Permission.INVOICE_WRITE)
    if call.scope is not None:
        raise Forbidden(Permission.INVOICE_WRITE)
    found = await store.find_payment(tx, payment_id, sight=Sight(None, call.principal.environment))
    if found is None:
        raise UnappliedPaymentNotFound
    return found


async def look_first(
    db: Database, gateway: PaymentGateway, call: Call, payment_id: UnappliedPaymentId, invoice_id: InvoiceId
) -> UnappliedPayment:
    """Return the payment that is to pay an invoice, after a look at one there that waits for its customer.

    Raises Forbidden, UnappliedPaymentNotFound, InvoiceNotFound, GatewayUnavailable.
    """
    async with db.transaction() as tx:
        found = await find_payment(tx, call, payment_id)
    invoice = await receiving.look_first(db, gateway, call, invoice_id)
    if invoice.customer_id != found.customer_id:
        raise InvoiceNotFound
    return found


async def apply(tx: Tx, call: Call, payment_id: UnappliedPaymentId, invoice_id: InvoiceId) -> UnappliedPayment:
    """Pay an open or written-off invoice of the same customer and currency with what is left of a payment.

    An invoice is paid whole; what is more stays unapplied. Dunning ends, and the gateway's copy is closed, as with any
    money that did not come through it. Not repeatable by itself: the caller holds an idempotency key. Raises Forbidden,
    UnappliedPaymentNotFound, InvoiceNotFound, CustomerErased, InvoiceStateRefused, PaymentUnderWay, PaymentDiffers.
    """
    found = await find_payment(tx, call, payment_id)
    wanted = await invoices.find_invoice(tx, call, invoice_id)
    if wanted is None or wanted.customer_id != found.customer_id:
        raise InvoiceNotFound
    await erasing.hold_present(tx, found.customer_id)
    standing = await orders.look(tx, found.customer_id, invoice_id)
    before = await store.lock_payment(tx, found.customer_id, payment_id)
    amount = rules.payable(before, standing.invoice)
    check_owed(standing.invoice, standing.last, amount)
    after = rules.applied(before, amount)
    await store.save_payment(tx, before, after)
    now = await customers.business_now(tx, call, after.customer_id)
    attempt = await receiving.begin(tx, call, now, standing)
    new = Application(after.customer_id, attempt.id, after.id, invoice_id, amount, now)
    await store.insert_application(tx, new)
    await ledger.post(
        tx,
        call,
        now,
        customer_id=after.customer_id,
        environment=after.environment,
        reason="unapplied_applied",
        about=encode("attempt", attempt.id),
        lines=books.transferred(-amount),
    )
    await receiving.end(tx, call, now, attempt)
    await _note(tx, call, standing.invoice, new)
    return after


async def refund(
    tx: Tx, call: Call, payment_id: UnappliedPaymentId, *, amount: Money | None, reason: RefundReason
) -> Refund:
    """Have what is left of a payment sent back to where it came from, or a part of it; None is all that is left.

    It is booked when the gateway says that the money has gone, and left again where it does not come off. Not
    repeatable: each call orders more. Raises Forbidden, UnappliedPaymentNotFound, UnappliedPaymentSpent,
    RefundMalformed, RefundUnsupported.
    """
    found = await find_payment(tx, call, payment_id)
    await payments.lock_invoice(tx, found.customer_id, found.invoice_id)
    before = await store.lock_payment(tx, found.customer_id, payment_id)
    after, wanted = rules.refunding(before, amount)
    await store.save_payment(tx, before, after)
    assert after.gateway_payment_id is not None, "what can be refunded came through the gateway"
    refund_id = RefundId(call.new_id())
    ordered = Refund(
        customer_id=after.customer_id,
        id=refund_id,
        credit_note_id=None,
        invoice_id=after.invoice_id,
        environment=after.environment,
        gateway_payment_id=after.gateway_payment_id,
        amount=wanted,
        reason=reason,
        key=refund_key(after.environment, refund_id),
        state=RefundState.PLANNED,
        created_at=call.at,
        ordered_at=await customers.business_now(tx, call, after.customer_id),
        unapplied_payment_id=after.id,
    )
    await refunding.write(tx, call, ordered)
    return ordered


async def credit(tx: Tx, call: Call, payment_id: UnappliedPaymentId, *, amount: Money | None) -> UnappliedCredit:
    """Make what is left of a payment its customer's credit, or a part of it; None is all that is left.

    It pays the customer's next invoices of its currency by itself, as that of credit notes does, before wallets and
    after tax, and does not expire. It goes back as money no more. Not repeatable by itself: the caller holds an
    idempotency key. Raises Forbidden, UnappliedPaymentNotFound, CustomerErased, UnappliedPaymentSpent.
    """
    found = await find_payment(tx, call, payment_id)
    await erasing.hold_present(tx, found.customer_id)
    before = await store.lock_payment(tx, found.customer_id, payment_id)
    after, taken = rules.crediting(before, amount)
    await store.save_payment(tx, before, after)
    now = await customers.business_now(tx, call, after.customer_id)
    new = UnappliedCredit(after.customer_id, UnappliedCreditId(call.new_id()), after.id, taken, now)
    await store.insert_credit(tx, new)
    await balances.move(tx, call, now, after, taken, reason="unapplied", about=new.id)
    about = encode("unapplied_credit", new.id)
    await ledger.post(
        tx,
        call,
        now,
        customer_id=new.customer_id,
        environment=after.environment,
        reason="unapplied_credited",
        about=about,
        lines=books.credited(taken),
    )
    facts = {"unapplied_payment_id": encode("unapplied_payment", after.id), "unapplied_credit_id": about}
    text = f"{taken.major} {taken.currency} that came became credit"
    await journal.tell(
        tx, call, now, new.customer_id, "payment_credited", description=text, amount=taken, metadata=facts
    )
    more = {"amount_minor": taken.minor, "currency": taken.currency}
    held = facts["unapplied_payment_id"]
    await journal.audit(tx, call, "credit_unapplied_payment", held, customer_id=new.customer_id, facts=facts | more)
    return new


async def _note(tx: Tx, call: Call, invoice: Invoice, new: Application) -> None:
    facts = {
        "unapplied_payment_id": encode("unapplied_payment", new.unapplied_payment_id),
        "attempt_id": encode("attempt", new.attempt_id),
        "amount_minor": new.amount.minor,
        "currency": new.amount.currency,
    }
    about = encode("invoice", invoice.id)
    await journal.audit(tx, call, "apply_unapplied_payment", about, customer_id=new.customer_id, facts=facts)
