"""Invoices: drafts are created, edited, deleted; all are read. What begins with finalization is in `invoice_states`."""

from typing import Any

from sandbox.call import Call, operation
from sandbox.errors import invalid, not_implemented
from sandbox.events import emit, emit_update
from sandbox.invoice_drafts import LINES_MAX, draft, made
from sandbox.invoice_lines import take_pending
from sandbox.listing import PAGING, page
from sandbox.metadata import merged
from sandbox.money import currency as known_currency
from sandbox.payment_methods import usable
from sandbox.store import Document, Query

NUMBER_MAX = 26
EDITABLE = (
    "collection_method days_until_due default_payment_method description due_date footer metadata number "
    "auto_advance custom_fields statement_descriptor effective_at payment_settings"
)
PLAIN = ("description", "footer", "custom_fields", "statement_descriptor", "effective_at")
"""Fields taken as given; an empty string unsets them."""


@operation("post", "/v1/invoices", takes=f"{EDITABLE} customer currency pending_invoice_items_behavior")
def create(call: Call) -> Document:
    """Create a draft, empty unless pending invoice items are to be included."""
    given = call.params
    if not given.get("customer"):
        raise invalid("Missing required param: customer.", code="parameter_missing", param="customer")
    customer = call.document("customer", given["customer"], param="customer")
    invoice = made(call, customer, known_currency(given.get("currency") or customer["currency"] or "usd"))
    invoice = call.store.put(_edited(call, invoice))
    if given.get("pending_invoice_items_behavior") == "include":
        invoice = take_pending(call, invoice)
    emit(call, "invoice.created", invoice)
    return invoice


def _edited(call: Call, invoice: Document) -> Document:
    given = call.params
    if given.get("auto_advance"):
        raise not_implemented("auto_advance=true (it never finalizes or charges by itself)")
    after = invoice | {name: given[name] or None for name in PLAIN if name in given}
    after["metadata"] = merged(invoice["metadata"], given.get("metadata"))
    if "number" in given:
        after["number"] = _unused(call, invoice, given["number"])
    if "default_payment_method" in given:
        method = given["default_payment_method"]
        param = "default_payment_method"
        after[param] = usable(call, method, invoice["customer"], param=param)["id"] if method else None
    if "payment_settings" in given:
        after["payment_settings"] = _payment_settings(invoice, given["payment_settings"])
    return _with_terms(given, after)


def _with_terms(given: Any, invoice: Document) -> Document:
    """Apply the collection method; an invoice that is sent needs a due date, one that is charged has none."""
    after = invoice | {"collection_method": given.get("collection_method", invoice["collection_method"])}
    if "days_until_due" in given:
        after |= {"_days_until_due": given["days_until_due"], "due_date": None}
    if "due_date" in given:
        after |= {"_days_until_due": None, "due_date": given["due_date"]}
    has_terms = after["due_date"] is not None or after["_days_until_due"] is not None
    if after["collection_method"] == "send_invoice" and not has_terms:
        raise invalid(
            "If collection_method=send_invoice, you must pass days_until_due or due_date.", param="days_until_due"
        )
    if after["collection_method"] == "charge_automatically" and ({"days_until_due", "due_date"} & set(given)):
        raise invalid("days_until_due and due_date need collection_method=send_invoice.", param="due_date")
    return after


def _payment_settings(invoice: Document, given: Document) -> Document:
    unknown = set(given) - {"payment_method_types", "payment_method_options"}
    if unknown:
        raise not_implemented(f"payment_settings[{min(unknown)}]")
    options = given.get("payment_method_options") or {}
    if set(options) - {"customer_balance"}:
        raise not_implemented(f"payment_settings[payment_method_options][{min(options)}]")
    settings: Document = invoice["payment_settings"]
    return settings | {
        "payment_method_types": given.get("payment_method_types") or None,
        "payment_method_options": _options(options["customer_balance"]) if options else None,
    }


def _options(given: Document) -> Document:
    """Give the options of bank transfers as an invoice shows them."""
    shown = {"bank_transfer": given.get("bank_transfer"), "funding_type": given.get("funding_type")}
    return {"customer_balance": shown}


def _unused(call: Call, invoice: Document, number: str) -> str | None:
    if not number:
        return None
    if len(number) > NUMBER_MAX:
        raise invalid(f"The invoice number can be at most {NUMBER_MAX} characters long.", param="number")
    for other in call.store.select(Query("invoice", {"number": number})):
        if other["id"] != invoice["id"]:
            raise invalid(f"An invoice with the number {number} already exists.", param="number")
    return number


@operation("post", "/v1/invoices/{invoice}", takes=EDITABLE)
def update(call: Call) -> Document:
    """Edit a draft; of a finalized invoice only the metadata and the default payment method."""
    before = call.target("invoice")
    if before["status"] != "draft" and set(call.params) - {
        "metadata",
        "default_payment_method",
        "auto_advance",
        "expand",
    }:
        draft(call)
    after = call.store.put(_edited(call, before))
    emit_update(call, "invoice.updated", after, before)
    return after


@operation("delete", "/v1/invoices/{invoice}")
def delete(call: Call) -> Document:
    """Delete a draft for good; its lines go with it."""
    invoice = draft(call)
    if invoice["parent"] is not None:
        raise invalid("You can only delete one-off invoices, not those of a subscription. Void it instead.")
    emit(call, "invoice.deleted", invoice)
    for kind in ("line_item", "invoiceitem"):
        for line in call.store.select(Query(kind, {"invoice": invoice["id"]}, limit=LINES_MAX)):
            call.store.delete(line["id"])
    return call.store.put({"id": invoice["id"], "object": "invoice", "deleted": True})


@operation("get", "/v1/invoices/{invoice}")
def retrieve(call: Call) -> Document:
    """Read an invoice with its first ten lines; `payments` and `confirmation_secret` are there when expanded."""
    return call.target("invoice")


@operation("get", "/v1/invoices", takes=f"customer status collection_method subscription created {PAGING}")
def list_invoices(call: Call) -> Document:
    """List invoices, newest first."""
    fields = {name: call.params.get(name) for name in ("customer", "status", "collection_method")}
    fields["_subscription"] = call.params.get("subscription")
    return page(call, "invoice", "/v1/invoices", fields=fields)
