"""Products as their operator writes them: published, tried, and read back."""

from typing import Annotated

import msgspec
import strawberry
from strawberry.types import Info

from api.catalogue.trying import publish
from api.graphql.catalogue import Product, product_of
from api.graphql.context import Context
from api.graphql.fields import changing, reading
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.plans.definition import read_product
from domain.plans.plan import ProductNotFound
from domain.plans.publishing import service


@guarded_type(Permission.CATALOGUE_WRITE, "What publishing does to one plan.")
class PlanPublication:
    """A plan that changes."""

    plan: str = strawberry.field(description="Its key.")
    version: int | None = strawberry.field(
        description="Number of the version that it gets; null where only its name or rank changes."
    )
    details: list[str] = strawberry.field(
        description="What differs from the version before, such as `+ price fee_year_usd`, `~ entitlement seats`, "
        "`- price old`, `~ name`; empty for a plan that is new."
    )


@guarded_type(Permission.CATALOGUE_WRITE, "The product stands as it was defined, or would: `dryRun` says which.")
class ProductPublished:
    """Success of publishProduct."""

    product_key: strawberry.Private[str]
    dry_run: bool = strawberry.field(description="Whether nothing was kept.")
    meters: list[str] = strawberry.field(description="Keys of the meters that are added.")
    plans: list[PlanPublication] = strawberry.field(description="Plans that are new or differ from what stood.")
    left_out: list[str] = strawberry.field(
        description="`plan …` and `meter …` that stand and that the definition does not name: they stay as they are."
    )

    @reading(Permission.CATALOGUE_READ, "What stands now; null of a product that was only tried.")
    async def product(self, info: Info[Context, None]) -> Product | None:
        """Read it from the catalogue."""
        catalogue = await info.context.loaders.catalogue()
        try:
            return product_of(catalogue, catalogue.product(self.product_key))
        except ProductNotFound:
            return None


@strawberry.input(description="A product as its operator writes it.")
class PublishProductInput:
    """Input of publishProduct."""

    definition: str = strawberry.field(
        description="JSON text in the shape of `docs/catalogue.md`: `key`, `name`, `meters` and `plans`. "
        "`productDefinition` gives that of a product that stands."
    )
    dry_run: bool = strawberry.field(description="Only say what would change, and keep nothing of it.", default=False)


PublishProductResult = Annotated[
    ProductPublished | AnyProblem,
    strawberry.union("PublishProductResult", description="What became of publishProduct."),
]


@strawberry.type
class PublishingQuery:
    """What may be changed and published again."""

    @reading(
        Permission.CATALOGUE_WRITE,
        "A product as JSON text, with the newest version of each plan that everybody is sold: change it and give it to "
        "`publishProduct`. Null where there is no such product.",
    )
    async def product_definition(
        self,
        info: Info[Context, None],
        product: Annotated[str, strawberry.argument(description="The product's key, such as llm.")],
    ) -> str | None:
        """Write it."""
        async with info.context.runtime.db.transaction() as tx:
            try:
                found = await service.get_definition(tx, info.context.call, product)
            except ProductNotFound:
                return None
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


@strawberry.type
class PublishingMutation:
    """What is sold, for everybody."""

    @changing(
        Permission.CATALOGUE_WRITE,
        "Publish a product: its meters, its plans, and a new version of each plan that differs from what stands. A "
        "version is never edited: subscriptions keep theirs, or move at their renewal where the new one says "
        "`move_at_renewal`. The catalogue is the same for live and test. Safe to repeat; audited.",
    )
    async def publish_product(
        self,
        info: Info[Context, None],
        input: Annotated[PublishProductInput, strawberry.argument(description="What is sold.")],
    ) -> PublishProductResult:
        """Publish it in a transaction of its own, which is undone where it is only tried."""
        product = read_product(input.definition.encode(errors="surrogatepass"))
        found = await publish(info.context.runtime.db, info.context.call, product, keep=not input.dry_run)
        info.context.runtime.forget_catalogue()
        return ProductPublished(
            product_key=found.product,
            dry_run=input.dry_run,
            meters=list(found.meters),
            plans=[
                PlanPublication(plan=each.plan, version=each.number, details=list(each.details)) for each in found.plans
            ],
            left_out=list(found.left_out),
        )
