"""What customers owe, by how long it is overdue."""

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import reading
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Money, money_of
from domain.access.roles import Permission
from domain.kernel import money
from domain.kernel.call import Environment
from domain.payments.ageing import age as ages
from domain.payments.ageing import service


@guarded_type(Permission.LEDGER_READ, "What customers owe in one currency, by how many full days it is overdue.")
class Receivables:
    """Receivables by age."""

    currency: str = strawberry.field(description="ISO 4217.")
    invoices: int = strawberry.field(description="How many invoices something is owed for.")
    current: Money = strawberry.field(description="Not due yet, or for less than a day.")
    days_1_to_30: Money = strawberry.field(name="days1To30", description="Overdue for 1 to 30 days.")
    days_31_to_60: Money = strawberry.field(name="days31To60", description="Overdue for 31 to 60 days.")
    days_61_to_90: Money = strawberry.field(name="days61To90", description="Overdue for 61 to 90 days.")
    older: Money = strawberry.field(description="Overdue for 91 days and more.")
    owed_back: Money = strawberry.field(description="What is owed back to customers: refunds that have not left yet.")
    total: Money = strawberry.field(
        description="All ages less what is owed back: the balance of the account RECEIVABLE at that instant."
    )


def _receivables_of(value: ages.Receivables) -> Receivables:
    def amount(minor: int) -> Money:
        return money_of(money.Money(minor, value.currency))

    by_age = {age: amount(minor) for age, minor in value.by_age.items()}
    return Receivables(
        currency=value.currency,
        invoices=value.invoices,
        current=by_age[ages.Age.CURRENT],
        days_1_to_30=by_age[ages.Age.DAYS_1_30],
        days_31_to_60=by_age[ages.Age.DAYS_31_60],
        days_61_to_90=by_age[ages.Age.DAYS_61_90],
        older=by_age[ages.Age.OLDER],
        owed_back=amount(value.owed_back),
        total=amount(value.total),
    )


@strawberry.type
class ReceivablesQuery:
    """Queries of what is owed."""

    @reading(
        Permission.LEDGER_READ,
        "What customers owed just before an instant of business time, by currency and age; also of the past. "
        "Written-off invoices are a bad debt and not here. Reads all entries about it; for staff.",
    )
    async def receivables(
        self,
        info: Info[Context, None],
        environment: Annotated[Environment, strawberry.argument(description="Live or test.")],
        before: Annotated[datetime, strawberry.argument(description="The instant, which ages are counted to.")],
        customer_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="What one customer owed, `cus_…`; null: all of them.")
        ] = None,
    ) -> list[Receivables]:
        """Add them up."""
        wanted = ids.customer_id(customer_id) if customer_id is not None else None
        async with info.context.runtime.db.snapshot() as tx:
            found = await service.receivables(tx, info.context.call, environment, before, customer_id=wanted)
        return [_receivables_of(each) for each in found]
