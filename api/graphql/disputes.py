"""The list of disputes, and what staff do about one that was lost."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.dispute_views import Dispute, dispute_of
from api.graphql.fields import changing, reading
from api.graphql.invoices import Invoice, invoice_of
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.db import Tx
from domain.invoices import service as invoices
from domain.invoices.invoice import InvoiceNotFound
from domain.payments.dispute import Stance
from domain.payments.disputing import service


@guarded_type(Permission.INVOICE_WRITE, "The invoice is open again, and is collected.")
class InvoiceAskedAgain:
    """Success of collectChargedBackInvoice."""

    invoice: Invoice = strawberry.field(description="As it now stands: what was lost of it is due.")


@strawberry.input(description="Which charged-back invoice to collect again.")
class CollectChargedBackInvoiceInput:
    """Input of collectChargedBackInvoice."""

    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`")
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


CollectChargedBackInvoiceResult = Annotated[
    InvoiceAskedAgain | AnyProblem,
    strawberry.union("CollectChargedBackInvoiceResult", description="What became of collectChargedBackInvoice."),
]


@strawberry.type
class DisputeQuery:
    """Queries of disputes."""

    @reading(Permission.PAYMENT_READ, "Disputes that the caller may see, newest first.")
    async def disputes(
        self,
        info: Info[Context, None],
        *,
        customer_id: Annotated[strawberry.ID | None, strawberry.argument(description="Those of one customer.")] = None,
        stance: Annotated[Stance | None, strawberry.argument(description="Those that stand so.")] = None,
        open_only: Annotated[bool, strawberry.argument(description="Those that are not decided.")] = False,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[Dispute]:
        """List a page."""
        context = info.context
        customer = ids.customer_id(customer_id) if customer_id is not None else None

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, Dispute]]:
            async with context.runtime.db.transaction() as tx:
                found = await service.list_disputes(
                    tx,
                    context.call,
                    customer_id=customer,
                    stance=stance,
                    open_only=open_only,
                    before=last,
                    limit=limit,
                )
            return [(each.id, dispute_of(each)) for each in found]

        return await page(context, first, after, load)


@strawberry.type
class DisputeMutation:
    """Changes after a dispute."""

    @changing(
        Permission.INVOICE_WRITE,
        "Have what was lost of a charged-back invoice collected again, at once from the default payment method. Only "
        "where the customer has agreed to it: networks fine merchants who charge what was disputed. Once per "
        "idempotency key.",
    )
    async def collect_charged_back_invoice(
        self,
        info: Info[Context, None],
        input: Annotated[CollectChargedBackInvoiceInput, strawberry.argument(description="Which.")],
    ) -> CollectChargedBackInvoiceResult:
        """Open it; a job collects it."""
        context, invoice_id = info.context, ids.invoice_id(input.invoice_id)
        async with context.runtime.db.transaction() as tx:
            wanted = await invoices.find_invoice(tx, context.call, invoice_id)
        if wanted is None:
            raise InvoiceNotFound
        customer_id = wanted.customer_id

        async def act(tx: Tx) -> tuple[InvoiceAskedAgain, Mapping[str, str]]:
            opened = await service.ask_again(tx, context.call, invoice_id)
            return InvoiceAskedAgain(invoice=invoice_of(opened)), {}

        async def again(tx: Tx, kept: Mapping[str, str]) -> InvoiceAskedAgain:
            del kept
            found = await invoices.find_invoice(tx, context.call, invoice_id)
            assert found is not None, "an opened invoice is never deleted"
            return InvoiceAskedAgain(invoice=invoice_of(found))

        wish = Wish(context, "collectChargedBackInvoice", input.idempotency_key, customer_id, strawberry.asdict(input))
        result = await once(wish, act, again)
        await context.runtime.wakeups.publish([customer_id])
        return result
