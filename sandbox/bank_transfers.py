"""Bank transfers (wires): money that a customer pushes, for one invoice or without naming any."""

from sandbox import cash, intents
from sandbox.call import Call
from sandbox.errors import invalid
from sandbox.store import Document


def arrived(call: Call, invoice: Document, network: str, amount: int | None = None) -> Document:
    """Let a transfer arrive for an open invoice, of what remains of it unless told, and give the invoice.

    It pays the invoice where the balance then covers it. Raises StripeError for an invoice that waits for none.
    """
    intent = call.store.find(invoice["_intent"] or "")
    if invoice["status"] not in {"open", "uncollectible"} or intent is None:
        raise invalid(f"This invoice has a status of {invoice['status']}; it waits for no transfer.")
    if intent["currency"] != cash.CURRENCY:
        raise invalid("The sandbox receives transfers in usd only.")
    if intent["status"] not in intents.WAITING_FOR_METHOD:
        raise invalid(f"The payment of this invoice has a status of {intent['status']}; it waits for no transfer.")
    cash.funded(call, invoice["customer"], intent["amount"] if amount is None else amount, network)
    after = cash.applied(call, invoice)
    cash.reconciled(call, invoice["customer"])
    return after


def pushed(call: Call, customer: Document, network: str, amount: int | None) -> Document:
    """Let a transfer arrive that names no invoice, and give the customer's cash balance."""
    if amount is None:
        raise invalid("Say how much arrives.", code="parameter_missing", param="amount")
    cash.funded(call, customer["id"], amount, network)
    cash.reconciled(call, customer["id"])
    return cash.retrieve(Call(call.store, call.now, {}, {"customer": customer["id"]}))
