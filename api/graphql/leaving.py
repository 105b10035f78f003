"""Why customers leave: what they said when they ended a subscription."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.catalogue import Plan, plan_of
from api.graphql.context import Context
from api.graphql.fields import reading
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import guarded_type
from domain.access.roles import Permission
from domain.kernel.call import Environment
from domain.kernel.ids import PlanVersionId, SubscriptionId
from domain.kernel.period import Range
from domain.subscriptions import lifecycle
from domain.subscriptions.leaving import leaving, service

_READ = Permission.SUBSCRIPTION_READ


@guarded_type(_READ, "The end of a subscription that was asked for, or came for non-payment, and was not taken back.")
class Cancellation:
    """An end."""

    version_key: strawberry.Private[PlanVersionId]
    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    asked_at: datetime = strawberry.field(description="When it was asked for, in business time.")
    ends_at: datetime = strawberry.field(description="The first instant that is no longer part of the subscription.")
    reason: lifecycle.CancelReason | None = strawberry.field(description="Null where none was said.")
    feedback: str | None = strawberry.field(description="The customer's own words, where there are any.")

    @reading(Permission.CATALOGUE_READ, "The plan that it ends or ended on.")
    async def plan(self, info: Info[Context, None]) -> Plan:
        """Read it from the catalogue."""
        catalogue = await info.context.loaders.catalogue()
        return plan_of(catalogue, catalogue.plan_of_version(self.version_key), self.version_key)


@guarded_type(_READ, "How many subscriptions end for a reason.")
class CancellationReason:
    """A reason and its number."""

    reason: lifecycle.CancelReason | None = strawberry.field(description="Null: none was said.")
    count: int = strawberry.field(description="How many subscriptions.")


@strawberry.input(description="Ends for which all of this holds; what is null excludes nothing.")
class CancellationFilter:
    """A filter of ends."""

    environment: Environment | None = strawberry.field(description="Of one environment only.", default=None)
    asked_from: datetime | None = strawberry.field(
        description="Asked for at this instant of business time or later.", default=None
    )
    asked_before: datetime | None = strawberry.field(description="Asked for before this instant.", default=None)


_Filter = Annotated[CancellationFilter | None, strawberry.argument(description="Which of them; null: all.")]


def _wanted(given: CancellationFilter | None) -> leaving.Wanted:
    if given is None:
        return leaving.Wanted()
    return leaving.Wanted(given.environment, Range(given.asked_from, given.asked_before))


def _reason_of(stored: str | None) -> lifecycle.CancelReason | None:
    return lifecycle.CancelReason(stored) if stored is not None else None


def _cancellation_of(value: leaving.Leaving) -> Cancellation:
    return Cancellation(
        version_key=value.plan_version_id,
        subscription_id=ids.id_of("subscription", value.subscription_id),
        customer_id=ids.id_of("customer", value.customer_id),
        asked_at=value.asked_at,
        ends_at=value.ends_at,
        reason=_reason_of(value.reason),
        feedback=value.feedback,
    )


@strawberry.type
class LeavingQuery:
    """Queries over the ends of subscriptions."""

    @reading(_READ, "Ends of subscriptions that the caller may see, of those made last first, with what was said.")
    async def cancellations(
        self,
        info: Info[Context, None],
        filter: _Filter = None,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[Cancellation]:
        """List a page."""
        wanted = _wanted(filter)

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, Cancellation]]:
            async with info.context.runtime.db.transaction() as tx:
                before = SubscriptionId(last) if last else None
                found = await service.list_leaving(tx, info.context.call, wanted, before=before, limit=limit)
            return [(each.subscription_id, _cancellation_of(each)) for each in found]

        return await page(info.context, first, after, load)

    @reading(_READ, "How many of them end for which reason, the most frequent first: reads all of them.")
    async def cancellation_reasons(self, info: Info[Context, None], filter: _Filter = None) -> list[CancellationReason]:
        """Count them."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.count_reasons(tx, info.context.call, _wanted(filter))
        return [CancellationReason(reason=_reason_of(reason), count=count) for reason, count in found.items()]
