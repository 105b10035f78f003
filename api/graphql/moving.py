"""Move a subscription's bill day, and a customer to another zone."""

from collections.abc import Mapping
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing, reading
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.permissions import guarded_type
from api.graphql.previews import InvoicePreview, preview_of
from api.graphql.problems import AnyProblem
from api.graphql.subscriptions import Subscription, find, found_again, subscription_of
from domain.access.roles import Permission
from domain.contracts import service as contracts
from domain.contracts.previewing import service as previewing
from domain.customers import service as customers
from domain.db import Tx
from domain.subscriptions import grid, service

_DAY = "Local midnight of a day of the month, 1 to 31, clamped; a yearly fee keeps its month."
_CALENDAR = "The first of the calendar month or year."
_NOW = "Full periods begin at once: what is left of the fee is taken back, and a full one charged."


@guarded_type(Permission.SUBSCRIPTION_WRITE, "The bill day moves at `movesAt`, or has moved to now.")
class BillDayMoved:
    """Success of moveBillDay."""

    subscription: Subscription = strawberry.field(description="The subscription as it now stands.")


@guarded_type(Permission.SUBSCRIPTION_WRITE, "The subscription keeps its bill day.")
class BillDayKept:
    """Success of keepBillDay."""

    subscription: Subscription = strawberry.field(description="The subscription as it now stands.")


@guarded_type(Permission.PROFILE_WRITE, "The customer lives in another zone; subscriptions follow at a boundary.")
class ZoneChanged:
    """Success of changeZone."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    zone: str = strawberry.field(description="IANA time zone. See `Subscription.zoneChange` for when each follows.")


@strawberry.input(description="Which bill day to move, and where: one of `day`, `calendar` and `now`.")
class MoveBillDayInput:
    """Input of moveBillDay."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    day: int | None = strawberry.field(description=_DAY, default=None)
    calendar: bool = strawberry.field(description=_CALENDAR, default=False)
    now: bool = strawberry.field(description=_NOW, default=False)
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="Which bill day to preview, and where it would move.")
class PreviewBillDayInput:
    """Input of previewBillDay."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    day: int | None = strawberry.field(description=_DAY, default=None)
    calendar: bool = strawberry.field(description=_CALENDAR, default=False)
    now: bool = strawberry.field(description=_NOW, default=False)


@strawberry.input(description="Which bill day to keep.")
class KeepBillDayInput:
    """Input of keepBillDay."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")


@strawberry.input(description="Where a customer lives from now on.")
class ChangeZoneInput:
    """Input of changeZone."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    zone: str = strawberry.field(description="IANA time zone, such as Europe/Berlin.")


MoveBillDayResult = Annotated[
    BillDayMoved | AnyProblem, strawberry.union("MoveBillDayResult", description="What became of moveBillDay.")
]
KeepBillDayResult = Annotated[
    BillDayKept | AnyProblem, strawberry.union("KeepBillDayResult", description="What became of keepBillDay.")
]
ChangeZoneResult = Annotated[
    ZoneChanged | AnyProblem, strawberry.union("ChangeZoneResult", description="What became of changeZone.")
]


@strawberry.type
class AnchorQuery:
    """Previews of bill days."""

    @reading(
        Permission.INVOICE_READ,
        "The next invoice if the bill day moved; moved to now, the one that moveBillDay makes. Refused as that is.",
    )
    async def preview_bill_day(
        self,
        info: Info[Context, None],
        input: Annotated[PreviewBillDayInput, strawberry.argument(description="Which one, and where to.")],
    ) -> InvoicePreview | None:
        """Preview it."""
        wanted, wish = ids.subscription_id(input.subscription_id), grid.BillDay(input.day, input.calendar, input.now)
        async with info.context.runtime.db.transaction() as tx:
            found = await previewing.preview_bill_day(tx, info.context.call, subscription_id=wanted, wish=wish)
        return preview_of(found)


@strawberry.type
class AnchorMutation:
    """Changes of where periods begin."""

    @changing(
        Permission.SUBSCRIPTION_WRITE,
        "Move a bill day. The days before the new one are a share of the cycle that runs: a period that is paid is cut "
        "there and its rest taken back, one that begins meanwhile is a short one. Once per idempotency key.",
    )
    async def move_bill_day(
        self,
        info: Info[Context, None],
        input: Annotated[MoveBillDayInput, strawberry.argument(description="Which one, and where to.")],
    ) -> MoveBillDayResult:
        """Move it."""
        context, wanted = info.context, ids.subscription_id(input.subscription_id)
        async with context.runtime.db.transaction() as tx:
            found = await find(tx, context, wanted)
        if found is None:
            raise service.SubscriptionNotFound

        async def act(tx: Tx) -> tuple[BillDayMoved, Mapping[str, str]]:
            where = grid.BillDay(input.day, input.calendar, input.now)
            moved = await contracts.move_bill_day(tx, context.call, subscription_id=wanted, wish=where)
            return BillDayMoved(subscription=subscription_of(moved)), {"subscription": str(moved.id)}

        async def again(tx: Tx, kept: Mapping[str, str]) -> BillDayMoved:
            return BillDayMoved(subscription=await found_again(tx, context, kept))

        wish = Wish(context, "moveBillDay", input.idempotency_key, found.customer_id, strawberry.asdict(input))
        return await once(wish, act, again)

    @changing(Permission.SUBSCRIPTION_WRITE, "Forget a bill day that has not come. Safe to repeat.")
    async def keep_bill_day(
        self,
        info: Info[Context, None],
        input: Annotated[KeepBillDayInput, strawberry.argument(description="Which one.")],
    ) -> KeepBillDayResult:
        """Keep it."""
        async with info.context.runtime.db.transaction() as tx:
            kept = await contracts.keep_bill_day(
                tx, info.context.call, subscription_id=ids.subscription_id(input.subscription_id)
            )
        return BillDayKept(subscription=subscription_of(kept))

    @changing(
        Permission.PROFILE_WRITE,
        "Have a customer live in another zone. Notices go by it at once, a subscription from a boundary of its own on. "
        "Safe to repeat; audited.",
    )
    async def change_zone(
        self,
        info: Info[Context, None],
        input: Annotated[ChangeZoneInput, strawberry.argument(description="Who, and where.")],
    ) -> ChangeZoneResult:
        """Change it."""
        async with info.context.runtime.db.transaction() as tx:
            after = await customers.change_zone(tx, info.context.call, ids.customer_id(input.customer_id), input.zone)
        return ZoneChanged(customer_id=input.customer_id, zone=after.zone)
