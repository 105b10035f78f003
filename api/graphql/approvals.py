"""Customers ask for plans that are sold on approval."""

from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.alerts.requesting import service


@guarded_type(Permission.SUBSCRIPTION_WRITE, "Staff have been told.")
class PlanRequested:
    """Success of requestPlan."""

    product: str = strawberry.field(description="The product's key.")
    plan: str = strawberry.field(description="The plan's key.")


@strawberry.input(description="Which plan a customer asks for.")
class RequestPlanInput:
    """Input of requestPlan."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    product: str = strawberry.field(description="The product's key, such as edge.")
    plan: str = strawberry.field(description="Key of a plan with the feature `needs_approval`, such as enterprise.")


RequestPlanResult = Annotated[
    PlanRequested | AnyProblem, strawberry.union("RequestPlanResult", description="What became of requestPlan.")
]


@strawberry.type
class ApprovalMutation:
    """Requests for plans."""

    @changing(
        Permission.SUBSCRIPTION_WRITE,
        "Ask staff for a plan that is sold on approval. They are told once until it is read; safe to repeat.",
    )
    async def request_plan(
        self,
        info: Info[Context, None],
        input: Annotated[RequestPlanInput, strawberry.argument(description="Who asks, and for what.")],
    ) -> RequestPlanResult:
        """Tell them."""
        async with info.context.runtime.db.transaction() as tx:
            await service.request_plan(
                tx,
                info.context.call,
                ids.customer_id(input.customer_id),
                product_key=input.product,
                plan_key=input.plan,
            )
        return PlanRequested(product=input.product, plan=input.plan)
