"""Send notices: rendered once, stored sealed, handed over at least once, and never to a test customer by mistake."""

from datetime import datetime
from uuid import UUID

from domain.alerts import store
from domain.alerts.alert import Alert, AlertNotFound
from domain.alerts.email import (
    AlertFacts,
    DigestFacts,
    Facts,
    ReminderFacts,
    ShownLine,
    TrialFacts,
    message_id,
    render,
)
from domain.alerts.language import day_of, language_of, method_of, money_of
from domain.alerts.mail_state import MailState
from domain.alerts.mailing import service as mailing
from domain.alerts.notice import LEGAL, OF_METHOD, OWED, Notice
from domain.alerts.port import Mailer, MailPolicy, MailRefused, OutgoingMail
from domain.alerts.preferring import service as preferring
from domain.alerts.raising import store as raising
from domain.alerts.reminding import service as reminding
from domain.alerts.store import Mail
from domain.alerts.wording import (
    alert_facts,
    compared_text,
    digest_facts,
    settled_lines,
    tax_lines,
    trial_facts,
)
from domain.contracts.trialing import service as trialing
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Database, Tx
from domain.invoices import service as invoices
from domain.invoices.billdiff import service as billdiff
from domain.invoices.invoice import Invoice, InvoiceNotFound, State
from domain.kernel.call import Call
from domain.kernel.ids import AlertId, AttemptId, CustomerId, InvoiceId, SubscriptionId
from domain.limits import service as limits
from domain.limits.status import LimitStatus
from domain.payments import store as payments
from domain.payments.attempt import Attempt
from domain.plans import service as plans
from domain.subscriptions import service as subscriptions
from domain.usage import service as usage


async def send_notice(
    db: Database, mailer: Mailer, call: Call, *, customer_id: CustomerId, notice: str, about: str
) -> MailState:
    """Send one notice about one row.

    `about` is an invoice's id for `invoice_issued`, a subscription's for `trial_ending`, an attempt's for the payment
    notices, a dunning case's for what follows from an unpaid invoice (with the id of the step with which it began anew
    behind it), a method's for `payment_method_blocked`, and with a month for `payment_method_expiring`, a wallet's with
    an id of the fall for `wallet_low`, an alert's for those about limits, and the day for the digest. Safe to repeat:
    what was sent is not sent again, and a mail that may have been sent keeps its Message-ID.

    Raises MailUnavailable (try again later), CustomerNotFound, InvoiceNotFound, SubscriptionNotFound, AlertNotFound.
    """
    async with db.transaction() as tx:
        if (await customers.load_customer(tx, call, customer_id)).erased_at is not None:
            return MailState.SUPPRESSED
        mail = await _written(tx, call, mailer.policy, customer_id=customer_id, notice=notice, about=about)
    if mail.state is not MailState.QUEUED:
        return mail.state
    outgoing = OutgoingMail(
        message_id=mail.message_id,
        written_at=mail.created_at,
        sender=mailer.policy.sender,
        sender_name=mailer.policy.merchant,
        recipient=mail.content.recipient,
        subject=mail.content.subject,
        text=mail.content.text,
        html=mail.content.html,
        unsubscribe=mailer.policy.unsubscribing.link(customer_id, notice),
    )
    try:
        await mailer.send(outgoing)
    except MailRefused as refused:
        async with db.transaction() as tx:
            await store.save_mail_end(tx, mail, state=MailState.FAILED, sent_at=None, error=refused.reason)
            await mailing.tell_failed(tx, call, customer_id=customer_id, mail_id=mail.id, notice=notice)
        return MailState.FAILED
    async with db.transaction() as tx:
        await store.save_mail_end(tx, mail, state=MailState.SENT, sent_at=call.at)
    return MailState.SENT


async def _written(tx: Tx, call: Call, policy: MailPolicy, *, customer_id: CustomerId, notice: str, about: str) -> Mail:
    """Return the stored mail, rendering and storing it first where there is none."""
    key = await customers.data_key(tx, customer_id)
    found = await store.find_mail(tx, customer_id, notice, about, key=key)
    if found is not None:
        return found
    customer = await customers.load_customer(tx, call, customer_id)
    facts = await _facts(tx, call, policy, customer=customer, notice=Notice(notice), about=about)
    state = MailState.QUEUED if policy.allows(customer.environment, customer.email) else MailState.WITHHELD
    if await mailing.is_stopped(tx, customer_id, customer.email, notice) or await preferring.is_unwanted(
        tx, customer_id, Notice(notice)
    ):
        state = MailState.SUPPRESSED
    new = Mail(
        customer_id=customer_id,
        id=call.new_id(),
        notice=notice,
        about=about,
        state=state,
        content=render(Notice(notice), facts, customer.email),
        message_id=message_id(customer_id, notice, about, policy.sender),
        created_at=call.at,
        sent_at=None,
    )
    await store.insert_mail(tx, new, key)
    return await store.find_mail(tx, customer_id, notice, about, key=key) or new


async def _facts(
    tx: Tx, call: Call, policy: MailPolicy, *, customer: Customer, notice: Notice, about: str
) -> Facts | AlertFacts | DigestFacts | TrialFacts | ReminderFacts:
    if notice is Notice.WEEKLY_DIGEST:
        return await _digest_facts(tx, call, policy, customer)
    if notice is Notice.TRIAL_ENDING:
        return await _trial_facts(tx, policy, customer, SubscriptionId(UUID(about)))
    if notice in OWED | OF_METHOD | {Notice.WALLET_LOW}:
        return await reminding.facts_of(tx, call, policy, customer, notice=notice, about=about)
    if notice not in LEGAL:
        return await _alert_facts(tx, policy, customer, AlertId(UUID(about)))
    if notice is Notice.INVOICE_ISSUED:
        return await _invoice_facts(tx, policy, customer, InvoiceId(UUID(about)))
    attempt = await payments.find_attempt(tx, customer.id, AttemptId(UUID(about)))
    assert attempt is not None, "a payment notice names an attempt"
    return await _payment_facts(tx, call, policy, customer, attempt)


async def _alert_facts(tx: Tx, policy: MailPolicy, customer: Customer, alert_id: AlertId) -> AlertFacts:
    alert = await raising.find_alert(tx, customer.id, alert_id)
    if alert is None:
        raise AlertNotFound
    language, upgrade = language_of(customer.locale), await _upgrade_name(tx, alert)
    return alert_facts(
        alert, merchant=policy.merchant, name=customer.name, zone=customer.zone, upgrade=upgrade, language=language
    )


async def _upgrade_name(tx: Tx, alert: Alert) -> str:
    """Return what people call the plan that an alert proposes, or nothing."""
    found = await subscriptions.find_subscription(tx, alert.subscription_id, scope=alert.customer_id)
    if alert.upgrade is None or found is None:
        return ""
    catalogue = await plans.load_catalogue(tx)
    return catalogue.plan(catalogue.product_by_id(found.product_id).key, alert.upgrade).name


async def _digest_facts(tx: Tx, call: Call, policy: MailPolicy, customer: Customer) -> DigestFacts:
    catalogue = await plans.load_catalogue(tx)
    now = await customers.business_now(tx, call, customer.id)
    statuses: list[LimitStatus] = []
    for subscription in await subscriptions.list_subscriptions(tx, customer.id):
        if subscription.is_live:
            counted = await usage.current_usage(tx, customer.id, subscription)
            overrides = await limits.overrides_in_force(tx, customer.id, subscription.product_id, now)
            statuses += limits.limits_of(catalogue, subscription, counted, overrides)
    day, language = _day(customer, now), language_of(customer.locale)
    return digest_facts(statuses, merchant=policy.merchant, name=customer.name, day=day, language=language)


async def _trial_facts(tx: Tx, policy: MailPolicy, customer: Customer, subscription_id: SubscriptionId) -> TrialFacts:
    found = await subscriptions.find_subscription(tx, subscription_id, scope=customer.id)
    if found is None:
        raise subscriptions.SubscriptionNotFound
    assert found.trial_ends_at is not None, "a trial has an end"
    plan = (await plans.load_catalogue(tx)).plan_of_version(found.plan_version_id)
    return trial_facts(
        trialing.end_of(found, has_method=customer.can_be_billed),
        merchant=policy.merchant,
        name=customer.name,
        plan=plan.name,
        day=_day(customer, found.trial_ends_at),
        language=language_of(customer.locale),
    )


async def _invoice_facts(tx: Tx, policy: MailPolicy, customer: Customer, invoice_id: InvoiceId) -> Facts:
    invoice = await _invoice(tx, customer.id, invoice_id)
    lines = (await invoices.lines_by_invoice_ids(tx, [invoice.id], scope=customer.id))[invoice.id]
    methods = await payments.list_methods(tx, customer.id, limit=1)
    assert invoice.issued_at is not None, "an invoice is told of once it is issued"
    language = language_of(customer.locale)
    return Facts(
        merchant=policy.merchant,
        name=customer.name,
        number=invoice.number or "",
        total=money_of(invoice.total, language),
        day=_day(customer, invoice.issued_at),
        lines=tuple(ShownLine(line.description, money_of(line.net, language)) for line in lines if line.net.minor),
        method=", ".join(method_of(each, language) for each in methods if each.is_default and each.blocked is None),
        blocked=", ".join(method_of(each, language) for each in methods if each.is_default and each.blocked),
        compared=compared_text(await billdiff.compared(tx, invoice), language),
        taxes=tax_lines(invoice, language),
        settled=settled_lines(invoice, language),
        nothing_due=invoice.collectable.minor <= 0 or invoice.state is State.UNCOLLECTIBLE,
        due=_day(customer, invoice.due_at) if invoice.due_at and invoice.due_at > invoice.issued_at else "",
        language=language,
    )


async def _payment_facts(tx: Tx, call: Call, policy: MailPolicy, customer: Customer, attempt: Attempt) -> Facts:
    invoice = await _invoice(tx, customer.id, attempt.invoice_id)
    methods = await payments.methods_by_id(tx, [attempt.method_id], scope=customer.id) if attempt.method_id else {}
    language = language_of(customer.locale)
    now = invoice.paid_at or await customers.business_now(tx, call, customer.id)
    return Facts(
        merchant=policy.merchant,
        name=customer.name,
        number=invoice.number or "",
        total=money_of(attempt.amount, language),
        day=_day(customer, now),
        method=", ".join(method_of(method, language) for method in methods.values()),
        language=language,
    )


async def _invoice(tx: Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> Invoice:
    found = await invoices.invoices_by_id(tx, [invoice_id], scope=customer_id)
    if invoice_id not in found:
        raise InvoiceNotFound
    return found[invoice_id]


def _day(customer: Customer, at: datetime) -> str:
    return day_of(at, customer.zone, language_of(customer.locale))
