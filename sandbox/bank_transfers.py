"""Bank transfers (wires): money that a customer pushes, which pays an open invoice of the same amount.

Stripe keeps what arrives on a cash balance and applies it to invoices. Here it arrives for one invoice, whole; the two
movements of the cash balance are told as events, and nothing stays on the balance.
"""

from typing import Any

from sandbox import collecting, ids, intents
from sandbox.call import Call
from sandbox.errors import invalid
from sandbox.events import emit
from sandbox.payment_methods import pushed
from sandbox.store import Document


def arrived(call: Call, invoice: Document, network: str) -> Document:
    """Pay an open invoice by a transfer of what remains of it and give the invoice. Raises StripeError otherwise."""
    intent = call.store.find(invoice["_intent"] or "")
    if invoice["status"] not in {"open", "uncollectible"} or intent is None:
        raise invalid(f"This invoice has a status of {invoice['status']}; it waits for no transfer.")
    if intent["currency"] != "usd":
        raise invalid("The sandbox receives transfers in usd only.")
    if intent["status"] not in intents.WAITING_FOR_METHOD:
        raise invalid(f"The payment of this invoice has a status of {intent['status']}; it waits for no transfer.")
    received = {"bank_transfer": {"type": "us_bank_transfer", "us_bank_transfer": {"network": network}}}
    _moved(call, intent, intent["amount"], "funded", received)
    paid = intents.succeed(call, intent, pushed(call))
    _moved(call, intent, -intent["amount"], "applied_to_payment", {"payment_intent": intent["id"]})
    collecting.collected(call, paid)
    return call.document("invoice", invoice["id"])


def _moved(call: Call, intent: Document, amount: int, kind: str, details: dict[str, Any]) -> None:
    transaction: Document = {
        "id": ids.new("ccsbtxn"),
        "object": "customer_cash_balance_transaction",
        "created": call.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "ending_balance": max(amount, 0),
        "livemode": False,
        "net_amount": amount,
        "type": kind,
        kind: details,
    }
    call.store.put(transaction)
    emit(call, "customer_cash_balance_transaction.created", transaction)
