"""A refund: money goes back the way it came, through the gateway, never more than came.

It is what a credit note has to pay back, or what came for an invoice that could not take it.
"""

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CreditNoteId, CustomerId, InvoiceId, RefundId, UnappliedPaymentId, encode
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.payments.listed import GatewayRefund

# A refund is taken from so many payments at most.
PARTS_MAX = 10
# Why a refund failed that the gateway has never seen.
NO_TRACE = "outcome_lost"


class RefundReason(StrEnum):
    """Why money goes back, in the gateway's words."""

    DUPLICATE = "duplicate"
    FRAUDULENT = "fraudulent"
    REQUESTED_BY_CUSTOMER = "requested_by_customer"


class RefundState(StrEnum):
    """Where a refund stands. Unknown is not failed: the money may have gone."""

    PLANNED = "planned"
    SENT = "sent"
    UNKNOWN = "unknown"
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


# Sent, and nothing certain is known: the same key is sent again, or the gateway is searched.
UNRESOLVED = frozenset((RefundState.SENT, RefundState.UNKNOWN))
# All other words of the gateway mean that it is on its way.
_STATES = {"succeeded": RefundState.SUCCEEDED, "failed": RefundState.FAILED, "canceled": RefundState.FAILED}


class RefundStatus(StrEnum):
    """What a customer is told about a refund."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(eq=False)
class RefundTooLarge(DomainError):
    """Only {left} {currency} of this credit note is left to be paid back. Refund an amount above zero up to that."""

    code = "refund_too_large"
    kind = Kind.CONFLICT
    left: str
    currency: str


@dataclass(eq=False)
class RefundMalformed(DomainError):
    """A refund is an amount above zero in {currency}, the currency of what it pays back."""

    code = "refund_malformed"
    kind = Kind.INVALID
    currency: str


@dataclass(eq=False)
class RefundUnsupported(DomainError):
    """The payments that came through the payment provider do not cover this. Pay it back the way the money came."""

    code = "refund_unsupported"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class CreditNoteNotFound(DomainError):
    """There is no such credit note. Look it up among the invoice's credit notes."""

    code = "credit_note_not_found"
    kind = Kind.NOT_FOUND


@dataclass(frozen=True, slots=True)
class Refund:
    """Money on its way back to a customer. A failed one leaves it owed; another one may then be ordered.

    `gateway_payment_id` is the payment that it is taken from, `key` the idempotency key of the call. `failure` is the
    gateway's word for staff. It pays back a credit note, or an unapplied payment that came for the invoice; the other
    is None. `created_at`, `sent_at` and `settled_at` are real time, `ordered_at` and `ended_at` business time.
    """

    customer_id: CustomerId
    id: RefundId
    credit_note_id: CreditNoteId | None
    invoice_id: InvoiceId
    environment: Environment
    gateway_payment_id: str
    amount: Money
    reason: RefundReason
    key: str
    state: RefundState
    created_at: datetime
    ordered_at: datetime
    gateway_refund_id: str | None = None
    failure: str | None = None
    sent_at: datetime | None = None
    settled_at: datetime | None = None
    ended_at: datetime | None = None
    version: int = 1
    unapplied_payment_id: UnappliedPaymentId | None = None

    @property
    def status(self) -> RefundStatus:
        """What a customer is told."""
        told = {RefundState.SUCCEEDED: RefundStatus.SUCCEEDED, RefundState.FAILED: RefundStatus.FAILED}
        return told.get(self.state, RefundStatus.PENDING)


@dataclass(frozen=True, slots=True)
class PaidIn:
    """A payment that came through the gateway, and how much of it its invoice took."""

    gateway_payment_id: str
    amount_minor: int


def refund_key(environment: Environment, refund_id: RefundId) -> str:
    """Return the idempotency key of a refund."""
    return f"{environment}:refund:{encode('refund', refund_id)}"


def amount_of(owed: Money, note_id: CreditNoteId, wanted: Money | None, before: Sequence[Refund]) -> Money:
    """Return what is to be refunded of what a note owes; None wants all that is left.

    `before` are the refunds of the note's invoice: all but failed ones count as gone, whatever is known of them.
    Raises RefundMalformed, RefundTooLarge.
    """
    gone = sum(each.amount.minor for each in _standing(before) if each.credit_note_id == note_id)
    left = Money(owed.minor - gone, owed.currency)
    if wanted is not None and (wanted.currency != owed.currency or wanted.minor <= 0):
        raise RefundMalformed(owed.currency)
    if left.minor <= 0 or (wanted is not None and wanted.minor > left.minor):
        raise RefundTooLarge(str(left.major), left.currency)
    return wanted or left


def parts_of(amount: Money, payments: Sequence[PaidIn], before: Sequence[Refund]) -> list[PaidIn]:
    """Return the payments that a refund is taken from, each with its part of the amount.

    Those with most left come first, so that there are as few parts as can be; of two alike the first given.
    `before` are the refunds of the same invoice; those of unapplied payments take nothing of it. Raises
    RefundUnsupported where all of them do not cover it, or only in more than PARTS_MAX parts.
    """
    left = [dataclasses.replace(each, amount_minor=each.amount_minor - _taken(each, before)) for each in payments]
    parts: list[PaidIn] = []
    wanted = amount.minor
    for payment in sorted(left, key=lambda each: -each.amount_minor)[:PARTS_MAX]:
        part = min(wanted, payment.amount_minor)
        if part > 0:
            parts.append(dataclasses.replace(payment, amount_minor=part))
            wanted -= part
    if wanted:
        raise RefundUnsupported
    return parts


def _taken(payment: PaidIn, before: Sequence[Refund]) -> int:
    own = [
        each
        for each in _standing(before)
        if each.gateway_payment_id == payment.gateway_payment_id and each.unapplied_payment_id is None
    ]
    return sum(each.amount.minor for each in own)


def state_of(status: str) -> RefundState:
    """Return our state for the gateway's word: what it does not call an end is on its way."""
    return _STATES.get(status, RefundState.PENDING)


def send(before: Refund, at: datetime) -> Refund:
    """Mark a planned refund as sent at real time `at`; it is committed before the gateway is called."""
    assert before.state is RefundState.PLANNED, "a refund is sent once"
    return dataclasses.replace(before, state=RefundState.SENT, sent_at=at)


def lose(before: Refund) -> Refund:
    """Note that no clear answer came. It never undoes what is known."""
    return dataclasses.replace(before, state=RefundState.UNKNOWN) if before.state is RefundState.SENT else before


def settle(before: Refund, seen: GatewayRefund, at: datetime, now: datetime) -> Refund:
    """Apply what the gateway shows at real time `at`, business time `now`. Safe to repeat, in any order.

    A failed refund stays failed; one that succeeded can only fail later: the bank has sent the money back.
    """
    state = state_of(seen.status)
    is_late = before.state is RefundState.SUCCEEDED and state is not RefundState.FAILED
    if before.state is RefundState.FAILED or is_late:
        return before
    if state is RefundState.FAILED:
        known = dataclasses.replace(before, gateway_refund_id=seen.id)
        return fail(known, seen.failure or seen.status, at, now)
    ended = state is RefundState.SUCCEEDED
    return dataclasses.replace(
        before,
        state=state,
        gateway_refund_id=seen.id,
        settled_at=at if ended else None,
        ended_at=now if ended else None,
    )


def fail(before: Refund, failure: str, at: datetime, now: datetime) -> Refund:
    """End a refund that did not come off, or came back. Safe to repeat."""
    if before.state is RefundState.FAILED:
        return before
    return dataclasses.replace(before, state=RefundState.FAILED, failure=failure, settled_at=at, ended_at=now)


def _standing(refunds: Sequence[Refund]) -> list[Refund]:
    return [each for each in refunds if each.state is not RefundState.FAILED]
