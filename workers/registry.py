"""Which function carries out which job."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from domain.journal import jobs
from domain.journal.job import Job
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.runtime import Runtime
from workers import alerts, billing, collection, documents, messages, privacy, trials, wallets, webhooks

# A handler may run twice for one job. It marks the job done in the transaction of its last effect.
Handler = Callable[[Runtime, Call, StoredJob, Any], Awaitable[None]]

HANDLERS: Mapping[type[Job], Handler] = {
    jobs.ClosePeriod: billing.close_period,
    jobs.FinaliseInvoice: billing.finalise_invoice,
    jobs.CalculateTax: billing.calculate_tax,
    jobs.RenderInvoice: documents.render_invoice,
    jobs.RenderSentInvoice: documents.render_sent_invoice,
    jobs.RenderCreditNote: documents.render_credit_note,
    jobs.CollectInvoice: collection.collect_invoice,
    jobs.CollectWhenDue: collection.collect_invoice,
    jobs.FollowSentInvoice: collection.follow_sent_invoice,
    jobs.InvoiceSettled: billing.invoice_settled,
    jobs.PaymentSettled: collection.payment_settled,
    jobs.PaymentMethodMissing: collection.payment_method_missing,
    jobs.Reconcile: collection.reconcile,
    jobs.RunDunning: collection.run_dunning,
    jobs.ProcessInboxEvent: webhooks.process_inbox_event,
    jobs.SweepInbox: webhooks.sweep_inbox,
    jobs.LapseChange: billing.lapse_change,
    jobs.BeginSubscription: billing.begin_subscription,
    jobs.SendNotice: messages.send_notice,
    jobs.CarryWallet: wallets.carry_wallet,
    jobs.CheckWallets: wallets.check_wallets,
    jobs.LapseTopUp: wallets.lapse_top_up,
    jobs.CheckThresholds: alerts.check_thresholds,
    jobs.CheckOverride: alerts.check_override,
    jobs.RemindGrace: alerts.remind_grace,
    jobs.SendDigest: alerts.send_digest,
    jobs.TellStaff: messages.tell_staff,
    jobs.RemindTrial: trials.remind_trial,
    jobs.MailStaff: messages.mail_staff,
    jobs.DetachMethod: collection.detach_method,
    jobs.CarryRefund: collection.carry_refund,
    jobs.DisputeMoved: collection.dispute_moved,
    jobs.PaymentUnapplied: collection.payment_unapplied,
    jobs.ExportCustomer: privacy.export_customer,
    jobs.EraseCustomer: privacy.erase_customer,
}
