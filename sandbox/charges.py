"""Charges: what happened to the money at each attempt of a payment intent."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox import ids
from sandbox.behaviours import Decline
from sandbox.call import Call, operation
from sandbox.listing import PAGING, first, page
from sandbox.presenting import included
from sandbox.store import Document, Query, Store

DEBIT_DAYS = 4


def made(call: Call, intent: Document, method: Document, status: str, decline: Decline | None = None) -> Document:
    """Store a new charge of an intent: `succeeded`, `pending` or `failed` with its decline."""
    succeeded = status == "succeeded"
    charge: Document = {
        "id": ids.new("ch" if method["type"] == "card" else "py"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if succeeded else 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": None,
        "captured": succeeded,
        "created": call.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": decline.code if decline else None,
        "failure_message": decline.message if decline else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "on_behalf_of": None,
        "outcome": outcome(decline),
        "paid": succeeded,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": _details(call, method),
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": status,
        "transfer_data": None,
        "transfer_group": None,
        "_refund": method["_refund"],
    }
    return call.store.put(charge)


def outcome(decline: Decline | None) -> Document:
    """Describe what the network said."""
    if decline is None:
        return {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "risk_score": 7,
            "seller_message": "Payment complete.",
            "type": "authorized",
        }
    return {
        "advice_code": decline.advice_code,
        "network_advice_code": None,
        "network_decline_code": decline.network_decline_code,
        "network_status": "declined_by_network",
        "reason": decline.decline_code or decline.code,
        "risk_level": "normal",
        "risk_score": 7,
        "seller_message": "The bank did not return any further details with this decline.",
        "type": "issuer_declined",
    }


def _details(call: Call, method: Document) -> Document:
    kind = method["type"]
    known = method[kind]
    if kind == "customer_balance":
        return {"type": kind, kind: {}}
    if kind == "card":
        shared: tuple[str, ...] = (
            "brand",
            "checks",
            "country",
            "exp_month",
            "exp_year",
            "fingerprint",
            "funding",
            "last4",
            "wallet",
        )
        extra: dict[str, Any] = {
            "installments": None,
            "mandate": None,
            "network": known["brand"],
            "three_d_secure": None,
        }
    else:
        shared = ("account_holder_type", "account_type", "bank_name", "fingerprint", "last4", "routing_number")
        day = datetime.fromtimestamp(call.now, UTC) + timedelta(days=DEBIT_DAYS)
        extra = {"expected_debit_date": day.date().isoformat(), "mandate": None, "payment_reference": None}
    return {"type": kind, kind: {name: known[name] for name in shared} | extra}


@included("charge", "refunds")
def _refunds(store: Store, charge: Document) -> Document:
    return first(store, Query("refund", {"charge": charge["id"]}), f"/v1/charges/{charge['id']}/refunds")


@operation("get", "/v1/charges/{charge}")
def retrieve(call: Call) -> Document:
    """Read a charge."""
    return call.target("charge")


@operation("get", "/v1/charges", takes=f"customer payment_intent created {PAGING}")
def list_charges(call: Call) -> Document:
    """List charges, of one customer or payment intent or all."""
    fields = {name: call.params.get(name) for name in ("customer", "payment_intent")}
    return page(call, "charge", "/v1/charges", fields=fields)
