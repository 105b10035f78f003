"""Alerts to the merchant's staff: what they say, and how grave they are."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import StaffAlertId
from domain.kernel.values import dataclass
from domain.limits.thresholds import Severity


@dataclass(eq=False)
class StaffAlertNotFound(DomainError):
    """There is no such alert."""

    code = "staff_alert_not_found"
    kind = Kind.NOT_FOUND


class StaffAlertKind(StrEnum):
    """What staff are told of."""

    WEBHOOK_DISABLED = "webhook_disabled"
    WEBHOOK_HELD = "webhook_held"
    WEBHOOK_UNREADABLE = "webhook_unreadable"
    MAIL_BOUNCED = "mail_bounced"
    MAIL_COMPLAINED = "mail_complained"
    MAIL_FAILED = "mail_failed"
    INBOX_VERSION = "inbox_version"
    INBOX_QUARANTINED = "inbox_quarantined"
    JOB_FAILED = "job_failed"
    JOB_WAITS = "job_waits"
    DRIFT_FOUND = "drift_found"
    START_REFUSED = "start_refused"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_LOST = "dispute_lost"
    DEBIT_RETURNED = "debit_returned"
    PAYMENT_UNAPPLIED = "payment_unapplied"
    USAGE_UNPRICED = "usage_unpriced"
    LIMIT_OVERRUN = "limit_overrun"
    USAGE_UNSETTLED = "usage_unsettled"
    PROVIDER_REFUSED = "provider_refused"
    PLAN_REQUESTED = "plan_requested"


@dataclass(frozen=True, slots=True)
class Wording:
    """What an alert of a kind says; both texts may name its facts, and `about`."""

    severity: Severity
    subject: str
    text: str


WORDINGS: Mapping[StaffAlertKind, Wording] = {
    StaffAlertKind.WEBHOOK_DISABLED: Wording(
        Severity.CRITICAL,
        "Webhook endpoint disabled: {endpoint}",
        "The webhook endpoint {endpoint} ({about}) is disabled ({by}). What happens meanwhile waits in order. Mend it "
        "and enable it: it goes on from where it stopped.",
    ),
    StaffAlertKind.WEBHOOK_HELD: Wording(
        Severity.WARNING,
        "Events of one customer are held: {endpoint}",
        "The webhook endpoint {endpoint} ({about}) has refused the event {event_id} of {customer_id} for three days. "
        "That customer's events wait behind it, others go on. Mend it and enable the endpoint again, or leave the "
        "event out.",
    ),
    StaffAlertKind.WEBHOOK_UNREADABLE: Wording(
        Severity.CRITICAL,
        "An event cannot be sent: {about}",
        "What is stored of the event {about} of {customer_id} cannot be read, so it was not sent to {endpoint}. That "
        "customer's events wait behind it at every endpoint, others go on. Have its row mended and enable the "
        "endpoints again, or leave the event out.",
    ),
    StaffAlertKind.MAIL_BOUNCED: Wording(
        Severity.WARNING,
        "A customer's address does not take mail: {customer_id}",
        "The address of {customer_id} does not exist any more, as its mail server says. Only mail about invoices and "
        "payments is still sent there. Ask the customer for another address.",
    ),
    StaffAlertKind.MAIL_COMPLAINED: Wording(
        Severity.WARNING,
        "A customer complained about mail: {customer_id}",
        "{customer_id} marked mail of ours as unwanted. Only mail about invoices and payments is still sent there.",
    ),
    StaffAlertKind.MAIL_FAILED: Wording(
        Severity.WARNING,
        "A mail could not be sent: {customer_id}",
        "The mail {about} ({notice}) to {customer_id} was refused, or could not be handed over in all its tries. Check "
        "the address and the mail server, then send it again.",
    ),
    StaffAlertKind.INBOX_VERSION: Wording(
        Severity.WARNING,
        "Events of {about} come in another version: {found}",
        "The endpoint at {about} sends events of the API version {found}; {expected} is read. They are processed all "
        "the same. Set the endpoint to {expected}.",
    ),
    StaffAlertKind.INBOX_QUARANTINED: Wording(
        Severity.WARNING,
        "An event of {about} cannot be placed: {type}",
        "The event {event_id} ({type}) of {about} waits for staff: {reason}. Others may wait beside it. See the "
        "inbound events that are quarantined, mend the cause, and have them processed again.",
    ),
    StaffAlertKind.JOB_FAILED: Wording(
        Severity.CRITICAL,
        "A job has failed: {kind}",
        "The job {job_id} ({kind}) has failed in all its tries, the last time with {error}. Others of its kind may "
        "have failed beside it. Mend the cause, and have the failed jobs tried again.",
    ),
    StaffAlertKind.JOB_WAITS: Wording(
        Severity.CRITICAL,
        "A job waits: {kind}",
        "The job {job_id} ({kind}) waits for what does not answer ({error}). Others of its kind may wait beside it. "
        "They are tried again by themselves for a day, at least every 15 minutes; then they have failed.",
    ),
    StaffAlertKind.DRIFT_FOUND: Wording(
        Severity.CRITICAL,
        "{count} differences with the payment provider need a person",
        "The comparison {about} leaves {count} differences that it must not put right by itself. See the findings that "
        "are open, mend each, and close it with a note.",
    ),
    StaffAlertKind.START_REFUSED: Wording(
        Severity.WARNING,
        "A scheduled subscription did not start: {customer_id}",
        "The start {about} of {customer_id} was scheduled for {starts_at} and was refused then ({refusal}). Nothing "
        "was invoiced. Mend the cause and subscribe the customer; with startsAt it begins where it should have.",
    ),
    StaffAlertKind.DISPUTE_OPENED: Wording(
        Severity.CRITICAL,
        "A payment of {amount} {currency} is disputed: {customer_id}",
        "{customer_id} disputes the payment of {invoice_id} ({reason}). Answer {gateway_dispute_id} on the payment "
        "provider's pages until {due}, or accept it there. Nothing more is collected for the invoice meanwhile.",
    ),
    StaffAlertKind.DISPUTE_LOST: Wording(
        Severity.WARNING,
        "A dispute is lost: {amount} {currency} of {customer_id}",
        "The dispute {about} of {invoice_id} ({reason}) is lost, and the invoice is charged back. Its subscriptions go "
        "on: cancel them, or have the invoice collected again, where that is right.",
    ),
    StaffAlertKind.DEBIT_RETURNED: Wording(
        Severity.WARNING,
        "A debit of {amount} {currency} came back after the end: {customer_id}",
        "The bank of {customer_id} has returned the payment of {invoice_id} ({reason}, {about}). Every subscription on "
        "that has ended, so the customer was told and nothing is charged again by itself. Ask the customer for the "
        "money, have the invoice paid (payInvoice), or write it off (writeOffDunningCase).",
    ),
    StaffAlertKind.PAYMENT_UNAPPLIED: Wording(
        Severity.WARNING,
        "{amount} {currency} of {customer_id} paid no invoice",
        "{amount} {currency} came for {invoice_id}, which could not take it: {why}. It is kept for {customer_id} as "
        "{about}. Pay another invoice with it (applyUnappliedPayment), make it credit (creditUnappliedPayment), or "
        "send it back (refundUnappliedPayment).",
    ),
    StaffAlertKind.USAGE_UNPRICED: Wording(
        Severity.CRITICAL,
        "Calls have no price: {provider}/{model}",
        "Calls of {model} of {provider} are counted ({about}) while the price list has no price of it, so they cost "
        "nothing until it has. Add one (addProviderPrices) from before the first of them, and have them priced "
        "(redriveEvents). Other models may wait as well: see the events in quarantine.",
    ),
    StaffAlertKind.LIMIT_OVERRUN: Wording(
        Severity.WARNING,
        "More was used than was held: {customer_id}",
        "A call of {customer_id} ({reservation}) used more of {limits} than was held for it. It is counted whole, and "
        "what follows is refused where a limit is passed. Have the product reserve upper bounds, and settle before a "
        "reservation ends.",
    ),
    StaffAlertKind.USAGE_UNSETTLED: Wording(
        Severity.WARNING,
        "Calls were not recorded: {customer_id}",
        "Metered calls of {customer_id} were held and then neither settled nor released ({count}, found on {day} UTC): "
        "the process that passed them on was ended in the middle, or could not report. What they used is not known, so "
        "nothing is billed for them; it cost at most {amount}. See them (unsettledReservations), look at "
        "the provider's own records, and settle each with what it used, or release it.",
    ),
    StaffAlertKind.PROVIDER_REFUSED: Wording(
        Severity.CRITICAL,
        "The provider {about} refuses the merchant's key",
        "{about} answered a call through the gateway with {status}: it does not accept the merchant's key, or does not "
        "allow it what was asked for. Callers get 502 until that is mended. Look at the account there, give the key in "
        "{setting}, and start the API anew.",
    ),
    StaffAlertKind.PLAN_REQUESTED: Wording(
        Severity.INFO,
        "A customer asks for {plan}: {customer_id}",
        "{customer_id} asks for the plan {plan} of {product}, which is sold on approval. To approve it, publish what "
        "was agreed as a version of the customer's own, which it can then choose, or subscribe it yourself. To decline "
        "it, tell the customer. Nothing happens by itself.",
    ),
}


@dataclass(frozen=True, slots=True)
class StaffAlert:
    """One alert. `about` is the id of the row that it tells of; facts hold ids and names of the merchant's own."""

    id: StaffAlertId
    kind: StaffAlertKind
    about: str
    environment: Environment | None
    facts: Mapping[str, Any]
    raised_at: datetime
    read_at: datetime | None = None
    mailed_at: datetime | None = None

    @property
    def severity(self) -> Severity:
        """How grave it is."""
        return WORDINGS[self.kind].severity

    @property
    def subject(self) -> str:
        """Say it in one line."""
        return " ".join(WORDINGS[self.kind].subject.format(about=self.about, **self.facts).split())

    @property
    def text(self) -> str:
        """Say what happened and what to do."""
        return WORDINGS[self.kind].text.format(about=self.about, **self.facts)


def environments_seen(environment: Environment | None) -> frozenset[Environment | None]:
    """Return whose alerts somebody sees and may mark read; None among them stands for what concerns both environments.

    What concerns both concerns live customers: whoever works in the test environment alone must not silence it.
    """
    if environment is None:
        return frozenset((None, *Environment))
    return frozenset((None, environment) if environment is Environment.LIVE else (environment,))
