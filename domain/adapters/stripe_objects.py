"""Stripe's objects, as plain dictionaries of the pinned API version, in the words of the payment port."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from domain.kernel.call import Environment
from domain.kernel.errors import DomainError
from domain.kernel.ids import CreditNoteId, CustomerId, InvoiceId, RefundId, decode
from domain.kernel.period import Period
from domain.payments.declines import classify
from domain.payments.listed import GatewayDispute, GatewayHolder, GatewayPayment, GatewayRefund
from domain.payments.port import (
    GatewayEvent,
    GatewayInvoice,
    GatewayInvoiceState,
    GatewayMethod,
    GatewaySubscription,
    PayOutcome,
    PayState,
)

Document = Mapping[str, Any]

# Objects that are found by their customer.
_OF_CUSTOMER = frozenset(("cash_balance", "customer_cash_balance_transaction"))
# The codes with which Stripe says that the customer has to confirm the payment.
CONFIRMATION_CODES = frozenset(("authentication_required", "invoice_payment_intent_requires_action"))


def instant(seconds: int) -> datetime:
    """Read Stripe's whole seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def invoice(found: Document) -> GatewayInvoice:
    """Translate an invoice whose payments were expanded."""
    metadata = found.get("metadata") or {}
    return GatewayInvoice(
        id=found["id"],
        state=GatewayInvoiceState(found["status"]),
        currency=str(found["currency"]).upper(),
        total_minor=found["total"],
        tax_minor=sum(tax["amount"] for tax in found.get("total_taxes") or ()),
        remaining_minor=found["amount_remaining"],
        outcome=outcome_of(found),
        gateway_customer_id=id_of(found.get("customer")),
        customer_id=_customer_id(metadata),
        invoice_id=_invoice_id(metadata),
        gateway_subscription_id=_subscription_of(found),
        hosted_url=found.get("hosted_invoice_url"),
        paid_minor=(found.get("amount_paid") or 0) - (found.get("amount_paid_off_stripe") or 0),
    )


def outcome_of(found: Document) -> PayOutcome | None:
    """Say what an invoice shows of its payment; None where none was tried."""
    intent = _intent_of(found)
    payment_id = id_of(intent)
    if found["status"] == "paid":
        return PayOutcome(PayState.PAID, gateway_payment_id=payment_id)
    if not isinstance(intent, Mapping):
        return None
    match intent["status"]:
        case "processing" | "succeeded":  # Succeeded, and the invoice has not followed yet.
            return PayOutcome(PayState.PROCESSING, gateway_payment_id=payment_id)
        case "requires_action":
            return PayOutcome(PayState.ACTION_REQUIRED, gateway_payment_id=payment_id)
        case "requires_payment_method" if intent.get("last_payment_error"):
            return refusal(intent["last_payment_error"], payment_id)
    return None


def refusal(error: Document, payment_id: str | None) -> PayOutcome:
    """Translate a payment error: a decline, or a payment that waits for the customer's confirmation."""
    decline = classify(
        error.get("code"),
        decline_code=error.get("decline_code"),
        advice_code=error.get("advice_code"),
        network_decline_code=error.get("network_decline_code"),
        network_advice_code=error.get("network_advice_code"),
    )
    if CONFIRMATION_CODES & {decline.code, decline.decline_code}:
        return PayOutcome(PayState.ACTION_REQUIRED, decline, payment_id)
    return PayOutcome(PayState.DECLINED, decline, payment_id)


def method(found: Document) -> GatewayMethod:
    """Translate a payment method: nothing of a card but brand, last four digits, expiry and fingerprint."""
    details = found.get(found["type"]) or {}
    return GatewayMethod(
        id=found["id"],
        kind=found["type"],
        brand=details.get("brand") or details.get("bank_name"),
        last4=details.get("last4"),
        exp_month=details.get("exp_month"),
        exp_year=details.get("exp_year"),
        fingerprint=details.get("fingerprint"),
        gateway_customer_id=id_of(found.get("customer")),
        blocked=_blocked(details),
    )


def _blocked(details: Document) -> str | None:
    """Return why a bank account is blocked, or None."""
    blocked = (details.get("status_details") or {}).get("blocked")
    return (blocked.get("reason") or "blocked") if blocked else None


def subscription(found: Document) -> GatewaySubscription:
    """Translate a subscription; since basil its items carry the periods."""
    items = found["items"]["data"]
    starts = [item["current_period_start"] for item in items if item.get("current_period_start")]
    ends = [item["current_period_end"] for item in items if item.get("current_period_end")]
    metadata = found.get("metadata") or {}
    return GatewaySubscription(
        id=found["id"],
        status=found["status"],
        gateway_customer_id=id_of(found["customer"]) or "",
        customer_id=_customer_id(metadata),
        plan=metadata.get("plan") or _lookup_key(items),
        currency=str(found["currency"]).upper(),
        started_at=instant(found["start_date"]),
        anchor_at=instant(found["billing_cycle_anchor"]),
        period=Period(instant(min(starts)), instant(max(ends))) if starts and ends else None,
        cancel_at=_instant_of(found.get("cancel_at")),
        canceled_at=_instant_of(found.get("canceled_at")),
        ended_at=_instant_of(found.get("ended_at")),
    )


def holder(found: Document) -> GatewayHolder:
    """Translate a customer: nothing personal of it."""
    currency = found.get("currency")
    return GatewayHolder(
        id=found["id"],
        customer_id=_customer_id(found.get("metadata") or {}),
        balance_minor=found.get("balance") or 0,
        currency=str(currency).upper() if currency else None,
    )


def payment(found: Document) -> GatewayPayment:
    """Translate the payment of an invoice."""
    return GatewayPayment(
        id=found["id"],
        status=found["status"],
        currency=str(found["currency"]).upper(),
        paid_minor=found.get("amount_paid") or 0,
        gateway_invoice_id=id_of(found["invoice"]) or "",
        payment_id=id_of(found["payment"].get("payment_intent")),
    )


def refund(found: Document) -> GatewayRefund:
    """Translate a refund."""
    return GatewayRefund(
        id=found["id"],
        status=found.get("status") or "",
        currency=str(found["currency"]).upper(),
        amount_minor=found["amount"],
        gateway_payment_id=id_of(found.get("payment_intent")),
        created_at=instant(found["created"]),
        customer_id=_customer_id(found.get("metadata") or {}),
        refund_id=_refund_id(found.get("metadata") or {}),
        failure=found.get("failure_reason"),
    )


def dispute(found: Document) -> GatewayDispute:
    """Translate a dispute: nothing of its evidence."""
    return GatewayDispute(
        id=found["id"],
        status=found["status"],
        reason=found["reason"],
        currency=str(found["currency"]).upper(),
        amount_minor=found["amount"],
        gateway_payment_id=id_of(found.get("payment_intent")),
        created_at=instant(found["created"]),
        evidence_due_at=_instant_of((found.get("evidence_details") or {}).get("due_by")),
    )


def event(found: Document, payload: bytes) -> GatewayEvent:
    """Translate a snapshot event. Raises KeyError, TypeError, ValueError where it is none."""
    about = found["data"]["object"]
    return GatewayEvent(
        id=_text(found["id"]),
        type=_text(found["type"]),
        api_version=found.get("api_version"),
        created_at=instant(found["created"]),
        environment=Environment.LIVE if found["livemode"] else Environment.TEST,
        object_kind=_text(about.get("object") or ""),
        object_id=_text(_id_to_fetch(about) or ""),
        payload=payload,
    )


def _id_to_fetch(about: Document) -> Any:
    """Return what is fetched by an event's object: of a customer's cash, the customer, whose movements are listed."""
    return id_of(about.get("customer")) if about.get("object") in _OF_CUSTOMER else about.get("id")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text was expected")
    return value


def _instant_of(seconds: int | None) -> datetime | None:
    return None if seconds is None else instant(seconds)


def id_of(value: Any) -> str | None:
    """Return the id of a reference, expanded or not."""
    found = value.get("id") if isinstance(value, Mapping) else value
    return found or None


def _intent_of(found: Document) -> Any:
    """Return the payment intent of the default payment, expanded where it was asked for."""
    payments = (found.get("payments") or {}).get("data") or []
    ordered = sorted(payments, key=lambda payment: not payment.get("is_default"))
    return next((payment["payment"].get("payment_intent") for payment in ordered), None)


def _subscription_of(found: Document) -> str | None:
    details = (found.get("parent") or {}).get("subscription_details") or {}
    return id_of(details.get("subscription"))


def _lookup_key(items: list[Document]) -> str | None:
    """Return the lookup key of the only price; several items name no single plan of ours."""
    return items[0]["price"].get("lookup_key") if len(items) == 1 else None


def credit_note_id(found: Document) -> CreditNoteId | None:
    """Return our credit note that one of Stripe's was made for, or None."""
    try:
        return CreditNoteId(decode("credit_note", str((found.get("metadata") or {}).get("credit_note_id"))))
    except DomainError:
        return None


def _customer_id(metadata: Document) -> CustomerId | None:
    try:
        return CustomerId(decode("customer", str(metadata.get("customer_id"))))
    except DomainError:
        return None


def _invoice_id(metadata: Document) -> InvoiceId | None:
    try:
        return InvoiceId(decode("invoice", str(metadata.get("invoice_id"))))
    except DomainError:
        return None


def _refund_id(metadata: Document) -> RefundId | None:
    try:
        return RefundId(decode("refund", str(metadata.get("refund_id"))))
    except DomainError:
        return None
