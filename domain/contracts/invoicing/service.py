"""Recompute a draft, open it now, take an invoice back and derive it anew, write it off, credit it: all by staff."""

from collections.abc import Sequence

from domain.access.roles import Permission
from domain.contracts.desk.service import Desk, derive_anew, finalise_draft, held_on, open_desk
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.invoices import service as invoices
from domain.invoices.credit_note import CreditKind, CreditNote, CreditPart, CreditReason
from domain.invoices.crediting import service as crediting
from domain.invoices.invoice import Invoice, InvoiceNotFound, InvoiceStateRefused, State, VoidReason
from domain.kernel.call import Call
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import InvoiceId
from domain.kernel.values import dataclass


@dataclass(eq=False)
class DraftWaits(DomainError):
    """The draft stays one: too little is due on it, or its taxes are still being asked for. It joins what is next."""

    code = "draft_waits"
    kind = Kind.CONFLICT


async def recompute_draft(tx: Tx, call: Call, *, invoice_id: InvoiceId) -> Invoice:
    """Derive a draft again up to now, with coupons, rates and prices as they now are. Safe to repeat.

    Raises Forbidden, InvoiceNotFound, and InvoiceStateRefused for what is no draft any more.
    """
    desk, draft = await _open_desk_of(tx, call, invoice_id)
    _need_draft(draft)
    return await derive_anew(tx, call, desk, await held_on(tx, desk, draft.id), draft.currency) or draft


async def finalise_now(tx: Tx, call: Call, *, invoice_id: InvoiceId) -> Invoice:
    """Open a draft without waiting for the end of its grace; what falls due until then comes with the next one.

    Raises Forbidden, InvoiceNotFound, InvoiceStateRefused for what is no draft any more, and DraftWaits where it cannot
    be opened; then nothing was changed.
    """
    desk, draft = await _open_desk_of(tx, call, invoice_id)
    _need_draft(draft)
    opened = await finalise_draft(tx, call, desk, draft, at=min(desk.now, draft.grace_ends_at))
    if opened.state is State.DRAFT:
        raise DraftWaits
    return opened


async def void(
    tx: Tx, call: Call, *, invoice_id: InvoiceId, reason: VoidReason, regenerate: bool = False
) -> tuple[Invoice, Invoice | None]:
    """Take an open or written-off invoice back; where asked, put what is due again on the draft. Return both.

    The void one keeps its number. Without `regenerate` its lines come back with whatever is derived next for its
    subscriptions; what has ended for good is derived only where asked. Safe to repeat. Raises Forbidden,
    InvoiceNotFound, InvoiceStateRefused, PaymentUnderWay.
    """
    desk, found = await _open_desk_of(tx, call, invoice_id)
    voided = await invoices.void_invoice(
        tx, call, desk.now, customer_id=found.customer_id, invoice_id=invoice_id, reason=reason
    )
    if not regenerate:
        return voided, None
    due = await held_on(tx, desk, invoice_id, also_settled=True)
    return voided, await derive_anew(tx, call, desk, due, found.currency)


async def write_off(tx: Tx, call: Call, *, invoice_id: InvoiceId) -> Invoice:
    """Give an open invoice up as a bad debt. Safe to repeat.

    Raises Forbidden, InvoiceNotFound, InvoiceStateRefused, PaymentUnderWay.
    """
    desk, found = await _open_desk_of(tx, call, invoice_id)
    return await invoices.write_off_invoice(tx, call, desk.now, customer_id=found.customer_id, invoice_id=invoice_id)


async def credit(
    tx: Tx,
    call: Call,
    *,
    invoice_id: InvoiceId,
    parts: Sequence[CreditPart],
    reason: CreditReason,
    kind: CreditKind,
) -> CreditNote:
    """Give back parts of an opened invoice, or all that is left of it, as `crediting.credit_lines` does.

    Raises Forbidden, InvoiceNotFound, CreditRefused, CreditMalformed, CreditTooLarge, NothingToOffset,
    PaymentUnderWay.
    """
    desk, found = await _open_desk_of(tx, call, invoice_id)
    return await crediting.credit_lines(
        tx,
        call,
        desk.now,
        customer_id=found.customer_id,
        invoice_id=invoice_id,
        parts=parts,
        reason=reason,
        kind=kind,
    )


async def _open_desk_of(tx: Tx, call: Call, invoice_id: InvoiceId) -> tuple[Desk, Invoice]:
    """Hold the subscriptions of an invoice's customer. Raises Forbidden, InvoiceNotFound, CustomerErased."""
    call.need(Permission.INVOICE_WRITE)
    found = await invoices.find_invoice(tx, call, invoice_id)
    if found is None:
        raise InvoiceNotFound
    await erasing.hold_present(tx, found.customer_id)
    return await open_desk(tx, call, found.customer_id), found


def _need_draft(found: Invoice) -> None:
    if found.state is not State.DRAFT:
        raise InvoiceStateRefused(found.state, State.OPEN)
