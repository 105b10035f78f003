"""Refunds: giving a charge back, in parts or whole, never more than was taken."""

from sandbox import disputes, ids, waiting
from sandbox.call import Call, operation
from sandbox.errors import invalid
from sandbox.events import emit, emit_update
from sandbox.intents import SETTLE_AFTER_DEFAULT_S
from sandbox.listing import PAGING, page
from sandbox.metadata import merged
from sandbox.store import Document

SETTLE_REFUND = "settle_refund"
FAIL_REFUND = "fail_refund"
FAILURES = frozenset({"lost_or_stolen_card", "expired_or_canceled_card", "insufficient_funds", "declined", "unknown"})


@operation("post", "/v1/refunds", takes="amount charge payment_intent reason metadata")
def create(call: Call) -> Document:
    """Refund a charge, or the charge that collected a payment intent; all that is left unless an amount is given.

    Cards are refunded at once; bank debits and `pm_card_pendingRefund` stay pending until they settle.
    """
    charge = _charge(call)
    amount = _amount(call, charge)
    refund: Document = {
        "id": ids.new("re" if charge["id"].startswith("ch_") else "pyr"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": call.now,
        "currency": charge["currency"],
        "destination_details": _destination(charge),
        "metadata": merged({}, call.params.get("metadata")),
        "payment_intent": charge["payment_intent"],
        "reason": call.params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "pending" if _pends(charge) else "succeeded",
        "transfer_reversal": None,
    }
    call.store.put(refund)
    emit(call, "refund.created", refund)
    _refunded(call, charge, amount)
    _plan(call, charge, refund)
    return refund


def _charge(call: Call) -> Document:
    intent, charge = call.params.get("payment_intent"), call.params.get("charge")
    if bool(intent) == bool(charge):
        raise invalid(
            "Specify exactly one of charge and payment_intent.",
            code="parameters_exclusive" if charge else "parameter_missing",
            param="payment_intent",
        )
    if intent:
        charge = call.document("payment_intent", intent, param="payment_intent")["latest_charge"]
    found = call.document("charge", charge or "", param="charge" if not intent else "payment_intent")
    if found["status"] != "succeeded":
        raise invalid("This charge has not succeeded, so it cannot be refunded.", code="charge_not_refundable")
    if not disputes.refundable(call.store, found):
        raise invalid(f"Charge {found['id']} is disputed, so it cannot be refunded.", code="charge_disputed")
    return found


def _amount(call: Call, charge: Document) -> int:
    left = charge["amount"] - charge["amount_refunded"]
    if left == 0:
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    amount = int(call.params.get("amount", left))
    if amount < 1:
        raise invalid(
            "This value must be greater than or equal to 1.", code="parameter_invalid_integer", param="amount"
        )
    if amount > left:
        raise invalid(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left}), in minor units.",
            param="amount",
        )
    return amount


def _pends(charge: Document) -> bool:
    return bool(charge["payment_method_details"]["type"] != "card" or charge["_refund"] == "pends")


def _destination(charge: Document) -> Document:
    if charge["payment_method_details"]["type"] != "card":
        return {"type": "us_bank_transfer", "us_bank_transfer": {"reference": None, "reference_status": None}}
    card = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
    return {"card": card, "type": "card"}


def _plan(call: Call, charge: Document, refund: Document) -> None:
    settle_after = call.store.setting("settle_after_s", SETTLE_AFTER_DEFAULT_S)
    if settle_after is None:
        return
    if charge["_refund"] == "fails":
        waiting.add_timer(call.store, FAIL_REFUND, refund["id"], call.now + settle_after)
    elif refund["status"] == "pending":
        waiting.add_timer(call.store, SETTLE_REFUND, refund["id"], call.now + settle_after)


def _refunded(call: Call, charge: Document, amount: int) -> None:
    """Move a charge's refunded sum; negative when a refund has failed."""
    total = charge["amount_refunded"] + amount
    after = charge | {"amount_refunded": total, "refunded": total == charge["amount"]}
    call.store.put(after)
    if amount > 0:
        emit(call, "charge.refunded", after, charge)
    else:
        emit_update(call, "charge.updated", after, charge)


def settle(call: Call, refund: Document) -> Document:
    """Let a pending refund succeed. A bank debit's refund does so without an event, as Stripe's do."""
    if refund["status"] != "pending":
        raise invalid(f"This refund has a status of {refund['status']}; nothing is on its way.")
    after = call.store.put(refund | {"status": "succeeded"})
    if after["destination_details"]["type"] == "card":
        emit_update(call, "refund.updated", after, refund)
    return after


def fail(call: Call, refund: Document, reason: str) -> Document:
    """Let a refund fail, even after it succeeded: its amount can be refunded again."""
    if refund["status"] not in {"pending", "succeeded"}:
        raise invalid(f"This refund has a status of {refund['status']}.")
    after = call.store.put(refund | {"status": "failed", "failure_reason": reason})
    emit(call, "refund.failed", after)
    emit_update(call, "refund.updated", after, refund)
    _refunded(call, call.document("charge", refund["charge"]), -refund["amount"])
    return after


@operation("get", "/v1/refunds/{refund}")
def retrieve(call: Call) -> Document:
    """Read a refund."""
    return call.target("refund")


@operation("post", "/v1/refunds/{refund}", takes="metadata")
def update(call: Call) -> Document:
    """Change a refund's metadata."""
    before = call.target("refund")
    after = call.store.put(before | {"metadata": merged(before["metadata"], call.params.get("metadata"))})
    emit_update(call, "refund.updated", after, before)
    return after


@operation("get", "/v1/refunds", takes=f"charge payment_intent created {PAGING}")
def list_refunds(call: Call) -> Document:
    """List refunds, of one charge or payment intent or all."""
    fields = {name: call.params.get(name) for name in ("charge", "payment_intent")}
    return page(call, "refund", "/v1/refunds", fields=fields)
