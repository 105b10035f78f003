"""Carrying the result of a payment to the invoice it is for: paid, failed, on its way, or waiting for the customer."""

from sandbox import ids, intents, subscription_states
from sandbox.call import Call, operation
from sandbox.events import emit, emit_update
from sandbox.intents import Refusal
from sandbox.listing import PAGING, page
from sandbox.store import Document, Query


def requested(call: Call, invoice: Document) -> Document:
    """Make the default payment of a finalized invoice: an intent, and the invoice payment that ties them."""
    intent = intents.made(
        call,
        invoice["amount_remaining"],
        invoice["currency"],
        invoice["customer"],
        description=f"Payment for Invoice {invoice['number']}",
        _invoice=invoice["id"],
    )
    call.store.put(
        {
            "id": ids.new("inpay"),
            "object": "invoice_payment",
            "amount_paid": None,
            "amount_requested": invoice["amount_remaining"],
            "created": call.now,
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "livemode": False,
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
        },
    )
    return intent


def collected(call: Call, intent: Document) -> None:
    """Mark the invoice of a collected intent as paid; an intent of no invoice changes nothing."""
    invoice = _attempted(call, intent)
    if invoice is None:
        return
    _close_payments(call, invoice, "paid", intent["amount"])
    after = paid(call, invoice, intent["amount"])
    emit(call, "invoice.payment_succeeded", after)


def paid(call: Call, invoice: Document, amount: int) -> Document:
    """Turn an open or uncollectible invoice into a paid one; `amount` is what came through Stripe."""
    due = invoice["amount_due"] - invoice["pre_payment_credit_notes_amount"]
    after = invoice | {
        "status": "paid",
        "amount_paid": due,
        "amount_paid_off_stripe": due - amount,
        "amount_remaining": 0,
        "attempted": True,
        "status_transitions": invoice["status_transitions"] | {"paid_at": call.now},
    }
    call.store.put(after)
    emit_update(call, "invoice.updated", after, invoice)
    emit(call, "invoice.paid", after)
    subscription_states.first_invoice_paid(call, after)
    return after


def failed(call: Call, intent: Document, refusal: Refusal) -> None:
    """Tell that an attempt to pay the intent's invoice was refused; its status stays."""
    invoice = _attempted(call, intent)
    if invoice is None:
        return
    emit(call, "invoice.payment_failed", invoice)
    if refusal.decline.code == "authentication_required":
        emit(call, "invoice.payment_action_required", invoice)


def waits(call: Call, intent: Document) -> None:
    """Tell that the intent's invoice was attempted and now waits for a bank or for the customer."""
    invoice = _attempted(call, intent)
    if invoice is not None and intent["status"] == "requires_action":
        emit(call, "invoice.payment_action_required", invoice)


def result(call: Call, intent: Document, refusal: Refusal | None) -> None:
    """Carry whatever an attempt has come to."""
    if refusal is not None:
        failed(call, intent, refusal)
    elif intent["status"] == "succeeded":
        collected(call, intent)
    else:
        waits(call, intent)


def _attempted(call: Call, intent: Document) -> Document | None:
    """Count the first attempt; later ones asked for by hand do not count, as Stripe does."""
    invoice = call.store.find(intent["_invoice"] or "")
    if invoice is None or invoice["attempted"]:
        return invoice
    after = call.store.put(invoice | {"attempted": True, "attempt_count": 1})
    emit_update(call, "invoice.updated", after, invoice)
    return after


def _close_payments(call: Call, invoice: Document, status: str, amount: int | None = None) -> None:
    for payment in call.store.select(Query("invoice_payment", {"invoice": invoice["id"]})):
        if payment["status"] == "open":
            moment = {"paid": "paid_at", "canceled": "canceled_at"}[status]
            transitions = payment["status_transitions"] | {moment: call.now}
            after = payment | {"status": status, "amount_paid": amount, "status_transitions": transitions}
            call.store.put(after)
            if status == "paid":
                emit(call, "invoice_payment.paid", after)


def abandon(call: Call, invoice: Document, reason: str) -> None:
    """Cancel the payment of an invoice that will not be collected. Raises StripeError when money is on its way."""
    intent = call.store.find(invoice["_intent"] or "")
    if intent is not None:
        intents.cancel(call, intent, reason)
        _close_payments(call, invoice, "canceled")


@operation("get", "/v1/invoice_payments/{invoice_payment}")
def retrieve(call: Call) -> Document:
    """Read an invoice payment."""
    return call.target("invoice_payment")


@operation("get", "/v1/invoice_payments", takes=f"invoice status created payment {PAGING}")
def list_payments(call: Call) -> Document:
    """List invoice payments, of one invoice or one payment intent or all."""
    fields = {name: call.params.get(name) for name in ("invoice", "status")}
    intent = call.params.get("payment", {}).get("payment_intent")
    return page(call, "invoice_payment", "/v1/invoice_payments", fields=fields | {"payment.payment_intent": intent})
