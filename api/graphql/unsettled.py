"""Metered calls whose usage nobody told, for staff."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import reading
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Cost, exact
from domain.access.roles import Permission
from domain.limits.unsettled import service
from domain.limits.unsettled import unsettled as rules
from domain.plans.provider_price import LIST_CURRENCY


@guarded_type(
    Permission.STAFF_ALERT_READ,
    "The reservation of a metered call that expired, neither settled nor released. Nothing is billed for it.",
)
class UnsettledReservation:
    """A call whose usage nobody told."""

    id: strawberry.ID = strawberry.field(
        description="`rsv_…`: settle it with what the provider's records say, or release it; then it leaves the list."
    )
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    type: str = strawberry.field(description="The event type of a meter, such as llm.call.")
    reserved_at: datetime = strawberry.field(description="When the call began, in real time.")
    expired_at: datetime = strawberry.field(description="Until when it was held, in real time.")
    found_at: datetime = strawberry.field(description="When it was found to be unsettled, in real time.")
    cost_at_most: Cost | None = strawberry.field(
        description="What was held for it, at list prices; null where it has no price."
    )


def _unsettled_of(value: rules.Unsettled) -> UnsettledReservation:
    return UnsettledReservation(
        id=strawberry.ID(value.name.text),
        customer_id=ids.id_of("customer", value.name.customer_id),
        subscription_id=ids.id_of("subscription", value.subscription_id),
        type=value.event_type,
        reserved_at=value.created_at,
        expired_at=value.expired_at,
        found_at=value.found_at,
        cost_at_most=Cost(amount=exact(value.cost), currency=LIST_CURRENCY) if value.cost is not None else None,
    )


@strawberry.type
class UnsettledQuery:
    """Queries of calls whose usage nobody told."""

    @reading(
        Permission.STAFF_ALERT_READ,
        "Metered calls that expired with nobody telling what they used, the one found last first. Kept for 35 days.",
    )
    async def unsettled_reservations(
        self,
        info: Info[Context, None],
        customer_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="`cus_…`: of one customer only.")
        ] = None,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[UnsettledReservation]:
        """List a page."""
        of = None if customer_id is None else ids.customer_id(customer_id)

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, UnsettledReservation]]:
            async with info.context.runtime.db.transaction() as tx:
                found = await service.list_unsettled(tx, info.context.call, of=of, before=last, limit=limit)
            return [(each.id, _unsettled_of(each)) for each in found]

        return await page(info.context, first, after, load)
