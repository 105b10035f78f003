"""Whether what falls due of several subscriptions at the same instant is on one invoice."""

from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.customers import service


@guarded_type(Permission.INVOICE_WRITE, "What falls due from now on is invoiced like that.")
class InvoiceConsolidationSet:
    """Success of setInvoiceConsolidation."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    consolidates: bool = strawberry.field(description="As it now is.")


@strawberry.input(description="Whose invoices, and whether they are consolidated.")
class SetInvoiceConsolidationInput:
    """Input of setInvoiceConsolidation."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    consolidates: bool = strawberry.field(
        description="True: what falls due of its subscriptions in one currency at the same instant is on one invoice."
    )


SetInvoiceConsolidationResult = Annotated[
    InvoiceConsolidationSet | AnyProblem,
    strawberry.union("SetInvoiceConsolidationResult", description="What became of setInvoiceConsolidation."),
]


@strawberry.type
class ConsolidationMutation:
    """Changes of consolidation."""

    @changing(
        Permission.INVOICE_WRITE,
        "Say whether what falls due of a customer's subscriptions at the same instant is on one invoice. Where that is "
        "not paid, each subscription on it is past due. Staff only; safe to repeat.",
    )
    async def set_invoice_consolidation(
        self,
        info: Info[Context, None],
        input: Annotated[SetInvoiceConsolidationInput, strawberry.argument(description="Whose, and how.")],
    ) -> SetInvoiceConsolidationResult:
        """Set it."""
        wanted = ids.customer_id(input.customer_id)
        async with info.context.runtime.db.transaction() as tx:
            saved = await service.set_consolidation(tx, info.context.call, wanted, consolidates=input.consolidates)
        return InvoiceConsolidationSet(customer_id=ids.id_of("customer", saved.id), consolidates=saved.consolidates)
