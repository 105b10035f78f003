"""Every job there is: all effects that cross upward, in one file.

A job names rows; it carries no amounts and no personal values. Its handler may run twice. `key` makes at most one
pending job of that kind and key: staging it again changes nothing. `keyed_by` is the field that makes the key.
"""

from uuid import UUID

from domain.journal.job import Job
from domain.kernel.ids import (
    AlertId,
    AttemptId,
    CaseId,
    ChangeId,
    CreditNoteId,
    CustomerId,
    DisputeId,
    InvoiceId,
    MethodId,
    RefundId,
    StaffAlertId,
    StartId,
    SubscriptionId,
    TopUpId,
    UnappliedPaymentId,
    WalletId,
)
from domain.kernel.values import dataclass


@dataclass(frozen=True, slots=True)
class ClosePeriod(Job):
    """Close every usage period of a subscription that has ended, and draft what is due."""

    keyed_by = "subscription_id"
    kind = "close_period"
    customer_id: CustomerId
    subscription_id: SubscriptionId


@dataclass(frozen=True, slots=True)
class FinaliseInvoice(Job):
    """Derive a draft once more at the end of its grace, then open it."""

    keyed_by = "invoice_id"
    kind = "finalise_invoice"
    customer_id: CustomerId
    invoice_id: InvoiceId


@dataclass(frozen=True, slots=True)
class CalculateTax(Job):
    """Ask for the taxes of a draft that is to be opened, then open it."""

    keyed_by = "invoice_id"
    kind = "calculate_tax"
    customer_id: CustomerId
    invoice_id: InvoiceId


@dataclass(frozen=True, slots=True)
class RenderInvoice(Job):
    """Write the document of an invoice that was opened."""

    keyed_by = "invoice_id"
    kind = "render_invoice"
    customer_id: CustomerId
    invoice_id: InvoiceId


@dataclass(frozen=True, slots=True)
class RenderSentInvoice(Job):
    """Write the document of an opened invoice that says where to transfer to: the gateway is asked for it."""

    keyed_by = "invoice_id"
    kind = "render_sent_invoice"
    customer_id: CustomerId
    invoice_id: InvoiceId


@dataclass(frozen=True, slots=True)
class RenderCreditNote(Job):
    """Write the document of a credit note."""

    keyed_by = "credit_note_id"
    kind = "render_credit_note"
    customer_id: CustomerId
    credit_note_id: CreditNoteId


@dataclass(frozen=True, slots=True)
class CollectInvoice(Job):
    """Bring the gateway's copy of an invoice to what ours says: pushed, charged, credited or void."""

    keyed_by = "invoice_id"
    kind = "collect_invoice"
    customer_id: CustomerId
    invoice_id: InvoiceId


@dataclass(frozen=True, slots=True)
class CollectWhenDue(Job):
    """Collect an invoice that was not due when it was opened; orders until then have jobs of their own."""

    keyed_by = "invoice_id"
    kind = "collect_when_due"
    customer_id: CustomerId
    invoice_id: InvoiceId


@dataclass(frozen=True, slots=True)
class FollowSentInvoice(Job):
    """Remind the customer of an invoice that was sent, or open its dunning case once it is overdue.

    `after` is the instant of business time up to which its calendar is done; empty: from its issue on.
    """

    keyed_by = "invoice_id"
    kind = "follow_sent_invoice"
    customer_id: CustomerId
    invoice_id: InvoiceId
    after: str = ""


@dataclass(frozen=True, slots=True)
class InvoiceSettled(Job):
    """No payment is needed for an invoice any more, and no attempt brought one: move the subscriptions on it."""

    keyed_by = "invoice_id"
    kind = "invoice_settled"
    customer_id: CustomerId
    invoice_id: InvoiceId


@dataclass(frozen=True, slots=True)
class ProcessInboxEvent(Job):
    """Converge on what a stored inbound event is about."""

    # One at a time for an event.
    keyed_by = "provider event_id"
    kind = "process_inbox_event"
    provider: str
    event_id: str


@dataclass(frozen=True, slots=True)
class SweepInbox(Job):
    """Look through the gateway's list for events whose webhook never arrived."""

    keyed_by = "provider"
    kind = "sweep_inbox"
    provider: str


@dataclass(frozen=True, slots=True)
class Reconcile(Job):
    """Compare some more of what the gateway holds with our rows."""

    keyed_by = "run_id"
    kind = "reconcile"
    run_id: UUID


@dataclass(frozen=True, slots=True)
class PaymentSettled(Job):
    """An attempt has reached its end, or waits for its customer: move the subscriptions, follow it up, tell of it."""

    kind = "payment_settled"
    customer_id: CustomerId
    attempt_id: AttemptId


@dataclass(frozen=True, slots=True)
class PaymentMethodMissing(Job):
    """There was nothing to charge an invoice to when it was due: follow it up as a payment that failed."""

    keyed_by = "invoice_id"
    kind = "payment_method_missing"
    customer_id: CustomerId
    invoice_id: InvoiceId


@dataclass(frozen=True, slots=True)
class RunDunning(Job):
    """Do what is due about a dunning case: a retry, access, a mail, or its end."""

    keyed_by = "case_id"
    kind = "run_dunning"
    customer_id: CustomerId
    case_id: CaseId


@dataclass(frozen=True, slots=True)
class LapseChange(Job):
    """Take back an upgrade that was not paid in time, and void its invoice."""

    keyed_by = "change_id"
    kind = "lapse_change"
    customer_id: CustomerId
    change_id: ChangeId


@dataclass(frozen=True, slots=True)
class BeginSubscription(Job):
    """Carry out a start that was scheduled, at its instant of business time."""

    # One for an instant: where a start is moved, the job of the instant before finds nothing to do.
    keyed_by = "start_id due_at"
    kind = "begin_subscription"
    customer_id: CustomerId
    start_id: StartId
    due_at: str


@dataclass(frozen=True, slots=True)
class SendNotice(Job):
    """E-mail a customer about an invoice or a payment. `notice` names the template, `about` the row."""

    # One notice of a kind about a row.
    keyed_by = "customer_id notice about"
    kind = "send_notice"
    customer_id: CustomerId
    notice: str
    about: str


@dataclass(frozen=True, slots=True)
class CarryWallet(Job):
    """Book what comes due of a wallet at an instant of business time: expiry, rollover, refills, beginnings."""

    # One for an instant: an earlier one may come to be due while a later one waits.
    keyed_by = "wallet_id due_at"
    kind = "carry_wallet"
    customer_id: CustomerId
    wallet_id: WalletId
    due_at: str


@dataclass(frozen=True, slots=True)
class CheckWallets(Job):
    """Look whether a customer's wallets are to be topped up or warned of. Staged by whatever moves one."""

    # One waits for a customer, however many draws there were meanwhile.
    keyed_by = "customer_id"
    kind = "check_wallets"
    customer_id: CustomerId


@dataclass(frozen=True, slots=True)
class LapseTopUp(Job):
    """End a top-up that was made by itself and whose payment waits too long for its customer's bank."""

    keyed_by = "top_up_id"
    kind = "lapse_top_up"
    customer_id: CustomerId
    top_up_id: TopUpId


@dataclass(frozen=True, slots=True)
class CheckThresholds(Job):
    """Look whether a customer's usage has reached what is worth an alert. Staged by the recording of usage."""

    # One waits for a customer, however many flushes count usage meanwhile.
    keyed_by = "customer_id"
    kind = "check_thresholds"
    customer_id: CustomerId


@dataclass(frozen=True, slots=True)
class CheckOverride(Job):
    """Look as CheckThresholds does as an override begins or ends: whom it blocks uses nothing that stages that."""

    kind = "check_override"
    customer_id: CustomerId


@dataclass(frozen=True, slots=True)
class RemindGrace(Job):
    """Tell a customer how much is left of the grace of a soft limit. `alert_id` is the alert that began it."""

    keyed_by = "alert_id"
    kind = "remind_grace"
    customer_id: CustomerId
    alert_id: AlertId


@dataclass(frozen=True, slots=True)
class SendDigest(Job):
    """Mail a customer the week's usage, and wait for the next week."""

    # One waits for a customer.
    keyed_by = "customer_id"
    kind = "send_digest"
    customer_id: CustomerId


@dataclass(frozen=True, slots=True)
class RemindTrial(Job):
    """Tell a customer that a trial ends soon, where it still does."""

    # One waits for a subscription.
    keyed_by = "subscription_id"
    kind = "remind_trial"
    customer_id: CustomerId
    subscription_id: SubscriptionId


@dataclass(frozen=True, slots=True)
class MailStaff(Job):
    """Mail an alert to the merchant's staff."""

    # One mail for an alert.
    keyed_by = "alert_id"
    kind = "mail_staff"
    alert_id: StaffAlertId


@dataclass(frozen=True, slots=True)
class DetachMethod(Job):
    """Remove at the gateway a payment method that was removed here."""

    keyed_by = "method_id"
    kind = "detach_method"
    customer_id: CustomerId
    method_id: MethodId


@dataclass(frozen=True, slots=True)
class CarryRefund(Job):
    """Send a refund to the gateway, or find out what became of it."""

    keyed_by = "refund_id"
    kind = "carry_refund"
    customer_id: CustomerId
    refund_id: RefundId


@dataclass(frozen=True, slots=True)
class DisputeMoved(Job):
    """A dispute was opened, or decided: tell staff, and have dunning of its invoice wait or go on."""

    keyed_by = "dispute_id"
    kind = "dispute_moved"
    customer_id: CustomerId
    dispute_id: DisputeId


@dataclass(frozen=True, slots=True)
class PaymentUnapplied(Job):
    """Money is held that no invoice can take: tell staff."""

    keyed_by = "unapplied_payment_id"
    kind = "payment_unapplied"
    customer_id: CustomerId
    unapplied_payment_id: UnappliedPaymentId


@dataclass(frozen=True, slots=True)
class TellStaff(Job):
    """Alert staff: `alert` is a kind of alert, and `facts` a JSON object of the ids and names that its text has."""

    # One of a kind about a row, however often it is found.
    keyed_by = "alert about"
    kind = "tell_staff"
    alert: str
    about: str
    environment: str
    facts: str


@dataclass(frozen=True, slots=True)
class ExportCustomer(Job):
    """Write some more of everything of a customer to a file that was asked for."""

    keyed_by = "export_id"
    kind = "export_customer"
    customer_id: CustomerId
    export_id: UUID


@dataclass(frozen=True, slots=True)
class EraseCustomer(Job):
    """Clear some more of a customer that is erased."""

    keyed_by = "customer_id"
    kind = "erase_customer"
    customer_id: CustomerId


KINDS: dict[str, type[Job]] = {
    job.kind: job
    for job in (
        *(ClosePeriod, FinaliseInvoice, CalculateTax, RenderInvoice, RenderCreditNote, CollectInvoice, CollectWhenDue),
        *(FollowSentInvoice, DetachMethod, CarryRefund, DisputeMoved, PaymentUnapplied, InvoiceSettled),
        *(RenderSentInvoice, ProcessInboxEvent, SweepInbox, Reconcile, LapseChange, BeginSubscription),
        *(PaymentSettled, PaymentMethodMissing, RunDunning, SendNotice, CarryWallet, CheckWallets, CheckThresholds),
        *(CheckOverride, RemindGrace, SendDigest, RemindTrial, MailStaff, LapseTopUp, TellStaff, ExportCustomer),
        EraseCustomer,
    )
}
