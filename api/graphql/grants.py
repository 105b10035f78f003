"""Promotional units: grant them, void them, see what is left."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import changing, reading
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.graphql.scalars import exact
from domain.access.roles import Permission
from domain.credits.grants import service
from domain.credits.grants.service import Standing, Terms
from domain.credits.unit_grant import PRIORITY_DEFAULT, Refill
from domain.customers.service import CustomerNotFound
from domain.db import Tx
from domain.kernel.ids import GrantId, decode
from domain.kernel.money import exact_text
from domain.subscriptions import service as subscriptions
from domain.subscriptions.service import SubscriptionNotFound

name_enum(
    Refill,
    "GrantRefill",
    "How often a grant is filled up to its amount, counted from its beginning.",
    DAY="Each day, in the customer's zone.",
    WEEK="Each week.",
    MONTH="Each month.",
)


@guarded_type(Permission.CREDIT_READ, "What one invoice took of a grant. Gone where the invoice is void.")
class UnitGrantUse:
    """A use."""

    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`")
    quantity: Decimal = strawberry.field(description="Units; below zero where a later difference gave them back.")
    used_at: datetime = strawberry.field(description="When the invoice was opened, in business time.")


@guarded_type(Permission.CREDIT_READ, "Promotional units of a meter: usage takes them before it is rated.")
class UnitGrant:
    """A grant."""

    id: strawberry.ID = strawberry.field(description="`grt_…`")
    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    meter: str = strawberry.field(description="Key of the meter.")
    name: str = strawberry.field(description="For people.")
    amount: Decimal = strawberry.field(description="In the meter's unit.")
    balance: Decimal = strawberry.field(description="What is left now; usage that is not billed yet is taken off.")
    priority: int = strawberry.field(description="A smaller one burns first; then the earliest expiry.")
    effective_at: datetime = strawberry.field(description="A full hour, in business time: usage from then on takes it.")
    expires_at: datetime | None = strawberry.field(description="The first instant at which nothing is left of it.")
    voided_at: datetime | None = strawberry.field(description="When what was left was taken.")
    rollover_max: Decimal | None = strawberry.field(description="At most so much outlives a usage period; null: all.")
    rollover_min: Decimal = strawberry.field(description="A new usage period begins with at least so much.")
    refill: Refill | None = strawberry.field(description="How often it is filled up.")
    uses: list[UnitGrantUse] = strawberry.field(description="What invoices took, the newest first, at most 100.")


@guarded_type(Permission.CREDIT_WRITE, "The grant, as it now is.")
class UnitGrantSaved:
    """Success of createUnitGrant and voidUnitGrant."""

    grant: UnitGrant = strawberry.field(description="The grant.")


@strawberry.input(description="Units that are given to a subscription.")
class CreateUnitGrantInput:
    """Input of createUnitGrant."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    meter: str = strawberry.field(description="Key of a meter that counts or sums up, priced by the unit.")
    name: str = strawberry.field(description="1 to 200 characters.")
    amount: Decimal = strawberry.field(description="Above 0, in the meter's unit.")
    priority: int = strawberry.field(description="0 to 100; a smaller one burns first.", default=PRIORITY_DEFAULT)
    effective_at: datetime | None = strawberry.field(
        description="In the present usage period or later, taken back to its full hour; the present hour without one.",
        default=None,
    )
    expires_at: datetime | None = strawberry.field(
        description="Taken forward to the next full hour; never without one.", default=None
    )
    rollover_max: Decimal | None = strawberry.field(
        description="At most so much outlives a usage period; all of it without one.", default=None
    )
    rollover_min: Decimal = strawberry.field(
        description="A new usage period begins with at least so much.", default=Decimal(0)
    )
    refill: Refill | None = strawberry.field(description="How often it is filled up.", default=None)
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="Which grant is to end.")
class VoidUnitGrantInput:
    """Input of voidUnitGrant."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    id: strawberry.ID = strawberry.field(description="`grt_…`")


CreateUnitGrantResult = Annotated[
    UnitGrantSaved | AnyProblem,
    strawberry.union("CreateUnitGrantResult", description="What became of createUnitGrant."),
]
VoidUnitGrantResult = Annotated[
    UnitGrantSaved | AnyProblem, strawberry.union("VoidUnitGrantResult", description="What became of voidUnitGrant.")
]


async def _shown(context: Context, value: Standing) -> UnitGrant:
    grant, catalogue = value.grant, await context.runtime.catalogue()
    return UnitGrant(
        id=ids.id_of("grant", grant.id),
        subscription_id=ids.id_of("subscription", grant.subscription_id),
        meter=catalogue.meter(grant.meter_id).key,
        name=grant.name,
        amount=exact(grant.amount),
        balance=exact(Decimal(exact_text(value.balance))),
        priority=grant.priority,
        effective_at=grant.effective_at,
        expires_at=grant.expires_at,
        voided_at=grant.voided_at,
        rollover_max=exact(grant.rollover_max) if grant.rollover_max is not None else None,
        rollover_min=exact(grant.rollover_min),
        refill=grant.refill,
        uses=[
            UnitGrantUse(
                invoice_id=ids.id_of("invoice", use.invoice_id), quantity=exact(use.quantity), used_at=use.used_at
            )
            for use in value.uses
        ],
    )


@strawberry.type
class GrantQuery:
    """Queries about promotional units."""

    @reading(Permission.CREDIT_READ, "A customer's promotional units, oldest first, with what is left of them now.")
    async def unit_grants(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
    ) -> list[UnitGrant] | None:
        """List them; null for an unknown customer."""
        try:
            async with info.context.runtime.db.transaction() as tx:
                found = await service.list_grants(tx, info.context.call, ids.customer_id(customer_id))
        except CustomerNotFound:
            return None
        return [await _shown(info.context, each) for each in found]


@strawberry.type
class GrantMutation:
    """Changes of promotional units."""

    @changing(Permission.CREDIT_WRITE, "Give a subscription units of a meter. Once per idempotency key.")
    async def create_unit_grant(
        self,
        info: Info[Context, None],
        input: Annotated[CreateUnitGrantInput, strawberry.argument(description="What is given.")],
    ) -> CreateUnitGrantResult:
        """Grant them."""
        context, subscription_id = info.context, ids.subscription_id(input.subscription_id)
        catalogue, own = await context.runtime.catalogue(), context.call.principal.environment
        async with context.runtime.db.transaction() as tx:
            found = await subscriptions.find_subscription(
                tx, subscription_id, scope=context.call.scope, environment=own
            )
        if found is None:
            raise SubscriptionNotFound
        customer = found.customer_id

        async def act(tx: Tx) -> tuple[UnitGrantSaved, Mapping[str, str]]:
            made = await service.create_grant(tx, context.call, subscription_id, _terms(input), catalogue)
            shown = await _shown(context, await service.load_grant(tx, context.call, customer, made.id))
            return UnitGrantSaved(grant=shown), {"grant": str(made.id)}

        async def again(tx: Tx, kept: Mapping[str, str]) -> UnitGrantSaved:
            grant_id = GrantId(ids.uuid_of(kept["grant"]))
            standing = await service.load_grant(tx, context.call, customer, grant_id)
            return UnitGrantSaved(grant=await _shown(context, standing))

        wish = Wish(context, "createUnitGrant", input.idempotency_key, customer, strawberry.asdict(input))
        return await once(wish, act, again)

    @changing(Permission.CREDIT_WRITE, "Take what is left of promotional units at the next full hour. Safe to repeat.")
    async def void_unit_grant(
        self,
        info: Info[Context, None],
        input: Annotated[VoidUnitGrantInput, strawberry.argument(description="Which ones.")],
    ) -> VoidUnitGrantResult:
        """Void them."""
        context, customer = info.context, ids.customer_id(input.customer_id)
        grant_id = GrantId(decode("grant", input.id))
        async with context.runtime.db.transaction() as tx:
            await service.void_grant(tx, context.call, customer, grant_id)
            standing = await service.load_grant(tx, context.call, customer, grant_id)
        return UnitGrantSaved(grant=await _shown(context, standing))


def _terms(input: CreateUnitGrantInput) -> Terms:
    return Terms(
        meter_key=input.meter,
        name=input.name,
        amount=input.amount,
        priority=input.priority,
        effective_at=input.effective_at,
        expires_at=input.expires_at,
        rollover_max=input.rollover_max,
        rollover_min=input.rollover_min,
        refill=input.refill,
    )
