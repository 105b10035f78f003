"""Lines of drafts and the invoice items behind them: at most 250 an invoice, each with amount, period and taxes."""

from decimal import Decimal
from typing import Any

from sandbox import ids, prices, tax_rates
from sandbox.call import Call, operation
from sandbox.errors import invalid, not_implemented
from sandbox.events import emit, emit_update
from sandbox.invoice_drafts import LINES_MAX, draft, lines
from sandbox.invoice_totals import totals
from sandbox.listing import PAGING, page
from sandbox.metadata import merged
from sandbox.money import bounded, currency
from sandbox.store import Document, Query

TAXES_MAX = 20
ITEM_FIELDS = "amount description discountable metadata period price_data pricing quantity quantity_decimal"
UNSUPPORTED = ("discounts", "tax_rates")


@operation("post", "/v1/invoices/{invoice}/add_lines", takes="lines invoice_metadata")
def add_lines(call: Call) -> Document:
    """Add lines to a draft, each with an invoice item of its own; all are added or none."""
    invoice = draft(call)
    for place, given in enumerate(call.params["lines"]):
        param = f"lines[{place}]"
        item = _item_for(call, invoice, given, param)
        taxes = _taxes(call, given.get("tax_amounts") or [], f"{param}[tax_amounts]")
        put_line(call, invoice, item, taxes)
    changed = {"metadata": merged(invoice["metadata"], call.params.get("invoice_metadata"))}
    return recounted(call, invoice, changed)


def _item_for(call: Call, invoice: Document, given: Any, param: str) -> Document:
    if not given.get("invoice_item"):
        return _item(call, given, param, of=invoice["currency"], customer=invoice["customer"], invoice=invoice["id"])
    item = call.document("invoiceitem", given["invoice_item"], param=f"{param}[invoice_item]")
    if item["invoice"] is not None or item["customer"] != invoice["customer"]:
        raise invalid("The invoice item is already assigned or is another customer's.", param=f"{param}[invoice_item]")
    return call.store.put(item | {"invoice": invoice["id"]})


def _item(call: Call, given: Any, param: str, *, of: str, customer: str, invoice: str | None) -> Document:
    """Store an invoice item and tell so."""
    for name in UNSUPPORTED:
        if given.get(name):
            raise not_implemented(_at(param, name))
    amount, quantity, pricing = _priced(call, given, of, param)
    period = given.get("period") or {"start": call.now, "end": call.now}
    if period["end"] < period["start"]:
        raise invalid("The period's end must be at or after its start.", param=_at(param, "period"))
    item: Document = {
        "id": ids.new("ii"),
        "object": "invoiceitem",
        "amount": amount,
        "currency": of,
        "customer": customer,
        "date": call.now,
        "description": given.get("description"),
        "discountable": given.get("discountable", amount >= 0),
        "discounts": [],
        "invoice": invoice,
        "livemode": False,
        "metadata": merged({}, given.get("metadata")),
        "net_amount": amount,
        "parent": None,
        "period": {"end": period["end"], "start": period["start"]},
        "pricing": pricing,
        "proration": False,
        "proration_details": None,
        "quantity": int(quantity),
        "quantity_decimal": str(quantity),
        "tax_rates": [],
        "test_clock": None,
    }
    call.store.put(item)
    emit(call, "invoiceitem.created", item)
    return item


def _priced(call: Call, given: Any, of: str, param: str) -> tuple[int, Decimal, Document | None]:
    """Give amount, quantity and pricing from exactly one of `amount`, `price_data` and `pricing`."""
    ways = [name for name in ("amount", "price_data", "pricing") if name in given]
    if len(ways) != 1:
        raise invalid(
            "You must specify exactly one of these parameters: amount, price_data, pricing.",
            code="parameters_exclusive" if ways else "parameter_missing",
            param=param,
        )
    quantity = Decimal(given.get("quantity_decimal", given.get("quantity", 1)))
    if quantity < 0:
        raise invalid("Invalid non-negative integer.", code="parameter_invalid_integer", param=_at(param, "quantity"))
    if ways == ["amount"]:
        if quantity != 1:
            raise invalid("You may not pass both amount and quantity.", code="parameters_exclusive", param=param)
        return bounded(given["amount"], _at(param, "amount")), quantity, None
    if ways == ["price_data"]:
        price = prices.made(call, given["price_data"], active=False)
    else:
        price = call.document("price", given["pricing"].get("price", ""), param=_at(param, "pricing"))
    if price["currency"] != of:
        raise invalid(f"The price's currency is {price['currency']}, the invoice's is {of}.", param=param)
    return prices.total(price, quantity), quantity, prices.pricing(price)


def _at(param: str, name: str) -> str:
    return f"{param}[{name}]" if param else name


def _taxes(call: Call, given: list[Any], param: str) -> list[Document]:
    if len(given) > TAXES_MAX:
        raise invalid(f"A line can have at most {TAXES_MAX} tax amounts.", param=param)
    taxes = []
    for place, tax in enumerate(given):
        rate = tax_rates.found_or_made(call, tax["tax_rate_data"], f"{param}[{place}][tax_rate_data]")
        taxes.append(
            {
                "amount": bounded(tax["amount"], f"{param}[{place}][amount]"),
                "tax_behavior": "inclusive" if rate["inclusive"] else "exclusive",
                "tax_rate_details": {"tax_rate": rate["id"]},
                "taxability_reason": tax.get("taxability_reason", "not_available"),
                "taxable_amount": tax["taxable_amount"],
                "type": "tax_rate_details",
            },
        )
    return taxes


def put_line(call: Call, invoice: Document, item: Document, taxes: list[Document], **more: Any) -> Document:
    """Store the line of an item on an invoice. Raises StripeError for the 251st."""
    if call.store.count(Query("line_item", {"invoice": invoice["id"]})) >= LINES_MAX:
        raise invalid(f"An invoice can have at most {LINES_MAX} line items.", param="lines")
    line: Document = {
        "id": ids.new("il"),
        "object": "line_item",
        "amount": item["amount"],
        "currency": item["currency"],
        "description": item["description"],
        "discount_amounts": [],
        "discountable": item["discountable"],
        "discounts": [],
        "invoice": invoice["id"],
        "livemode": False,
        "metadata": item["metadata"],
        "parent": {
            "invoice_item_details": {
                "invoice_item": item["id"],
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": None,
            },
            "subscription_item_details": None,
            "type": "invoice_item_details",
        },
        "period": item["period"],
        "pretax_credit_amounts": [],
        "pricing": item["pricing"],
        "quantity": item["quantity"],
        "quantity_decimal": item["quantity_decimal"],
        "subscription": None,
        "subtotal": item["amount"],
        "taxes": taxes,
    } | more
    return call.store.put(line)


def counted(call: Call, invoice: Document, changed: Document | None = None) -> Document:
    """Bring a draft's sums up to date after its lines have changed, without telling so."""
    customer = call.document("customer", invoice["customer"])
    sums = totals(lines(call.store, invoice), customer["balance"], invoice["currency"])
    return call.store.put(invoice | sums | (changed or {}) | {"starting_balance": customer["balance"]})


def recounted(call: Call, invoice: Document, changed: Document | None = None) -> Document:
    """Bring a draft's sums up to date after its lines have changed, and tell so if they did."""
    after = counted(call, invoice, changed)
    emit_update(call, "invoice.updated", after, invoice)
    return after


def take_pending(call: Call, invoice: Document) -> Document:
    """Move the customer's invoice items that belong to no invoice yet onto a draft."""
    pending = Query("invoiceitem", {"customer": invoice["customer"], "currency": invoice["currency"]}, limit=LINES_MAX)
    for item in reversed(call.store.select(pending)):
        if item["invoice"] is None:
            put_line(call, invoice, call.store.put(item | {"invoice": invoice["id"]}), [])
    return counted(call, invoice)


@operation("post", "/v1/invoices/{invoice}/remove_lines", takes="lines invoice_metadata")
def remove_lines(call: Call) -> Document:
    """Take lines off a draft; their items are deleted or left pending, as each line's `behavior` says."""
    invoice = draft(call)
    for place, given in enumerate(call.params["lines"]):
        line = call.document("line_item", given["id"], param=f"lines[{place}][id]")
        if line["invoice"] != invoice["id"]:
            raise invalid("The line belongs to another invoice.", param=f"lines[{place}][id]")
        item = call.document("invoiceitem", line["parent"]["invoice_item_details"]["invoice_item"])
        call.store.delete(line["id"])
        if given["behavior"] == "delete":
            call.store.delete(item["id"])
            emit(call, "invoiceitem.deleted", item)
        else:
            call.store.put(item | {"invoice": None})
    return recounted(call, invoice, {"metadata": merged(invoice["metadata"], call.params.get("invoice_metadata"))})


@operation("get", "/v1/invoices/{invoice}/lines", takes=PAGING)
def list_lines(call: Call) -> Document:
    """List an invoice's lines in the order in which they were added."""
    invoice = call.target("invoice")["id"]
    return page(call, "line_item", f"/v1/invoices/{invoice}/lines", fields={"invoice": invoice}, oldest_first=True)


@operation("post", "/v1/invoiceitems", takes=f"{ITEM_FIELDS} customer currency invoice")
def create_item(call: Call) -> Document:
    """Create an invoice item on a draft, or pending until an invoice takes it."""
    given = call.params
    if not given.get("customer"):
        raise invalid("Missing required param: customer.", code="parameter_missing", param="customer")
    customer = call.document("customer", given["customer"], param="customer")
    invoice = call.document("invoice", given["invoice"], param="invoice") if given.get("invoice") else None
    if invoice and (invoice["status"] != "draft" or invoice["customer"] != customer["id"]):
        raise invalid("The invoice must be a draft of the same customer.", code="invoice_not_editable", param="invoice")
    of = currency(given.get("currency") or (invoice or {}).get("currency") or customer["currency"] or "usd")
    if invoice and of != invoice["currency"]:
        raise invalid(f"The invoice's currency is {invoice['currency']}, not {of}.", param="currency")
    item = _item(call, given, "", of=of, customer=customer["id"], invoice=invoice["id"] if invoice else None)
    if invoice:
        put_line(call, invoice, item, [])
        recounted(call, invoice)
    return item


@operation("get", "/v1/invoiceitems/{invoiceitem}")
def retrieve_item(call: Call) -> Document:
    """Read an invoice item."""
    return call.target("invoiceitem")


@operation("get", "/v1/invoiceitems", takes=f"customer invoice created {PAGING}")
def list_items(call: Call) -> Document:
    """List invoice items."""
    fields = {name: call.params.get(name) for name in ("customer", "invoice")}
    return page(call, "invoiceitem", "/v1/invoiceitems", fields=fields)


@operation("delete", "/v1/invoiceitems/{invoiceitem}")
def delete_item(call: Call) -> Document:
    """Delete an invoice item that is pending or on a draft."""
    item = call.target("invoiceitem")
    if item["invoice"] is not None:
        invoice = call.document("invoice", item["invoice"])
        if invoice["status"] != "draft":
            raise invalid("The invoice item is on a finalized invoice.", code="invoice_not_editable")
        for line in lines(call.store, invoice):
            if line["parent"]["invoice_item_details"]["invoice_item"] == item["id"]:
                call.store.delete(line["id"])
        recounted(call, invoice)
    emit(call, "invoiceitem.deleted", item)
    return call.store.put({"id": item["id"], "object": "invoiceitem", "deleted": True})
