"""Open a draft, mark an invoice paid, write it off; every change of what is owed is posted with it."""

from dataclasses import replace
from datetime import datetime

from domain.credits.grants import service as unit_grants
from domain.credits.top_up import TopUpInvoiceRefused
from domain.customers.customer import CollectionMethod
from domain.customers.service import clock_of
from domain.customers.store import Sight
from domain.db import Tx
from domain.invoices import invoice as rules
from domain.invoices import store
from domain.invoices.balances import service as balances
from domain.invoices.discounting import service as discounting
from domain.invoices.funding import service as funding
from domain.invoices.granted import taking
from domain.invoices.heading import Headed
from domain.invoices.headings import service as headings
from domain.invoices.holding import store as holding
from domain.invoices.invoice import Invoice, InvoiceNotFound, Line, Opening, State
from domain.invoices.number import series_year
from domain.invoices.numbering import store as numbering
from domain.invoices.one_off import service as one_off
from domain.invoices.taxing import service as taxing
from domain.invoices.taxing import statement as taxes
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.job import Job
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId, encode
from domain.kernel.money import Money
from domain.ledger import account
from domain.ledger import service as ledger
from domain.ledger.account import Posting


async def open_invoice(
    tx: Tx, call: Call, now: datetime, *, customer_id: CustomerId, invoice_id: InvoiceId, is_last: bool = False
) -> Invoice:
    """Open a draft: tax it, post it, pay it from balances, stage what follows, and take the next number last.

    A draft whose lines are all zero is kept as a statement: paid, without number, posting, mail or collection. One
    below the gateway's minimum once balances are taken off stays a draft and waits for what falls due next; where
    nothing will (`is_last`) it is opened and written off, and one below zero becomes customer credit. What balances
    pay whole is paid at once. One whose taxes have to be asked for stays a draft until they came. Safe to repeat: an
    invoice that is no draft comes back as it is. Raises InvoiceNotFound.
    """
    await holding.hold_derivation(tx, customer_id)
    draft = await lock_invoice(tx, call, customer_id, invoice_id)
    if draft.state is not State.DRAFT:
        return draft
    draft, reduced, is_taxed = await add_up(tx, now, draft)  # coupons and rates may have changed since it was drafted
    spending = await balances.plan(tx, call, now, draft)
    opening = rules.opening_of(draft, reduced.lines, balance_minor=spending.total_minor, is_last=is_last)
    if opening is Opening.WAIT:
        return draft
    if opening is Opening.STATEMENT:
        await _use(tx, call, now, draft, reduced)
        statement = await store.save_invoice(tx, draft, rules.stated(draft, now))
        await audit(tx, call, "state_invoice", statement)
        return statement
    if not is_taxed:
        await stage(tx, call, now, draft.customer_id, jobs.CalculateTax(draft.customer_id, draft.id))
        return draft
    await _use(tx, call, now, draft, reduced)
    headed = await headings.heading_of_draft(tx, draft, reduced.lines)
    is_sent = _will_be_sent(draft, headed, balance_minor=spending.total_minor)
    await _post_opening(tx, call, now, draft, is_mailed=not is_sent)
    applied = await balances.spend(tx, call, now, draft, spending)
    year = series_year(now)
    after = rules.opened(draft, now, headed=headed, applied_minor=applied)
    after = await _close_at_once(tx, call, now, after)
    number = await numbering.take_number(tx, environment=draft.environment, kind=draft.kind, year=year)
    return await store.save_invoice(tx, draft, rules.numbered(after, year, number))


def _will_be_sent(draft: Invoice, headed: Headed, *, balance_minor: int) -> bool:
    """Whether a draft, once opened, waits for its customer to pay it: balances leave enough, and nobody is charged."""
    left = draft.total.minor - balance_minor
    return headed.collection is CollectionMethod.SEND and left >= rules.minimum(draft.currency).minor


async def _use(tx: Tx, call: Call, now: datetime, draft: Invoice, reduced: discounting.Reduced) -> None:
    """Write what an invoice takes of coupons, of promotional grants and of one-off charges as it is opened."""
    await discounting.use(tx, call, now, draft, reduced)
    await unit_grants.use(tx, now, draft.customer_id, draft.id, taking(reduced.lines))
    await one_off.take(tx, draft, reduced.lines)


async def add_up(tx: Tx, now: datetime, draft: Invoice) -> tuple[Invoice, discounting.Reduced, bool]:
    """Take coupons off the lines of a draft, and write its sums and taxes.

    False where its taxes are not known: a foreign service may have to be asked.
    """
    reduced = await discounting.apply(tx, now, draft, await lines_of(tx, draft))
    lines = reduced.lines
    stated = await taxing.tax_draft(tx, draft, lines, issued_at=now)
    after = replace(
        draft,
        subtotal=Money(sum(line.amount.minor for line in lines), draft.currency),
        discount=Money(sum(line.discount.minor for line in lines), draft.currency),
        tax=Money(taxes.tax_minor(stated or ()), draft.currency),
        tax_included_minor=taxes.included_minor(stated or ()),
    )
    saved = draft if after == draft else await store.save_invoice(tx, draft, after)
    return saved, reduced, stated is not None


async def _post_opening(tx: Tx, call: Call, now: datetime, draft: Invoice, *, is_mailed: bool) -> None:
    """Everything that opening causes whatever becomes of the money, before the number series is locked."""
    postings = account.invoiced(draft.net, draft.tax)
    if postings:
        await post(tx, call, now, draft, postings, reason="invoice_opened")
    await announce(tx, call, now, draft, is_mailed=is_mailed)


async def announce(tx: Tx, call: Call, now: datetime, draft: Invoice, *, is_mailed: bool = True) -> None:
    """Tell of an invoice that is being opened, and have its document written.

    One that its customer pays without being charged is mailed later (`is_mailed`): once the mail can say how.
    """
    notices = [jobs.SendNotice(draft.customer_id, "invoice_issued", str(draft.id))] if is_mailed else []
    await stage(tx, call, now, draft.customer_id, *notices, jobs.RenderInvoice(draft.customer_id, draft.id))
    text = f"Invoice over {draft.total.major} {draft.currency} issued"
    await tell(tx, call, now, draft, "invoice_opened", text=text, amount=draft.total)
    await audit(tx, call, "open_invoice", draft)


async def _close_at_once(tx: Tx, call: Call, now: datetime, opened: Invoice) -> Invoice:
    """Stage the collection of an opened invoice, or end it where there is nothing that could be collected."""
    if opened.total.minor < 0:
        owed = -opened.total
        await balances.move(tx, call, now, opened, owed, reason="net_credit", about=opened.id)
        await post(tx, call, now, opened, account.kept(owed), reason="net_credit")
    if not opened.outstanding.minor:
        return await cover(tx, call, now, opened)
    if rules.too_little(opened):
        return await give_up(tx, call, now, opened)
    due_at = opened.due_at or now
    if opened.is_sent:
        # Its copy is made at once: it is what the customer pays. Nobody is charged, so nothing begins when it is due.
        own = (opened.customer_id, opened.id)
        await stage(tx, call, now, opened.customer_id, jobs.CollectInvoice(*own), jobs.FollowSentInvoice(*own))
        return opened
    later = jobs.CollectWhenDue(opened.customer_id, opened.id)
    job = later if due_at > now else jobs.CollectInvoice(opened.customer_id, opened.id)
    await stage(tx, call, due_at, opened.customer_id, job)
    return opened


async def cover(tx: Tx, call: Call, now: datetime, opened: Invoice) -> Invoice:
    """Return an invoice as paid of which nothing is left to collect; the caller saves it."""
    after = rules.covered(opened, now)
    await stage(tx, call, now, opened.customer_id, jobs.InvoiceSettled(opened.customer_id, opened.id))
    await tell(
        tx, call, now, opened, "invoice_paid", text="Invoice settled without a payment", amount=opened.outstanding
    )
    return after


async def give_up(tx: Tx, call: Call, now: datetime, opened: Invoice) -> Invoice:
    """Return an open invoice as written off, with its entry; the caller saves it."""
    after = rules.written_off(opened, now)
    await post(tx, call, now, opened, account.written_off(opened.outstanding), reason="invoice_written_off")
    text = f"{opened.outstanding.major} {opened.currency} written off"
    await tell(tx, call, now, opened, "invoice_written_off", text=text, amount=opened.outstanding)
    await audit(tx, call, "write_off_invoice", opened)
    return after


async def mark_paid(
    tx: Tx, call: Call, now: datetime, *, customer_id: CustomerId, invoice_id: InvoiceId, amount: Money, about: str
) -> Invoice:
    """Mark an open invoice paid in full and post it. `about` names what paid it, such as an attempt's id.

    Safe to repeat: one that is paid stays as it is, and nothing is posted again. Raises InvoiceNotFound,
    InvoiceStateRefused for a draft or a void invoice, PaymentDiffers where the amount is not what is outstanding.
    """
    before = await lock_invoice(tx, call, customer_id, invoice_id)
    after = rules.paid(before, now, amount)
    if after == before:
        return before
    saved = await store.save_invoice(tx, before, after)
    lines = account.collected(amount, written_off=before.state in {State.UNCOLLECTIBLE, State.CHARGED_BACK})
    await post(tx, call, now, saved, lines, reason="invoice_paid")
    await tell(tx, call, now, saved, "invoice_paid", text=f"Invoice {before.number} paid", amount=amount, paid_by=about)
    await audit(tx, call, "pay_invoice", saved, paid_by=about)
    if saved.top_up_id is not None:
        await funding.fund(tx, call, now, saved)
    return saved


async def hold_for_payment(tx: Tx, before: Invoice) -> Invoice:
    """Note that an attempt to collect an open invoice is under way; the caller holds the invoice's lock."""
    return await store.save_invoice(tx, before, rules.charged(before))


async def release_from_payment(tx: Tx, call: Call, *, customer_id: CustomerId, invoice_id: InvoiceId) -> None:
    """Note that no attempt is under way any more. Safe to repeat. Raises InvoiceNotFound."""
    before = await lock_invoice(tx, call, customer_id, invoice_id)
    if before.charging:
        await store.save_invoice(tx, before, rules.released(before))


async def write_off_invoice(
    tx: Tx, call: Call, now: datetime, *, customer_id: CustomerId, invoice_id: InvoiceId
) -> Invoice:
    """Give an open invoice up as a bad debt; money that still comes for it is taken.

    Safe to repeat. Raises InvoiceNotFound, InvoiceStateRefused, PaymentUnderWay, TopUpInvoiceRefused.
    """
    before = await lock_invoice(tx, call, customer_id, invoice_id)
    if before.top_up_id is not None:
        raise TopUpInvoiceRefused
    if before.state is State.UNCOLLECTIBLE:
        return before
    saved = await store.save_invoice(tx, before, await give_up(tx, call, now, before))
    await stage(tx, call, now, customer_id, jobs.CollectInvoice(customer_id, invoice_id))
    return saved


async def lock_invoice(tx: Tx, call: Call, customer_id: CustomerId, invoice_id: InvoiceId) -> Invoice:
    """Lock an invoice that the caller may see, until the transaction ends. Raises InvoiceNotFound."""
    sight = Sight(call.scope, call.principal.environment)
    found = await store.find_invoice(tx, invoice_id, sight=sight, customer_id=customer_id, lock=True)
    if found is None:
        raise InvoiceNotFound
    return found


async def lines_of(tx: Tx, invoice: Invoice) -> list[Line]:
    """Return an invoice's lines, in no order."""
    found = await store.lines_by_invoice_ids(tx, [invoice.id], sight=Sight(invoice.customer_id))
    return found[invoice.id]


async def post(tx: Tx, call: Call, now: datetime, about: Invoice, lines: list[Posting], *, reason: str) -> None:
    """Post an entry about an invoice. One that was asked for again has each entry once more."""
    name = encode("invoice", about.id)
    await ledger.post(
        tx,
        call,
        now,
        customer_id=about.customer_id,
        environment=about.environment,
        reason=reason,
        about=f"{name}:{about.reopened}" if about.reopened else name,
        lines=lines,
    )


async def stage(tx: Tx, call: Call, now: datetime, customer_id: CustomerId, *staged: Job) -> None:
    """Stage jobs of a customer, in its business time."""
    clock_id, _ = await clock_of(tx, call, customer_id)
    for job in staged:
        await journal.stage(tx, call, job, customer_id=customer_id, clock_id=clock_id, run_at=now)


async def tell(
    tx: Tx, call: Call, now: datetime, about: Invoice, event_type: str, *, text: str, amount: Money, **facts: str
) -> None:
    """Append a billing event about an invoice."""
    metadata = {"invoice_id": encode("invoice", about.id), **facts}
    await journal.tell(tx, call, now, about.customer_id, event_type, description=text, amount=amount, metadata=metadata)


async def audit(tx: Tx, call: Call, action: str, about: Invoice, **facts: str) -> None:
    """Append an audit entry about an invoice."""
    amounts = {"total_minor": about.total.minor, "currency": about.currency}
    await journal.audit(
        tx, call, action, encode("invoice", about.id), customer_id=about.customer_id, facts={**amounts, **facts}
    )
