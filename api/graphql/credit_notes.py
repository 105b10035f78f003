"""Credit notes: what was invoiced and is given back."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.download import CreditNoteDocument, note_document_of
from api.graphql.enums import name_enum
from api.graphql.fields import reading
from api.graphql.loaders import PageOf
from api.graphql.paging import Connection, page
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Money, exact, money_of
from domain.access.roles import Permission
from domain.invoices import credit_note as notes
from domain.invoices.crediting import service
from domain.kernel import money
from domain.kernel.ids import CreditNoteId, CustomerId

name_enum(
    notes.CreditKind,
    "CreditKind",
    "What becomes of what was paid. What is still due is taken off first, whatever the kind.",
    REFUND="It is paid back.",
    CUSTOMER_CREDIT="It pays the customer's next invoices.",
    OFFSET="Only what is due is lowered; what balances paid comes back to them.",
)
name_enum(
    notes.CreditReason,
    "CreditReason",
    "Why something is given back.",
    CORRECTION="It was wrong; what should have been billed is derived anew.",
    GOODWILL="The customer is to be kept happy.",
    DUPLICATE="It was billed twice.",
    FRAUDULENT="The customer never ordered it.",
    ORDER_CHANGE="The customer ordered something else.",
    PRODUCT_UNSATISFACTORY="What was sold was not good enough.",
)


@guarded_type(Permission.INVOICE_READ, "What a credit note gives back of one line.")
class CreditNoteLine:
    """A line."""

    line_id: strawberry.ID = strawberry.field(description="`line_…` of the invoice.")
    description: str = strawberry.field(description="For people.")
    quantity: Decimal = strawberry.field(description="The line's whole quantity, also where a part of it goes back.")
    unit: str = strawberry.field(
        description="What the quantity counts; of a fee the interval whose price is due so often, as for each seat."
    )
    amount: Money = strawberry.field(description="Before discounts.")
    discount: Money = strawberry.field(description="The part of the line's discounts that goes back with it.")
    tax: Money = strawberry.field(description="The part of the line's tax that goes back with it.")


@guarded_type(Permission.INVOICE_READ, "A document that takes back a part of an invoice. It is never changed.")
class CreditNote:
    """A credit note."""

    key: strawberry.Private[CreditNoteId]
    id: strawberry.ID = strawberry.field(description="`cn_…`")
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`")
    number: str = strawberry.field(description="Gap-free per year, in a series of its own.")
    kind: notes.CreditKind = strawberry.field(description="What becomes of what was paid.")
    reason: notes.CreditReason = strawberry.field(description="Why.")
    issued_at: datetime = strawberry.field(description="In business time.")
    subtotal: Money = strawberry.field(description="Sum of the lines, before discounts.")
    discount: Money = strawberry.field(description="Sum of their discounts.")
    tax: Money = strawberry.field(description="Sum of their taxes.")
    total: Money = strawberry.field(description="What is given back in all.")
    offset: Money = strawberry.field(description="What of it lowers what is due on the invoice.")
    credited: Money = strawberry.field(description="What of it is kept as customer credit.")
    refund: Money = strawberry.field(description="What of it is to be paid back.")
    to_wallets: Money = strawberry.field(description="What of it goes back to the prepaid wallets that had paid it.")

    @reading(Permission.INVOICE_READ, "What it gives back, line by line.")
    async def lines(self, info: Info[Context, None]) -> list[CreditNoteLine]:
        """Load them with those of the other notes of the request."""
        found = await info.context.loaders.credit_note_lines.load(self.key) or []
        info.context.spend(len(found))
        return [note_line_of(line) for line in found]

    @reading(Permission.INVOICE_READ, "It as a file; null in the moments until it is written.")
    async def document(self, info: Info[Context, None]) -> CreditNoteDocument | None:
        """Load what is known of it with the other notes of the request, and sign a link."""
        found = await info.context.loaders.credit_note_documents.load(self.key)
        return note_document_of(info.context, found) if found else None


def note_line_of(value: notes.CreditNoteLine) -> CreditNoteLine:
    """Wrap a line of a credit note."""
    return CreditNoteLine(
        line_id=ids.id_of("line", value.line_id),
        description=value.description,
        quantity=exact(value.quantity),
        unit=value.unit,
        amount=money_of(value.amount),
        discount=money_of(value.discount),
        tax=money_of(value.tax),
    )


def note_of(value: notes.CreditNote) -> CreditNote:
    """Wrap a credit note."""
    return CreditNote(
        key=value.id,
        id=ids.id_of("credit_note", value.id),
        customer_id=ids.id_of("customer", value.customer_id),
        invoice_id=ids.id_of("invoice", value.invoice_id),
        number=value.number,
        kind=value.kind,
        reason=value.reason,
        issued_at=value.issued_at,
        subtotal=money_of(value.subtotal),
        discount=money_of(value.discount),
        tax=money_of(value.tax),
        total=money_of(value.total),
        offset=money_of(money.Money(value.offset_minor, value.currency)),
        credited=money_of(money.Money(value.credit_minor, value.currency)),
        refund=money_of(money.Money(value.refund_minor, value.currency)),
        to_wallets=money_of(money.Money(value.wallet_minor, value.currency)),
    )


async def credit_notes_of(
    context: Context, customer_id: CustomerId, first: int, after: str | None
) -> Connection[CreditNote]:
    """Load a page of one customer's credit notes, newest first, with those of the other customers of the request."""

    async def load(last: UUID | None, limit: int) -> list[tuple[UUID, CreditNote]]:
        found = await context.loaders.credit_notes.load(PageOf(customer_id, last, limit)) or []
        return [(each.id, note_of(each)) for each in found]

    return await page(context, first, after, load)


@strawberry.type
class CreditNoteQuery:
    """Queries about credit notes."""

    @reading(Permission.INVOICE_READ, "A credit note, or null.")
    async def credit_note(
        self, info: Info[Context, None], id: Annotated[strawberry.ID, strawberry.argument(description="`cn_…`")]
    ) -> CreditNote | None:
        """Look one up."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.find_note(tx, info.context.call, ids.credit_note_id(id))
        return note_of(found) if found else None
