"""Taxes of a stretch of time, for a tax return."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql.context import Context
from api.graphql.fields import reading
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Money, exact, money_of
from domain.access.roles import Permission
from domain.invoices import tax as taxes
from domain.invoices.declaring import report as reports
from domain.invoices.declaring import service
from domain.kernel import money
from domain.kernel.call import Environment
from domain.kernel.period import Period


@guarded_type(Permission.LEDGER_READ, "What invoices of one currency state alike: a rate, or a reason for none.")
class TaxReportRow:
    """A row of a tax report."""

    currency: str = strawberry.field(description="ISO 4217.")
    country: str | None = strawberry.field(description="ISO 3166 country of the rate; null where no tax is taken.")
    region: str | None = strawberry.field(description="ISO 3166-2 part of it, where the rate is of a region.")
    name: str | None = strawberry.field(description="Of the rate; null where no tax is taken.")
    rate: Decimal | None = strawberry.field(description="In percent; null where no tax is taken.")
    inclusive: bool = strawberry.field(description="Whether prices contain it.")
    reason: taxes.NoTax | None = strawberry.field(
        description="Why no tax is taken; null where one is, and where taxes were not set up."
    )
    base: Money = strawberry.field(description="The net to declare: invoiced less taken back.")
    tax: Money = strawberry.field(description="The tax to declare: invoiced less taken back.")
    invoiced_base: Money = strawberry.field(description="Net of the invoices issued.")
    invoiced_tax: Money = strawberry.field(description="Their tax.")
    taken_back_base: Money = strawberry.field(description="Net of credit notes issued and of invoices voided.")
    taken_back_tax: Money = strawberry.field(description="Their tax.")


def _row_of(value: reports.Row) -> TaxReportRow:
    stated = value.stated

    def amount(minor: int) -> Money:
        return money_of(money.Money(minor, stated.currency))

    return TaxReportRow(
        currency=stated.currency,
        country=stated.country,
        region=stated.region,
        name=stated.name,
        rate=exact(stated.percent) if stated.percent is not None else None,
        inclusive=stated.inclusive,
        reason=stated.reason,
        base=amount(value.remains.base),
        tax=amount(value.remains.tax),
        invoiced_base=amount(value.invoiced.base),
        invoiced_tax=amount(value.invoiced.tax),
        taken_back_base=amount(value.taken_back.base),
        taken_back_tax=amount(value.taken_back.tax),
    )


@strawberry.type
class TaxReportQuery:
    """Queries for tax returns."""

    @reading(
        Permission.LEDGER_READ,
        "What was taxed in a stretch of business time, by country, region and rate. Invoices count when issued, credit "
        "notes likewise, void invoices when voided: the taxes add up to what TAX_PAYABLE moved by. A line with several "
        "rates is in the base of each; top-ups are in none. Reads each document; for staff.",
    )
    async def tax_report(
        self,
        info: Info[Context, None],
        environment: Annotated[Environment, strawberry.argument(description="Live or test.")],
        start: Annotated[datetime, strawberry.argument(description="The first instant.")],
        end: Annotated[datetime, strawberry.argument(description="The first instant after it, at most 731 days on.")],
    ) -> list[TaxReportRow]:
        """Report."""
        reports.check_stretch(start, end)
        async with info.context.runtime.db.snapshot() as tx:
            found = await service.report(tx, info.context.call, environment, Period(start, end))
        return [_row_of(each) for each in found]
