"""Payment methods: cards and US bank accounts of the test kind, attached to one customer at most, detached for good."""

from datetime import UTC, datetime
from hashlib import sha256

from sandbox import ids
from sandbox.addresses import billing_details
from sandbox.behaviours import BY_NUMBER, TEST_METHODS, TestMethod
from sandbox.call import Call, operation
from sandbox.errors import invalid, not_implemented
from sandbox.events import emit, emit_update
from sandbox.listing import PAGING, page
from sandbox.metadata import merged
from sandbox.store import Document, Query

YEARS_VALID = 4
FINGERPRINT_LENGTH = 16
INVOICES_MAX = 100


@operation("post", "/v1/payment_methods", takes="type card us_bank_account billing_details metadata allow_redisplay")
def create(call: Call) -> Document:
    """Create an unattached method from a test card number, `tok_…` or test account number."""
    kind = call.params.get("type")
    if kind not in {"card", "us_bank_account"}:
        raise not_implemented(f"payment methods of type {kind}")
    details = call.params.get(kind, {})
    if kind == "card":
        known = BY_NUMBER.get(details.get("number", "")) or TEST_METHODS.get(
            "pm_card_" + details.get("token", "").removeprefix("tok_"),
        )
    else:
        known = BY_NUMBER.get(details.get("account_number", ""))
    if known is None or known.kind != kind:
        raise invalid(f"Use one of Stripe's test numbers or tokens for {kind}.", code="invalid_number", param=kind)
    method = _made(call, known) | {
        "allow_redisplay": call.params.get("allow_redisplay", "unspecified"),
        "billing_details": billing_details(call.params.get("billing_details")),
        "metadata": merged({}, call.params.get("metadata")),
    }
    return call.store.put(method)


def _made(call: Call, known: TestMethod) -> Document:
    method: Document = {
        "id": ids.new("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(None),
        "created": call.now,
        "customer": None,
        "livemode": False,
        "metadata": {},
        "type": known.kind,
        "_charge": known.charge,
        "_setup": known.setup,
        "_refund": known.refund,
        "_detached": False,
    }
    fingerprint = sha256(known.number.encode()).hexdigest()[:FINGERPRINT_LENGTH]
    make = {"card": _card, "us_bank_account": _bank_account}.get(known.kind, _no_details)
    return method | {known.kind: make(call, known, fingerprint)}


def pushed(call: Call) -> Document:
    """Store the method of a bank transfer: it belongs to nobody and can never be used for a charge."""
    method = _made(call, TestMethod("customer_balance", ""))
    return call.store.put(method | {"_detached": True})


def _card(call: Call, known: TestMethod, fingerprint: str) -> Document:
    return {
        "brand": known.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "display_brand": {"amex": "american_express"}.get(known.brand, known.brand),
        "exp_month": 12,
        "exp_year": datetime.fromtimestamp(call.now, UTC).year + YEARS_VALID,
        "fingerprint": fingerprint,
        "funding": "credit",
        "generated_from": None,
        "last4": known.number[-4:],
        "networks": {"available": [known.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _bank_account(_call: Call, known: TestMethod, fingerprint: str) -> Document:
    return {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": fingerprint,
        "last4": known.number[-4:],
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": "110000000",
        "status_details": None,
    }


def _no_details(_call: Call, _known: TestMethod, _fingerprint: str) -> Document:
    return {}


def known_or_new(call: Call, identifier: str, *, param: str | None = None) -> Document:
    """Read a method, or make a new one when the id is one of Stripe's test ids, as Stripe does."""
    known = TEST_METHODS.get(identifier)
    if known is not None:
        return call.store.put(_made(call, known))
    return call.document("payment_method", identifier, param=param)


def usable(call: Call, identifier: str, customer: str | None, *, param: str = "payment_method") -> Document:
    """Read a method that a customer may pay with. Refuses foreign, unattached and detached ones."""
    method = known_or_new(call, identifier, param=param)
    if customer is None or method["customer"] == customer:
        return _not_detached(method, param)
    if method["customer"] is not None:
        raise invalid(
            f"The provided PaymentMethod {identifier} belongs to a different Customer. To use it, make sure that the "
            "Customer it is attached to is the one that pays.",
            param=param,
        )
    _not_detached(method, param)
    raise invalid(
        f"The PaymentMethod {identifier} must be attached to the Customer {customer} before it can be used here.",
        code="resource_missing",
        param=param,
    )


def usable_or_free(call: Call, identifier: str, customer: str | None) -> Document:
    """Read a method that is the customer's, or that is nobody's and was never used."""
    method = known_or_new(call, identifier, param="payment_method")
    return usable(call, method["id"], customer if method["customer"] is not None else None)


def _not_detached(method: Document, param: str) -> Document:
    if method["_detached"]:
        raise invalid(
            "This PaymentMethod was previously used without being attached to a Customer or was detached from a "
            "Customer, and may not be used again.",
            code="payment_method_unexpected_state",
            param=param,
        )
    return method


@operation("post", "/v1/payment_methods/{payment_method}/attach", takes="customer")
def attach(call: Call) -> Document:
    """Attach a method to a customer; a test id becomes a new method first. Detached ones never come back."""
    if not call.params.get("customer"):
        raise invalid("Missing required param: customer.", code="parameter_missing", param="customer")
    customer = call.document("customer", call.params["customer"], param="customer")
    return attached(call, known_or_new(call, call.path["payment_method"]), customer["id"])


def attached(call: Call, method: Document, customer: str) -> Document:
    """Attach a method and tell so, once; attaching it again to the same customer changes nothing."""
    _not_detached(method, "payment_method")
    if method["customer"] == customer:
        return method
    if method["customer"] is not None:
        raise invalid(
            "The payment method you provided has already been attached to a customer.", param="payment_method"
        )
    after = call.store.put(method | {"customer": customer})
    emit(call, "payment_method.attached", after)
    return after


@operation("post", "/v1/payment_methods/{payment_method}/detach")
def detach(call: Call) -> Document:
    """Detach a method for good."""
    method = call.target("payment_method")
    if method["customer"] is None:
        raise invalid(
            "The payment method you provided is not attached to a customer so detachment is impossible.",
            code="payment_method_unexpected_state",
            param="payment_method",
        )
    return release(call, method)


def release(call: Call, method: Document) -> Document:
    """Detach a method and take it out of its customer's defaults."""
    after = call.store.put(method | {"customer": None, "_detached": True})
    emit(call, "payment_method.detached", after, method)
    _forget(call, method)
    return after


def _forget(call: Call, method: Document) -> None:
    customer = call.document("customer", method["customer"])
    settings = customer["invoice_settings"]
    if settings["default_payment_method"] == method["id"]:
        after = customer | {"invoice_settings": settings | {"default_payment_method": None}}
        call.store.put(after)
        emit_update(call, "customer.updated", after, customer)
    for kind in ("invoice", "subscription"):
        fields = {"customer": customer["id"], "default_payment_method": method["id"]}
        for document in call.store.select(Query(kind, fields, limit=INVOICES_MAX)):
            call.store.put(document | {"default_payment_method": None})


@operation("get", "/v1/payment_methods/{payment_method}")
def retrieve(call: Call) -> Document:
    """Read a method, attached or not."""
    return call.target("payment_method")


@operation("get", "/v1/customers/{customer}/payment_methods/{payment_method}")
def retrieve_of_customer(call: Call) -> Document:
    """Read a method of one customer."""
    customer = call.target("customer")
    method = call.document("payment_method", call.path["payment_method"])
    if method["customer"] != customer["id"]:
        raise invalid(f"The payment method {method['id']} does not belong to the customer.", code="resource_missing")
    return method


@operation("post", "/v1/payment_methods/{payment_method}", takes="billing_details metadata allow_redisplay card")
def update(call: Call) -> Document:
    """Change billing details, metadata or a card's expiry of an attached method."""
    before = call.target("payment_method")
    if before["customer"] is None:
        raise invalid("You must attach this PaymentMethod to a customer before you can update it.")
    after = before | {"metadata": merged(before["metadata"], call.params.get("metadata"))}
    if "billing_details" in call.params:
        after["billing_details"] = billing_details(call.params["billing_details"])
    if "allow_redisplay" in call.params:
        after["allow_redisplay"] = call.params["allow_redisplay"]
    if "card" in call.params:
        if before["type"] != "card":
            raise invalid(f"This PaymentMethod is of type {before['type']}; it has no card to update.", param="card")
        expiry = {name: call.params["card"][name] for name in ("exp_month", "exp_year") if name in call.params["card"]}
        after["card"] = before["card"] | expiry
    call.store.put(after)
    emit_update(call, "payment_method.updated", after, before)
    return after


@operation("get", "/v1/payment_methods", takes=f"customer type {PAGING}")
def list_methods(call: Call) -> Document:
    """List methods, of one customer or all."""
    fields = {name: call.params.get(name) for name in ("customer", "type")}
    return page(call, "payment_method", "/v1/payment_methods", fields=fields)


@operation("get", "/v1/customers/{customer}/payment_methods", takes=f"type {PAGING}")
def list_of_customer(call: Call) -> Document:
    """List the methods of one customer."""
    customer = call.target("customer")["id"]
    fields = {"customer": customer, "type": call.params.get("type")}
    return page(call, "payment_method", f"/v1/customers/{customer}/payment_methods", fields=fields)
