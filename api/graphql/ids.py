"""Ids at this edge: `cus_…` text in, typed UUIDs inside."""

from uuid import UUID

import strawberry

from domain.kernel import ids
from domain.kernel.ids import (
    AlertId,
    AttemptId,
    CaseId,
    ClockId,
    CreditNoteId,
    CustomerId,
    EndpointId,
    EventId,
    InvoiceId,
    JobId,
    KeyId,
    LineId,
    MethodId,
    PlanVersionId,
    PolicyId,
    StaffAlertId,
    StartId,
    SubscriptionId,
    UnappliedPaymentId,
)


def id_of(noun: str, value: UUID) -> strawberry.ID:
    """Write an id for a client."""
    return strawberry.ID(ids.encode(noun, value))


def customer_id(text: str) -> CustomerId:
    """Read a customer's id. Raises IdMalformed."""
    return CustomerId(ids.decode("customer", text))


def clock_id(text: str) -> ClockId:
    """Read a test clock's id. Raises IdMalformed."""
    return ClockId(ids.decode("clock", text))


def subscription_id(text: str) -> SubscriptionId:
    """Read a subscription's id. Raises IdMalformed."""
    return SubscriptionId(ids.decode("subscription", text))


def start_id(text: str) -> StartId:
    """Read a scheduled start's id. Raises IdMalformed."""
    return StartId(ids.decode("scheduled_start", text))


def event_id(text: str) -> EventId:
    """Read a usage event's id. Raises IdMalformed."""
    return EventId(ids.decode("event", text))


def invoice_id(text: str) -> InvoiceId:
    """Read an invoice's id. Raises IdMalformed."""
    return InvoiceId(ids.decode("invoice", text))


def key_id(text: str) -> KeyId:
    """Read an API key's id. Raises IdMalformed."""
    return KeyId(ids.decode("key", text))


def find_subscription_id(text: str | None) -> SubscriptionId | None:
    """Read a subscription's id where one is given. Raises IdMalformed."""
    return subscription_id(text) if text is not None else None


def uuid_of(text: str) -> UUID:
    """Read an id as idempotency rows keep it."""
    return UUID(text)


def job_id(text: str) -> JobId:
    """Read a job's id. Raises IdMalformed."""
    return JobId(ids.decode("job", text))


def mail_id(text: str) -> UUID:
    """Read a mail's id. Raises IdMalformed."""
    return ids.decode("mail", text)


def alert_id(text: str) -> AlertId:
    """Read an alert's id. Raises IdMalformed."""
    return AlertId(ids.decode("alert", text))


def dunning_case_id(text: str) -> CaseId:
    """Read a dunning case's id. Raises IdMalformed."""
    return CaseId(ids.decode("dunning_case", text))


def dunning_policy_id(text: str) -> PolicyId:
    """Read a dunning policy's id. Raises IdMalformed."""
    return PolicyId(ids.decode("dunning_policy", text))


def credit_note_id(text: str) -> CreditNoteId:
    """Read a credit note's id. Raises IdMalformed."""
    return CreditNoteId(ids.decode("credit_note", text))


def attempt_id(text: str) -> AttemptId:
    """Read a payment attempt's id. Raises IdMalformed."""
    return AttemptId(ids.decode("attempt", text))


def plan_version_id(text: str) -> PlanVersionId:
    """Read a plan version's id. Raises IdMalformed."""
    return PlanVersionId(ids.decode("plan_version", text))


def unapplied_payment_id(text: str) -> UnappliedPaymentId:
    """Read an unapplied payment's id. Raises IdMalformed."""
    return UnappliedPaymentId(ids.decode("unapplied_payment", text))


def method_id(text: str) -> MethodId:
    """Read a payment method's id. Raises IdMalformed."""
    return MethodId(ids.decode("method", text))


def line_id(text: str) -> LineId:
    """Read a line's id. Raises IdMalformed."""
    return LineId(ids.decode("line", text))


def inbox_event_key(text: str) -> UUID:
    """Read an inbox event's id. Raises IdMalformed."""
    return ids.decode("inbox_event", text)


def endpoint_id(text: str) -> EndpointId:
    """Read a webhook endpoint's id. Raises IdMalformed."""
    return EndpointId(ids.decode("webhook_endpoint", text))


def billing_event_id(text: str) -> UUID:
    """Read a billing event's id. Raises IdMalformed."""
    return ids.decode("billing_event", text)


def staff_alert_id(text: str) -> StaffAlertId:
    """Read the id of an alert to staff. Raises IdMalformed."""
    return StaffAlertId(ids.decode("staff_alert", text))


def reconciliation_id(text: str) -> UUID:
    """Read a comparison's id. Raises IdMalformed."""
    return ids.decode("reconciliation", text)


def finding_id(text: str) -> UUID:
    """Read a finding's id. Raises IdMalformed."""
    return ids.decode("finding", text)
