"""Staff's own prices in the provider price list: overrides and markups of what a provider charges."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import catalogue
from api.graphql.catalogue import ProviderPrice
from api.graphql.context import Context
from api.graphql.fields import changing
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.pricing.changes import set_merchant_prices
from domain.access.roles import Permission
from domain.plans.price_list import divided


@guarded_type(Permission.PRICE_WRITE, "The model's prices at `validFrom` are these; calls before it keep theirs.")
class ProviderPricesAdded:
    """Success of addProviderPrices."""

    prices: list[ProviderPrice] = strawberry.field(description="The model's rows in force at `validFrom`.")


@strawberry.input(description="The price of one token pool.")
class PoolPriceInput:
    """One row."""

    pool: str = strawberry.field(
        description="input, output, cache_read, request, page, image … Each at most once for each `above`."
    )
    amount: Decimal = strawberry.field(description="USD for `per` units, exact, at least 0. 0 is free.")
    per: Decimal = strawberry.field(description="1, 10, 100 and so on, such as 1000000.")
    above: int = strawberry.field(
        description="Prices calls with more input tokens than so many, at least 0, all input pools together: all of "
        "the pool's units. 0: calls for which no other row of the pool is.",
        default=0,
    )


@strawberry.input(description="The merchant's own prices of one model: either `prices` or `markup`.")
class AddProviderPricesInput:
    """Input of addProviderPrices."""

    provider: str = strawberry.field(description="A provider's key, such as gemini.")
    model: str = strawberry.field(
        description="Normalised model name; * for every model of the provider without rows of its own."
    )
    valid_from: datetime = strawberry.field(
        description="A full hour in UTC: after now where prices are in force, any where none are."
    )
    valid_to: datetime | None = strawberry.field(
        description="First instant at which they no longer hold, a full hour in UTC; open, unless told.", default=None
    )
    prices: list[PoolPriceInput] | None = strawberry.field(
        description="All pools that have a price; one without is charged as its parent, or is unpriced.", default=None
    )
    markup: Decimal | None = strawberry.field(
        description="Above 0: the factor on the prices in force just before `validFrom`, such as 1.15.", default=None
    )


AddProviderPricesResult = Annotated[
    ProviderPricesAdded | AnyProblem,
    strawberry.union("AddProviderPricesResult", description="What became of addProviderPrices."),
]


@strawberry.type
class PriceMutation:
    """Changes of the provider price list."""

    @changing(
        Permission.PRICE_WRITE,
        "Set a model's prices from an instant on to the merchant's own, with the source `merchant`. Safe to repeat.",
    )
    async def add_provider_prices(
        self,
        info: Info[Context, None],
        input: Annotated[AddProviderPricesInput, strawberry.argument(description="Which prices, and from when on.")],
    ) -> AddProviderPricesResult:
        """Add one set of rows in a transaction of its own."""
        prices, tiers = divided((row.pool, row.above, row.amount, row.per) for row in input.prices or ())
        async with info.context.runtime.db.transaction() as tx:
            found = await set_merchant_prices(
                tx,
                info.context.call,
                provider=input.provider,
                model=input.model,
                valid_from=input.valid_from.astimezone(UTC),
                valid_to=input.valid_to.astimezone(UTC) if input.valid_to else None,
                prices=prices,
                tiers=tiers,
                markup=input.markup,
            )
        return ProviderPricesAdded(prices=[catalogue.provider_price_of(row) for row in found])
