"""The kinds of mail, and a mail as it is stored. What it says is in `email.py`, which needs the templates."""

import json
from dataclasses import field
from enum import StrEnum

from domain.kernel.values import dataclass


class Notice(StrEnum):
    """The kinds of mail."""

    INVOICE_ISSUED = "invoice_issued"
    PAYMENT_RECEIVED = "payment_received"
    PAYMENT_FAILED = "payment_failed"
    TOP_UP_FAILED = "top_up_failed"
    RETRY_FAILED = "retry_failed"
    PAYMENT_ACTION_REQUIRED = "payment_action_required"
    PAYMENT_METHOD_WANTED = "payment_method_wanted"
    PAYMENT_METHOD_MISSING = "payment_method_missing"
    ACCESS_RESTRICTED = "access_restricted"
    LAST_NOTICE = "last_notice"
    SUBSCRIPTION_UNPAID = "subscription_unpaid"
    SUBSCRIPTION_ENDED_UNPAID = "subscription_ended_unpaid"
    MOVED_TO_FREE = "moved_to_free"
    LIMIT_THRESHOLD = "limit_threshold"
    LIMIT_FORECAST = "limit_forecast"
    GRACE_COUNTDOWN = "grace_countdown"
    WEEKLY_DIGEST = "weekly_digest"
    TRIAL_ENDING = "trial_ending"
    PAYMENT_METHOD_EXPIRING = "payment_method_expiring"
    PAYMENT_METHOD_BLOCKED = "payment_method_blocked"
    INVOICE_SENT = "invoice_sent"
    INVOICE_DUE_SOON = "invoice_due_soon"
    INVOICE_OVERDUE = "invoice_overdue"
    INVOICE_STILL_OVERDUE = "invoice_still_overdue"
    WALLET_LOW = "wallet_low"


# About an unpaid invoice, and what follows from that.
OWED = frozenset(
    (
        Notice.PAYMENT_FAILED,
        Notice.TOP_UP_FAILED,
        Notice.RETRY_FAILED,
        Notice.PAYMENT_ACTION_REQUIRED,
        Notice.PAYMENT_METHOD_WANTED,
        Notice.PAYMENT_METHOD_MISSING,
        Notice.ACCESS_RESTRICTED,
        Notice.LAST_NOTICE,
        Notice.SUBSCRIPTION_UNPAID,
        Notice.SUBSCRIPTION_ENDED_UNPAID,
        Notice.MOVED_TO_FREE,
        Notice.INVOICE_SENT,
        Notice.INVOICE_DUE_SOON,
        Notice.INVOICE_OVERDUE,
        Notice.INVOICE_STILL_OVERDUE,
    )
)
# About a payment method.
OF_METHOD = frozenset((Notice.PAYMENT_METHOD_EXPIRING, Notice.PAYMENT_METHOD_BLOCKED))
# What is owed and paid, or soon will be, must be told; a customer can unsubscribe from all other kinds.
LEGAL = OWED | OF_METHOD | {Notice.INVOICE_ISSUED, Notice.PAYMENT_RECEIVED, Notice.TRIAL_ENDING}


@dataclass(frozen=True, slots=True)
class Content:
    """A rendered mail and its recipient: personal as a whole, stored sealed."""

    recipient: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)

    def to_bytes(self) -> bytes:
        """Write it for sealing."""
        return json.dumps([self.recipient, self.subject, self.text, self.html]).encode()

    @classmethod
    def from_bytes(cls, written: bytes) -> "Content":
        """Read what `to_bytes` wrote."""
        return cls(*json.loads(written))
