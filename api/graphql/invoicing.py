"""What staff do to invoices: recompute, finalise, void, write off, credit."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, TypeVar

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.credit_notes import CreditNote, note_of
from api.graphql.fields import changing
from api.graphql.invoices import Invoice, invoice_of
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.graphql.scalars import MoneyInput, money_from
from domain.access.roles import Permission
from domain.contracts.invoicing import service
from domain.db import Tx
from domain.invoices import invoice as invoices
from domain.invoices import service as invoice_service
from domain.invoices.credit_note import CreditKind, CreditMalformed, CreditPart, CreditReason
from domain.invoices.crediting import service as crediting
from domain.invoices.invoice import InvoiceNotFound
from domain.kernel.ids import CreditNoteId, InvoiceId

T = TypeVar("T")


@guarded_type(Permission.INVOICE_WRITE, "The draft is as it should be now.")
class DraftRecomputed:
    """Success of recomputeDraft."""

    invoice: Invoice = strawberry.field(description="The draft.")


@guarded_type(Permission.INVOICE_WRITE, "The draft is issued, or kept as a statement where nothing is owed.")
class InvoiceFinalised:
    """Success of finaliseInvoice."""

    invoice: Invoice = strawberry.field(description="The invoice as it now stands.")


@guarded_type(Permission.INVOICE_WRITE, "The invoice is void and keeps its number.")
class InvoiceVoided:
    """Success of voidInvoice."""

    invoice: Invoice = strawberry.field(description="The void invoice.")
    regenerated: Invoice | None = strawberry.field(
        description="The draft with what is due again, where that was asked for and anything is."
    )


@guarded_type(Permission.INVOICE_WRITE, "The invoice is written off; money that still comes for it is taken.")
class InvoiceWrittenOff:
    """Success of markInvoiceUncollectible."""

    invoice: Invoice = strawberry.field(description="The invoice as it now stands.")


@guarded_type(Permission.INVOICE_WRITE, "The credit note is issued.")
class CreditNoteIssued:
    """Success of issueCreditNote."""

    credit_note: CreditNote = strawberry.field(description="The new credit note.")


@strawberry.input(description="Which draft to derive again.")
class RecomputeDraftInput:
    """Input of recomputeDraft."""

    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`")


@strawberry.input(description="Which draft to open now.")
class FinaliseInvoiceInput:
    """Input of finaliseInvoice."""

    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`")
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="Which invoice to take back, and why.")
class VoidInvoiceInput:
    """Input of voidInvoice."""

    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`, open or written off.")
    reason: invoices.VoidReason = strawberry.field(description="Why.")
    regenerate: bool = strawberry.field(
        description="Whether what is due again goes on the draft now. Otherwise the next derivation brings it.",
        default=False,
    )
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="Which invoice to give up.")
class MarkInvoiceUncollectibleInput:
    """Input of markInvoiceUncollectible."""

    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`, open.")
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="What to give back of one line.")
class CreditPartInput:
    """A part of issueCreditNote."""

    line_id: strawberry.ID = strawberry.field(description="`line_…` of the invoice.")
    amount: MoneyInput | None = strawberry.field(
        description="Above zero, before discounts and tax, whose shares go back with it; null: all that is left.",
        default=None,
    )


@strawberry.input(description="What to give back of an invoice.")
class IssueCreditNoteInput:
    """Input of issueCreditNote."""

    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`, opened and not void.")
    parts: list[CreditPartInput] = strawberry.field(
        description="At most 250 different lines; none: all that is left of the invoice.", default_factory=list
    )
    reason: CreditReason = strawberry.field(description="Why.")
    kind: CreditKind = strawberry.field(description="What becomes of what was paid.")
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


RecomputeDraftResult = Annotated[
    DraftRecomputed | AnyProblem,
    strawberry.union("RecomputeDraftResult", description="What became of recomputeDraft."),
]
FinaliseInvoiceResult = Annotated[
    InvoiceFinalised | AnyProblem,
    strawberry.union("FinaliseInvoiceResult", description="What became of finaliseInvoice."),
]
VoidInvoiceResult = Annotated[
    InvoiceVoided | AnyProblem, strawberry.union("VoidInvoiceResult", description="What became of voidInvoice.")
]
MarkInvoiceUncollectibleResult = Annotated[
    InvoiceWrittenOff | AnyProblem,
    strawberry.union("MarkInvoiceUncollectibleResult", description="What became of markInvoiceUncollectible."),
]
IssueCreditNoteResult = Annotated[
    CreditNoteIssued | AnyProblem,
    strawberry.union("IssueCreditNoteResult", description="What became of issueCreditNote."),
]


async def _find(tx: Tx, context: Context, invoice_id: InvoiceId) -> Invoice:
    found = await invoice_service.find_invoice(tx, context.call, invoice_id)
    if found is None:
        raise InvoiceNotFound
    return invoice_of(found)


async def _about(
    context: Context,
    mutation: str,
    given: FinaliseInvoiceInput | VoidInvoiceInput | MarkInvoiceUncollectibleInput | IssueCreditNoteInput,
    act: Callable[[Tx, invoices.Invoice], Awaitable[tuple[T, Mapping[str, str]]]],
    again: Callable[[Tx, Mapping[str, str]], Awaitable[T]],
) -> T | AnyProblem:
    """Do something to an invoice once for its idempotency key, and wake who watches its customer."""
    wanted = ids.invoice_id(given.invoice_id)
    async with context.runtime.db.transaction() as tx:
        found = await invoice_service.find_invoice(tx, context.call, wanted)
    if found is None:
        raise InvoiceNotFound
    wish = Wish(context, mutation, given.idempotency_key, found.customer_id, strawberry.asdict(given))
    result = await once(wish, lambda tx: act(tx, found), again)
    await context.runtime.wakeups.publish([found.customer_id])
    return result


def _part_of(given: CreditPartInput, currency: str) -> CreditPart:
    """Read a part. Raises IdMalformed, and CreditMalformed where its currency is not the invoice's."""
    line_id = ids.line_id(given.line_id)
    if given.amount is None:
        return CreditPart(line_id)
    amount = money_from(given.amount)
    if amount.currency != currency:
        raise CreditMalformed
    return CreditPart(line_id, amount.minor)


@strawberry.type
class InvoicingMutation:
    """Changes of invoices by staff."""

    @changing(
        Permission.INVOICE_WRITE, "Derive a draft again, with prices and coupons as they now are. Safe to repeat."
    )
    async def recompute_draft(
        self,
        info: Info[Context, None],
        input: Annotated[RecomputeDraftInput, strawberry.argument(description="Which draft.")],
    ) -> RecomputeDraftResult:
        """Derive it."""
        async with info.context.runtime.db.transaction() as tx:
            draft = await service.recompute_draft(tx, info.context.call, invoice_id=ids.invoice_id(input.invoice_id))
        await info.context.runtime.wakeups.publish([draft.customer_id])
        return DraftRecomputed(invoice=invoice_of(draft))

    @changing(Permission.INVOICE_WRITE, "Open a draft without waiting for its grace. Once per idempotency key.")
    async def finalise_invoice(
        self,
        info: Info[Context, None],
        input: Annotated[FinaliseInvoiceInput, strawberry.argument(description="Which draft.")],
    ) -> FinaliseInvoiceResult:
        """Open it."""
        context = info.context

        async def act(tx: Tx, wanted: invoices.Invoice) -> tuple[InvoiceFinalised, Mapping[str, str]]:
            opened = await service.finalise_now(tx, context.call, invoice_id=wanted.id)
            return InvoiceFinalised(invoice=invoice_of(opened)), {"invoice": str(opened.id)}

        async def again(tx: Tx, kept: Mapping[str, str]) -> InvoiceFinalised:
            return InvoiceFinalised(invoice=await _find(tx, context, InvoiceId(ids.uuid_of(kept["invoice"]))))

        return await _about(context, "finaliseInvoice", input, act, again)

    @changing(
        Permission.INVOICE_WRITE,
        "Take an open or written-off invoice back. Refused while a payment is under way. Once per idempotency key.",
    )
    async def void_invoice(
        self,
        info: Info[Context, None],
        input: Annotated[VoidInvoiceInput, strawberry.argument(description="Which invoice, and why.")],
    ) -> VoidInvoiceResult:
        """Void it, and derive what is due again where asked."""
        context = info.context

        async def act(tx: Tx, wanted: invoices.Invoice) -> tuple[InvoiceVoided, Mapping[str, str]]:
            void, draft = await service.void(
                tx, context.call, invoice_id=wanted.id, reason=input.reason, regenerate=input.regenerate
            )
            kept = {"invoice": str(void.id)} | ({"draft": str(draft.id)} if draft else {})
            return InvoiceVoided(invoice=invoice_of(void), regenerated=invoice_of(draft) if draft else None), kept

        async def again(tx: Tx, kept: Mapping[str, str]) -> InvoiceVoided:
            void = await _find(tx, context, InvoiceId(ids.uuid_of(kept["invoice"])))
            draft = await _find(tx, context, InvoiceId(ids.uuid_of(kept["draft"]))) if "draft" in kept else None
            return InvoiceVoided(invoice=void, regenerated=draft)

        return await _about(context, "voidInvoice", input, act, again)

    @changing(Permission.INVOICE_WRITE, "Write an open invoice off as a bad debt. Once per idempotency key.")
    async def mark_invoice_uncollectible(
        self,
        info: Info[Context, None],
        input: Annotated[MarkInvoiceUncollectibleInput, strawberry.argument(description="Which invoice.")],
    ) -> MarkInvoiceUncollectibleResult:
        """Write it off."""
        context = info.context

        async def act(tx: Tx, wanted: invoices.Invoice) -> tuple[InvoiceWrittenOff, Mapping[str, str]]:
            given_up = await service.write_off(tx, context.call, invoice_id=wanted.id)
            return InvoiceWrittenOff(invoice=invoice_of(given_up)), {"invoice": str(given_up.id)}

        async def again(tx: Tx, kept: Mapping[str, str]) -> InvoiceWrittenOff:
            return InvoiceWrittenOff(invoice=await _find(tx, context, InvoiceId(ids.uuid_of(kept["invoice"]))))

        return await _about(context, "markInvoiceUncollectible", input, act, again)

    @changing(
        Permission.INVOICE_WRITE,
        "Give back a part of an opened invoice, or all of it, by a credit note. Once per idempotency key.",
    )
    async def issue_credit_note(
        self,
        info: Info[Context, None],
        input: Annotated[IssueCreditNoteInput, strawberry.argument(description="What to give back, and why.")],
    ) -> IssueCreditNoteResult:
        """Issue it."""
        context = info.context

        async def act(tx: Tx, wanted: invoices.Invoice) -> tuple[CreditNoteIssued, Mapping[str, str]]:
            note = await service.credit(
                tx,
                context.call,
                invoice_id=wanted.id,
                parts=[_part_of(part, wanted.currency) for part in input.parts],
                reason=input.reason,
                kind=input.kind,
            )
            return CreditNoteIssued(credit_note=note_of(note)), {"credit_note": str(note.id)}

        async def again(tx: Tx, kept: Mapping[str, str]) -> CreditNoteIssued:
            note = await crediting.find_note(tx, context.call, CreditNoteId(ids.uuid_of(kept["credit_note"])))
            assert note is not None, "credit notes are never deleted"
            return CreditNoteIssued(credit_note=note_of(note))

        return await _about(context, "issueCreditNote", input, act, again)
