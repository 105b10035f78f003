"""Subscriptions: start one, end one, look at it."""

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
from api.graphql.headings import InvoiceHeading, heading_about
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.permissions import guarded_type, public_type
from api.graphql.problems import AnyProblem
from api.graphql.waiting import SubscriptionChange, ZoneChange, change_of
from domain.access.roles import Permission
from domain.contracts import service as contracts
from domain.contracts.ending.wish import CancelCredit
from domain.contracts.starting.wish import Wish as StartWish
from domain.db import Tx
from domain.kernel.ids import PlanVersionId, ProductId, SubscriptionId
from domain.subscriptions import grid, lifecycle, schedule, service
from domain.subscriptions import subscription as subscriptions

name_enum(
    subscriptions.Status,
    "SubscriptionStatus",
    "Where a subscription stands. It is live in every state but INCOMPLETE and CANCELED.",
    INCOMPLETE="Its first payment has not come.",
    TRIALING="It runs and nothing is owed yet.",
    ACTIVE="It runs and nothing is overdue.",
    PAST_DUE="A payment failed; it runs on meanwhile.",
    PAUSED="It is suspended.",
    UNPAID="Payments failed for good; it waits for one.",
    CANCELED="It has ended, for ever.",
)
name_enum(
    subscriptions.Source,
    "SubscriptionSource",
    "Who bills a subscription.",
    TOLLGATE="We do.",
    STRIPE="Stripe does by itself; here it is only counted.",
)
name_enum(
    lifecycle.CancelReason,
    "CancelReason",
    "Why a subscription ends.",
    TOO_EXPENSIVE="It costs too much.",
    MISSING_FEATURES="It lacks something.",
    SWITCHED="Something else is used instead.",
    UNUSED="It is not used.",
    SUPPORT="The support was not good.",
    TOO_COMPLEX="It is too hard to use.",
    QUALITY="It does not work well.",
    OTHER="Something else; see the feedback.",
)


@public_type("A half-open stretch of time: the start belongs to it, the end to the next one.")
class Period:
    """[start, end)."""

    start: datetime = strawberry.field(description="First instant.")
    end: datetime = strawberry.field(description="First instant that is no longer part of it.")


@guarded_type(Permission.SUBSCRIPTION_READ, "The product a subscription is for.")
class SubscribedProduct:
    """A product, by name only."""

    key: str = strawberry.field(description="Stable name.")
    name: str = strawberry.field(description="For people.")


@guarded_type(Permission.SUBSCRIPTION_READ, "A customer's contract for one plan version of one product.")
class Subscription:
    """A subscription."""

    product_key: strawberry.Private[ProductId]
    version_key: strawberry.Private[PlanVersionId]
    key: strawberry.Private[SubscriptionId]
    id: strawberry.ID = strawberry.field(description="`sub_…`")
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    status: subscriptions.Status = strawberry.field(description="Where it stands.")
    source: subscriptions.Source = strawberry.field(description="Who bills it.")
    interval: schedule.Interval = strawberry.field(description="How often its fee is due, in advance.")
    currency: str = strawberry.field(description="ISO 4217.")
    quantity: int = strawberry.field(description="Units of the fee.")
    started_at: datetime = strawberry.field(description="First instant, in the customer's business time.")
    period: Period = strawberry.field(description="Present usage period, always about a month: limits count in it.")
    fee_period: Period = strawberry.field(description="What the last fee paid for.")
    trial_ends_at: datetime | None = strawberry.field(
        description="Where its trial ends or ended; billing starts there."
    )
    trial_end: subscriptions.TrialEnd | None = strawberry.field(
        description="What becomes of its trial without a payment method."
    )
    pause_at: datetime | None = strawberry.field(description="Where a pause begins or began.")
    resumes_at: datetime | None = strawberry.field(description="Where the pause ends by itself.")
    expires_at: datetime | None = strawberry.field(description="Where it lapses unless its first payment comes before.")
    cancel_at: datetime | None = strawberry.field(description="Where it ends or ended, if that is known.")
    canceled_at: datetime | None = strawberry.field(description="When the end was asked for.")
    ended_at: datetime | None = strawberry.field(description="When it ended.")
    cancel_reason: lifecycle.CancelReason | None = strawberry.field(description="Why it ends.")
    zone: str = strawberry.field(description="IANA time zone in which its periods, hours and days are counted.")
    moves_at: datetime | None = strawberry.field(description="Where its bill day moves, if that was asked for.")
    whole: strawberry.Private[subscriptions.Subscription]

    @reading(Permission.CUSTOMER_READ, "When it goes over to its customer's zone; null where it is in it.")
    async def zone_change(self, info: Info[Context, None]) -> ZoneChange | None:
        """Compare it with its customer, loaded with those of the other subscriptions of the request."""
        customer = await info.context.loaders.customers.load(self.whole.customer_id)
        at = grid.zone_changes_at(self.whole, customer.zone) if customer else None
        return ZoneChange(zone=customer.zone, at=at) if customer and at else None

    @reading(Permission.INVOICE_READ, "What invoices with its lines carry, before what is set for its customer.")
    async def invoice_heading(self, info: Info[Context, None]) -> InvoiceHeading:
        """Load it with those of the other subscriptions of the request."""
        return await heading_about(info.context, self.key)

    @reading(Permission.CATALOGUE_READ, "The product it is for.")
    async def product(self, info: Info[Context, None]) -> SubscribedProduct:
        """Read it from the catalogue."""
        product = (await info.context.loaders.catalogue()).product_by_id(self.product_key)
        return SubscribedProduct(key=product.key, name=product.name)

    @reading(Permission.CATALOGUE_READ, "Its plan, in the version that it pins.")
    async def plan(self, info: Info[Context, None]) -> Plan:
        """Read it from the catalogue."""
        catalogue = await info.context.loaders.catalogue()
        return plan_of(catalogue, catalogue.plan_of_version(self.version_key), self.version_key)

    @reading(
        Permission.SUBSCRIPTION_READ,
        "Changes of it that wait: for the end of what is paid, or for a payment. At most one of each.",
    )
    async def waiting_changes(self, info: Info[Context, None]) -> list[SubscriptionChange]:
        """Load them with those of the other subscriptions of the request."""
        if self.status is subscriptions.Status.CANCELED:
            return []
        return [change_of(each) for each in await info.context.loaders.changes.load(self.key) or []]


def subscription_of(value: subscriptions.Subscription) -> Subscription:
    """Wrap a subscription."""
    return Subscription(
        product_key=value.product_id,
        version_key=value.plan_version_id,
        key=value.id,
        id=ids.id_of("subscription", value.id),
        customer_id=ids.id_of("customer", value.customer_id),
        status=value.status,
        source=value.source,
        interval=value.interval,
        currency=value.currency,
        quantity=value.quantity,
        started_at=value.started_at,
        period=Period(start=value.period.start, end=value.period.end),
        fee_period=Period(start=value.fee_period.start, end=value.fee_period.end),
        trial_ends_at=value.trial_ends_at,
        trial_end=value.trial_end,
        pause_at=value.pause_at,
        resumes_at=value.resumes_at,
        expires_at=value.expires_at,
        cancel_at=value.cancel_at,
        canceled_at=value.canceled_at,
        ended_at=value.ended_at,
        cancel_reason=lifecycle.CancelReason(value.cancel_reason) if value.cancel_reason else None,
        zone=value.zone,
        moves_at=value.moves_at,
        whole=value,
    )


@guarded_type(Permission.SUBSCRIPTION_WRITE, "The subscription has started; its first fee is invoiced.")
class SubscriptionStarted:
    """Success of subscribe."""

    subscription: Subscription = strawberry.field(description="The new subscription.")


@guarded_type(Permission.SUBSCRIPTION_WRITE, "The subscription has ended, or ends at `cancelAt`.")
class SubscriptionCancelled:
    """Success of cancelSubscription."""

    subscription: Subscription = strawberry.field(description="The subscription as it now stands.")


@guarded_type(Permission.SUBSCRIPTION_WRITE, "The pending end was taken back.")
class SubscriptionKept:
    """Success of undoCancelSubscription."""

    subscription: Subscription = strawberry.field(description="The subscription as it now stands.")


@strawberry.input(description="What to subscribe to. At most one live subscription per customer and product.")
class SubscribeInput:
    """Input of subscribe."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    product: str = strawberry.field(description="The product's key, such as llm.")
    plan: str = strawberry.field(description="The plan's key, such as pro; its newest version is pinned.")
    interval: schedule.Interval = strawberry.field(description="How often the fee is due.")
    currency: str = strawberry.field(description="ISO 4217; one in which the plan has prices.", default="USD")
    bill_day: int | None = strawberry.field(
        description="Day of the month on which its periods begin, 1 to 31, clamped; the first one is short.",
        default=None,
    )
    calendar: bool = strawberry.field(
        description="Bill from the first of the calendar month or year; the first period is short.", default=False
    )
    trial_days: int | None = strawberry.field(
        description="Null: the plan's own trial, once per customer and product. 0: none. Others are staff's, to 730.",
        default=None,
    )
    starts_at: datetime | None = strawberry.field(
        description="For staff: where it started, at most 366 days back. Null: now. Ahead: scheduleSubscription.",
        default=None,
    )
    promotion_code: str | None = strawberry.field(
        description="A code whose coupon is taken up for this subscription, before its first invoice.", default=None
    )
    quantity: int = strawberry.field(description="Units of the fee, such as seats: 1 to 1,000,000.", default=1)
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="How to end a subscription.")
class CancelSubscriptionInput:
    """Input of cancelSubscription."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    at_period_end: bool = strawberry.field(
        description="True: it runs to the end of what is paid. False: it ends now and its usage is billed.",
        default=True,
    )
    cancel_at: datetime | None = strawberry.field(
        description="A later date, at most 1,830 days ahead, that goes before `atPeriodEnd`. A fee period that begins "
        "once the date is known is charged up to it.",
        default=None,
    )
    reason: lifecycle.CancelReason | None = strawberry.field(description="Why.", default=None)
    feedback: str | None = strawberry.field(
        description="In the customer's own words, 1 to 2,000 characters; stored encrypted.", default=None
    )
    credit: CancelCredit | None = strawberry.field(
        description="What becomes of the paid time that an end now leaves unused. Null: as the plan says; more is "
        "staff's to give.",
        default=None,
    )
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="Which subscription to keep.")
class UndoCancelSubscriptionInput:
    """Input of undoCancelSubscription."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")


SubscribeResult = Annotated[
    SubscriptionStarted | AnyProblem, strawberry.union("SubscribeResult", description="What became of subscribe.")
]
CancelSubscriptionResult = Annotated[
    SubscriptionCancelled | AnyProblem,
    strawberry.union("CancelSubscriptionResult", description="What became of cancelSubscription."),
]
UndoCancelSubscriptionResult = Annotated[
    SubscriptionKept | AnyProblem,
    strawberry.union("UndoCancelSubscriptionResult", description="What became of undoCancelSubscription."),
]


@strawberry.type
class SubscriptionQuery:
    """Queries about subscriptions."""

    @reading(Permission.SUBSCRIPTION_READ, "A subscription, or null.")
    async def subscription(
        self, info: Info[Context, None], id: Annotated[strawberry.ID, strawberry.argument(description="`sub_…`")]
    ) -> Subscription | None:
        """Look one up."""
        async with info.context.runtime.db.transaction() as tx:
            found = await find(tx, info.context, ids.subscription_id(id))
        return subscription_of(found) if found else None


async def find(tx: Tx, context: Context, id: SubscriptionId) -> subscriptions.Subscription | None:
    """Return a subscription that the caller may see, or None."""
    call = context.call
    return await service.find_subscription(tx, id, scope=call.scope, environment=call.principal.environment)


async def found_again(tx: Tx, context: Context, kept: Mapping[str, str]) -> Subscription:
    """Return the subscription that an idempotency row names."""
    found = await find(tx, context, SubscriptionId(ids.uuid_of(kept["subscription"])))
    assert found is not None, "subscriptions are never deleted"
    return subscription_of(found)


@strawberry.type
class SubscriptionMutation:
    """Changes of subscriptions."""

    @changing(
        Permission.SUBSCRIPTION_WRITE,
        "Start a subscription. Its fee is invoiced in advance and collected, after its trial if it has one. Once per "
        "idempotency key.",
    )
    async def subscribe(
        self,
        info: Info[Context, None],
        input: Annotated[SubscribeInput, strawberry.argument(description="Who subscribes, and to what.")],
    ) -> SubscribeResult:
        """Start it in one transaction with its first invoice."""
        context, customer = info.context, ids.customer_id(input.customer_id)

        async def act(tx: Tx) -> tuple[SubscriptionStarted, Mapping[str, str]]:
            started = await contracts.subscribe(
                tx,
                context.call,
                customer_id=customer,
                product_key=input.product,
                plan_key=input.plan,
                interval=input.interval,
                currency=input.currency,
                wish=StartWish(
                    input.trial_days,
                    input.starts_at,
                    input.bill_day,
                    input.calendar,
                    input.promotion_code,
                    input.quantity,
                ),
            )
            return SubscriptionStarted(subscription=subscription_of(started)), {"subscription": str(started.id)}

        async def again(tx: Tx, kept: Mapping[str, str]) -> SubscriptionStarted:
            return SubscriptionStarted(subscription=await found_again(tx, context, kept))

        wish = Wish(context, "subscribe", input.idempotency_key, customer, strawberry.asdict(input))
        result = await once(wish, act, again)
        await context.runtime.wakeups.publish([customer])
        return result

    @changing(
        Permission.SUBSCRIPTION_WRITE,
        "End a subscription now, at a date or at the end of what is paid. Once per idempotency key, and "
        "safe to repeat without.",
    )
    async def cancel_subscription(
        self,
        info: Info[Context, None],
        input: Annotated[CancelSubscriptionInput, strawberry.argument(description="Which one, when, and why.")],
    ) -> CancelSubscriptionResult:
        """End it in one transaction with its last invoice."""
        context, wanted = info.context, ids.subscription_id(input.subscription_id)
        async with context.runtime.db.transaction() as tx:
            found = await find(tx, context, wanted)
        if found is None:
            raise service.SubscriptionNotFound

        async def act(tx: Tx) -> tuple[SubscriptionCancelled, Mapping[str, str]]:
            ended = await contracts.cancel(
                tx,
                context.call,
                subscription_id=wanted,
                at_period_end=input.at_period_end,
                at=input.cancel_at,
                reason=input.reason,
                feedback=input.feedback,
                credit=input.credit,
            )
            return SubscriptionCancelled(subscription=subscription_of(ended)), {"subscription": str(ended.id)}

        async def again(tx: Tx, kept: Mapping[str, str]) -> SubscriptionCancelled:
            return SubscriptionCancelled(subscription=await found_again(tx, context, kept))

        wish = Wish(context, "cancelSubscription", input.idempotency_key, found.customer_id, strawberry.asdict(input))
        result = await once(wish, act, again)
        await context.runtime.wakeups.publish([found.customer_id])
        return result

    @changing(Permission.SUBSCRIPTION_WRITE, "Take back an end that has not come yet. Safe to repeat.")
    async def undo_cancel_subscription(
        self,
        info: Info[Context, None],
        input: Annotated[UndoCancelSubscriptionInput, strawberry.argument(description="Which one.")],
    ) -> UndoCancelSubscriptionResult:
        """Keep it."""
        async with info.context.runtime.db.transaction() as tx:
            kept = await contracts.undo_cancel(
                tx, info.context.call, subscription_id=ids.subscription_id(input.subscription_id)
            )
        return SubscriptionKept(subscription=subscription_of(kept))
