"""More time to pay an invoice."""

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing
from api.graphql.invoices import Invoice, invoice_of
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.payments.extending import service


@guarded_type(Permission.INVOICE_WRITE, "The invoice is due then.")
class DueDateExtended:
    """Success of extendDueDate."""

    invoice: Invoice = strawberry.field(description="The invoice as it now stands.")


@strawberry.input(description="Which invoice is to be due later.")
class ExtendDueDateInput:
    """Input of extendDueDate."""

    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`, open and not due yet.")
    due_at: datetime = strawberry.field(
        description="In business time: later than it is due now, at most 365 days ahead."
    )


ExtendDueDateResult = Annotated[
    DueDateExtended | AnyProblem, strawberry.union("ExtendDueDateResult", description="What became of extendDueDate.")
]


@strawberry.type
class ExtendingMutation:
    """Changes of when invoices are due."""

    @changing(
        Permission.INVOICE_WRITE,
        "Have an open invoice be due later: its charge, its reminders and its dunning wait until then. The document "
        "stays as it was issued. One that is due already is given time by extendDunningGrace. Staff only; safe to "
        "repeat; audited.",
    )
    async def extend_due_date(
        self,
        info: Info[Context, None],
        input: Annotated[ExtendDueDateInput, strawberry.argument(description="Which one, and until when.")],
    ) -> ExtendDueDateResult:
        """Extend it."""
        async with info.context.runtime.db.transaction() as tx:
            invoice_id = ids.invoice_id(input.invoice_id)
            extended = await service.extend_due_date(tx, info.context.call, invoice_id, input.due_at)
        await info.context.runtime.wakeups.publish([extended.customer_id])
        return DueDateExtended(invoice=invoice_of(extended))
