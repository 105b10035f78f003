"""Operations on payment intents: those of invoices, and bare ones."""

from sandbox import collecting, intents
from sandbox.behaviours import COLLECTING, DECLINES
from sandbox.call import Call, operation
from sandbox.errors import invalid
from sandbox.listing import PAGING, page
from sandbox.metadata import merged
from sandbox.money import chargeable, currency
from sandbox.payment_methods import attached, usable_or_free
from sandbox.store import Document

CREATE = "amount currency customer payment_method confirm off_session description metadata setup_future_usage"
CANCEL_REASON = "requested_by_customer"


@operation("post", "/v1/payment_intents", takes=f"{CREATE} automatic_payment_methods return_url")
def create(call: Call) -> Document:
    """Create an intent; with `confirm` it is attempted at once."""
    given = call.params
    of = currency(given["currency"])
    amount = chargeable(given["amount"], of)
    customer = given.get("customer")
    if customer:
        call.document("customer", customer, param="customer")
    intent = intents.made(
        call,
        amount,
        of,
        customer or None,
        description=given.get("description"),
        metadata=merged({}, given.get("metadata")),
        setup_future_usage=given.get("setup_future_usage"),
    )
    if given.get("payment_method"):
        method = usable_or_free(call, given["payment_method"], customer)
        intent = call.store.put(intent | {"payment_method": method["id"], "status": "requires_confirmation"})
    return _confirmed(call, intent) if given.get("confirm") else intent


@operation("post", "/v1/payment_intents/{intent}/confirm", takes="payment_method off_session return_url")
def confirm(call: Call) -> Document:
    """Attempt an intent; the customer is taken to be present unless `off_session` says otherwise."""
    return _confirmed(call, call.target("payment_intent"))


def _confirmed(call: Call, intent: Document) -> Document:
    chosen = call.params.get("payment_method") or intent["payment_method"]
    if not chosen:
        raise invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
            param="payment_method",
        )
    method = usable_or_free(call, chosen, intent["customer"])
    off_session = call.params.get("off_session") not in {None, False}
    intent, refusal = intents.attempt(call, intent, method, off_session=off_session)
    if intent["status"] == "succeeded":
        _kept_or_spent(call, intent, method)
    collecting.result(call, intent, refusal)
    if refusal is not None:
        raise intents.refused(call.store, intent, refusal)
    return intent


def _kept_or_spent(call: Call, intent: Document, method: Document) -> None:
    """Attach a free method that is to be used again; one that is not can never be used again."""
    if intent["setup_future_usage"] and intent["customer"]:
        attached(call, method, intent["customer"])
    elif method["customer"] is None:
        call.store.put(method | {"_detached": True})


def authenticate(call: Call, intent: Document, *, succeeds: bool) -> Document:
    """End the authentication that an intent waits for, as the customer would in the browser."""
    if intent["status"] != "requires_action":
        raise invalid(f"This PaymentIntent has a status of {intent['status']}; it waits for no authentication.")
    method = call.document("payment_method", intent["payment_method"])
    if succeeds:
        intent, refusal = intents.succeed(call, intent, method), None
    else:
        intent, refusal = intents.fail(call, intent, method, DECLINES["authentication_required"])
    collecting.result(call, intent, refusal)
    return intent


def settle(call: Call, intent: Document, *, succeeds: bool | None = None) -> Document:
    """Settle a bank debit: as its test account does, or as told."""
    if intent["status"] != "processing":
        raise invalid(f"This PaymentIntent has a status of {intent['status']}; nothing is on its way.")
    method = call.document("payment_method", intent["payment_method"])
    behaviour = method["_charge"]
    if behaviour in COLLECTING if succeeds is None else succeeds:
        intent, refusal = intents.succeed(call, intent, method), None
    else:
        intent, refusal = intents.fail(call, intent, method, intents.bank_return(behaviour))
    collecting.result(call, intent, refusal)
    return intent


@operation("post", "/v1/payment_intents/{intent}/cancel", takes="cancellation_reason")
def cancel(call: Call) -> Document:
    """Cancel a bare intent; the intent of an invoice ends with its invoice."""
    intent = call.target("payment_intent")
    if intent["_invoice"]:
        raise invalid("You cannot cancel the PaymentIntent of an invoice. Void the invoice instead.")
    return intents.cancel(call, intent, call.params.get("cancellation_reason", CANCEL_REASON))


@operation("get", "/v1/payment_intents/{intent}")
def retrieve(call: Call) -> Document:
    """Read an intent."""
    return call.target("payment_intent")


@operation("get", "/v1/payment_intents", takes=f"customer created {PAGING}")
def list_intents(call: Call) -> Document:
    """List intents, of one customer or all."""
    return page(call, "payment_intent", "/v1/payment_intents", fields={"customer": call.params.get("customer")})
