"""Order, cancel and pay back top-ups of wallets. What was ordered can be used once its invoice is paid.

The invoice is opened at once, on its own, and collected in the ordinary way. A failed payment ends it: nobody is
dunned for credit that was never used.
"""

from dataclasses import replace
from datetime import datetime

from domain.access.roles import Permission
from domain.credits import top_up as rules
from domain.credits.top_up import (
    CONFIRM_WITHIN,
    OPEN_TOP_UPS_MAX,
    NothingToPayBack,
    PauseReason,
    TooManyTopUps,
    TopUp,
    TopUpEnded,
    TopUpNotFound,
    TopUpState,
    TopUpTrigger,
)
from domain.credits.wallet import GrantSource, Wallet, WalletGrant
from domain.credits.wallets import service as wallets
from domain.credits.wallets.keeping import service as keeping
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.invoices import invoice as invoice_rules
from domain.invoices import store as invoices
from domain.invoices.credit_note import CreditKind, CreditNote, CreditPart, CreditReason
from domain.invoices.crediting import service as crediting
from domain.invoices.funding import store
from domain.invoices.invoice import Invoice, InvoiceKind, State, VoidReason
from domain.invoices.number import series_year
from domain.invoices.numbering import store as numbering
from domain.invoices.opening import service as opening
from domain.invoices.topping.line import new_line
from domain.invoices.voiding.service import void_invoice
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call, PrincipalKind
from domain.kernel.ids import CustomerId, InvoiceId, LineId, TopUpId, WalletGrantId, WalletId, encode
from domain.kernel.money import CurrencyMismatch, Money
from domain.ledger import account

SHOWN_MAX = 100


async def order(tx: Tx, call: Call, customer_id: CustomerId, wallet_id: WalletId, amount: Money) -> TopUp:
    """Order a top-up of a wallet, by staff or by its customer: an invoice over the amount is opened and collected.

    Raises Forbidden, CustomerNotFound, CustomerErased, WalletNotFound, CurrencyMismatch, TopUpMalformed,
    TooManyTopUps.
    """
    call.need(Permission.PAYMENT_WRITE)
    await erasing.load_present(tx, call, customer_id)
    is_customer = call.principal.kind is PrincipalKind.MEMBER
    trigger = TopUpTrigger.CUSTOMER if is_customer else TopUpTrigger.STAFF
    now, held = await keeping.take(tx, call, customer_id, wallet_id)
    waiting = await store.list_waiting_or_recent(tx, customer_id, wallet_id, since=now, limit=OPEN_TOP_UPS_MAX)
    if len(waiting) >= OPEN_TOP_UPS_MAX:
        raise TooManyTopUps(OPEN_TOP_UPS_MAX)
    return await begin(tx, call, now, held.wallet, amount, trigger=trigger)


async def begin(tx: Tx, call: Call, now: datetime, into: Wallet, amount: Money, *, trigger: TopUpTrigger) -> TopUp:
    """Open the invoice of a top-up; the caller holds the wallet. Raises CurrencyMismatch, TopUpMalformed."""
    if amount.currency != into.currency:
        raise CurrencyMismatch(into.currency, amount.currency)
    rules.check_amount(amount, invoice_rules.minimum(into.currency))
    new = TopUp(
        customer_id=into.customer_id,
        id=TopUpId(call.new_id()),
        wallet_id=into.id,
        invoice_id=InvoiceId(call.new_id()),
        amount=amount,
        trigger=trigger,
        state=TopUpState.OPEN,
        created_at=now,
        ended_at=None,
    )
    draft = _draft(new, into)
    await invoices.insert_invoice(tx, draft)
    await invoices.insert_lines(tx, draft, [(LineId(call.new_id()), new_line(new, into.name))])
    await store.insert_top_up(tx, new)
    await _tell(tx, call, now, new, "top_up_ordered", text=f"Top-up of {amount.major} {amount.currency} ordered")
    await _open(tx, call, now, draft)
    if trigger is TopUpTrigger.AUTOMATIC:
        await stage_lapse(tx, call, new.customer_id, new.id, now + CONFIRM_WITHIN)
    return new


async def stage_lapse(tx: Tx, call: Call, customer_id: CustomerId, top_up_id: TopUpId, at: datetime) -> None:
    """Have it looked at a business instant whether an automatic top-up still waits for its payment."""
    await opening.stage(tx, call, at, customer_id, jobs.LapseTopUp(customer_id, top_up_id))


def _draft(of: TopUp, into: Wallet) -> Invoice:
    nothing = Money(0, into.currency)
    return Invoice(
        customer_id=of.customer_id,
        id=of.invoice_id,
        environment=into.environment,
        currency=into.currency,
        kind=InvoiceKind.INVOICE,
        state=State.DRAFT,
        number=None,
        created_at=of.created_at,
        grace_ends_at=of.created_at,
        issued_at=None,
        due_at=None,
        paid_at=None,
        subtotal=of.amount,
        discount=nothing,
        tax=nothing,
        version=1,
        top_up_id=of.id,
    )


async def _open(tx: Tx, call: Call, now: datetime, draft: Invoice) -> Invoice:
    """Open it without coupons, taxes and balances: nothing of what the customer holds buys more of it."""
    await opening.post(tx, call, now, draft, account.ordered(draft.total), reason="invoice_opened")
    await opening.announce(tx, call, now, draft)
    await opening.stage(tx, call, now, draft.customer_id, jobs.CollectInvoice(draft.customer_id, draft.id))
    opened = invoice_rules.opened(draft, now)
    year = series_year(now)
    number = await numbering.take_number(tx, environment=draft.environment, kind=draft.kind, year=year)
    return await invoices.save_invoice(tx, draft, invoice_rules.numbered(opened, year, number))


async def cancel(tx: Tx, call: Call, customer_id: CustomerId, top_up_id: TopUpId) -> TopUp:
    """Take back a top-up that is not paid: its invoice is void. Safe to repeat.

    Raises Forbidden, CustomerNotFound, TopUpNotFound, TopUpEnded where it was paid or failed, PaymentUnderWay.
    """
    call.need(Permission.PAYMENT_WRITE)
    now, found = await _held(tx, call, customer_id, top_up_id)
    if found.state is TopUpState.CANCELED:
        return found
    if found.state is not TopUpState.OPEN:
        raise TopUpEnded(found.state)
    await _void(tx, call, now, found, VoidReason.ORDER_CHANGE)
    return replace(found, state=TopUpState.CANCELED, ended_at=now)


async def load_top_up(tx: Tx, call: Call, customer_id: CustomerId, top_up_id: TopUpId) -> TopUp:
    """Return a customer's top-up to a use case that has checked its own permission.

    Raises CustomerNotFound, TopUpNotFound.
    """
    return (await _held(tx, call, customer_id, top_up_id))[1]


async def _held(tx: Tx, call: Call, customer_id: CustomerId, top_up_id: TopUpId) -> tuple[datetime, TopUp]:
    """Return a top-up that the caller may see, with its customer's business time."""
    now = await customers.business_now(tx, call, customer_id)
    found = await store.find_top_up(tx, customer_id, top_up_id)
    if found is None:
        raise TopUpNotFound
    return now, found


async def _void(tx: Tx, call: Call, now: datetime, of: TopUp, reason: VoidReason) -> None:
    await void_invoice(tx, call, now, customer_id=of.customer_id, invoice_id=of.invoice_id, reason=reason)


async def follow_attempt(
    tx: Tx, call: Call, now: datetime, customer_id: CustomerId, invoice_id: InvoiceId, *, failed: bool
) -> bool:
    """Follow what became of an attempt to collect a top-up; False where the invoice asks for something else.

    False too where a bank has taken back its payment: what was used of it is a debt as any other. A failure ends the
    top-up and pauses the wallet's rule where that made it; the customer is told. While another attempt is under way its
    outcome is waited for. Safe to repeat.
    """
    found = await store.find_of_invoice(tx, customer_id, invoice_id)
    if found is None:
        return False
    invoice = await opening.lock_invoice(tx, call, customer_id, invoice_id)
    if invoice.reopened:
        return False
    if not failed or invoice.charging or invoice.state is not State.OPEN:
        return True
    await fail(tx, call, now, found, reason=PauseReason.PAYMENT_FAILED)
    return True


async def fail(tx: Tx, call: Call, now: datetime, found: TopUp, *, reason: PauseReason) -> None:
    """End a top-up whose open invoice nobody pays: that is void, and the rule pauses that made it. Safe to repeat.

    The caller holds the invoice, of which no attempt is under way.
    """
    if not await store.end_top_up(tx, found, TopUpState.FAILED, now):
        return
    await _void(tx, call, now, found, VoidReason.LAPSED)
    if found.trigger is TopUpTrigger.AUTOMATIC:
        await pause(tx, call, now, found.customer_id, found.wallet_id, reason=reason)
    text = f"Top-up of {found.amount.major} {found.amount.currency} failed"
    await _tell(tx, call, now, found, "top_up_failed", text=text)


async def pause(
    tx: Tx, call: Call, now: datetime, customer_id: CustomerId, wallet_id: WalletId, *, reason: PauseReason
) -> None:
    """Stop topping a wallet up by itself until somebody saves its rule again. Safe to repeat."""
    rule = (await store.list_automatic(tx, customer_id)).get(wallet_id)
    if rule is None or rule.paused is not None:
        return
    await store.save_automatic(tx, replace(rule, paused=reason))
    facts = {"wallet_id": encode("wallet", wallet_id), "reason": str(reason)}
    await journal.tell(
        tx, call, now, customer_id, "automatic_top_up_paused", description="Automatic top-up paused", metadata=facts
    )
    await journal.audit(tx, call, "pause_automatic_top_up", facts["wallet_id"], customer_id=customer_id, facts=facts)


async def pay_back(
    tx: Tx,
    call: Call,
    customer_id: CustomerId,
    wallet_id: WalletId,
    grant_id: WalletGrantId,
    *,
    kind: CreditKind,
) -> CreditNote:
    """Pay back what is left of a grant that was paid for, by a credit note on its invoice; the grant ends.

    As a refund, or as customer credit. Raises Forbidden, CustomerNotFound, CustomerErased, WalletNotFound,
    WalletGrantNotFound, NothingToPayBack, also where it was done before.
    """
    call.need(Permission.CREDIT_WRITE)
    await erasing.load_present(tx, call, customer_id)
    now, _ = await keeping.take(tx, call, customer_id, wallet_id)
    grant = await wallets.take_unused(tx, call, customer_id, wallet_id, grant_id)
    if grant.source is not GrantSource.PURCHASED or not grant.balance_minor or kind is CreditKind.OFFSET:
        raise NothingToPayBack
    return await _credit(tx, call, now, grant, kind)


async def _credit(tx: Tx, call: Call, now: datetime, grant: WalletGrant, kind: CreditKind) -> CreditNote:
    assert grant.invoice_id is not None, "what was paid for has an invoice"
    invoice = await opening.lock_invoice(tx, call, grant.customer_id, grant.invoice_id)
    [line] = await opening.lines_of(tx, invoice)
    return await crediting.credit_lines(
        tx,
        call,
        now,
        customer_id=grant.customer_id,
        invoice_id=grant.invoice_id,
        parts=[CreditPart(line.id, grant.balance_minor)],
        reason=CreditReason.ORDER_CHANGE,
        kind=kind,
        of_top_up=True,
    )


async def _tell(tx: Tx, call: Call, now: datetime, about: TopUp, event_type: str, *, text: str) -> None:
    facts = {
        "top_up_id": encode("top_up", about.id),
        "wallet_id": encode("wallet", about.wallet_id),
        "invoice_id": encode("invoice", about.invoice_id),
        "trigger": str(about.trigger),
    }
    await journal.tell(
        tx, call, now, about.customer_id, event_type, description=text, amount=about.amount, metadata=facts
    )
    await journal.audit(tx, call, event_type, facts["top_up_id"], customer_id=about.customer_id, facts=facts)
