"""What merchants' endpoints are told of: the public name of each billing event, and which of its facts are sent.

One line for each kind. A billing event without a line is sent all the same, under a name made from its own, with the
ids of the rows concerned and nothing else.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass

PATTERNS_MAX = 50
PATTERN_LENGTH_MAX = 100
ANY = "*"
_ID = "_id"
_INVOICE = ("invoice_id",)
_PAYMENT = ("invoice_id", "attempt_id", "decline_class")
_SUBSCRIPTION = ("subscription_id", "plan", "status", "end")
_START = ("scheduled_start_id", "plan", "state", "starts_at", "refusal")
_REFUND = ("refund_id", "credit_note_id", "unapplied_payment_id", *_INVOICE)
_DISPUTE = ("dispute_id", "invoice_id", "attempt_id", "reason")
_COUPON = ("applied_coupon_id", "coupon_id")
_WALLET = ("wallet_id", "wallet_grant_id")
_TOP_UP = ("top_up_id", "wallet_id", "invoice_id", "trigger")
_GRANT = ("grant_id", "subscription_id")
_CHARGE = ("one_off_charge_id", "subscription_id")


@dataclass(eq=False)
class EventPatternUnknown(DomainError):
    """There is no event that {pattern} names. Use a type such as invoice.paid, a group such as invoice.*, or *."""

    code = "event_pattern_unknown"
    kind = Kind.INVALID
    pattern: str


@dataclass(eq=False)
class EventPatternsTooMany(DomainError):
    """An endpoint listens to 1 to {count_max} types or groups of events."""

    code = "event_patterns_too_many"
    kind = Kind.INVALID
    count_max: int = PATTERNS_MAX


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of event. `told` is the billing event's own type, `facts` what of its metadata is sent."""

    name: str
    told: str
    facts: tuple[str, ...]
    description: str


# The one event that is sent of an erased customer: its id, and nothing else.
ERASED = "customer_erased"
KINDS = (
    EventKind("customer.erased", ERASED, (), "A customer was erased; forget what you keep of it. Nothing follows."),
    EventKind("invoice.opened", "invoice_opened", _INVOICE, "An invoice got its number and is due."),
    EventKind("invoice.paid", "invoice_paid", (*_INVOICE, "paid_by"), "Nothing is due on an invoice any more."),
    EventKind("invoice.overdue", "invoice_overdue", _INVOICE, "A sent invoice was not paid when it was due."),
    EventKind("invoice.voided", "invoice_voided", _INVOICE, "An invoice was voided; nothing is due on it."),
    EventKind("invoice.written_off", "invoice_written_off", _INVOICE, "An invoice was given up as a bad debt."),
    EventKind(
        "credit_note.issued",
        "credit_note_issued",
        ("credit_note_id", *_INVOICE, "kind", "reason"),
        "A credit note was issued.",
    ),
    EventKind("payment.succeeded", "payment_succeeded", _PAYMENT, "An attempt to collect an invoice brought money."),
    EventKind("payment.failed", "payment_failed", _PAYMENT, "An attempt to collect an invoice failed."),
    EventKind("payment.action_required", "payment_action_required", _PAYMENT, "A payment waits for its customer."),
    EventKind("payment.method_missing", "payment_method_missing", _INVOICE, "There is nothing to collect from."),
    EventKind("transfer.received", "transfer_received", (), "Money of a customer arrived by bank transfer."),
    EventKind(
        "payment.unapplied",
        "payment_unapplied",
        ("unapplied_payment_id", "attempt_id", *_INVOICE),
        "Money came that its invoice could not take.",
    ),
    EventKind(
        "payment.credited",
        "payment_credited",
        ("unapplied_payment_id", "unapplied_credit_id"),
        "Money that its invoice could not take became its customer's credit.",
    ),
    EventKind("refund.ordered", "refund_ordered", _REFUND, "Money is to be paid back."),
    EventKind("refund.succeeded", "refund_succeeded", _REFUND, "The money of a refund has gone."),
    EventKind("refund.failed", "refund_failed", _REFUND, "A refund did not come off, or came back; it is owed again."),
    EventKind("payment.returned", "payment_returned", _DISPUTE, "A bank has returned a debit that had succeeded."),
    EventKind("payment.reversed", "payment_reversed", (*_PAYMENT, "reason"), "A payment recorded by staff was undone."),
    EventKind("invoice.charged_back", "invoice_charged_back", (*_INVOICE, "dispute_id"), "A dispute of it is lost."),
    EventKind("invoice.reopened", "invoice_reopened", (*_INVOICE, "dispute_id"), "It was paid, and is due again."),
    EventKind("dispute.opened", "dispute_opened", _DISPUTE, "A customer disputes a payment."),
    EventKind("dispute.won", "dispute_won", _DISPUTE, "A dispute is won: the money is back."),
    EventKind("dispute.lost", "dispute_lost", _DISPUTE, "A dispute is lost: the money is gone."),
    EventKind("payment_method.attached", "payment_method_attached", ("method_id", "kind"), "A method was added."),
    EventKind("payment_method.detached", "payment_method_detached", ("method_id", "kind"), "A method was removed."),
    EventKind("subscription.scheduled", "start_scheduled", _START, "A subscription will begin by itself."),
    EventKind("subscription.start_changed", "start_changed", _START, "It will begin otherwise than was said."),
    EventKind("subscription.start_canceled", "start_canceled", _START, "It will not begin."),
    EventKind("subscription.start_refused", "start_refused", _START, "It could not begin at its instant."),
    EventKind("subscription.started", "subscription_started", _SUBSCRIPTION, "A subscription began."),
    EventKind("subscription.active", "subscription_active", _SUBSCRIPTION, "A subscription is paid, or paid again."),
    EventKind("subscription.past_due", "subscription_past_due", _SUBSCRIPTION, "A payment is overdue."),
    EventKind("subscription.unpaid", "subscription_unpaid", _SUBSCRIPTION, "The last retry failed; access is gone."),
    EventKind("subscription.changed", "subscription_changed", _SUBSCRIPTION, "Plan, interval or quantity changed."),
    EventKind(
        "subscription.change_scheduled", "change_scheduled", _SUBSCRIPTION, "A change waits for the period's end."
    ),
    EventKind("subscription.change_pending", "change_pending", _SUBSCRIPTION, "An upgrade waits for its payment."),
    EventKind("subscription.change_canceled", "change_canceled", _SUBSCRIPTION, "A scheduled change was taken back."),
    EventKind("subscription.change_refused", "change_refused", _SUBSCRIPTION, "A change did not fit what is in use."),
    EventKind("subscription.change_lapsed", "change_lapsed", _SUBSCRIPTION, "An upgrade was not paid in time."),
    EventKind("subscription.cancel_scheduled", "cancel_scheduled", _SUBSCRIPTION, "It will end by itself."),
    EventKind("subscription.cancel_undone", "cancel_undone", _SUBSCRIPTION, "It will renew after all."),
    EventKind("subscription.pause_scheduled", "pause_scheduled", _SUBSCRIPTION, "It will pause by itself."),
    EventKind("subscription.pause_undone", "pause_undone", _SUBSCRIPTION, "It will not pause after all."),
    EventKind("subscription.pause_dropped", "pause_dropped", _SUBSCRIPTION, "It owes, and so does not pause."),
    EventKind("subscription.paused", "subscription_paused", _SUBSCRIPTION, "A subscription is paused."),
    EventKind("subscription.resumed", "subscription_resumed", _SUBSCRIPTION, "A paused subscription runs again."),
    EventKind("subscription.lapsed", "subscription_lapsed", _SUBSCRIPTION, "It was not paid and never began."),
    EventKind("subscription.ended", "subscription_ended", _SUBSCRIPTION, "A subscription ended."),
    EventKind("subscription.trial_will_end", "trial_will_end", _SUBSCRIPTION, "A trial ends soon."),
    EventKind("subscription.trial_converted", "trial_converted", _SUBSCRIPTION, "A trial is over, and billed."),
    EventKind("subscription.trial_fell_back", "trial_fell_back", _SUBSCRIPTION, "A trial went on as the free plan."),
    EventKind("access.full", "access_full", _SUBSCRIPTION, "Everything can be used again."),
    EventKind("access.restricted", "access_restricted", _SUBSCRIPTION, "What the free plan allows can be used."),
    EventKind("access.suspended", "access_suspended", _SUBSCRIPTION, "Nothing can be used until it is paid."),
    EventKind("coupon.applied", "coupon_applied", _COUPON, "A customer got a coupon."),
    EventKind("coupon.removed", "coupon_removed", _COUPON, "A customer's coupon was taken away."),
    EventKind("coupon.used_up", "coupon_used_up", _COUPON, "A coupon has nothing left to give."),
    EventKind("credit.units_granted", "units_granted", _GRANT, "A customer got promotional units."),
    EventKind("credit.grant_voided", "grant_voided", _GRANT, "What was left of promotional units is gone."),
    EventKind("one_off_charge.created", "one_off_charge_created", _CHARGE, "A one-off charge waits for an invoice."),
    EventKind("one_off_charge.canceled", "one_off_charge_canceled", _CHARGE, "A one-off charge was taken back."),
    EventKind("wallet.created", "wallet_created", _WALLET, "A prepaid wallet was opened."),
    EventKind("wallet.credit_granted", "wallet_credit_granted", _WALLET, "Credit was given into a wallet."),
    EventKind("wallet.topped_up", "wallet_topped_up", _WALLET, "A top-up was paid; it can be used."),
    EventKind("wallet.credit_voided", "wallet_credit_voided", _WALLET, "What was left of a grant was taken."),
    EventKind("wallet.credit_refunded", "wallet_credit_refunded", _WALLET, "What was left of a grant is paid back."),
    EventKind("wallet.credit_withheld", "wallet_credit_withheld", _WALLET, "Its payment is disputed or was returned."),
    EventKind("wallet.credit_released", "wallet_credit_released", _WALLET, "The dispute of its payment is won."),
    EventKind("wallet.low_balance", "wallet_low_balance", _WALLET, "No more than its threshold is left in a wallet."),
    EventKind("wallet.credit_expired", "wallet_credit_expired", _WALLET, "What was left of a grant expired."),
    EventKind("top_up.ordered", "top_up_ordered", _TOP_UP, "A top-up was ordered; its payment is waited for."),
    EventKind("top_up.failed", "top_up_failed", _TOP_UP, "The payment of a top-up failed; nothing was bought."),
    EventKind(
        "top_up.automatic_paused",
        "automatic_top_up_paused",
        ("wallet_id", "reason"),
        "A wallet is not topped up by itself any more.",
    ),
    EventKind(
        "limit.alert_raised",
        "limit_alert_raised",
        ("alert_id", "subscription_id", "kind", "limit", "step", "severity"),
        "Usage reached a threshold of a limit, or will.",
    ),
)
_BY_TOLD = {kind.told: kind for kind in KINDS}
_NAMES = frozenset(kind.name for kind in KINDS)
_GROUPS = frozenset(name.partition(".")[0] for name in _NAMES)


def kind_of(told: str, metadata: Mapping[str, Any]) -> EventKind:
    """Return the kind of a billing event by its own type; without a line, `refund_sent` is `refund.sent`."""
    known = _BY_TOLD.get(told)
    if known is not None:
        return known
    facts = tuple(sorted(name for name in metadata if name.endswith(_ID)))
    return EventKind(told.replace("_", ".", 1), told, facts, "")


def matches(patterns: Iterable[str], name: str) -> bool:
    """Whether one of some patterns names an event: its type, its group (`invoice.*`), or everything (`*`)."""
    group = name.partition(".")[0] + ".*"
    return any(pattern in {ANY, group, name} for pattern in patterns)


def check_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return patterns in order, each once. Raises EventPatternUnknown, EventPatternsTooMany."""
    wanted = tuple(dict.fromkeys(patterns))
    if not 1 <= len(wanted) <= PATTERNS_MAX:
        raise EventPatternsTooMany
    for pattern in wanted:
        group, point, rest = pattern.partition(".")
        is_group = bool(point) and rest == ANY and group in _GROUPS
        if pattern != ANY and pattern not in _NAMES and not is_group:
            raise EventPatternUnknown(pattern[:PATTERN_LENGTH_MAX])
    return wanted
