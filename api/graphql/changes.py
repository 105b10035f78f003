"""Change a subscription, and take back a change that has not come yet."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.credit_notes import CreditNote, note_of
from api.graphql.fields import changing, reading
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.graphql.subscriptions import Subscription, subscription_of
from api.graphql.waiting import SubscriptionChange, change_of
from domain.access.roles import Permission
from domain.contracts.changing import wish as wishes
from domain.contracts.replanning import service as replanning
from domain.db import Tx
from domain.invoices import credit_note as notes
from domain.invoices.offsetting import service as offsetting
from domain.kernel.ids import ChangeId, SubscriptionId
from domain.payments.methods import service as methods
from domain.subscriptions import change as changes
from domain.subscriptions import schedule, service
from domain.subscriptions import subscription as subscriptions
from domain.subscriptions.changes import service as kept_changes


@guarded_type(Permission.SUBSCRIPTION_WRITE, "The change was made, waits for its payment, or is scheduled: see it.")
class SubscriptionChanged:
    """Success of changeSubscription."""

    subscription: Subscription = strawberry.field(description="The subscription as it now stands.")
    change: SubscriptionChange = strawberry.field(description="The change, and where it stands.")
    lowered: strawberry.Private[Sequence[notes.CreditNote]]

    @reading(Permission.INVOICE_READ, "By which the change lowered unpaid invoices: unused fees that were never paid.")
    async def credit_notes(self) -> list[CreditNote]:
        """Show them to whoever may read invoices as well."""
        return [note_of(each) for each in self.lowered]


@guarded_type(Permission.SUBSCRIPTION_WRITE, "No change is scheduled any more.")
class ScheduledChangeCanceled:
    """Success of cancelScheduledChange."""

    subscription: Subscription = strawberry.field(description="The subscription as it now stands.")


@strawberry.input(description="What is to be different; what is left out stays as it is.")
class ChangeSubscriptionInput:
    """Input of changeSubscription."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    plan: str | None = strawberry.field(
        description="Key of a plan of the same product; another plan than the present one in its newest version.",
        default=None,
    )
    interval: schedule.Interval | None = strawberry.field(
        description="How often the fee is due. Another interval starts a new period at the change.", default=None
    )
    quantity: int | None = strawberry.field(description="Units of the fee, 1 to 1,000,000.", default=None)
    at: changes.ChangeAt | None = strawberry.field(
        description="When. Unless told, an upgrade now and a downgrade at the end of what is paid.", default=None
    )
    proration_date: datetime | None = strawberry.field(
        description="The date of a preview, at most 15 minutes old: the change is then charged as that has shown.",
        default=None,
    )
    newest_version: bool = strawberry.field(
        description="Take the newest version of the plan, also of the present one, which keeps its own otherwise.",
        default=False,
    )
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="Whose scheduled change to take back.")
class CancelScheduledChangeInput:
    """Input of cancelScheduledChange."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")


ChangeSubscriptionResult = Annotated[
    SubscriptionChanged | AnyProblem,
    strawberry.union("ChangeSubscriptionResult", description="What became of changeSubscription."),
]
CancelScheduledChangeResult = Annotated[
    ScheduledChangeCanceled | AnyProblem,
    strawberry.union("CancelScheduledChangeResult", description="What became of cancelScheduledChange."),
]


@strawberry.type
class ChangeMutation:
    """Changes of what a subscription is."""

    @changing(
        Permission.SUBSCRIPTION_WRITE,
        "Change plan, its version, interval or quantity. What is left of the paid period is credited, the new fee "
        "is charged for the same time, and the net is invoiced at once; below zero it becomes customer credit. What "
        "was never paid is not credited: the unpaid invoice is lowered by a credit note. An upgrade of a customer "
        "whose method answers at once takes effect when it is paid, and lapses after 23 hours. A plan that does not "
        "hold what there is already is refused, unless at the period's end. "
        "Once per idempotency key.",
    )
    async def change_subscription(
        self,
        info: Info[Context, None],
        input: Annotated[ChangeSubscriptionInput, strawberry.argument(description="Which one, and what to change.")],
    ) -> ChangeSubscriptionResult:
        """Change it in one transaction with its invoice."""
        context, wanted = info.context, ids.subscription_id(input.subscription_id)
        async with context.runtime.db.transaction() as tx:
            found = await service.find_subscription(
                tx, wanted, scope=context.call.scope, environment=context.call.principal.environment
            )
        if found is None:
            raise service.SubscriptionNotFound

        async def act(tx: Tx) -> tuple[SubscriptionChanged, Mapping[str, str]]:
            wish = wish_of(input, pays_at_once=await methods.answers_at_once(tx, found.customer_id))
            done = await replanning.change(tx, context.call, subscription_id=wanted, wish=wish)
            outcome = {"subscription": str(wanted), "change": str(done.change.id)}
            return _changed(done.subscription, done.change, done.notes), outcome

        async def again(tx: Tx, kept: Mapping[str, str]) -> SubscriptionChanged:
            subscription = await service.find_subscription(
                tx, SubscriptionId(ids.uuid_of(kept["subscription"])), scope=found.customer_id
            )
            change = await kept_changes.find(tx, found.customer_id, ChangeId(ids.uuid_of(kept["change"])))
            assert subscription is not None, "subscriptions are never deleted"
            assert change is not None, "changes are never deleted"
            lowered = await offsetting.notes_of_change(tx, found.customer_id, subscription.id, change.effective_at)
            return _changed(subscription, change, lowered)

        key = Wish(context, "changeSubscription", input.idempotency_key, found.customer_id, strawberry.asdict(input))
        result = await once(key, act, again)
        await context.runtime.wakeups.publish([found.customer_id])
        return result

    @changing(Permission.SUBSCRIPTION_WRITE, "Forget a change that is scheduled for the period's end. Safe to repeat.")
    async def cancel_scheduled_change(
        self,
        info: Info[Context, None],
        input: Annotated[CancelScheduledChangeInput, strawberry.argument(description="Which one.")],
    ) -> CancelScheduledChangeResult:
        """Keep the subscription as it is."""
        wanted = ids.subscription_id(input.subscription_id)
        async with info.context.runtime.db.transaction() as tx:
            kept = await replanning.cancel_scheduled(tx, info.context.call, subscription_id=wanted)
        return ScheduledChangeCanceled(subscription=subscription_of(kept))


def wish_of(input: ChangeSubscriptionInput, *, pays_at_once: bool) -> wishes.Wish:
    """Read what is wished for."""
    return wishes.Wish(
        plan_key=input.plan,
        interval=input.interval,
        quantity=input.quantity,
        at=input.at,
        prorate_at=input.proration_date,
        pays_at_once=pays_at_once,
        newest_version=input.newest_version,
    )


def _changed(
    subscription: subscriptions.Subscription, change: changes.Change, lowered: Sequence[notes.CreditNote]
) -> SubscriptionChanged:
    return SubscriptionChanged(subscription=subscription_of(subscription), change=change_of(change), lowered=lowered)
