"""Starts of subscriptions that lie ahead: look at them, change them, cancel them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.catalogue import Plan, plan_of
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import changing, reading
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.contracts.scheduling import service
from domain.contracts.starting.wish import Wish as StartWish
from domain.db import Tx
from domain.kernel.ids import PlanVersionId, ProductId, StartId
from domain.subscriptions import schedule
from domain.subscriptions.upcoming import scheduled_start as rules
from domain.subscriptions.upcoming import service as upcoming

_STARTS_AT = "Its instant, in the customer's business time: it lies ahead, by at most 732 days."
name_enum(
    rules.StartState,
    "ScheduledStartState",
    "Where a scheduled start stands.",
    SCHEDULED="It waits for its instant.",
    STARTED="The subscription has started.",
    CANCELED="It was cancelled before its instant.",
    REFUSED="At its instant nothing was started; see `refusal`.",
)


@guarded_type(Permission.SUBSCRIPTION_READ, "A start of a subscription that lies ahead, or what became of it.")
class ScheduledStart:
    """A scheduled start."""

    product_key: strawberry.Private[ProductId]
    version_key: strawberry.Private[PlanVersionId]
    id: strawberry.ID = strawberry.field(description="`sst_…`")
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    state: rules.StartState = strawberry.field(description="Where it stands.")
    starts_at: datetime = strawberry.field(description="Its instant, in the customer's business time.")
    interval: schedule.Interval = strawberry.field(description="How often the fee will be due.")
    currency: str = strawberry.field(description="ISO 4217.")
    trial_days: int | None = strawberry.field(description="As in subscribe; null: the plan's own trial.")
    bill_day: int | None = strawberry.field(description="As in subscribe.")
    calendar: bool = strawberry.field(description="As in subscribe.")
    promotion_code: str | None = strawberry.field(description="The code that will be taken up.")
    quantity: int = strawberry.field(description="Units of the fee.")
    asked_at: datetime = strawberry.field(description="When it was first asked for, in business time.")
    subscription_id: strawberry.ID | None = strawberry.field(description="`sub_…` of what came of it.")
    refusal: str | None = strawberry.field(
        description="The code of the problem that subscribe would have answered with at its instant."
    )

    @reading(Permission.CATALOGUE_READ, "The key of the product it is for.")
    async def product(self, info: Info[Context, None]) -> str:
        """Read it from the catalogue."""
        return (await info.context.loaders.catalogue()).product_by_id(self.product_key).key

    @reading(Permission.CATALOGUE_READ, "The plan, in the version that was the newest when it was asked for.")
    async def plan(self, info: Info[Context, None]) -> Plan:
        """Read it from the catalogue."""
        catalogue = await info.context.loaders.catalogue()
        return plan_of(catalogue, catalogue.plan_of_version(self.version_key), self.version_key)


def start_of(value: rules.ScheduledStart) -> ScheduledStart:
    """Wrap a scheduled start."""
    terms = value.terms
    return ScheduledStart(
        product_key=value.product_id,
        version_key=terms.plan_version_id,
        id=ids.id_of("scheduled_start", value.id),
        customer_id=ids.id_of("customer", value.customer_id),
        state=value.state,
        starts_at=terms.starts_at,
        interval=terms.interval,
        currency=terms.currency,
        trial_days=terms.trial_days,
        bill_day=terms.bill_day,
        calendar=terms.calendar,
        promotion_code=terms.promotion_code,
        quantity=terms.quantity,
        asked_at=value.asked_at,
        subscription_id=ids.id_of("subscription", value.subscription_id) if value.subscription_id else None,
        refusal=value.refusal,
    )


async def _start_again(tx: Tx, context: Context, kept: Mapping[str, str]) -> ScheduledStart:
    """Return the start that an idempotency row names."""
    call = context.call
    wanted = StartId(ids.uuid_of(kept["start"]))
    found = await upcoming.find(tx, wanted, scope=call.scope, environment=call.principal.environment)
    assert found is not None, "starts are never deleted"
    return start_of(found)


@guarded_type(Permission.SUBSCRIPTION_WRITE, "The start is kept; the subscription starts by itself at its instant.")
class SubscriptionScheduled:
    """Success of scheduleSubscription."""

    start: ScheduledStart = strawberry.field(description="The start.")


@guarded_type(Permission.SUBSCRIPTION_WRITE, "The start was changed.")
class ScheduledStartChanged:
    """Success of changeScheduledStart."""

    start: ScheduledStart = strawberry.field(description="The start as it now stands.")


@guarded_type(Permission.SUBSCRIPTION_WRITE, "Nothing will start.")
class ScheduledStartCanceled:
    """Success of cancelScheduledStart."""

    start: ScheduledStart = strawberry.field(description="The start as it now stands.")


@strawberry.input(description="What to subscribe to, and when. At most one start of a customer and product waits.")
class ScheduleSubscriptionInput:
    """Input of scheduleSubscription."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    product: str = strawberry.field(description="The product's key, such as llm.")
    plan: str = strawberry.field(description="The plan's key, such as pro; its newest version is shown and pinned.")
    interval: schedule.Interval = strawberry.field(description="How often the fee is due.")
    starts_at: datetime = strawberry.field(description=_STARTS_AT)
    currency: str = strawberry.field(description="ISO 4217; one in which the plan has prices.", default="USD")
    bill_day: int | None = strawberry.field(description="As in subscribe.", default=None)
    calendar: bool = strawberry.field(description="As in subscribe.", default=False)
    trial_days: int | None = strawberry.field(description="As in subscribe.", default=None)
    promotion_code: str | None = strawberry.field(
        description="As in subscribe; it is taken up at the start, and has to hold until then.", default=None
    )
    quantity: int = strawberry.field(description="As in subscribe.", default=1)
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="What the start is to be from now on: all of it is replaced, but for the product.")
class ChangeScheduledStartInput:
    """Input of changeScheduledStart."""

    start_id: strawberry.ID = strawberry.field(description="`sst_…`")
    plan: str = strawberry.field(description="The plan's key; its newest version is shown and pinned.")
    interval: schedule.Interval = strawberry.field(description="How often the fee is due.")
    starts_at: datetime = strawberry.field(description=_STARTS_AT)
    currency: str = strawberry.field(description="ISO 4217; one in which the plan has prices.", default="USD")
    bill_day: int | None = strawberry.field(description="As in subscribe.", default=None)
    calendar: bool = strawberry.field(description="As in subscribe.", default=False)
    trial_days: int | None = strawberry.field(description="As in subscribe.", default=None)
    promotion_code: str | None = strawberry.field(description="As in subscribe.", default=None)
    quantity: int = strawberry.field(description="As in subscribe.", default=1)


@strawberry.input(description="Which start to cancel.")
class CancelScheduledStartInput:
    """Input of cancelScheduledStart."""

    start_id: strawberry.ID = strawberry.field(description="`sst_…`")


ScheduleSubscriptionResult = Annotated[
    SubscriptionScheduled | AnyProblem,
    strawberry.union("ScheduleSubscriptionResult", description="What became of scheduleSubscription."),
]
ChangeScheduledStartResult = Annotated[
    ScheduledStartChanged | AnyProblem,
    strawberry.union("ChangeScheduledStartResult", description="What became of changeScheduledStart."),
]
CancelScheduledStartResult = Annotated[
    ScheduledStartCanceled | AnyProblem,
    strawberry.union("CancelScheduledStartResult", description="What became of cancelScheduledStart."),
]


@strawberry.type
class StartMutation:
    """Changes of starts that lie ahead."""

    @changing(
        Permission.SUBSCRIPTION_WRITE,
        "Start a subscription later. The start is kept, shown in `customer.scheduledStarts` and carried out by itself; "
        "nothing is invoiced before. Refused as subscribe would be then, as far as that is known. Once per idempotency "
        "key.",
    )
    async def schedule_subscription(
        self,
        info: Info[Context, None],
        input: Annotated[ScheduleSubscriptionInput, strawberry.argument(description="Who, what and when.")],
    ) -> ScheduleSubscriptionResult:
        """Keep the start."""
        context, customer = info.context, ids.customer_id(input.customer_id)

        async def act(tx: Tx) -> tuple[SubscriptionScheduled, Mapping[str, str]]:
            kept = await service.schedule(
                tx,
                context.call,
                customer_id=customer,
                product_key=input.product,
                plan_key=input.plan,
                interval=input.interval,
                currency=input.currency,
                wish=_wish(input),
            )
            return SubscriptionScheduled(start=start_of(kept)), {"start": str(kept.id)}

        async def again(tx: Tx, kept: Mapping[str, str]) -> SubscriptionScheduled:
            return SubscriptionScheduled(start=await _start_again(tx, context, kept))

        wish = Wish(context, "scheduleSubscription", input.idempotency_key, customer, strawberry.asdict(input))
        return await once(wish, act, again)

    @changing(
        Permission.SUBSCRIPTION_WRITE,
        "Change a start before it comes: plan, instant and all else that was asked for. Nothing is invoiced before its "
        "instant. Safe to repeat.",
    )
    async def change_scheduled_start(
        self,
        info: Info[Context, None],
        input: Annotated[ChangeScheduledStartInput, strawberry.argument(description="Which one, and what it becomes.")],
    ) -> ChangeScheduledStartResult:
        """Change it."""
        async with info.context.runtime.db.transaction() as tx:
            changed = await service.reschedule(
                tx,
                info.context.call,
                start_id=ids.start_id(input.start_id),
                plan_key=input.plan,
                interval=input.interval,
                currency=input.currency,
                wish=_wish(input),
            )
        return ScheduledStartChanged(start=start_of(changed))

    @changing(Permission.SUBSCRIPTION_WRITE, "Cancel a start before it comes. Safe to repeat.")
    async def cancel_scheduled_start(
        self,
        info: Info[Context, None],
        input: Annotated[CancelScheduledStartInput, strawberry.argument(description="Which one.")],
    ) -> CancelScheduledStartResult:
        """Cancel it."""
        async with info.context.runtime.db.transaction() as tx:
            canceled = await service.call_off(tx, info.context.call, start_id=ids.start_id(input.start_id))
        return ScheduledStartCanceled(start=start_of(canceled))


def _wish(input: ScheduleSubscriptionInput | ChangeScheduledStartInput) -> StartWish:
    return StartWish(
        input.trial_days, input.starts_at, input.bill_day, input.calendar, input.promotion_code, input.quantity
    )
