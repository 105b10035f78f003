"""What invoices carry besides their lines: net terms, memo and purchase order."""

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.invoices import heading as headings
from domain.invoices.headings import service

_NET_DAYS = "Days from issue to due, 0 to 365; null: as the customer's, else due as it is issued."
_MEMO = "Text on the document, 1 to 500 characters; null: as the customer's, else none."
_ORDER = "The customer's number of its order, 1 to 60 characters; null: as the customer's, else none."


@guarded_type(Permission.INVOICE_READ, "What is set for invoices; what is not is left to the customer's, or is none.")
class InvoiceHeading:
    """A heading."""

    net_days: int | None = strawberry.field(description=_NET_DAYS)
    memo: str | None = strawberry.field(description=_MEMO)
    purchase_order: str | None = strawberry.field(description=_ORDER)


@strawberry.input(description="What invoices carry from now on; it replaces what was set.")
class SetInvoiceHeadingInput:
    """Input of setInvoiceHeading."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    subscription_id: strawberry.ID | None = strawberry.field(
        description="`sub_…`, for invoices with lines of one subscription; null: for all of the customer's.",
        default=None,
    )
    net_days: int | None = strawberry.field(description=_NET_DAYS, default=None)
    memo: str | None = strawberry.field(description=_MEMO, default=None)
    purchase_order: str | None = strawberry.field(description=_ORDER, default=None)


@strawberry.input(description="What one draft carries; it replaces what was set, and comes before all else.")
class SetDraftHeadingInput:
    """Input of setDraftHeading."""

    invoice_id: strawberry.ID = strawberry.field(description="`inv_…` of a draft.")
    net_days: int | None = strawberry.field(description=_NET_DAYS, default=None)
    memo: str | None = strawberry.field(description=_MEMO, default=None)
    purchase_order: str | None = strawberry.field(description=_ORDER, default=None)


@strawberry.input(description="The number of the customer's order that its invoices are to name.")
class SetPurchaseOrderInput:
    """Input of setPurchaseOrder."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    subscription_id: strawberry.ID | None = strawberry.field(
        description="`sub_…`, for invoices with lines of one subscription; null: for all.", default=None
    )
    purchase_order: str | None = strawberry.field(description="1 to 60 characters; null takes it away.", default=None)


@guarded_type(Permission.INVOICE_READ, "Invoices carry this from now on; what was issued stays as it is.")
class InvoiceHeadingSet:
    """Success of setInvoiceHeading and setDraftHeading."""

    heading: InvoiceHeading = strawberry.field(description="As it now stands.")


@guarded_type(Permission.PROFILE_WRITE, "The next invoices name this number.")
class PurchaseOrderSet:
    """Success of setPurchaseOrder."""

    purchase_order: str | None = strawberry.field(description="As it now is.")


SetInvoiceHeadingResult = Annotated[
    InvoiceHeadingSet | AnyProblem,
    strawberry.union("SetInvoiceHeadingResult", description="What became of setInvoiceHeading."),
]
SetDraftHeadingResult = Annotated[
    InvoiceHeadingSet | AnyProblem,
    strawberry.union("SetDraftHeadingResult", description="What became of setDraftHeading."),
]
SetPurchaseOrderResult = Annotated[
    PurchaseOrderSet | AnyProblem,
    strawberry.union("SetPurchaseOrderResult", description="What became of setPurchaseOrder."),
]


def heading_of(value: headings.Heading | None) -> InvoiceHeading:
    """Wrap a heading; None is one that sets nothing."""
    found = value or headings.NOTHING
    return InvoiceHeading(net_days=found.net_days, memo=found.memo, purchase_order=found.purchase_order)


async def heading_about(context: Context, about: UUID) -> InvoiceHeading:
    """Load what is set for a customer or subscription with those of the others of the request."""
    return heading_of(await context.loaders.headings.load(about))


@strawberry.type
class HeadingMutation:
    """Changes of what invoices carry."""

    @changing(
        Permission.INVOICE_WRITE,
        "Set net terms, memo and purchase order for a customer's invoices, or for those of one subscription. With "
        "several on an invoice the shortest terms count. Card and debit are charged when it is due. Staff only; "
        "audited; safe to repeat.",
    )
    async def set_invoice_heading(
        self,
        info: Info[Context, None],
        input: Annotated[SetInvoiceHeadingInput, strawberry.argument(description="Whose invoices, and what.")],
    ) -> SetInvoiceHeadingResult:
        """Set it."""
        wanted = headings.Heading(input.net_days, input.memo, input.purchase_order)
        subscription_id = ids.subscription_id(input.subscription_id) if input.subscription_id else None
        async with info.context.runtime.db.transaction() as tx:
            saved = await service.set_heading(
                tx, info.context.call, ids.customer_id(input.customer_id), wanted, subscription_id=subscription_id
            )
        return InvoiceHeadingSet(heading=heading_of(saved))

    @changing(
        Permission.INVOICE_WRITE,
        "Set what one draft carries once it is opened, before what is set for its customer. Audited; safe to repeat.",
    )
    async def set_draft_heading(
        self,
        info: Info[Context, None],
        input: Annotated[SetDraftHeadingInput, strawberry.argument(description="Which draft, and what.")],
    ) -> SetDraftHeadingResult:
        """Set it."""
        wanted = headings.Heading(input.net_days, input.memo, input.purchase_order)
        async with info.context.runtime.db.transaction() as tx:
            saved = await service.set_draft_heading(tx, info.context.call, ids.invoice_id(input.invoice_id), wanted)
        return InvoiceHeadingSet(heading=heading_of(saved))

    @changing(
        Permission.PROFILE_WRITE,
        "Set the number of the customer's order that its next invoices name. Audited; safe to repeat.",
    )
    async def set_purchase_order(
        self,
        info: Info[Context, None],
        input: Annotated[SetPurchaseOrderInput, strawberry.argument(description="Whose invoices, and the number.")],
    ) -> SetPurchaseOrderResult:
        """Set it."""
        subscription_id = ids.subscription_id(input.subscription_id) if input.subscription_id else None
        async with info.context.runtime.db.transaction() as tx:
            saved = await service.set_purchase_order(
                tx,
                info.context.call,
                ids.customer_id(input.customer_id),
                input.purchase_order,
                subscription_id=subscription_id,
            )
        return PurchaseOrderSet(purchase_order=saved.purchase_order)
