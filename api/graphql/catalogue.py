"""What is sold: products, plans, published versions, prices, meters, entitlements; and the provider price list."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import reading
from api.graphql.kinds import Aggregation, ChargeModel, EntitlementKind, PriceKind
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Json, exact
from api.graphql.trials import Trial, trial_of
from domain.access.roles import Permission
from domain.contracts.ending.wish import CancelCredit
from domain.kernel.call import Environment
from domain.kernel.ids import PlanId, PlanVersionId, ProductId, ProviderPriceId
from domain.plans import meter as meters
from domain.plans import plan as plans
from domain.plans import provider_price, service
from domain.plans.plan import Catalogue
from domain.subscriptions.schedule import Interval

# More versions of a plan than a back office shows.
VERSIONS_SHOWN_MAX = 100


class LimitPolicy(StrEnum):
    """What happens above a limit."""

    HARD = "hard"
    SOFT = "soft"
    OBSERVE = "observe"


name_enum(
    LimitPolicy,
    "LimitPolicy",
    "What happens above a limit.",
    HARD="Nothing more is allowed.",
    SOFT="More is tolerated, up to a percentage and for some hours.",
    OBSERVE="It is only shown.",
)


@guarded_type(Permission.CATALOGUE_READ, "What one event type is counted into.")
class Meter:
    """A meter."""

    id: strawberry.ID = strawberry.field(description="`mtr_…`")
    key: str = strawberry.field(description="Stable name, unique in its product.")
    name: str = strawberry.field(description="For people.")
    event_type: str = strawberry.field(description="The `type` of the usage events it selects.")
    aggregation: Aggregation = strawberry.field(description="How it counts.")
    value_properties: list[str] = strawberry.field(description="Event properties whose numbers are added up.")
    dimensions: list[str] = strawberry.field(description="Event properties by which totals are kept, at most 5.")
    unit: str = strawberry.field(description="What its quantity counts.")


@guarded_type(Permission.CATALOGUE_READ, "One price of a plan version.")
class Price:
    """A price."""

    id: strawberry.ID = strawberry.field(description="`price_…`")
    key: str = strawberry.field(description="Stable name, unique in its version.")
    kind: PriceKind = strawberry.field(description="What it is for.")
    currency: str = strawberry.field(description="ISO 4217.")
    interval: Interval | None = strawberry.field(description="How often it is due, for fees.")
    meter: Meter | None = strawberry.field(description="Whose quantity is charged, for usage.")
    model: ChargeModel = strawberry.field(description="How the quantity becomes an amount.")
    definition: Json = strawberry.field(
        description="The charge model's figures: exact decimals in major units of `currency`."
    )
    description: str = strawberry.field(description="For people.")


@guarded_type(Permission.CATALOGUE_READ, "A limit or a feature of a plan version.")
class Entitlement:
    """An entitlement."""

    key: str = strawberry.field(description="Stable name, unique in its version.")
    kind: EntitlementKind = strawberry.field(description="What it grants.")
    meter: Meter | None = strawberry.field(description="Whose quantity is limited in each usage period.")
    dimensions: Json | None = strawberry.field(description="Dimension values that the limit is narrowed to, if any.")
    amount: Decimal | None = strawberry.field(
        description="In the meter's unit, or major units for a cost cap. Null is unlimited, 0 is nothing."
    )
    currency: str | None = strawberry.field(description="ISO 4217, for a cost cap.")
    policy: LimitPolicy | None = strawberry.field(description="What happens above it, for a limit.")
    soft_percent: int | None = strawberry.field(
        description="What a soft limit lets through, in percent of the amount: at least 100."
    )
    grace_hours: int | None = strawberry.field(description="How long a soft limit does so, in hours.")
    description: str = strawberry.field(description="For people.")


@guarded_type(Permission.CATALOGUE_READ, "A published version of a plan; never edited.")
class PlanVersion:
    """A plan version."""

    key: strawberry.Private[PlanVersionId]
    id: strawberry.ID = strawberry.field(description="`plv_…`")
    number: int = strawberry.field(description="1, 2, 3 … within its plan.")
    published_at: datetime = strawberry.field(description="When it was published.")
    features: list[str] = strawberry.field(description="What it includes, for people.")
    trial: Trial | None = strawberry.field(description="The trial with which a subscription starts, if any.")
    waits_for_payment: bool = strawberry.field(description="Whether it runs only once its first invoice is paid.")
    support: str = strawberry.field(description="How its customers reach the merchant.")
    tax_code: str | None = strawberry.field(
        description="What is sold, where taxes differ by it, such as saas; null: nothing in particular."
    )
    cancel_credit: CancelCredit = strawberry.field(
        description="What becomes of the paid time that an end now leaves unused, unless said otherwise then."
    )
    net_days: int | None = strawberry.field(
        description="Days from issue to due of invoices with its lines, 0 to 365, where the customer has no other "
        "terms; null: due as they are issued."
    )
    prices: list[Price] = strawberry.field(description="Fees and usage prices.")
    entitlements: list[Entitlement] = strawberry.field(description="Limits and features.")

    @reading(
        Permission.SUBSCRIPTION_READ,
        "How many subscriptions that the caller may see pin it and have not ended; incomplete ones are none.",
    )
    async def live_subscriptions(
        self,
        info: Info[Context, None],
        environment: Annotated[Environment, strawberry.argument(description="Live and test are never added.")],
    ) -> int:
        """Count them with those of the other versions of the request."""
        return await info.context.loaders.pinned.load((self.key, environment)) or 0


@guarded_type(Permission.CATALOGUE_READ, "One way to buy a product.")
class Plan:
    """A plan."""

    catalogue: strawberry.Private[Catalogue]
    plan_key: strawberry.Private[PlanId]
    id: strawberry.ID = strawberry.field(description="`plan_…`")
    key: str = strawberry.field(description="Stable name, unique in its product.")
    name: str = strawberry.field(description="For people.")
    rank: int = strawberry.field(description="A higher rank is an upgrade.")
    version: PlanVersion = strawberry.field(
        description="In a product the newest version, which a new subscription gets; in a subscription the one it pins."
    )
    archived_at: datetime | None = strawberry.field(
        description="Since when nobody can take it any more, in real time; who has it keeps it. Null: it is sold."
    )

    @reading(
        Permission.CATALOGUE_WRITE,
        "Its versions that everybody was or is sold, the newest first, at most 100; those of one customer alone are "
        "not among them.",
    )
    async def versions(self, info: Info[Context, None]) -> list[PlanVersion]:
        """List them from the catalogue that the plan was read from."""
        found = self.catalogue.versions_of(self.plan_key)[:VERSIONS_SHOWN_MAX]
        info.context.spend(len(found))
        return [version_of(self.catalogue, each.id) for each in found]


@guarded_type(Permission.CATALOGUE_READ, "What the merchant sells.")
class Product:
    """A product."""

    id: strawberry.ID = strawberry.field(description="`prod_…`")
    key: str = strawberry.field(description="Stable name.")
    name: str = strawberry.field(description="For people.")
    catalogue: strawberry.Private[Catalogue]
    product_key: strawberry.Private[ProductId]
    meters: list[Meter] = strawberry.field(description="What its usage events are counted into.")

    @reading(Permission.CATALOGUE_READ, "Its plans, lowest rank first.")
    async def plans(
        self,
        archived: Annotated[bool, strawberry.argument(description="Those that are not sold any more, too.")] = False,
    ) -> list[Plan]:
        """List them from the catalogue that the product was read from."""
        catalogue, key = self.catalogue, self.product_key
        found = catalogue.plans_of(key) if archived else catalogue.sold_plans_of(key)
        return [plan_of(catalogue, each, catalogue.current_version_of(each.id).id) for each in found]


@guarded_type(Permission.PRICE_READ, "What a provider charges for one token pool of a model, from an instant on.")
class ProviderPrice:
    """A row of the provider price list."""

    id: strawberry.ID = strawberry.field(description="`pp_…`")
    provider: str = strawberry.field(description="Such as gemini.")
    model: str = strawberry.field(description="Normalised model name; * for every model of the provider.")
    pool: str = strawberry.field(description="What is counted: input, output, cache_read, request, page, image …")
    amount: Decimal = strawberry.field(description="Major units of `currency` for `per` units, exact.")
    per: Decimal = strawberry.field(description="How many units the amount buys.")
    currency: str = strawberry.field(description="ISO 4217.")
    valid_from: datetime = strawberry.field(description="First instant at which it is in force.")
    valid_to: datetime | None = strawberry.field(description="First instant at which it no longer is; null is open.")
    source: str = strawberry.field(description="Where the figure comes from.")
    above: int = strawberry.field(
        description="It prices calls with more input tokens than so many, cached ones too: all of the pool's units. 0: "
        "calls for which no row of the pool with a higher `above` is."
    )


def meter_of(value: meters.Meter) -> Meter:
    """Wrap a meter."""
    return Meter(
        id=ids.id_of("meter", value.id),
        key=value.key,
        name=value.name,
        event_type=value.event_type,
        aggregation=Aggregation(value.aggregation),
        value_properties=list(value.value_properties),
        dimensions=list(value.dimensions),
        unit=value.unit,
    )


def _price_of(catalogue: Catalogue, value: plans.Price) -> Price:
    return Price(
        id=ids.id_of("price", value.id),
        key=value.key,
        kind=PriceKind(value.kind),
        currency=value.currency,
        interval=Interval(value.interval) if value.interval else None,
        meter=meter_of(catalogue.meter(value.meter_id)) if value.meter_id else None,
        model=ChargeModel(value.model),
        definition=Json(value.definition),
        description=value.description,
    )


def _entitlement_of(catalogue: Catalogue, value: plans.Entitlement) -> Entitlement:
    return Entitlement(
        key=value.key,
        kind=EntitlementKind(value.kind),
        meter=meter_of(catalogue.meter(value.meter_id)) if value.meter_id else None,
        dimensions=Json(value.dimension_filter) if value.dimension_filter else None,
        amount=exact(value.amount) if value.amount is not None else None,
        currency=value.currency,
        policy=LimitPolicy(value.policy) if value.policy else None,
        soft_percent=value.soft_percent,
        grace_hours=value.grace_hours,
        description=value.description,
    )


def version_of(catalogue: Catalogue, version_id: PlanVersionId) -> PlanVersion:
    """Wrap a plan version with its prices and entitlements."""
    value = catalogue.version(version_id)
    return PlanVersion(
        key=value.id,
        id=ids.id_of("plan_version", value.id),
        number=value.number,
        published_at=value.published_at,
        features=list(value.features),
        trial=trial_of(value.start.trial),
        waits_for_payment=value.start.when_paid,
        support=value.support,
        tax_code=value.tax_code,
        cancel_credit=CancelCredit(value.cancel_credit),
        net_days=value.net_days,
        prices=[_price_of(catalogue, price) for price in value.prices],
        entitlements=[_entitlement_of(catalogue, entitlement) for entitlement in value.entitlements],
    )


def plan_of(catalogue: Catalogue, value: plans.Plan, version_id: PlanVersionId) -> Plan:
    """Wrap a plan as it is sold in one version."""
    return Plan(
        catalogue=catalogue,
        plan_key=value.id,
        id=ids.id_of("plan", value.id),
        key=value.key,
        name=value.name,
        rank=value.rank,
        version=version_of(catalogue, version_id),
        archived_at=value.archived_at,
    )


def product_of(catalogue: Catalogue, value: plans.Product) -> Product:
    """Wrap a product with all it sells."""
    return Product(
        id=ids.id_of("product", value.id),
        key=value.key,
        name=value.name,
        catalogue=catalogue,
        product_key=value.id,
        meters=[meter_of(meter) for meter in catalogue.meters_of(value.id)],
    )


def provider_price_of(value: provider_price.ProviderPrice) -> ProviderPrice:
    """Wrap a row of the provider price list."""
    return ProviderPrice(
        id=ids.id_of("provider_price", value.id),
        provider=value.provider,
        model=value.model,
        pool=value.pool,
        amount=exact(value.amount),
        per=exact(value.per),
        currency=value.currency,
        valid_from=value.valid_from,
        valid_to=value.valid_to,
        source=value.source,
        above=value.above,
    )


@strawberry.type
class CatalogueQuery:
    """Queries about what is sold."""

    @reading(Permission.CATALOGUE_READ, "All products with their plans, by key.")
    async def products(self, info: Info[Context, None]) -> list[Product]:
        """List them; there are few."""
        catalogue = await info.context.loaders.catalogue()
        return [product_of(catalogue, product) for product in catalogue.products]

    @reading(Permission.CATALOGUE_READ, "The plan of a product by its key, an archived one too, or null.")
    async def plan(
        self,
        info: Info[Context, None],
        product: Annotated[str, strawberry.argument(description="The product's key, such as llm.")],
        key: Annotated[str, strawberry.argument(description="The plan's key, such as pro.")],
    ) -> Plan | None:
        """Look one up."""
        catalogue = await info.context.loaders.catalogue()
        try:
            found = catalogue.plan(product, key)
            return plan_of(catalogue, found, catalogue.current_version(product, key).id)
        except (plans.ProductNotFound, plans.PlanNotFound):
            return None

    @reading(Permission.PRICE_READ, "The provider price list, by provider, model, pool and date.")
    async def provider_prices(
        self,
        info: Info[Context, None],
        provider: Annotated[
            str | None, strawberry.argument(description="Rows of this provider, such as gemini.")
        ] = None,
        at: Annotated[datetime | None, strawberry.argument(description="Rows in force at this instant.")] = None,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[ProviderPrice]:
        """List a page."""

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, ProviderPrice]]:
            async with info.context.runtime.db.transaction() as tx:
                found = await service.list_provider_prices(
                    tx,
                    info.context.call,
                    provider=provider,
                    at=at,
                    after=ProviderPriceId(last) if last else None,
                    limit=limit,
                )
            return [(row.id, provider_price_of(row)) for row in found]

        return await page(info.context, first, after, load)
