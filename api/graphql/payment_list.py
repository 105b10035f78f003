"""Payment attempts of all customers: what came, what failed, and whose a payment of Stripe is."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import reading
from api.graphql.invoices import PaymentAttempt, attempt_of
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from domain.access.roles import Permission
from domain.kernel.call import Environment
from domain.kernel.ids import AttemptId
from domain.payments import attempt as attempts
from domain.payments.listing import filter as filters
from domain.payments.listing import service


@strawberry.input(description="Attempts for which all of this holds; what is null, or an empty list, excludes nothing.")
class PaymentFilter:
    """A filter of payment attempts."""

    environment: Environment | None = strawberry.field(description="Of one environment only.", default=None)
    customer_id: strawberry.ID | None = strawberry.field(description="`cus_…`", default=None)
    states: list[attempts.AttemptState] | None = strawberry.field(description="That stand so.", default=None)
    gateway_payment_id: str | None = strawberry.field(description="`pi_…` of Stripe.", default=None)
    ended_from: datetime | None = strawberry.field(
        description="That came to their end at this instant of business time or later.", default=None
    )
    ended_before: datetime | None = strawberry.field(
        description="That came to their end before this instant.", default=None
    )


def _filter_of(given: PaymentFilter | None) -> filters.PaymentFilter:
    if given is None:
        return filters.PaymentFilter()
    return filters.PaymentFilter(
        environment=given.environment,
        customer_id=ids.customer_id(given.customer_id) if given.customer_id is not None else None,
        states=frozenset(given.states or ()),
        gateway_payment_id=given.gateway_payment_id,
        ended_from=given.ended_from,
        ended_before=given.ended_before,
    )


@strawberry.type
class PaymentListQuery:
    """Queries over the payments of all customers that the caller may see."""

    @reading(Permission.PAYMENT_READ, "Payment attempts of all customers that the caller may see, the last ones first.")
    async def payments(
        self,
        info: Info[Context, None],
        filter: Annotated[PaymentFilter | None, strawberry.argument(description="Which of them; null: all.")] = None,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[PaymentAttempt]:
        """List a page."""
        wanted = _filter_of(filter)

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, PaymentAttempt]]:
            async with info.context.runtime.db.transaction() as tx:
                before = AttemptId(last) if last else None
                found = await service.list_attempts(tx, info.context.call, wanted, before=before, limit=limit)
            return [(each.id, attempt_of(each)) for each in found]

        return await page(info.context, first, after, load)
