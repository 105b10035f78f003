"""Payment intents: one sum to be collected, through as many attempts as it takes.

Attempting changes the intent and its charges only; `collecting` carries the result on to an invoice.
"""

from dataclasses import dataclass
from typing import Any

from sandbox import charges, ids, waiting
from sandbox.behaviours import CHALLENGE, COLLECTING, DECLINES, RETURNS, Decline
from sandbox.call import Call
from sandbox.disputes import OPEN_DISPUTE
from sandbox.errors import DOCUMENTATION, StripeError, invalid
from sandbox.events import emit
from sandbox.presenting import present
from sandbox.store import Document, Store

SETTLE_PAYMENT = "settle_payment"
SETTLE_AFTER_DEFAULT_S = 3.0
WAITING_FOR_METHOD = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A failed attempt: the failed charge and why."""

    charge: Document
    decline: Decline
    method: Document


def made(call: Call, amount: int, currency: str, customer: str | None, **more: Any) -> Document:
    """Store a new intent that waits for a payment method and tell so."""
    identifier = ids.new("pi")
    intent: Document = {
        "id": identifier,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": ids.client_secret(identifier),
        "confirmation_method": "automatic",
        "created": call.now,
        "currency": currency,
        "customer": customer,
        "description": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card", "us_bank_account"] if currency == "usd" else ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
        "_invoice": None,
    } | more
    call.store.put(intent)
    emit(call, "payment_intent.created", intent)
    return intent


def attempt(call: Call, intent: Document, method: Document, *, off_session: bool) -> tuple[Document, Refusal | None]:
    """Try to collect an intent with a method.

    Afterwards the intent is `succeeded`, `processing` (bank debits), `requires_action` (on-session authentication) or,
    with the refusal given, `requires_payment_method`. Raises StripeError when the intent waits for no method.
    """
    if intent["status"] not in WAITING_FOR_METHOD:
        raise invalid(
            f"This PaymentIntent could not be confirmed because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
        )
    if method["type"] == "us_bank_account":
        return _debit(call, intent, method), None
    behaviour = method["_charge"]
    if behaviour == "authenticates" and not off_session:
        return _challenge(call, intent, method), None
    if behaviour in COLLECTING:
        return succeed(call, intent, method), None
    return fail(call, intent, method, DECLINES.get(behaviour, DECLINES[CHALLENGE]))


def _debit(call: Call, intent: Document, method: Document) -> Document:
    if intent["currency"] != "usd":
        raise invalid(
            f"The payment method type us_bank_account does not support {intent['currency']}.",
            code="payment_method_currency_mismatch",
            param="payment_method",
        )
    charge = charges.made(call, intent, method, "pending")
    after = intent | {
        "status": "processing",
        "payment_method": method["id"],
        "latest_charge": charge["id"],
        "last_payment_error": None,
    }
    call.store.put(after)
    emit(call, "charge.pending", charge)
    emit(call, "payment_intent.processing", after)
    settle_after = call.store.setting("settle_after_s", SETTLE_AFTER_DEFAULT_S)
    if settle_after is not None and method["_charge"] != "hangs":
        waiting.add_timer(call.store, SETTLE_PAYMENT, after["id"], call.now + settle_after)
    return after


def _challenge(call: Call, intent: Document, method: Document) -> Document:
    after = intent | {
        "status": "requires_action",
        "payment_method": method["id"],
        "next_action": next_action(intent["id"]),
        "last_payment_error": None,
    }
    call.store.put(after)
    emit(call, "payment_intent.requires_action", after)
    return after


def next_action(identifier: str) -> Document:
    """Describe the authentication that an intent waits for; `/_sandbox/authenticate/{id}` ends it."""
    return {
        "type": "redirect_to_url",
        "redirect_to_url": {"return_url": None, "url": f"https://hooks.stripe.com/redirect/authenticate/{identifier}"},
    }


def succeed(call: Call, intent: Document, method: Document) -> Document:
    """Collect an intent: its pending charge if it has one, else a new one."""
    charge = _settled(call, intent, {"status": "succeeded", "paid": True, "captured": True})
    if charge is None:
        charge = charges.made(call, intent, method, "succeeded")
    after = intent | {
        "status": "succeeded",
        "amount_received": intent["amount"],
        "payment_method": method["id"],
        "latest_charge": charge["id"],
        "last_payment_error": None,
        "next_action": None,
    }
    call.store.put(after)
    emit(call, "charge.succeeded", charge)
    emit(call, "payment_intent.succeeded", after)
    if method["_charge"] == "disputes":
        waiting.add_timer(call.store, OPEN_DISPUTE, charge["id"], call.now)
    return after


def fail(call: Call, intent: Document, method: Document, decline: Decline) -> tuple[Document, Refusal]:
    """Refuse an attempt: the intent waits for another method and remembers why."""
    failed = {
        "status": "failed",
        "failure_code": decline.code,
        "failure_message": decline.message,
        "outcome": charges.outcome(decline),
    }
    charge = _settled(call, intent, failed) or charges.made(call, intent, method, "failed", decline)
    refusal = Refusal(charge, decline, method)
    after = intent | {
        "status": "requires_payment_method",
        "payment_method": None,
        "latest_charge": charge["id"],
        "next_action": None,
        "last_payment_error": error_fields(call.store, refusal),
    }
    call.store.put(after)
    emit(call, "charge.failed", charge)
    emit(call, "payment_intent.payment_failed", after)
    return after, refusal


def _settled(call: Call, intent: Document, change: Document) -> Document | None:
    """Settle the charge of a bank debit; None when the intent has no pending charge."""
    charge = call.store.find(intent["latest_charge"] or "")
    if charge is None or charge["status"] != "pending":
        return None
    captured = charge["amount"] if change.get("captured") else 0
    return call.store.put(charge | change | {"amount_captured": captured})


def error_fields(store: Store, refusal: Refusal) -> Document:
    """Describe a refusal as it stands in `last_payment_error` and in the answer's error."""
    decline = refusal.decline
    fields: Document = {
        "type": "card_error",
        "code": decline.code,
        "message": decline.message,
        "charge": refusal.charge["id"],
        "doc_url": DOCUMENTATION + decline.code.replace("_", "-"),
        "payment_method": present(store, refusal.method),
    }
    optional = {
        "decline_code": decline.decline_code,
        "advice_code": decline.advice_code,
        "network_decline_code": decline.network_decline_code,
    }
    return fields | {name: value for name, value in optional.items() if value is not None}


def refused(store: Store, intent: Document, refusal: Refusal) -> StripeError:
    """Make the 402 answer of a declined payment; what it left behind is kept."""
    fields = error_fields(store, refusal)
    del fields["type"], fields["message"]
    fields["payment_intent"] = present(store, intent)
    return StripeError(402, "card_error", refusal.decline.message, keep=True, facts=fields)


def bank_return(behaviour: str) -> Decline:
    """Give the failure that a bank debit ends with when it is told to fail."""
    return RETURNS.get(behaviour, RETURNS["insufficient_funds"])


def cancel(call: Call, intent: Document, reason: str) -> Document:
    """Cancel an intent that has not been collected. Raises StripeError when money is on its way or has arrived."""
    if intent["status"] not in WAITING_FOR_METHOD:
        raise invalid(
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
        )
    after = intent | {
        "status": "canceled",
        "canceled_at": call.now,
        "cancellation_reason": reason,
        "next_action": None,
    }
    call.store.put(after)
    emit(call, "payment_intent.canceled", after)
    return after
