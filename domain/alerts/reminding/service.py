"""Gather what a mail about an unpaid invoice, a payment method or a wallet says."""

from dataclasses import replace
from uuid import UUID

from domain.alerts.blocking import blocked_facts
from domain.alerts.email import ReminderFacts
from domain.alerts.expiry import expiry_facts
from domain.alerts.language import language_of, method_of, money_of
from domain.alerts.low_balance import low_balance_facts
from domain.alerts.notice import Notice
from domain.alerts.port import MailPolicy
from domain.alerts.reminder import Owed, reminder_facts
from domain.credits.wallets import store as wallets
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.customers.store import Sight
from domain.db import Tx
from domain.dunning import store as cases
from domain.dunning.case import CaseState
from domain.dunning.reading import service as dunning
from domain.dunning.store import StoredCase
from domain.invoices import service as invoices
from domain.invoices.invoice import Invoice, InvoiceNotFound, State
from domain.kernel.call import Call
from domain.kernel.ids import AttemptId, CaseId, InvoiceId, MethodId, WalletId
from domain.kernel.money import Money
from domain.payments import store as payments
from domain.payments.attempt import Attempt
from domain.payments.declines import Decline, DeclineClass
from domain.payments.expiring.month import year_and_month
from domain.payments.method_rules import MANDATE_ENDED
from domain.payments.methods.service import METHODS_MAX
from domain.payments.pages import store as pages
from domain.payments.transferring import service as transferring

# Mails about an invoice, with a number of days behind its id where there is one for each of several days.
_ABOUT_INVOICE = frozenset((Notice.INVOICE_SENT, Notice.INVOICE_DUE_SOON, Notice.INVOICE_STILL_OVERDUE))
# Mails about an attempt; the others are about a case, with the id of the step behind its id where it began anew.
_ABOUT_ATTEMPT = frozenset(
    (
        Notice.PAYMENT_FAILED,
        Notice.TOP_UP_FAILED,
        Notice.RETRY_FAILED,
        Notice.PAYMENT_ACTION_REQUIRED,
        Notice.PAYMENT_METHOD_WANTED,
    )
)


async def facts_of(
    tx: Tx, call: Call, policy: MailPolicy, customer: Customer, *, notice: Notice, about: str
) -> ReminderFacts:
    """Return what a mail says, about an attempt, an invoice, a case, a payment method or a wallet as it now stands.

    Raises InvoiceNotFound.
    """
    if notice is Notice.PAYMENT_METHOD_EXPIRING:
        return await _expiring(tx, policy, customer, about)
    if notice is Notice.PAYMENT_METHOD_BLOCKED:
        return await _blocked(tx, policy, customer, MethodId(UUID(about)))
    if notice is Notice.WALLET_LOW:
        return await _low(tx, policy, customer, about)
    if notice in _ABOUT_ATTEMPT:
        attempt = await payments.find_attempt(tx, customer.id, AttemptId(UUID(about)))
        assert attempt is not None, "the mail names an attempt"
        case = await cases.find_case_of(tx, customer.id, attempt.invoice_id)
        invoice_id = attempt.invoice_id
    elif notice in _ABOUT_INVOICE:
        invoice_id = InvoiceId(UUID(about.partition(":")[0]))
        attempt, case = None, await cases.find_case_of(tx, customer.id, invoice_id)
    else:
        attempt, case = None, await cases.find_case(tx, CaseId(UUID(about.partition(":")[0])), sight=Sight(customer.id))
        assert case is not None, "the mail names a case"
        invoice_id = case.invoice_id
    owed = await _owed(tx, call, customer, invoice_id, attempt=attempt, stored=case)
    if notice is Notice.PAYMENT_METHOD_MISSING and owed.has_method:
        owed = await _with_blocked(tx, customer, owed)
    return reminder_facts(
        notice, owed, merchant=policy.merchant, name=customer.name, zone=customer.zone, locale=customer.locale
    )


async def _expiring(tx: Tx, policy: MailPolicy, customer: Customer, about: str) -> ReminderFacts:
    """Say which card expires when; `about` is its id and the month."""
    method_id, _, month = about.partition(":")
    wanted = MethodId(UUID(method_id))
    found = await payments.methods_by_id(tx, [wanted], scope=customer.id)
    year, of_year = year_and_month(int(month))
    return expiry_facts(
        method_of(found[wanted], language_of(customer.locale)),
        year,
        of_year,
        is_default=found[wanted].is_default,
        merchant=policy.merchant,
        name=customer.name,
        locale=customer.locale,
    )


async def _blocked(tx: Tx, policy: MailPolicy, customer: Customer, method_id: MethodId) -> ReminderFacts:
    """Say which method cannot be charged any more."""
    method = (await payments.methods_by_id(tx, [method_id], scope=customer.id))[method_id]
    return blocked_facts(
        method_of(method, language_of(customer.locale)),
        by_mandate=method.blocked == MANDATE_ENDED,
        is_default=method.is_default,
        merchant=policy.merchant,
        name=customer.name,
        locale=customer.locale,
    )


async def _low(tx: Tx, policy: MailPolicy, customer: Customer, about: str) -> ReminderFacts:
    """Say which wallet has fallen to what; `about` is its id and an id of the fall."""
    wallet_id, _, _ = about.partition(":")
    found = await wallets.find_wallet(tx, WalletId(UUID(wallet_id)), sight=Sight(customer.id))
    assert found is not None, "wallets are never deleted"
    return low_balance_facts(
        found.name,
        Money(found.warn_below_minor or 0, found.currency),
        merchant=policy.merchant,
        name=customer.name,
        locale=customer.locale,
    )


async def _owed(
    tx: Tx,
    call: Call,
    customer: Customer,
    invoice_id: InvoiceId,
    *,
    attempt: Attempt | None,
    stored: StoredCase | None,
) -> Owed:
    customer_id, language = customer.id, language_of(customer.locale)
    found = await invoices.invoices_by_id(tx, [invoice_id], scope=customer_id)
    if invoice_id not in found:
        raise InvoiceNotFound
    invoice, now = found[invoice_id], await customers.business_now(tx, call, customer_id)
    page = (await pages.find_pages(tx, [(customer_id, invoice_id)])).get((customer_id, invoice_id), "")
    plan = await dunning.outlook(tx, stored, now) if stored is not None else None
    failed_at = (attempt.ended_at if attempt else None) or (stored.case.first_failed_at if stored else now)
    owed = Owed(
        number=invoice.number or "",
        total=money_of(attempt.amount if attempt else invoice.total, language),
        left="" if attempt else _left(invoice, language),
        failed_at=failed_at,
        method=await _method(tx, attempt, language) if attempt else "",
        decline=_advice(attempt.decline) if attempt and attempt.decline else "",
        next_at=stored.case.next_attempt_at if stored else None,
        waits_until=stored.case.waits_until if stored else None,
        grace_ends_at=plan.grace_ends_at if plan else None,
        last_at=plan.last_at if plan else None,
        due_at=invoice.due_at,
        has_method=customer.has_method,
        is_dropped=stored is not None and stored.case.state is CaseState.DROPPED,
        link=page if invoice.state is not State.VOID else "",
    )
    return await _of_sent(tx, invoice, owed, language) if invoice.is_sent else owed


async def _with_blocked(tx: Tx, customer: Customer, owed: Owed) -> Owed:
    """Say that the methods there are cannot be charged, where that is so of all of them."""
    methods = await payments.list_methods(tx, customer.id, limit=METHODS_MAX)
    is_blocked = all(each.blocked is not None for each in methods)
    return replace(owed, has_method=False, is_blocked=True) if is_blocked else owed


def _left(invoice: Invoice, language: str) -> str:
    """Say what of an invoice is still to be paid; nothing where that is all of it, or none."""
    due = invoice.amount_due
    return money_of(due, language) if 0 < due.minor < invoice.total.minor else ""


async def _of_sent(tx: Tx, invoice: Invoice, owed: Owed, language: str) -> Owed:
    """Add what is said of an invoice that is transferred: where to, and what is missing, or that nothing is."""
    account = await transferring.account_of(tx, invoice.customer_id, invoice.currency)
    key = (invoice.customer_id, invoice.id)
    missing = (await transferring.missing_of(tx, [key])).get(key)
    is_part = missing is not None and 0 < missing.minor < invoice.amount_due.minor
    return replace(
        owed,
        is_sent=True,
        account=(account.bank_name or account.country) if account else "",
        last4=account.last4 if account else "",
        missing=money_of(missing, language) if missing is not None and is_part else "",
        is_covered=not missing.minor if missing is not None else invoice.state is State.PAID,
    )


async def _method(tx: Tx, attempt: Attempt, language: str) -> str:
    """Name what was charged."""
    ids = [attempt.method_id] if attempt.method_id is not None else []
    methods = await payments.methods_by_id(tx, ids, scope=attempt.customer_id) if ids else {}
    return ", ".join(method_of(each, language) for each in methods.values())


def _advice(decline: Decline) -> str:
    """Return the key of what to advise. It never tells why a hard decline happened: that may be a fraud rule."""
    if decline.kind is DeclineClass.DATA:
        return "data"
    if decline.kind is DeclineClass.CUSTOMER:
        return "customer"
    return "funds" if "insufficient_funds" in {decline.code, decline.decline_code} else "declined"
