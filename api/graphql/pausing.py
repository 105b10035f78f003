"""Pause a subscription where what is paid ends, and resume it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.graphql.subscriptions import Subscription, find, found_again, subscription_of
from domain.access.roles import Permission
from domain.contracts import service as contracts
from domain.db import Tx
from domain.subscriptions import service


@guarded_type(Permission.SUBSCRIPTION_WRITE, "The subscription pauses at `pauseAt`: where what is paid ends.")
class SubscriptionPaused:
    """Success of pauseSubscription."""

    subscription: Subscription = strawberry.field(description="The subscription as it now stands.")


@guarded_type(Permission.SUBSCRIPTION_WRITE, "The pause that had not begun was taken back.")
class SubscriptionPauseUndone:
    """Success of undoPauseSubscription."""

    subscription: Subscription = strawberry.field(description="The subscription as it now stands.")


@guarded_type(Permission.SUBSCRIPTION_WRITE, "The subscription runs again, in a full period of its own.")
class SubscriptionResumed:
    """Success of resumeSubscription."""

    subscription: Subscription = strawberry.field(description="The subscription as it now stands.")


@strawberry.input(description="Which subscription to pause. It must be active, and its end not pending.")
class PauseSubscriptionInput:
    """Input of pauseSubscription."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    resumes_at: datetime | None = strawberry.field(
        description="Where the pause ends by itself: after it begins, at most 732 days ahead. Null: by resuming it.",
        default=None,
    )


@strawberry.input(description="Which pause to take back.")
class UndoPauseSubscriptionInput:
    """Input of undoPauseSubscription."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")


@strawberry.input(description="Which subscription to resume.")
class ResumeSubscriptionInput:
    """Input of resumeSubscription."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


PauseSubscriptionResult = Annotated[
    SubscriptionPaused | AnyProblem,
    strawberry.union("PauseSubscriptionResult", description="What became of pauseSubscription."),
]
UndoPauseSubscriptionResult = Annotated[
    SubscriptionPauseUndone | AnyProblem,
    strawberry.union("UndoPauseSubscriptionResult", description="What became of undoPauseSubscription."),
]
ResumeSubscriptionResult = Annotated[
    SubscriptionResumed | AnyProblem,
    strawberry.union("ResumeSubscriptionResult", description="What became of resumeSubscription."),
]


@strawberry.type
class PauseMutation:
    """Changes of pauses."""

    @changing(
        Permission.SUBSCRIPTION_WRITE,
        "Pause a subscription where what is paid ends: from there nothing is billed, granted or counted. Safe to "
        "repeat.",
    )
    async def pause_subscription(
        self,
        info: Info[Context, None],
        input: Annotated[PauseSubscriptionInput, strawberry.argument(description="Which one, and until when.")],
    ) -> PauseSubscriptionResult:
        """Note it."""
        async with info.context.runtime.db.transaction() as tx:
            asked = await contracts.pause(
                tx,
                info.context.call,
                subscription_id=ids.subscription_id(input.subscription_id),
                resumes_at=input.resumes_at,
            )
        return SubscriptionPaused(subscription=subscription_of(asked))

    @changing(Permission.SUBSCRIPTION_WRITE, "Take back a pause that has not begun. Safe to repeat.")
    async def undo_pause_subscription(
        self,
        info: Info[Context, None],
        input: Annotated[UndoPauseSubscriptionInput, strawberry.argument(description="Which one.")],
    ) -> UndoPauseSubscriptionResult:
        """Forget it."""
        async with info.context.runtime.db.transaction() as tx:
            kept = await contracts.undo_pause(
                tx, info.context.call, subscription_id=ids.subscription_id(input.subscription_id)
            )
        return SubscriptionPauseUndone(subscription=subscription_of(kept))

    @changing(
        Permission.SUBSCRIPTION_WRITE,
        "End a pause now. A full period begins, and its fee is invoiced and collected. Once per idempotency key.",
    )
    async def resume_subscription(
        self,
        info: Info[Context, None],
        input: Annotated[ResumeSubscriptionInput, strawberry.argument(description="Which one.")],
    ) -> ResumeSubscriptionResult:
        """Resume it in one transaction with its invoice."""
        context, wanted = info.context, ids.subscription_id(input.subscription_id)
        async with context.runtime.db.transaction() as tx:
            found = await find(tx, context, wanted)
        if found is None:
            raise service.SubscriptionNotFound

        async def act(tx: Tx) -> tuple[SubscriptionResumed, Mapping[str, str]]:
            resumed = await contracts.resume(tx, context.call, subscription_id=wanted)
            return SubscriptionResumed(subscription=subscription_of(resumed)), {"subscription": str(resumed.id)}

        async def again(tx: Tx, kept: Mapping[str, str]) -> SubscriptionResumed:
            return SubscriptionResumed(subscription=await found_again(tx, context, kept))

        wish = Wish(context, "resumeSubscription", input.idempotency_key, found.customer_id, strawberry.asdict(input))
        result = await once(wish, act, again)
        await context.runtime.wakeups.publish([found.customer_id])
        return result
