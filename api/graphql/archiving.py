"""Plans that are not sold any more."""

from collections.abc import Sequence
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql.catalogue import Plan, plan_of
from api.graphql.context import Context
from api.graphql.fields import changing, reading
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.kernel.ids import PlanId
from domain.plans.archiving import service

_PRODUCT = "The product's key."
_PLANS = "Keys of its plans; null: all of them."


async def _plans(context: Context, plan_ids: Sequence[PlanId]) -> list[Plan]:
    catalogue = await context.loaders.catalogue()
    found = [each for each in catalogue.plans if each.id in plan_ids]
    return [plan_of(catalogue, each, catalogue.current_version_of(each.id).id) for each in found]


@guarded_type(Permission.CATALOGUE_WRITE, "Nobody can take these plans any more.")
class PlansArchived:
    """Success of archivePlans."""

    plan_ids: strawberry.Private[Sequence[PlanId]]

    @reading(Permission.CATALOGUE_READ, "As they now stand.")
    async def plans(self, info: Info[Context, None]) -> list[Plan]:
        """Read them from the catalogue."""
        return await _plans(info.context, self.plan_ids)


@guarded_type(Permission.CATALOGUE_WRITE, "These plans are sold.")
class PlansRestored:
    """Success of restorePlans."""

    plan_ids: strawberry.Private[Sequence[PlanId]]

    @reading(Permission.CATALOGUE_READ, "As they now stand.")
    async def plans(self, info: Info[Context, None]) -> list[Plan]:
        """Read them from the catalogue."""
        return await _plans(info.context, self.plan_ids)


@strawberry.input(description="What is not to be sold any more.")
class ArchivePlansInput:
    """Input of archivePlans."""

    product: str = strawberry.field(description=_PRODUCT)
    plans: list[str] | None = strawberry.field(description=_PLANS, default=None)


@strawberry.input(description="What is to be sold again.")
class RestorePlansInput:
    """Input of restorePlans."""

    product: str = strawberry.field(description=_PRODUCT)
    plans: list[str] | None = strawberry.field(description=_PLANS, default=None)


ArchivePlansResult = Annotated[
    PlansArchived | AnyProblem, strawberry.union("ArchivePlansResult", description="What became of archivePlans.")
]
RestorePlansResult = Annotated[
    PlansRestored | AnyProblem, strawberry.union("RestorePlansResult", description="What became of restorePlans.")
]


@strawberry.type
class ArchivingMutation:
    """What is sold, and what no more."""

    @changing(
        Permission.CATALOGUE_WRITE,
        "Sell plans no more: nobody can subscribe or change to them, and lists of what is sold leave them out. Who has "
        "one keeps it, renews, and may change its quantity or interval; what was scheduled before is carried out, and "
        "so is a fall back to a free plan. Safe to repeat; audited.",
    )
    async def archive_plans(
        self,
        info: Info[Context, None],
        input: Annotated[ArchivePlansInput, strawberry.argument(description="Which ones.")],
    ) -> ArchivePlansResult:
        """Archive them; this process sells them no more at once, others within seconds."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.archive(tx, info.context.call, input.product, input.plans)
        info.context.runtime.forget_catalogue()
        return PlansArchived(plan_ids=[each.id for each in found])

    @changing(Permission.CATALOGUE_WRITE, "Sell archived plans again. Safe to repeat; audited.")
    async def restore_plans(
        self,
        info: Info[Context, None],
        input: Annotated[RestorePlansInput, strawberry.argument(description="Which ones.")],
    ) -> RestorePlansResult:
        """Restore them."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.restore(tx, info.context.call, input.product, input.plans)
        info.context.runtime.forget_catalogue()
        return PlansRestored(plan_ids=[each.id for each in found])
