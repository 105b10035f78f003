"""Customers: who pays, with what by default, and Stripe's own credit balance."""

from sandbox import ids, payment_methods, subscription_states
from sandbox.addresses import address
from sandbox.call import Call, operation
from sandbox.errors import invalid
from sandbox.events import emit, emit_update
from sandbox.listing import PAGING, page
from sandbox.metadata import merged
from sandbox.money import bounded
from sandbox.store import Document, Query

PLAIN = "name email phone description business_name individual_name"
"""Fields taken as given; an empty string unsets them."""

PREFIX_LENGTH = 8


@operation(
    "post", "/v1/customers", takes=f"{PLAIN} address balance invoice_prefix metadata preferred_locales tax_exempt"
)
def create(call: Call) -> Document:
    """Create a customer without payment methods."""
    given = call.params
    customer: Document = {
        "id": ids.new("cus"),
        "object": "customer",
        "address": address(given.get("address")),
        "balance": bounded(given.get("balance", 0), "balance"),
        "created": call.now,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "discount": None,
        "invoice_prefix": given.get("invoice_prefix") or ids.letters(PREFIX_LENGTH).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": merged({}, given.get("metadata")),
        "next_invoice_sequence": 1,
        "preferred_locales": given.get("preferred_locales", []),
        "shipping": None,
        "tax_exempt": given.get("tax_exempt") or "none",
        "test_clock": None,
    }
    customer |= {name: given.get(name) or None for name in PLAIN.split()}
    call.store.put(customer)
    emit(call, "customer.created", customer)
    return customer


@operation("get", "/v1/customers/{customer}")
def retrieve(call: Call) -> Document:
    """Read a customer; a deleted one is answered as `deleted: true`."""
    found = call.store.find(call.path["customer"])
    return found if found and found["object"] == "customer" else call.target("customer")


@operation("get", "/v1/customers", takes=f"email created {PAGING}")
def list_customers(call: Call) -> Document:
    """List customers that are not deleted."""
    return page(call, "customer", "/v1/customers", fields={"email": call.params.get("email")})


@operation(
    "post",
    "/v1/customers/{customer}",
    takes=f"{PLAIN} address balance invoice_prefix invoice_settings metadata preferred_locales tax_exempt",
)
def update(call: Call) -> Document:
    """Change what is given, keep the rest."""
    given = call.params
    before = call.target("customer")
    after = before | {name: given[name] or None for name in PLAIN.split() if name in given}
    after |= {name: given[name] for name in ("invoice_prefix", "preferred_locales") if name in given}
    after["metadata"] = merged(before["metadata"], given.get("metadata"))
    if "address" in given:
        after["address"] = address(given["address"])
    if "balance" in given:
        after["balance"] = bounded(given["balance"], "balance")
    if "tax_exempt" in given:
        after["tax_exempt"] = given["tax_exempt"] or "none"
    if "invoice_settings" in given:
        after["invoice_settings"] = _settings(call, before, given["invoice_settings"])
    call.store.put(after)
    emit_update(call, "customer.updated", after, before)
    return after


def _settings(call: Call, customer: Document, given: Document) -> Document:
    settings = dict(customer["invoice_settings"])
    if "default_payment_method" in given:
        settings["default_payment_method"] = _default_method(call, customer, given["default_payment_method"])
    if "footer" in given:
        settings["footer"] = given["footer"] or None
    if "custom_fields" in given:
        settings["custom_fields"] = given["custom_fields"] or None
    return settings


def _default_method(call: Call, customer: Document, method: str) -> str | None:
    param = "invoice_settings[default_payment_method]"
    if not method:
        return None
    if call.document("payment_method", method, param=param)["customer"] != customer["id"]:
        raise invalid(
            "The customer does not have a payment method with the ID "
            f"{method}. The payment method must be attached to the customer.",
            code="resource_missing",
            param=param,
        )
    return method


@operation("delete", "/v1/customers/{customer}")
def delete(call: Call) -> Document:
    """Delete a customer for good: its subscriptions are cancelled and its payment methods detached."""
    customer = call.target("customer")
    for subscription in call.store.select(Query("subscription", {"customer": customer["id"]})):
        subscription_states.end(call, subscription)
    for method in call.store.select(Query("payment_method", {"customer": customer["id"]})):
        payment_methods.release(call, method)
    emit(call, "customer.deleted", customer)
    return call.store.put({"id": customer["id"], "object": "customer", "deleted": True})
