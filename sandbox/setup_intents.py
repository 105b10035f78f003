"""Setup intents: saving a payment method for later, with the customer's authentication and mandate where needed."""

from collections.abc import Mapping
from typing import Any

from sandbox import ids, microdeposits
from sandbox.behaviours import DECLINES, Decline
from sandbox.call import Call, operation
from sandbox.errors import DOCUMENTATION, StripeError, invalid
from sandbox.events import emit
from sandbox.intents import next_action
from sandbox.listing import PAGING, page
from sandbox.metadata import merged
from sandbox.payment_methods import attached, usable_or_free
from sandbox.presenting import present
from sandbox.store import Document

WAITING = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})
CREATE = "customer payment_method confirm usage description metadata mandate_data"
CHOICE = "automatic_payment_methods excluded_payment_method_types payment_method_options return_url use_stripe_sdk"
KINDS = ("card", "us_bank_account")


@operation("post", "/v1/setup_intents", takes=f"{CREATE} {CHOICE}")
def create(call: Call) -> Document:
    """Create a setup intent; with `confirm` it is carried out at once."""
    given = call.params
    if given.get("customer"):
        call.document("customer", given["customer"], param="customer")
    identifier = ids.new("seti")
    setup: Document = {
        "id": identifier,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": given.get("automatic_payment_methods"),
        "cancellation_reason": None,
        "client_secret": ids.client_secret(identifier),
        "created": call.now,
        "customer": given.get("customer") or None,
        "description": given.get("description"),
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": merged({}, given.get("metadata")),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": _options(given),
        "payment_method_types": [kind for kind in KINDS if kind not in given.get("excluded_payment_method_types", ())],
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": given.get("usage", "off_session"),
    }
    if given.get("payment_method"):
        method = usable_or_free(call, given["payment_method"], setup["customer"])
        setup |= {"payment_method": method["id"], "status": "requires_confirmation"}
    call.store.put(setup)
    emit(call, "setup_intent.created", setup)
    return _confirmed(call, setup) if given.get("confirm") else setup


def _options(given: Mapping[str, Any]) -> Document:
    """Show how bank accounts are verified, where it was said."""
    way = given.get("payment_method_options", {}).get("us_bank_account", {}).get("verification_method")
    return {"us_bank_account": {"verification_method": way}} if way else {}


@operation(
    "post",
    "/v1/setup_intents/{intent}/confirm",
    takes="payment_method mandate_data return_url use_stripe_sdk",
)
def confirm(call: Call) -> Document:
    """Carry out a setup intent: the method is attached on success."""
    setup = call.target("setup_intent")
    if setup["status"] not in WAITING:
        raise _unexpected(setup)
    return _confirmed(call, setup)


def _unexpected(setup: Document) -> StripeError:
    return invalid(
        f"You cannot do this to this SetupIntent because it has a status of {setup['status']}.",
        code="setup_intent_unexpected_state",
    )


def _confirmed(call: Call, setup: Document) -> Document:
    chosen = call.params.get("payment_method") or setup["payment_method"]
    if not chosen:
        raise invalid(
            "You cannot confirm this SetupIntent because it's missing a payment method.",
            code="parameter_missing",
            param="payment_method",
        )
    method = usable_or_free(call, chosen, setup["customer"])
    if method["type"] not in setup["payment_method_types"]:
        raise invalid(
            f"This SetupIntent does not take payment methods of type {method['type']}.",
            param="payment_method",
        )
    setup = setup | {"payment_method": method["id"], "mandate": _mandate(call, method)}
    if method["type"] == "us_bank_account" and microdeposits.wanted(setup):
        return microdeposits.sent(call, setup)
    if method["_setup"] == "authenticates":
        after = call.store.put(setup | {"status": "requires_action", "next_action": next_action(setup["id"])})
        emit(call, "setup_intent.requires_action", after)
        return after
    if method["_setup"] in DECLINES:
        raise _refused(call, *_failed(call, setup, method, DECLINES[method["_setup"]]))
    return _succeeded(call, setup, method)


def _mandate(call: Call, method: Document) -> str | None:
    """Make the mandate that a bank debit needs."""
    given: Any = call.params.get("mandate_data")
    if method["type"] != "us_bank_account":
        return None
    if not given:
        raise invalid(
            "This payment method needs the customer's mandate: pass mandate_data[customer_acceptance].",
            code="parameter_missing",
            param="mandate_data",
        )
    acceptance = given["customer_acceptance"]
    mandate: Document = {
        "id": ids.new("mandate"),
        "object": "mandate",
        "customer_acceptance": {
            "accepted_at": acceptance.get("accepted_at", call.now),
            "offline": {} if acceptance["type"] == "offline" else None,
            "online": acceptance.get("online"),
            "type": acceptance["type"],
        },
        "livemode": False,
        "multi_use": {"amount": None, "currency": None},
        "payment_method": method["id"],
        "payment_method_details": {"type": "us_bank_account", "us_bank_account": {"collection_method": None}},
        "single_use": None,
        "status": "active",
        "type": "multi_use",
    }
    return str(call.store.put(mandate)["id"])


def _succeeded(call: Call, setup: Document, method: Document) -> Document:
    if setup["customer"]:
        attached(call, method, setup["customer"])
    after = setup | {"status": "succeeded", "next_action": None, "last_setup_error": None}
    call.store.put(after)
    emit(call, "setup_intent.succeeded", after)
    return after


def _failed(call: Call, setup: Document, method: Document, decline: Decline) -> tuple[Document, Document]:
    error = {
        "type": "card_error",
        "code": decline.code,
        "decline_code": decline.decline_code,
        "message": decline.message,
        "doc_url": DOCUMENTATION + decline.code.replace("_", "-"),
        "payment_method": present(call.store, method),
    }
    after = setup | {
        "status": "requires_payment_method",
        "payment_method": None,
        "mandate": None,
        "next_action": None,
        "last_setup_error": error,
    }
    call.store.put(after)
    emit(call, "setup_intent.setup_failed", after)
    return after, error


def _refused(call: Call, setup: Document, error: Document) -> StripeError:
    facts = {name: value for name, value in error.items() if name not in {"type", "message"}}
    facts["setup_intent"] = present(call.store, setup)
    return StripeError(402, "card_error", error["message"], keep=True, facts=facts)


def authenticate(call: Call, setup: Document, *, succeeds: bool) -> Document:
    """End the authentication that a setup intent waits for, as the customer would in the browser."""
    if setup["status"] != "requires_action" or microdeposits.wanted(setup):
        raise _unexpected(setup)
    method = call.document("payment_method", setup["payment_method"])
    if succeeds:
        return _succeeded(call, setup, method)
    return _failed(call, setup, method, DECLINES["authentication_required"])[0]


@operation("post", "/v1/setup_intents/{intent}/verify_microdeposits", takes="amounts descriptor_code")
def verify_microdeposits(call: Call) -> Document:
    """Verify the bank account of a setup intent by the deposits that came; right ones attach it."""
    setup = call.target("setup_intent")
    if setup["status"] != "requires_action" or not microdeposits.wanted(setup):
        raise _unexpected(setup)
    microdeposits.check(call, setup)
    return _succeeded(call, setup, call.document("payment_method", setup["payment_method"]))


@operation("post", "/v1/setup_intents/{intent}/cancel", takes="cancellation_reason")
def cancel(call: Call) -> Document:
    """Give up a setup intent that has not succeeded."""
    setup = call.target("setup_intent")
    if setup["status"] not in WAITING:
        raise _unexpected(setup)
    reason = call.params.get("cancellation_reason")
    after = call.store.put(setup | {"status": "canceled", "cancellation_reason": reason, "next_action": None})
    emit(call, "setup_intent.canceled", after)
    return after


@operation("get", "/v1/setup_intents/{intent}")
def retrieve(call: Call) -> Document:
    """Read a setup intent."""
    return call.target("setup_intent")


@operation("get", "/v1/setup_intents", takes=f"customer payment_method created {PAGING}")
def list_intents(call: Call) -> Document:
    """List setup intents."""
    fields = {name: call.params.get(name) for name in ("customer", "payment_method")}
    return page(call, "setup_intent", "/v1/setup_intents", fields=fields)


@operation("get", "/v1/mandates/{mandate}")
def retrieve_mandate(call: Call) -> Document:
    """Read a mandate."""
    return call.target("mandate")
