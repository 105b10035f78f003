"""Cash balances: what a customer has transferred and no payment has used yet, and the account to transfer it to.

As in Stripe's automatic reconciliation, money that arrives pays the open invoices that were sent, the oldest first. An
invoice is never paid in part: what does not cover one stays on the balance, as does a surplus.
"""

from typing import Any

from sandbox import collecting, ids, intents
from sandbox.call import Call, operation
from sandbox.errors import invalid
from sandbox.events import emit
from sandbox.listing import PAGING, page
from sandbox.payment_methods import pushed
from sandbox.store import Document, Query

CURRENCY = "usd"
NETWORKS = ("ach", "domestic_wire_us", "swift")
ACCOUNT_DIGITS = 12
_ADDRESS = {
    "city": "South San Francisco",
    "country": "US",
    "line1": "354 Oyster Point Blvd",
    "line2": None,
    "postal_code": "94080",
    "state": "CA",
}


def available(customer: Document) -> int:
    """Give what is on a customer's balance, in cents."""
    return int(customer.get("_cash", 0))


def funded(call: Call, customer_id: str, amount: int, network: str) -> None:
    """Put what arrives on a customer's balance. Raises StripeError for nothing, or less."""
    if amount < 1:
        raise invalid("Invalid positive integer.", code="parameter_invalid_integer", param="amount")
    received = {"bank_transfer": {"type": "us_bank_transfer", "us_bank_transfer": {"network": network}}}
    _moved(call, customer_id, amount, "funded", received)


def reconciled(call: Call, customer_id: str) -> None:
    """Pay every open invoice that was sent and is covered, the oldest first."""
    query = Query("invoice", {"customer": customer_id, "status": "open"}, oldest_first=True)
    for invoice in call.store.select(query):
        if invoice["collection_method"] == "send_invoice":
            applied(call, invoice)


def applied(call: Call, invoice: Document) -> Document:
    """Pay an invoice from its customer's balance where that covers it; give it as it then is."""
    intent = call.store.find(invoice["_intent"] or "")
    customer = call.document("customer", invoice["customer"])
    if intent is None or intent["currency"] != CURRENCY or intent["status"] not in intents.WAITING_FOR_METHOD:
        return invoice
    if available(customer) < intent["amount"]:
        return invoice
    paid = intents.succeed(call, intent, pushed(call))
    _moved(call, customer["id"], -intent["amount"], "applied_to_payment", {"payment_intent": intent["id"]})
    collecting.collected(call, paid)
    return call.document("invoice", invoice["id"])


def _moved(call: Call, customer_id: str, amount: int, kind: str, details: dict[str, Any]) -> None:
    customer = call.document("customer", customer_id)
    after = call.store.put(customer | {"_cash": available(customer) + amount})
    transaction: Document = {
        "id": ids.new("ccsbtxn"),
        "object": "customer_cash_balance_transaction",
        "created": call.now,
        "currency": CURRENCY,
        "customer": customer_id,
        "ending_balance": available(after),
        "livemode": False,
        "net_amount": amount,
        "type": kind,
        kind: details,
    }
    call.store.put(transaction)
    emit(call, "customer_cash_balance_transaction.created", transaction)


@operation("get", "/v1/customers/{customer}/cash_balance")
def retrieve(call: Call) -> Document:
    """Read a customer's balance."""
    customer = call.target("customer")
    amount = available(customer)
    return {
        "object": "cash_balance",
        "available": {CURRENCY: amount} if amount else None,
        "customer": customer["id"],
        "livemode": False,
        "settings": {"reconciliation_mode": "automatic", "using_merchant_default": True},
    }


@operation("get", "/v1/customers/{customer}/cash_balance_transactions", takes=PAGING)
def list_transactions(call: Call) -> Document:
    """List what moved a customer's balance."""
    customer = call.target("customer")["id"]
    url = f"/v1/customers/{customer}/cash_balance_transactions"
    return page(call, "customer_cash_balance_transaction", url, fields={"customer": customer})


@operation("post", "/v1/customers/{customer}/funding_instructions", takes="bank_transfer currency funding_type")
def instruct(call: Call) -> Document:
    """Give the account that a customer transfers to: the same one however often it is asked for."""
    customer, given = call.target("customer"), call.params
    if given["currency"] != CURRENCY or given["bank_transfer"]["type"] != "us_bank_transfer":
        raise invalid("The sandbox has accounts in usd only.", param="currency")
    account = "".join(str(ord(letter) % 10) for letter in customer["id"][-ACCOUNT_DIGITS:])
    return {
        "object": "funding_instructions",
        "bank_transfer": {
            "country": "US",
            "financial_addresses": [
                {
                    "type": "aba",
                    "aba": {
                        "account_holder_address": _ADDRESS,
                        "account_holder_name": "Stripe Payments Company",
                        "account_number": account,
                        "account_type": "checking",
                        "bank_address": _ADDRESS,
                        "bank_name": "US Test Bank",
                        "routing_number": "999999999",
                    },
                    "supported_networks": ["ach", "domestic_wire_us"],
                }
            ],
            "type": "us_bank_transfer",
        },
        "currency": CURRENCY,
        "funding_type": "bank_transfer",
        "livemode": False,
    }
