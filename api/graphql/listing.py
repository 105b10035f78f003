"""Invoices and credit notes of all customers: found by what is known of them, and added up."""

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.credit_notes import CreditNote, note_of
from api.graphql.fields import reading
from api.graphql.invoices import Invoice, invoice_of
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import guarded_type
from api.graphql.ranges import InstantRange, range_of
from api.graphql.scalars import Money, MoneyInput, money_from, money_of
from domain.access.roles import Permission
from domain.customers.customer import CollectionMethod
from domain.invoices import credit_note as notes
from domain.invoices import invoice as invoices
from domain.invoices.listing import filter as filters
from domain.invoices.listing import service, totals
from domain.kernel.call import Environment
from domain.kernel.ids import CreditNoteId, InvoiceId


@strawberry.input(description="Invoices for which all of this holds; what is null, or an empty list, excludes nothing.")
class InvoiceFilter:
    """A filter of invoices."""

    environment: Environment | None = strawberry.field(description="Of one environment only.", default=None)
    customer_id: strawberry.ID | None = strawberry.field(description="`cus_…`", default=None)
    number: str | None = strawberry.field(description="The whole number, such as 2026-000001.", default=None)
    kind: invoices.InvoiceKind | None = strawberry.field(description="Invoices or statements only.", default=None)
    states: list[invoices.State] | None = strawberry.field(description="That stand so.", default=None)
    currency: str | None = strawberry.field(description="ISO 4217, such as USD.", default=None)
    product: str | None = strawberry.field(
        description="A product's key: with a line of a subscription to it.", default=None
    )
    collection_method: CollectionMethod | None = strawberry.field(description="How they are paid.", default=None)
    issued: InstantRange | None = strawberry.field(description="When they were opened; no drafts.", default=None)
    due: InstantRange | None = strawberry.field(description="When they are to be paid; no drafts.", default=None)
    paid: InstantRange | None = strawberry.field(description="When they were paid; those that were.", default=None)
    total_at_least: MoneyInput | None = strawberry.field(
        description="With this total or more, in its currency.", default=None
    )
    total_at_most: MoneyInput | None = strawberry.field(
        description="With this total or less, in its currency.", default=None
    )


@strawberry.input(description="Credit notes for which all of this holds; what is null excludes nothing.")
class CreditNoteFilter:
    """A filter of credit notes."""

    environment: Environment | None = strawberry.field(description="Of one environment only.", default=None)
    customer_id: strawberry.ID | None = strawberry.field(description="`cus_…`", default=None)
    invoice_id: strawberry.ID | None = strawberry.field(description="`inv_…`, which they lower.", default=None)
    number: str | None = strawberry.field(description="The whole number.", default=None)
    kind: notes.CreditKind | None = strawberry.field(description="What becomes of what was paid.", default=None)
    reason: notes.CreditReason | None = strawberry.field(description="Why.", default=None)
    currency: str | None = strawberry.field(description="ISO 4217, such as USD.", default=None)
    issued: InstantRange | None = strawberry.field(description="When they were issued.", default=None)


@guarded_type(Permission.INVOICE_READ, "What the invoices of one environment and currency that stand alike add up to.")
class InvoiceTotals:
    """Totals of invoices."""

    environment: Environment = strawberry.field(description="Live and test are never added.")
    currency: str = strawberry.field(description="ISO 4217; amounts of different currencies are never added.")
    state: invoices.State = strawberry.field(description="Where they stand.")
    count: int = strawberry.field(description="How many there are.")
    net: Money = strawberry.field(description="After discounts, without tax.")
    tax: Money = strawberry.field(description="Their taxes.")
    total: Money = strawberry.field(description="What was to be paid in all.")
    credit_applied: Money = strawberry.field(description="What of it customers' balances paid.")
    credited: Money = strawberry.field(description="What of it credit notes took off before it was paid.")
    amount_due: Money = strawberry.field(description="What is still to be paid.")


@guarded_type(Permission.INVOICE_READ, "What the credit notes of one environment, currency and kind add up to.")
class CreditNoteTotals:
    """Totals of credit notes."""

    environment: Environment = strawberry.field(description="Live and test are never added.")
    currency: str = strawberry.field(description="ISO 4217; amounts of different currencies are never added.")
    kind: notes.CreditKind = strawberry.field(description="What becomes of what was paid.")
    count: int = strawberry.field(description="How many there are.")
    net: Money = strawberry.field(description="After discounts, without tax.")
    tax: Money = strawberry.field(description="Their taxes.")
    total: Money = strawberry.field(description="What they give back in all.")
    offset: Money = strawberry.field(description="What of it lowers what is due on invoices.")
    credited: Money = strawberry.field(description="What of it is kept as customer credit.")
    refund: Money = strawberry.field(description="What of it is to be paid back.")
    to_wallets: Money = strawberry.field(description="What of it goes back to prepaid wallets.")


def _invoice_filter(given: InvoiceFilter | None) -> filters.InvoiceFilter:
    if given is None:
        return filters.InvoiceFilter()
    return filters.InvoiceFilter(
        environment=given.environment,
        customer_id=ids.customer_id(given.customer_id) if given.customer_id is not None else None,
        number=given.number,
        kind=given.kind,
        states=frozenset(given.states or ()),
        currency=given.currency,
        product=given.product,
        collection=given.collection_method,
        issued=range_of(given.issued),
        due=range_of(given.due),
        paid=range_of(given.paid),
        at_least=money_from(given.total_at_least) if given.total_at_least else None,
        at_most=money_from(given.total_at_most) if given.total_at_most else None,
    )


def _note_filter(given: CreditNoteFilter | None) -> filters.CreditNoteFilter:
    if given is None:
        return filters.CreditNoteFilter()
    return filters.CreditNoteFilter(
        environment=given.environment,
        customer_id=ids.customer_id(given.customer_id) if given.customer_id is not None else None,
        invoice_id=ids.invoice_id(given.invoice_id) if given.invoice_id is not None else None,
        number=given.number,
        kind=given.kind,
        reason=given.reason,
        currency=given.currency,
        issued=range_of(given.issued),
    )


def _invoice_totals_of(value: totals.InvoiceSum) -> InvoiceTotals:
    return InvoiceTotals(
        environment=value.environment,
        currency=value.currency,
        state=value.state,
        count=value.count,
        net=money_of(value.net),
        tax=money_of(value.tax),
        total=money_of(value.total),
        credit_applied=money_of(value.applied),
        credited=money_of(value.offset),
        amount_due=money_of(value.due),
    )


def _note_totals_of(value: totals.NoteSum) -> CreditNoteTotals:
    return CreditNoteTotals(
        environment=value.environment,
        currency=value.currency,
        kind=value.kind,
        count=value.count,
        net=money_of(value.net),
        tax=money_of(value.tax),
        total=money_of(value.total),
        offset=money_of(value.offset),
        credited=money_of(value.credit),
        refund=money_of(value.refund),
        to_wallets=money_of(value.to_wallets),
    )


Invoices = Annotated[InvoiceFilter | None, strawberry.argument(description="Which of them; null: all.")]
Notes = Annotated[CreditNoteFilter | None, strawberry.argument(description="Which of them; null: all.")]


@strawberry.type
class ListingQuery:
    """Queries over the documents of all customers that the caller may see."""

    @reading(
        Permission.INVOICE_READ,
        "Invoices and statements of all customers that the caller may see, those drafted last first.",
    )
    async def invoices(
        self, info: Info[Context, None], filter: Invoices = None, first: First = PAGE_DEFAULT, after: After = None
    ) -> Connection[Invoice]:
        """List a page."""
        wanted = _invoice_filter(filter)

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, Invoice]]:
            async with info.context.runtime.db.transaction() as tx:
                before = InvoiceId(last) if last else None
                found = await service.list_invoices(tx, info.context.call, wanted, before=before, limit=limit)
            return [(each.id, invoice_of(each)) for each in found]

        return await page(info.context, first, after, load)

    @reading(
        Permission.INVOICE_READ,
        "What these invoices add up to, by environment, currency and state. Reads each of them.",
    )
    async def invoice_totals(self, info: Info[Context, None], filter: Invoices = None) -> list[InvoiceTotals]:
        """Add them up."""
        wanted = _invoice_filter(filter)
        async with info.context.runtime.db.transaction() as tx:
            found = await service.sum_invoices(tx, info.context.call, wanted)
        return [_invoice_totals_of(each) for each in found]

    @reading(Permission.INVOICE_READ, "Credit notes of all customers that the caller may see, the last ones first.")
    async def credit_notes(
        self, info: Info[Context, None], filter: Notes = None, first: First = PAGE_DEFAULT, after: After = None
    ) -> Connection[CreditNote]:
        """List a page."""
        wanted = _note_filter(filter)

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, CreditNote]]:
            async with info.context.runtime.db.transaction() as tx:
                before = CreditNoteId(last) if last else None
                found = await service.list_notes(tx, info.context.call, wanted, before=before, limit=limit)
            return [(each.id, note_of(each)) for each in found]

        return await page(info.context, first, after, load)

    @reading(
        Permission.INVOICE_READ,
        "What these credit notes add up to, by environment, currency and kind. Reads each of them.",
    )
    async def credit_note_totals(self, info: Info[Context, None], filter: Notes = None) -> list[CreditNoteTotals]:
        """Add them up."""
        wanted = _note_filter(filter)
        async with info.context.runtime.db.transaction() as tx:
            found = await service.sum_notes(tx, info.context.call, wanted)
        return [_note_totals_of(each) for each in found]
