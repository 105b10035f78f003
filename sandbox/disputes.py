"""Disputes: a card holder or a bank takes back what was collected. The money is gone at once and returns on a win.

A bank debit that is returned after it had succeeded comes as a dispute that is lost from its first moment.
"""

from typing import Any

from sandbox import ids
from sandbox.call import Call, operation
from sandbox.errors import invalid
from sandbox.events import emit, emit_update
from sandbox.listing import PAGING, page
from sandbox.metadata import merged
from sandbox.store import Document, Query, Store

OPEN_DISPUTE = "open_dispute"
RESPOND_WITHIN_S = 7 * 86_400
REASONS = frozenset(
    {
        "credit_not_processed",
        "duplicate",
        "fraudulent",
        "general",
        "product_not_received",
        "product_unacceptable",
        "subscription_canceled",
        "unrecognized",
    }
)
"""Why a customer disputes a card payment or, with a mandate revoked, a bank debit."""

LATE_RETURNS = frozenset(
    {"bank_cannot_process", "debit_not_authorized", "incorrect_account_details", "insufficient_funds"}
)
"""Why a bank returns a debit after it had succeeded."""

OPEN = frozenset({"needs_response", "under_review"})
VERDICTS = {"winning_evidence": "won", "losing_evidence": "lost"}
"""Stripe's test texts: evidence whose `uncategorized_text` is one of them is decided at once."""


def opened(call: Call, charge: Document, reason: str, amount: int | None = None) -> Document:
    """Dispute a collected charge, the whole of it unless an amount is given. Raises StripeError when it cannot be.

    The network does not know of refunds: what was refunded can be disputed too, and is then given back twice.
    """
    disputed = charge["amount"] if amount is None else amount
    _disputable(charge, disputed)
    returned = reason in LATE_RETURNS
    dispute = call.store.put(_made(call, charge, reason, disputed) | ({"status": "lost"} if returned else {}))
    after = call.store.put(charge | {"disputed": True})
    emit(call, "charge.dispute.created", dispute)
    emit_update(call, "charge.updated", after, charge)
    emit(call, "charge.dispute.funds_withdrawn", dispute)
    if returned:
        emit(call, "charge.dispute.closed", dispute)
    return dispute


def returned_late(call: Call, charge: Document, reason: str) -> Document:
    """Return a bank debit that had succeeded. Raises StripeError for any other charge."""
    if charge["payment_method_details"]["type"] != "us_bank_account":
        raise invalid("Only a bank debit can be returned.")
    return opened(call, charge, reason)


def decided(call: Call, dispute: Document, status: str) -> Document:
    """End an open dispute as `won`, which gives the money back, or `lost`. Raises StripeError when it has ended."""
    if dispute["status"] not in OPEN:
        raise invalid(f"This dispute is already closed with a status of {dispute['status']}.")
    after = call.store.put(dispute | {"status": status})
    emit(call, "charge.dispute.closed", after, dispute)
    if status == "won":
        emit(call, "charge.dispute.funds_reinstated", after)
    return after


def refundable(store: Store, charge: Document) -> bool:
    """Tell whether no dispute holds the money of a charge."""
    return all(dispute["status"] == "won" for dispute in store.select(Query("dispute", {"charge": charge["id"]})))


def _disputable(charge: Document, amount: int) -> None:
    if charge["status"] != "succeeded":
        raise invalid("This charge has not succeeded, so it cannot be disputed.")
    if charge["disputed"]:
        raise invalid(f"Charge {charge['id']} has been disputed before.", code="charge_disputed")
    if charge["payment_method_details"]["type"] not in {"card", "us_bank_account"}:
        raise invalid("A bank transfer cannot be disputed: its sender has pushed the money.")
    if not 1 <= amount <= charge["amount"]:
        raise invalid(f"The disputed amount must be 1..{charge['amount']} in minor units.", param="amount")


def _made(call: Call, charge: Document, reason: str, amount: int) -> Document:
    return {
        "id": ids.new("du" if charge["id"].startswith("py_") else "dp"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": call.now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": call.now + RESPOND_WITHIN_S,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": "needs_response",
    } | _network(charge)


def _network(charge: Document) -> dict[str, Any]:
    """Describe the card network's case; a bank debit has none."""
    card = charge["payment_method_details"].get("card")
    if card is None:
        return {}
    case = {"brand": card["brand"], "case_type": "chargeback", "network": card["network"], "network_reason_code": None}
    return {"payment_method_details": {"type": "card", "card": case}}


@operation("get", "/v1/disputes/{dispute}")
def retrieve(call: Call) -> Document:
    """Read a dispute."""
    return call.target("dispute")


@operation("get", "/v1/disputes", takes=f"charge payment_intent created {PAGING}")
def list_disputes(call: Call) -> Document:
    """List disputes, of one charge or payment intent or all."""
    fields = {name: call.params.get(name) for name in ("charge", "payment_intent")}
    return page(call, "dispute", "/v1/disputes", fields=fields)


@operation("post", "/v1/disputes/{dispute}", takes="evidence metadata submit")
def update(call: Call) -> Document:
    """Answer a dispute with evidence; with `submit` (the default) it goes under review, or is decided at once."""
    before = call.target("dispute")
    after = before | {"metadata": merged(before["metadata"], call.params.get("metadata"))}
    evidence = call.params.get("evidence")
    if not evidence:
        call.store.put(after)
        emit_update(call, "charge.dispute.updated", after, before)
        return after
    if before["status"] not in OPEN:
        raise invalid("This dispute is already closed.")
    after = call.store.put(_answered(after, evidence, submit=call.params.get("submit", True)))
    emit_update(call, "charge.dispute.updated", after, before)
    verdict = VERDICTS.get(after["evidence"].get("uncategorized_text", ""))
    return decided(call, after, verdict) if verdict and after["status"] == "under_review" else after


def _answered(dispute: Document, evidence: dict[str, Any], *, submit: bool) -> Document:
    details = dispute["evidence_details"] | {"has_evidence": True}
    after = dispute | {"evidence": dispute["evidence"] | evidence, "evidence_details": details}
    if not submit:
        return after
    sent = {"submission_count": details["submission_count"] + 1, "submission_method": "manual"}
    return after | {"status": "under_review", "evidence_details": details | sent}


@operation("post", "/v1/disputes/{dispute}/close")
def close(call: Call) -> Document:
    """Give a dispute up: it is lost."""
    return decided(call, call.target("dispute"), "lost")
