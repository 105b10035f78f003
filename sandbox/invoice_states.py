"""What can happen to an invoice from its finalization on, with the states of Stripe's table and nothing else.

draft -> open -> paid | void | uncollectible; uncollectible -> paid | void. Paid and void are final.
"""

from sandbox import cash, collecting, intents
from sandbox.call import Call, operation
from sandbox.errors import StripeError, invalid, not_implemented
from sandbox.events import emit, emit_update
from sandbox.invoice_drafts import draft, lines
from sandbox.invoice_totals import due_now, totals
from sandbox.money import bounded
from sandbox.payment_methods import usable
from sandbox.store import Document

DAY_S = 86_400
HOSTED = "https://invoice.stripe.com/i/sandbox"


@operation("post", "/v1/invoices/{invoice}/finalize", takes="auto_advance")
def finalize(call: Call) -> Document:
    """Finalize a draft; it is paid at once when nothing is due."""
    if call.params.get("auto_advance"):
        raise not_implemented("auto_advance=true (it never charges by itself)")
    return finalized(call, draft(call))


def finalized(call: Call, invoice: Document) -> Document:
    """Freeze a draft: number, sums, dates, the customer's balance, and the payment that is to collect it."""
    customer = call.document("customer", invoice["customer"])
    sums = totals(lines(call.store, invoice), customer["balance"], invoice["currency"])
    bounded(sums["total"], "total")
    number, customer = _numbered(call, invoice, customer)
    balance = customer["balance"]
    due = due_now(sums["total"], balance, invoice["currency"])
    after = invoice | sums | _dates(call, invoice)
    after |= {
        "number": number,
        "status": "open",
        "starting_balance": balance,
        "ending_balance": _ending(sums["total"], balance, due),
        "hosted_invoice_url": f"{HOSTED}/{invoice['id']}",
        "invoice_pdf": f"{HOSTED}/{invoice['id']}/pdf",
        "status_transitions": invoice["status_transitions"] | {"finalized_at": call.now},
    }
    _set_balance(call, customer, after["ending_balance"])
    if due > 0:
        after["_intent"] = collecting.requested(call, after)["id"]
    call.store.put(after)
    emit_update(call, "invoice.updated", after, invoice)
    emit(call, "invoice.finalized", after)
    if due <= 0:
        return collecting.paid(call, after, 0)
    return cash.applied(call, after) if after["collection_method"] == "send_invoice" else after


def _numbered(call: Call, invoice: Document, customer: Document) -> tuple[str, Document]:
    if invoice["number"]:
        return str(invoice["number"]), customer
    place = customer["next_invoice_sequence"]
    customer = call.store.put(customer | {"next_invoice_sequence": place + 1})
    return f"{customer['invoice_prefix']}-{place:04d}", customer


def _ending(total: int, balance: int, due: int) -> int:
    """Give the balance that is left: what was not taken as credit, or what was too little to be charged."""
    return total + balance - due


def _set_balance(call: Call, customer: Document, balance: int) -> None:
    if balance != customer["balance"]:
        after = call.store.put(customer | {"balance": balance})
        emit_update(call, "customer.updated", after, customer)


def _dates(call: Call, invoice: Document) -> Document:
    due_date = invoice["due_date"]
    if invoice["collection_method"] == "send_invoice" and due_date is None:
        due_date = call.now + invoice["_days_until_due"] * DAY_S
    return {"due_date": due_date, "effective_at": invoice["effective_at"] or call.now}


def _in_state(call: Call, *states: str) -> Document:
    invoice = call.target("invoice")
    if invoice["status"] not in states:
        raise invalid(
            f"You can only do this to an invoice with the status {' or '.join(states)}. "
            f"This invoice's status is {invoice['status']}.",
        )
    return invoice


@operation("post", "/v1/invoices/{invoice}/pay", takes="payment_method off_session paid_out_of_band")
def pay(call: Call) -> Document:
    """Attempt to collect an invoice now, or mark it as paid outside of Stripe.

    A decline is answered with 402 and leaves the invoice as it was; a bank debit leaves it open until it settles.
    """
    invoice = call.target("invoice")
    if invoice["status"] == "paid":
        raise invalid("Invoice is already paid")
    invoice = _in_state(call, "open", "uncollectible")
    if call.params.get("paid_out_of_band"):
        collecting.abandon(call, invoice, "automatic")
        return collecting.paid(call, invoice, 0)
    return charged(call, invoice, call.params.get("payment_method"), off_session=call.params.get("off_session", True))


def charged(call: Call, invoice: Document, method: str | None, *, off_session: bool) -> Document:
    """Attempt an invoice's payment with a method, else with its own or its customer's default."""
    intent = call.document("payment_intent", invoice["_intent"])
    if intent["status"] == "processing":
        raise invalid(
            "This invoice has a payment that is processing; wait for it to succeed or fail before paying again.",
            code="payment_intent_unexpected_state",
        )
    chosen = usable(call, method or default_method(call, invoice), invoice["customer"])
    intent, refusal = intents.attempt(call, intent, chosen, off_session=off_session)
    collecting.result(call, intent, refusal)
    if refusal is not None:
        raise intents.refused(call.store, intent, refusal)
    if intent["status"] == "requires_action":
        raise StripeError(
            402,
            "card_error",
            "This payment requires additional user action before it can be completed successfully. Payment can be "
            "completed using the PaymentIntent associated with the invoice.",
            code="invoice_payment_intent_requires_action",
            keep=True,
        )
    return call.document("invoice", invoice["id"])


def default_method(call: Call, invoice: Document) -> str:
    """Give the method that an invoice is paid with unless told otherwise. Raises StripeError resource_missing."""
    customer = call.document("customer", invoice["customer"])
    method = invoice["default_payment_method"] or customer["invoice_settings"]["default_payment_method"]
    if method is None:
        raise invalid(
            "There is no `default_payment_method` set on this Customer or Invoice. Please set one or pass "
            "payment_method.",
            code="resource_missing",
            param="payment_method",
        )
    return str(method)


@operation("post", "/v1/invoices/{invoice}/void")
def void(call: Call) -> Document:
    """Void an invoice for good; refused while a bank debit is processing."""
    invoice = _in_state(call, "open", "uncollectible")
    collecting.abandon(call, invoice, "void_invoice")
    return _moved(call, invoice, "void", "voided_at", "invoice.voided")


@operation("post", "/v1/invoices/{invoice}/mark_uncollectible")
def mark_uncollectible(call: Call) -> Document:
    """Write an open invoice off; it can still be paid or voided."""
    invoice = _in_state(call, "open")
    return _moved(call, invoice, "uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible")


def _moved(call: Call, invoice: Document, status: str, moment: str, news: str) -> Document:
    transitions = invoice["status_transitions"] | {moment: call.now}
    after = call.store.put(invoice | {"status": status, "status_transitions": transitions})
    emit_update(call, "invoice.updated", after, invoice)
    emit(call, news, after)
    return after


@operation("post", "/v1/invoices/{invoice}/send")
def send(call: Call) -> Document:
    """Tell that an invoice was sent; a draft is finalized first. No mail leaves the sandbox."""
    invoice = call.target("invoice")
    if invoice["status"] == "draft":
        invoice = finalized(call, invoice)
    if invoice["status"] not in {"open", "paid"}:
        _in_state(call, "open", "paid")
    emit(call, "invoice.sent", invoice)
    return invoice
