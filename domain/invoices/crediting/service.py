"""Issue credit notes, and read them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from domain.access.roles import Permission
from domain.credits.top_up import TopUpInvoiceRefused
from domain.credits.wallets.drawing import service as drawing
from domain.credits.wallets.drawing.service import GivenBack
from domain.customers.store import Sight
from domain.db import Tx
from domain.invoices import credit_note as rules
from domain.invoices import invoice as invoice_rules
from domain.invoices import store as invoices
from domain.invoices.balances import service as balances
from domain.invoices.credit_note import (
    CreditKind,
    CreditNote,
    CreditNoteLine,
    CreditPart,
    CreditReason,
    Shares,
)
from domain.invoices.crediting import store
from domain.invoices.invoice import Invoice, PaymentUnderWay, State
from domain.invoices.number import number_text, series_year
from domain.invoices.numbering import store as numbering
from domain.invoices.opening import service as opening
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CreditNoteId, CustomerId, InvoiceId, encode
from domain.kernel.money import Money
from domain.ledger import account
from domain.ledger import service as ledger
from domain.ledger.account import Account, Sources

# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101
LOOKUP_MAX = 1_000


async def credit_lines(
    tx: Tx,
    call: Call,
    now: datetime,
    *,
    customer_id: CustomerId,
    invoice_id: InvoiceId,
    parts: Sequence[CreditPart],
    reason: CreditReason,
    kind: CreditKind,
    is_numbered: bool = True,
    of_top_up: bool = False,
    earned: Account | None = None,
) -> CreditNote:
    """Give back parts of an opened invoice's lines, with their tax, by a credit note under a number of its own.

    What is still due is lowered first; what was paid becomes customer credit or a refund, by `kind`. An invoice of
    which nothing is left to collect is paid then; one of which too little is left for the gateway is written off. No
    parts mean all that is left. A note of a preview, which is undone, takes no number. Not repeatable: each call is
    another note. `earned` is where the net stands, if not where such an invoice's does. Raises InvoiceNotFound,
    CreditRefused, CreditMalformed, CreditTooLarge, NothingToOffset, InvoiceDisputed, PaymentUnderWay, and
    TopUpInvoiceRefused for a top-up, unless its wallet has given up what is credited (`of_top_up`).
    """
    invoice = await opening.lock_invoice(tx, call, customer_id, invoice_id)
    if invoice.top_up_id is not None and not of_top_up:
        raise TopUpInvoiceRefused
    lines = await opening.lines_of(tx, invoice)
    before = await store.credited_by_line(tx, customer_id=customer_id, invoice_id=invoice_id)
    wanted = parts or rules.rest_of(lines, before)
    credited = rules.credited_lines(invoice, lines, before, wanted)
    total_minor = sum(line.total_minor for line in credited)
    shares = rules.shares_of(
        invoice,
        total_minor,
        kind,
        from_wallets_minor=await drawing.drawn_by(tx, customer_id, invoice_id),
        moved_minor=await store.sum_paid_back(tx, customer_id=customer_id, invoice_id=invoice_id),
    )
    if shares.offset_minor and invoice.charging:
        raise PaymentUnderWay
    note = _note(call, now, invoice, credited, shares, kind=kind, reason=reason)
    await _post(tx, call, now, invoice, note, earned=earned)
    await _lower(tx, call, now, invoice, shares.offset_minor)
    numbered = await _numbered(tx, now, note) if is_numbered else note
    await store.insert_note(tx, numbered, [(call.new_id(), line) for line in credited])
    await opening.stage(tx, call, now, note.customer_id, jobs.RenderCreditNote(note.customer_id, note.id))
    return numbered


async def _numbered(tx: Tx, now: datetime, note: CreditNote) -> CreditNote:
    year = series_year(now)
    number = await numbering.take_number(tx, environment=note.environment, kind=rules.NUMBER_KIND, year=year)
    return replace(note, number=number_text(note.environment, year, number, series=rules.SERIES))


def _note(
    call: Call,
    now: datetime,
    invoice: Invoice,
    lines: Sequence[CreditNoteLine],
    shares: Shares,
    *,
    kind: CreditKind,
    reason: CreditReason,
) -> CreditNote:
    return CreditNote(
        customer_id=invoice.customer_id,
        id=CreditNoteId(call.new_id()),
        invoice_id=invoice.id,
        environment=invoice.environment,
        currency=invoice.currency,
        number="",
        kind=kind,
        reason=reason,
        issued_at=now,
        subtotal=Money(sum(line.amount.minor for line in lines), invoice.currency),
        discount=Money(sum(line.discount.minor for line in lines), invoice.currency),
        tax=Money(sum(line.tax.minor for line in lines), invoice.currency),
        tax_included_minor=sum(line.tax.minor for line in lines if line.tax_inclusive),
        offset_minor=shares.offset_minor,
        credit_minor=shares.credit_minor,
        refund_minor=shares.refund_minor,
        wallet_minor=shares.wallet_minor,
    )


async def _post(
    tx: Tx, call: Call, now: datetime, invoice: Invoice, note: CreditNote, *, earned: Account | None
) -> None:
    """Post a note, add its part of customer credit, and say so; before the number series is locked."""
    back = await _to_wallets(tx, call, now, invoice, note)
    credit = Money(note.credit_minor + back.credit_minor, note.currency)
    await ledger.post(
        tx,
        call,
        now,
        customer_id=note.customer_id,
        environment=note.environment,
        reason="credit_note_issued",
        about=encode("credit_note", note.id),
        lines=account.given_back(
            note.net,
            note.tax,
            Sources(
                due=Money(note.offset_minor, note.currency),
                credit=credit,
                refund=Money(note.refund_minor, note.currency),
                prepaid=Money(back.prepaid_minor, note.currency),
                promotion=Money(back.promotion_minor, note.currency),
            ),
            written_off=invoice.state in {State.UNCOLLECTIBLE, State.CHARGED_BACK},
            earned=earned or (Account.REVENUE if invoice.top_up_id is None else Account.PREPAID),
        ),
    )
    if credit.minor:
        await balances.move(tx, call, now, invoice, credit, reason="credit_note", about=note.id)
    facts = {"credit_note_id": encode("credit_note", note.id), "kind": note.kind, "reason": note.reason}
    text = f"Credit note over {note.total.major} {note.currency} issued"
    await opening.tell(tx, call, now, invoice, "credit_note_issued", text=text, amount=note.total, **facts)
    amounts = {"total_minor": note.total.minor, "currency": note.currency, "invoice_id": encode("invoice", invoice.id)}
    await journal.audit(
        tx, call, "issue_credit_note", facts["credit_note_id"], customer_id=note.customer_id, facts={**amounts, **facts}
    )


async def _to_wallets(tx: Tx, call: Call, now: datetime, invoice: Invoice, note: CreditNote) -> GivenBack:
    """Return to wallets their part of a note; what was paid for and has ended meanwhile becomes customer credit."""
    if not note.wallet_minor:
        return GivenBack()
    about = encode("credit_note", note.id)
    return await drawing.give_back(tx, call, now, invoice.customer_id, invoice.id, about=about, minor=note.wallet_minor)


async def _lower(tx: Tx, call: Call, now: datetime, before: Invoice, offset_minor: int) -> None:
    """Lower what is due on an invoice, and have the gateway's copy follow."""
    if not offset_minor:
        return
    after = replace(before, offset_minor=before.offset_minor + offset_minor)
    if not after.outstanding.minor:
        after = await opening.cover(tx, call, now, after)
    elif after.state is State.OPEN and invoice_rules.too_little(after):
        after = await opening.give_up(tx, call, now, after)
    await invoices.save_invoice(tx, before, after)
    await opening.stage(tx, call, now, before.customer_id, jobs.CollectInvoice(before.customer_id, before.id))


async def find_note(tx: Tx, call: Call, note_id: CreditNoteId) -> CreditNote | None:
    """Return a credit note, or None where there is none that the caller may see. Raises Forbidden."""
    call.need(Permission.INVOICE_READ)
    return await store.find_note(tx, note_id, sight=Sight(call.scope, call.principal.environment))


async def notes_by_customer_ids(
    tx: Tx, call: Call, ids: Collection[CustomerId], *, before: CreditNoteId | None = None, limit: int = PAGE_MAX
) -> dict[CustomerId, list[CreditNote]]:
    """Return the credit notes of each of at most LOOKUP_MAX customers, newest first, at most PAGE_MAX of each.

    One statement, for loaders. Raises Forbidden.
    """
    call.need(Permission.INVOICE_READ)
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    sight = Sight(call.scope, call.principal.environment)
    page = max(0, min(limit, PAGE_MAX))
    return await store.notes_by_customer_ids(tx, ids, sight=sight, before=before, limit=page)


async def notes_by_invoice_ids(
    tx: Tx, ids: Collection[InvoiceId], *, scope: CustomerId | None
) -> dict[InvoiceId, list[CreditNote]]:
    """Return the credit notes of at most LOOKUP_MAX invoices in the scope, the oldest first: one statement."""
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    return await store.notes_by_invoice_ids(tx, ids, sight=Sight(scope))


async def lines_by_note_ids(
    tx: Tx, ids: Collection[CreditNoteId], *, scope: CustomerId | None
) -> dict[CreditNoteId, list[CreditNoteLine]]:
    """Return the lines of at most LOOKUP_MAX credit notes in the scope: one statement, for loaders."""
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    return await store.lines_by_note_ids(tx, ids, scope=scope)
