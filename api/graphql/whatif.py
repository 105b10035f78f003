"""What a usage period would have come to under another plan or plan version."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import reading
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Json, Money, exact, money_of
from api.graphql.subscriptions import Period
from api.graphql.usage import Limit, limit_of
from domain.access.roles import Permission
from domain.contracts.what_if import service
from domain.contracts.what_if.replay import Compared, WhatIf
from domain.invoices.invoice import LineKind
from domain.limits.status import LimitStatus


@guarded_type(Permission.INVOICE_READ, "One thing that is charged, under the present plan and under the other one.")
class WhatIfLine:
    """A compared line."""

    kind: LineKind = strawberry.field(description="What it charges.")
    key: str = strawberry.field(description='"fee", the meter\'s key, or that of the cost cap.')
    dimensions: Json = strawberry.field(description="Names and values of the meter's dimensions.")
    quantity: Decimal = strawberry.field(description="In `unit`, exact.")
    unit: str = strawberry.field(
        description="What the quantity counts; of a fee the interval whose price is due so often, as for each seat."
    )
    present: Money = strawberry.field(description="What was billed, or would be if the period ended now.")
    other: Money = strawberry.field(description="What the other plan version would bill.")
    difference: Money = strawberry.field(description="`other` less `present`: below zero it would be cheaper.")


@guarded_type(Permission.INVOICE_READ, "A usage period beside what it would have come to. Nothing was written.")
class WhatIfComparison:
    """A comparison."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    period: Period = strawberry.field(description="The usage period.")
    is_over: bool = strawberry.field(description="False: it is running, and these are its figures up to now.")
    plan: str = strawberry.field(description="The key of the other plan.")
    version: int = strawberry.field(description="The number of its version.")
    lines: list[WhatIfLine] = strawberry.field(
        description="The fee (a yearly one with the period's share of its year), usage, and what a cost cap takes off."
    )
    present: Money = strawberry.field(description="Sum of the lines.")
    other: Money = strawberry.field(description="Sum of the lines.")
    difference: Money = strawberry.field(description="`other` less `present`: below zero it would be cheaper.")
    hit: strawberry.Private[Sequence[LimitStatus]]

    @reading(
        Permission.USAGE_READ,
        "Limits of the other version that the same usage has reached: some of it would have been refused.",
    )
    async def limits_hit(self) -> list[Limit]:
        """Show them to whoever may read usage as well."""
        return [limit_of(limit) for limit in self.hit]


def _line(value: Compared) -> WhatIfLine:
    return WhatIfLine(
        kind=value.kind,
        key=value.key,
        dimensions=Json(dict(value.dimensions)),
        quantity=exact(value.quantity),
        unit=value.unit,
        present=money_of(value.present),
        other=money_of(value.other),
        difference=money_of(value.difference),
    )


def comparison_of(value: WhatIf, plan: str, version: int) -> WhatIfComparison:
    """Wrap a comparison with the plan it was made against."""
    return WhatIfComparison(
        subscription_id=ids.id_of("subscription", value.subscription_id),
        period=Period(start=value.period.start, end=value.period.end),
        is_over=value.is_over,
        plan=plan,
        version=version,
        lines=[_line(line) for line in value.lines],
        present=money_of(value.present),
        other=money_of(value.other),
        difference=money_of(value.difference),
        hit=value.limits_hit,
    )


@strawberry.type
class WhatIfQuery:
    """What-if."""

    @reading(
        Permission.INVOICE_READ,
        "Replay the running usage period, or the one that `periodStart` lies in, against another plan of the product "
        "(its newest version unless told). The same usage is rated; nothing is written.",
    )
    async def what_if(
        self,
        info: Info[Context, None],
        *,
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
        subscription_id: Annotated[strawberry.ID, strawberry.argument(description="`sub_…`, one of the customer's.")],
        plan: Annotated[str, strawberry.argument(description="Key of a plan of the same product.")],
        version: Annotated[
            int | None, strawberry.argument(description="Number of its version; the newest, unless told.")
        ] = None,
        period_start: Annotated[
            datetime | None,
            strawberry.argument(description="An instant of the period to replay; the running one, unless told."),
        ] = None,
    ) -> WhatIfComparison:
        """Compare."""
        context = info.context
        async with context.runtime.db.transaction() as tx:
            found = await service.what_if(
                tx,
                context.call,
                customer_id=ids.customer_id(customer_id),
                subscription_id=ids.subscription_id(subscription_id),
                plan_key=plan,
                number=version,
                at=period_start,
            )
        number = (await context.loaders.catalogue()).version(found.other_version_id).number
        return comparison_of(found, plan, number)
