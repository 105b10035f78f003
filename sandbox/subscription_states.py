"""What happens to a subscription because of something else: its first invoice is paid, or it ends."""

from sandbox.call import Call
from sandbox.events import emit, emit_update
from sandbox.store import Document

ENDED = frozenset({"canceled", "incomplete_expired"})


def first_invoice_paid(call: Call, invoice: Document) -> None:
    """Activate the incomplete subscription of an invoice that has just been paid."""
    before = call.store.find(invoice.get("_subscription") or "")
    if before is not None and before["status"] == "incomplete":
        after = call.store.put(before | {"status": "active"})
        emit_update(call, "customer.subscription.updated", after, before)


def end(call: Call, subscription: Document, details: Document | None = None) -> Document:
    """Cancel a subscription now, for good; one that has ended stays as it is."""
    if subscription["status"] in ENDED:
        return subscription
    after = subscription | {
        "status": "canceled",
        "canceled_at": subscription["canceled_at"] or call.now,
        "ended_at": call.now,
        "cancel_at_period_end": False,
        "cancellation_details": subscription["cancellation_details"] | (details or {}),
    }
    call.store.put(after)
    emit(call, "customer.subscription.deleted", after)
    return after
