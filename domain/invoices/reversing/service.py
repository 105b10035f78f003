"""Carry to an invoice, with its entries, what a bank does to a payment of it.

The caller holds the invoice's lock and does each of these once for a dispute; the books refuse a second entry of a
reason about it.
"""

from datetime import datetime

from domain.db import Tx
from domain.invoices import reversal as rules
from domain.invoices import store
from domain.invoices.invoice import Invoice, State
from domain.invoices.opening import service as opening
from domain.kernel.call import Call
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.ledger import account
from domain.ledger import service as ledger
from domain.ledger.account import Posting


@dataclass(frozen=True, slots=True)
class Part:
    """What a dispute is about: the whole that the bank moves, what of it counts on the invoice, and its id.

    `unapplied_minor` of it is money that the invoice could not take: of that nothing counts on the invoice.
    """

    whole: Money
    minor: int
    about: str
    unapplied_minor: int = 0

    @property
    def unapplied(self) -> Money:
        """What of it was the customer's, unapplied."""
        return Money(self.unapplied_minor, self.whole.currency)


_IN_BAD_DEBT = frozenset((State.CHARGED_BACK, State.UNCOLLECTIBLE))


async def withhold(tx: Tx, call: Call, now: datetime, before: Invoice, part: Part) -> Invoice:
    """Book that a bank holds a payment until a dispute of it is decided."""
    await _post(tx, call, now, before, account.disputed(part.whole), reason="dispute_withdrawn", about=part.about)
    return await _save(tx, before, rules.withheld(before, part.minor))


async def release(tx: Tx, call: Call, now: datetime, before: Invoice, part: Part) -> Invoice:
    """Book that a bank gave a disputed payment back: everything is as it was before."""
    await _post(tx, call, now, before, account.disputed(-part.whole), reason="dispute_won", about=part.about)
    return await _save(tx, before, rules.released(before, part.minor))


async def lose(tx: Tx, call: Call, now: datetime, before: Invoice, part: Part) -> Invoice:
    """Book that a disputed payment is gone. Nobody asks for it again, unless staff say so."""
    lines = account.lost(part.whole - part.unapplied, part.unapplied)
    await _post(tx, call, now, before, lines, reason="dispute_lost", about=part.about)
    after = await _save(tx, before, rules.lost(before, part.minor))
    if after.state is not before.state:
        lost = Money(part.minor, before.currency)
        text = f"{lost.major} {lost.currency} charged back"
        await opening.tell(tx, call, now, after, "invoice_charged_back", text=text, amount=lost, dispute_id=part.about)
        await opening.audit(tx, call, "charge_back_invoice", after, dispute_id=part.about)
    return after


async def give_back(tx: Tx, call: Call, now: datetime, before: Invoice, part: Part) -> Invoice:
    """Book that a bank has returned a debit: the invoice is open again. What cannot be asked for again is lost."""
    is_open = rules.opens_again(before, part.minor)
    owed = Money(part.minor if is_open else 0, before.currency)
    lines = account.returned(owed, part.whole - owed - part.unapplied, part.unapplied)
    await _post(tx, call, now, before, lines, reason="payment_returned", about=part.about)
    if not is_open:
        return await _save(tx, before, rules.lost(before, part.minor))
    after = await _save(tx, before, rules.returned(before, part.minor))
    text = f"Invoice {before.number} is open again: its payment was returned"
    await opening.tell(tx, call, now, after, "invoice_reopened", text=text, amount=owed, dispute_id=part.about)
    await opening.audit(tx, call, "reopen_invoice", after, dispute_id=part.about)
    return after


async def reinstate(tx: Tx, call: Call, now: datetime, before: Invoice, part: Part) -> tuple[Invoice, Money]:
    """Book that a bank gave back what was lost; return what of it the invoice does not miss any more too.

    That, and what was unapplied before, is the customer's. Only an invoice that could take it counts: what comes back
    of another one has been unapplied all the time.
    """
    missed = min(part.minor, before.outstanding.minor) if before.state in _IN_BAD_DEBT else 0
    owed = Money(part.minor - missed, before.currency)
    lines = account.reinstated(owed + part.unapplied, part.whole - owed - part.unapplied)
    await _post(tx, call, now, before, lines, reason="dispute_reinstated", about=part.about)
    return await _save(tx, before, rules.reinstated(before, part.minor)), owed


async def take_back(tx: Tx, call: Call, now: datetime, before: Invoice, amount: Money, *, about: str) -> Invoice:
    """Open an invoice again whose payment staff had recorded and take back; its collection is the caller's.

    Raises InvoiceStateRefused, InvoiceDisputed, TooLittleToCollect.
    """
    saved = await _save(tx, before, rules.taken_back(before, amount.minor))
    lines = account.collected(-amount)
    await _post(tx, call, now, before, lines, reason="payment_reversed", about=about)
    text = f"Invoice {before.number} is open again: its payment was taken back"
    await opening.tell(tx, call, now, saved, "invoice_reopened", text=text, amount=amount)
    await opening.audit(tx, call, "reopen_invoice", saved, attempt_id=about)
    return saved


async def ask_again(tx: Tx, call: Call, now: datetime, before: Invoice) -> Invoice:
    """Open a charged-back invoice for what was lost of it; its collection is the caller's.

    Raises InvoiceStateRefused, InvoiceDisputed, TooLittleToCollect.
    """
    after = rules.asked_again(before)
    saved = await _save(tx, before, after)
    lines = account.asked_again(before.outstanding)
    await opening.post(tx, call, now, saved, lines, reason="invoice_asked_again")
    text = f"Invoice {before.number} is asked for again"
    await opening.tell(tx, call, now, saved, "invoice_reopened", text=text, amount=before.outstanding)
    await opening.audit(tx, call, "ask_for_invoice_again", saved)
    return saved


async def _save(tx: Tx, before: Invoice, after: Invoice) -> Invoice:
    return before if after == before else await store.save_invoice(tx, before, after)


async def _post(
    tx: Tx, call: Call, now: datetime, of: Invoice, lines: list[Posting], *, reason: str, about: str
) -> None:
    await ledger.post(
        tx,
        call,
        now,
        customer_id=of.customer_id,
        environment=of.environment,
        reason=reason,
        about=about,
        lines=lines,
    )
