"""Take an opened invoice back."""

from datetime import datetime

from domain.credits.grants import service as unit_grants
from domain.credits.wallets.drawing.service import GivenBack
from domain.db import Tx
from domain.invoices import invoice as rules
from domain.invoices import store as invoices
from domain.invoices.balances import service as balances
from domain.invoices.crediting import store as notes
from domain.invoices.discounting import service as discounting
from domain.invoices.funding import service as funding
from domain.invoices.holding import store as holding
from domain.invoices.invoice import Invoice, InvoiceStateRefused, State, VoidReason
from domain.invoices.one_off import service as one_off
from domain.invoices.opening import service as opening
from domain.invoices.standing import store as standing
from domain.invoices.voiding import store
from domain.journal import jobs
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId
from domain.kernel.money import Money
from domain.ledger import account
from domain.ledger.account import Account, Sources


async def void_invoice(
    tx: Tx, call: Call, now: datetime, *, customer_id: CustomerId, invoice_id: InvoiceId, reason: VoidReason
) -> Invoice:
    """Take an open or written-off invoice back: what is left of it is posted back, and its lines are due again.

    It keeps its number. What balances had paid comes back to them, and what it took of coupons; the next derivation
    brings its lines back. The gateway's copy is voided by the job that is staged. Safe to repeat. Raises
    InvoiceNotFound, InvoiceStateRefused, PaymentUnderWay.
    """
    await holding.hold_derivation(tx, customer_id)
    before = await opening.lock_invoice(tx, call, customer_id, invoice_id)
    after = rules.voided(before, now, reason)
    if after == before:
        return before
    if before.kept_minor:
        raise InvoiceStateRefused(before.state, after.state)  # a part of it is paid: it is credited instead
    saved = await invoices.save_invoice(tx, before, after)
    await store.void_lines(tx, saved)
    await standing.void_credits(tx, saved)
    await discounting.give_back(tx, now, saved)
    await unit_grants.give_back(tx, now, customer_id, invoice_id)
    await one_off.release(tx, saved)
    if saved.top_up_id is not None:
        await funding.drop(tx, now, saved)
    await _post_void(tx, call, now, before, await balances.give_back(tx, call, now, saved))
    for job in (jobs.CollectInvoice(customer_id, invoice_id), jobs.InvoiceSettled(customer_id, invoice_id)):
        await opening.stage(tx, call, now, customer_id, job)
    await opening.tell(
        tx, call, now, saved, "invoice_voided", text=f"Invoice {before.number} voided", amount=before.total
    )
    await opening.audit(tx, call, "void_invoice", saved, reason=reason)
    return saved


async def _post_void(tx: Tx, call: Call, now: datetime, before: Invoice, back: GivenBack) -> None:
    """Post back what is left of an invoice after its credit notes, and what went back to balances."""
    credited = await notes.credited_by_line(tx, customer_id=before.customer_id, invoice_id=before.id)
    net = before.net.minor - sum(each.net_minor for each in credited.values())
    tax = before.tax.minor - sum(each.tax_minor for each in credited.values())
    lines = account.given_back(
        Money(net, before.currency),
        Money(tax, before.currency),
        Sources(
            due=before.outstanding,
            credit=Money(back.credit_minor, before.currency),
            refund=Money(0, before.currency),
            prepaid=Money(back.prepaid_minor, before.currency),
            promotion=Money(back.promotion_minor, before.currency),
        ),
        written_off=before.state is State.UNCOLLECTIBLE,
        earned=Account.REVENUE if before.top_up_id is None else Account.PREPAID_PENDING,
    )
    await opening.post(tx, call, now, before, lines, reason="invoice_voided")
