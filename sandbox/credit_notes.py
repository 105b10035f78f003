"""Credit notes on open invoices: what is due becomes less, and nothing is due when all of it was credited.

A credit note after the payment, with its refund or customer balance, is not acted on: 501 instead of a wrong sum.
"""

from sandbox import collecting, ids
from sandbox.call import Call, operation
from sandbox.errors import invalid, not_implemented
from sandbox.events import emit, emit_update
from sandbox.invoice_states import HOSTED
from sandbox.listing import PAGING, page
from sandbox.metadata import merged
from sandbox.presenting import embedded, listed
from sandbox.store import Document, Query, Store


@operation("post", "/v1/credit_notes", takes="invoice amount memo reason metadata")
def create(call: Call) -> Document:
    """Credit an open invoice by an amount, tax included."""
    invoice = call.document("invoice", call.params["invoice"], param="invoice")
    amount = _amount(call, invoice)
    note: Document = {
        "id": ids.new("cn"),
        "object": "credit_note",
        "amount": amount,
        "amount_shipping": 0,
        "created": call.now,
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "customer_account": None,
        "customer_balance_transaction": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": call.now,
        "invoice": invoice["id"],
        "livemode": False,
        "memo": call.params.get("memo"),
        "metadata": merged({}, call.params.get("metadata")),
        "number": _number(call, invoice),
        "out_of_band_amount": None,
        "pdf": f"{HOSTED}/{invoice['id']}/credit_note/pdf",
        "post_payment_amount": 0,
        "pre_payment_amount": amount,
        "pretax_credit_amounts": [],
        "reason": call.params.get("reason"),
        "refunds": [],
        "shipping_cost": None,
        "status": "issued",
        "subtotal": amount,
        "subtotal_excluding_tax": amount,
        "total": amount,
        "total_excluding_tax": amount,
        "total_taxes": [],
        "type": "pre_payment",
        "voided_at": None,
    }
    call.store.put(note)
    emit(call, "credit_note.created", note)
    _lower(call, invoice, amount)
    return note


def _amount(call: Call, invoice: Document) -> int:
    if invoice["status"] == "paid":
        raise not_implemented("a credit note on an invoice that is paid")
    if invoice["status"] not in {"open", "uncollectible"}:
        raise invalid("You can only create a credit note for an open or paid invoice.", param="invoice")
    if "amount" not in call.params:
        raise not_implemented("a credit note of lines (it takes an amount)")
    amount = int(call.params["amount"])
    if not 1 <= amount <= invoice["amount_remaining"]:
        raise invalid(
            f"The sum of credit amounts ({amount}) must be between 1 and the amount remaining on the invoice "
            f"({invoice['amount_remaining']}).",
            param="amount",
        )
    return amount


def _number(call: Call, invoice: Document) -> str:
    place = call.store.count(Query("credit_note", {"invoice": invoice["id"]})) + 1
    return f"{invoice['number']}-CN-{place:02d}"


def _lower(call: Call, invoice: Document, amount: int) -> None:
    left = invoice["amount_remaining"] - amount
    credited = invoice["pre_payment_credit_notes_amount"] + amount
    after = call.store.put(invoice | {"amount_remaining": left, "pre_payment_credit_notes_amount": credited})
    emit_update(call, "invoice.updated", after, invoice)
    if not left:
        collecting.abandon(call, after, "void_invoice")
        collecting.paid(call, after, 0)
        return
    intent = call.store.find(invoice["_intent"] or "")
    if intent is not None:
        call.store.put(intent | {"amount": left})


@embedded("credit_note", "lines")
def _lines(store: Store, note: Document) -> Document:
    """Show the one line that an amount makes."""
    line = {
        "id": note["id"].replace("cn_", "cnli_"),
        "object": "credit_note_line_item",
        "amount": note["amount"],
        "description": "Credit",
        "discount_amount": 0,
        "discount_amounts": [],
        "livemode": False,
        "metadata": {},
        "pretax_credit_amounts": [],
        "quantity": 1,
        "tax_rates": [],
        "taxes": [],
        "type": "custom_line_item",
        "unit_amount": note["amount"],
        "unit_amount_decimal": str(note["amount"]),
    }
    del store
    return listed(f"/v1/credit_notes/{note['id']}/lines", [line], has_more=False)


@operation("get", "/v1/credit_notes/{id}")
def retrieve(call: Call) -> Document:
    """Read a credit note."""
    return call.target("credit_note")


@operation("get", "/v1/credit_notes", takes=f"invoice customer created {PAGING}")
def list_credit_notes(call: Call) -> Document:
    """List credit notes, of one invoice or customer or all."""
    fields = {name: call.params.get(name) for name in ("invoice", "customer")}
    return page(call, "credit_note", "/v1/credit_notes", fields=fields)
