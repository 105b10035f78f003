"""Put what a change takes back of an unpaid invoice on a credit note of that invoice (SEMANTICS 6.3)."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from domain.customers.customer import Customer
from domain.db import Tx
from domain.invoices import unpaid as rules
from domain.invoices.credit_note import CreditKind, CreditNote, CreditReason
from domain.invoices.crediting import service as crediting
from domain.invoices.crediting import store as notes
from domain.invoices.derivation import Changes
from domain.invoices.invoice import Line
from domain.invoices.offsetting import store
from domain.invoices.opening import service as opening
from domain.invoices.standing import store as standing_store
from domain.invoices.unpaid import Offset, Unpaid
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId, SubscriptionId

# Notes that one derivation issues: unpaid invoices of one fee period for each change in it.
NOTES_MAX = 50


class Offsets(StrEnum):
    """What becomes of credit for unpaid invoices: a note, a note that is not kept, or a line as any other credit."""

    ISSUED = "issued"
    PREVIEWED = "previewed"
    NONE = "none"


async def offset_next(tx: Tx, call: Call, now: datetime, customer: Customer, needed: Changes, *, how: Offsets) -> bool:
    """Issue the next credit note that what is needed asks for; False where it asks for none.

    What is due on the invoice is lowered first; what balances had paid of it becomes customer credit. The caller holds
    the derivation, and derives again after each note: the part on it stands then. The invoice is locked, so that an
    attempt to collect it begins before or after: what is under way counts as paid.
    """
    for credit in (line for line in needed.add if rules.takes_back(line)):
        assert credit.identity.subscription_id is not None, "a fee is of a subscription"
        standing = await standing_store.list_standing_lines(
            tx,
            customer_id=customer.id,
            segment_ids=(),
            subscription_ids=[credit.identity.subscription_id],
            fees_since=datetime.fromisoformat(credit.derivation["period"]["start"]),
        )
        charged = rules.charged_by(standing, credit)
        found = rules.offset_of(credit, charged, await _unpaid(tx, call, customer.id, charged))
        if found is not None:
            note = await _issue(tx, call, now, customer.id, found, how=how)
            await standing_store.insert_credit(tx, note, call.new_id(), credit, amount_minor=found.amount_minor)
            return True
    return False


async def _unpaid(tx: Tx, call: Call, customer_id: CustomerId, charged: Sequence[Line]) -> dict[InvoiceId, Unpaid]:
    """Lock the invoices of lines in the order of their ids, and load those that are not paid."""
    found = dict[InvoiceId, Unpaid]()
    for invoice_id in sorted({line.invoice_id for line in charged}):
        invoice = await opening.lock_invoice(tx, call, customer_id, invoice_id)
        if rules.is_unpaid(invoice):
            before = await notes.credited_by_line(tx, customer_id=customer_id, invoice_id=invoice_id)
            found[invoice_id] = Unpaid(invoice, tuple(await opening.lines_of(tx, invoice)), before)
    return found


async def _issue(
    tx: Tx, call: Call, now: datetime, customer_id: CustomerId, found: Offset, *, how: Offsets
) -> CreditNote:
    return await crediting.credit_lines(
        tx,
        call,
        now,
        customer_id=customer_id,
        invoice_id=found.invoice_id,
        parts=found.parts,
        reason=CreditReason.ORDER_CHANGE,
        kind=CreditKind.CUSTOMER_CREDIT,
        is_numbered=how is Offsets.ISSUED,
    )


async def notes_of_change(
    tx: Tx, customer_id: CustomerId, subscription_id: SubscriptionId, charged_from: datetime
) -> Sequence[CreditNote]:
    """Return the credit notes by which a change that is charged from an instant lowered unpaid invoices."""
    return await store.list_notes_from(tx, customer_id=customer_id, subscription_id=subscription_id, since=charged_from)
