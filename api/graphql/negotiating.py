"""Plan versions that are negotiated with one customer."""

from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.catalogue import Plan, plan_of
from api.graphql.context import Context
from api.graphql.fields import changing, reading
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.contracts.negotiating import service
from domain.kernel.ids import PlanVersionId
from domain.plans.custom import read_terms


@guarded_type(Permission.SUBSCRIPTION_OVERRIDE, "The version is the customer's newest of the plan.")
class CustomVersionPublished:
    """Success of publishCustomVersion."""

    version_key: strawberry.Private[PlanVersionId]

    @reading(Permission.CATALOGUE_READ, "The plan, in this version.")
    async def plan(self, info: Info[Context, None]) -> Plan:
        """Read it from the catalogue."""
        catalogue = await info.context.loaders.catalogue()
        return plan_of(catalogue, catalogue.plan_of_version(self.version_key), self.version_key)


@strawberry.input(description="What was negotiated with a customer.")
class PublishCustomVersionInput:
    """Input of publishCustomVersion."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`; nobody else is shown the version.")
    product: str = strawberry.field(description="The product's key.")
    plan: str = strawberry.field(description="Key of the plan whose newest version is the base, such as enterprise.")
    terms: str = strawberry.field(
        description="JSON text: what differs from the base, in the shape of a catalogue file. `prices` and "
        "`entitlements` take the place of those of their key, `without` names keys to leave out, and `features`, "
        "`support`, `invoice_grace_s`, `proration`, `start`, `cancel_credit` and `net_days` those of the base. "
        "`existing` is `stay`, or `move_at_renewal` for the subscription that stands."
    )


PublishCustomVersionResult = Annotated[
    CustomVersionPublished | AnyProblem,
    strawberry.union("PublishCustomVersionResult", description="What became of publishCustomVersion."),
]


@strawberry.type
class CustomVersionQuery:
    """What is sold to one customer alone."""

    @reading(
        Permission.CATALOGUE_READ,
        "Plans of which a customer has a version of its own, which it subscribes to; empty where there is none.",
    )
    async def custom_plans(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
    ) -> list[Plan]:
        """Look them up for a customer that the caller may see."""
        async with info.context.runtime.db.transaction() as tx:
            catalogue, found = await service.custom_versions(tx, info.context.call, ids.customer_id(customer_id))
        return [plan_of(catalogue, catalogue.plan_of_version(each.id), each.id) for each in found]


@strawberry.type
class CustomVersionMutation:
    """Versions of plans for one customer."""

    @changing(
        Permission.SUBSCRIPTION_OVERRIDE,
        "Publish a version of a plan that is one customer's alone, over the newest that everybody is sold. Published "
        "once, never edited; the same terms again give the version that stands. Audited.",
    )
    async def publish_custom_version(
        self,
        info: Info[Context, None],
        input: Annotated[PublishCustomVersionInput, strawberry.argument(description="Whose, and what differs.")],
    ) -> PublishCustomVersionResult:
        """Publish it."""
        async with info.context.runtime.db.transaction() as tx:
            _, version = await service.publish_custom_version(
                tx,
                info.context.call,
                customer_id=ids.customer_id(input.customer_id),
                product_key=input.product,
                plan_key=input.plan,
                terms=read_terms(input.terms.encode(errors="surrogatepass")),
            )
        info.context.runtime.forget_catalogue()
        return CustomVersionPublished(version_key=version.id)
