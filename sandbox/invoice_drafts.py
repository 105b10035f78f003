"""The document of an invoice: how a draft begins, and what is shown with every invoice."""

from sandbox import ids
from sandbox.call import Call
from sandbox.errors import invalid
from sandbox.invoice_totals import totals
from sandbox.listing import first
from sandbox.presenting import embedded, included
from sandbox.store import Document, Query, Store

LINES_MAX = 250
BLANK: Document = {
    "object": "invoice",
    "account_country": "US",
    "account_name": "Sandbox",
    "account_tax_ids": None,
    "amount_overpaid": 0,
    "amount_paid": 0,
    "amount_paid_off_stripe": 0,
    "amount_shipping": 0,
    "application": None,
    "attempt_count": 0,
    "attempted": False,
    "auto_advance": False,
    "automatic_tax": {
        "disabled_reason": None,
        "enabled": False,
        "liability": None,
        "provider": None,
        "status": None,
    },
    "automatically_finalizes_at": None,
    "billing_reason": "manual",
    "collection_method": "charge_automatically",
    "custom_fields": None,
    "customer_tax_ids": [],
    "default_payment_method": None,
    "default_source": None,
    "default_tax_rates": [],
    "description": None,
    "discounts": [],
    "due_date": None,
    "effective_at": None,
    "ending_balance": None,
    "footer": None,
    "from_invoice": None,
    "hosted_invoice_url": None,
    "invoice_pdf": None,
    "issuer": {"type": "self"},
    "last_finalization_error": None,
    "latest_revision": None,
    "livemode": False,
    "metadata": {},
    "next_payment_attempt": None,
    "number": None,
    "on_behalf_of": None,
    "parent": None,
    "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
    "post_payment_credit_notes_amount": 0,
    "pre_payment_credit_notes_amount": 0,
    "receipt_number": None,
    "rendering": None,
    "shipping_cost": None,
    "shipping_details": None,
    "statement_descriptor": None,
    "status": "draft",
    "status_transitions": {
        "finalized_at": None,
        "marked_uncollectible_at": None,
        "paid_at": None,
        "voided_at": None,
    },
    "test_clock": None,
    "total_discount_amounts": [],
    "total_pretax_credit_amounts": [],
    "_days_until_due": None,
    "_intent": None,
}
"""What every draft begins with."""


def made(call: Call, customer: Document, currency: str) -> Document:
    """Make a draft without lines, not yet stored."""
    if customer["currency"] is None:
        call.store.put(customer | {"currency": currency})
    return (
        BLANK
        | totals([], customer["balance"], currency)
        | {
            "id": ids.new("in"),
            "created": call.now,
            "currency": currency,
            "period_end": call.now,
            "period_start": call.now,
            "webhooks_delivered_at": call.now,
            "customer": customer["id"],
            "customer_address": customer["address"],
            "customer_email": customer["email"],
            "customer_name": customer["name"],
            "customer_phone": customer["phone"],
            "customer_shipping": customer["shipping"],
            "customer_tax_exempt": customer["tax_exempt"],
            "starting_balance": customer["balance"],
        }
    )


def draft(call: Call) -> Document:
    """Read the invoice in the path, which must still be a draft."""
    invoice = call.target("invoice")
    if invoice["status"] != "draft":
        raise invalid(
            "Finalized invoices can't be updated in this way. This invoice can no longer be edited.",
            code="invoice_not_editable",
        )
    return invoice


def lines(store: Store, invoice: Document) -> list[Document]:
    """Read all lines of an invoice in their order."""
    return store.select(Query("line_item", {"invoice": invoice["id"]}, oldest_first=True, limit=LINES_MAX))


@embedded("invoice", "lines")
def _first_lines(store: Store, invoice: Document) -> Document:
    query = Query("line_item", {"invoice": invoice["id"]}, oldest_first=True)
    return first(store, query, f"/v1/invoices/{invoice['id']}/lines")


@included("invoice", "payments")
def _payments(store: Store, invoice: Document) -> Document:
    return first(store, Query("invoice_payment", {"invoice": invoice["id"]}), "/v1/invoice_payments")


@included("invoice", "confirmation_secret")
def _confirmation_secret(store: Store, invoice: Document) -> Document | None:
    stored = store.find(invoice["id"]) or {}
    intent = store.find(stored.get("_intent") or "")
    return {"client_secret": intent["client_secret"], "type": "payment_intent"} if intent else None
