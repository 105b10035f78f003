"""Alerts about limits, and what a customer wants to be told."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.catalogue import LimitPolicy
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import changing
from api.graphql.loaders import PageOf
from api.graphql.paging import Connection, page
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.graphql.scalars import exact
from api.graphql.subscriptions import Period
from domain.access.roles import Permission
from domain.alerts import alert as alerts
from domain.alerts.alert import AlertKind, Delivery
from domain.alerts.notice import Notice
from domain.alerts.preference import Preference, preference_of
from domain.alerts.preferring import service as preferring
from domain.alerts.raising import service
from domain.kernel.ids import CustomerId
from domain.limits.status import percent_of
from domain.limits.thresholds import Severity

name_enum(
    Severity,
    "Severity",
    "How grave an alert is.",
    INFO="Good to know.",
    WARNING="A limit comes near, or is tolerated to be passed.",
    CRITICAL="A limit is reached.",
)
name_enum(
    AlertKind,
    "AlertKind",
    "What an alert tells of.",
    THRESHOLD="Usage has reached a percentage of a limit.",
    FORECAST="A limit will be reached before its period ends, at the present rate.",
    GRACE="Usage is above a soft limit, and for how long that is tolerated.",
)
name_enum(
    Delivery,
    "Delivery",
    "What became of an alert's mail.",
    PENDING="It is on its way and tried again.",
    SENT="The mail server has taken it.",
    DELIVERED="The customer's server has taken it.",
    BOUNCED="The customer's server refused it for good.",
    COMPLAINED="The customer marked it as unwanted.",
    FAILED="The mail server refused the address for good, or gave no clear answer for a day.",
    SUPPRESSED="Its address had bounced or complained before.",
    WITHHELD="It was meant for a test customer whom no mail may reach.",
    SUPERSEDED="A graver one of the same limit was raised at once, and that is mailed.",
    UNWANTED="The customer has unsubscribed from this kind.",
)
name_enum(
    Notice,
    "NoticeKind",
    "The kinds of mail.",
    INVOICE_ISSUED="An invoice was issued. Nobody can unsubscribe from it.",
    PAYMENT_RECEIVED="A payment came in. Nobody can unsubscribe from it.",
    PAYMENT_FAILED="A payment failed. Nobody can unsubscribe from it.",
    RETRY_FAILED="Another try of a payment failed. Nobody can unsubscribe from it.",
    PAYMENT_ACTION_REQUIRED="A payment waits to be confirmed. Nobody can unsubscribe from it.",
    TOP_UP_FAILED="The payment of a top-up failed. Nobody can unsubscribe from it.",
    PAYMENT_METHOD_MISSING="An invoice could not be charged to anything. Nobody can unsubscribe from it.",
    PAYMENT_METHOD_WANTED="Another payment method is asked for. Nobody can unsubscribe from it.",
    ACCESS_RESTRICTED="Access is restricted until an invoice is paid. Nobody can unsubscribe from it.",
    LAST_NOTICE="The last day of an unpaid invoice comes near. Nobody can unsubscribe from it.",
    SUBSCRIPTION_UNPAID="Access is suspended as an invoice was not paid. Nobody can unsubscribe from it.",
    SUBSCRIPTION_ENDED_UNPAID="A subscription ended as it was not paid. Nobody can unsubscribe from it.",
    MOVED_TO_FREE="The free plan follows what was not paid. Nobody can unsubscribe from it.",
    LIMIT_THRESHOLD="A threshold of a limit was reached.",
    LIMIT_FORECAST="A limit will be reached at the present rate.",
    GRACE_COUNTDOWN="How long a soft limit is tolerated to be passed.",
    WEEKLY_DIGEST="What was used, once a week, for those who want it.",
    PAYMENT_METHOD_EXPIRING="A card expires at the end of the month. Nobody can unsubscribe from it.",
    PAYMENT_METHOD_BLOCKED="A payment method cannot be charged any more. Nobody can unsubscribe from it.",
    WALLET_LOW="No more than its threshold is left in a prepaid wallet.",
    TRIAL_ENDING="A trial ends in three days. Nobody can unsubscribe from it.",
    INVOICE_SENT="An invoice is to be paid by a transfer, and how. Nobody can unsubscribe from it.",
    INVOICE_DUE_SOON="Such an invoice is due soon. Nobody can unsubscribe from it.",
    INVOICE_OVERDUE="Such an invoice is overdue. Nobody can unsubscribe from it.",
    INVOICE_STILL_OVERDUE="Such an invoice is still overdue. Nobody can unsubscribe from it.",
)


@guarded_type(Permission.ALERT_READ, "Something that a customer should know about a limit. It is raised once.")
class Alert:
    """An alert."""

    id: strawberry.ID = strawberry.field(description="`alr_…`")
    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    kind: AlertKind = strawberry.field(description="What it tells of.")
    severity: Severity = strawberry.field(description="How grave it is.")
    limit_key: str = strawberry.field(description="The entitlement's key.")
    description: str = strawberry.field(description="The limit, for people.")
    policy: LimitPolicy = strawberry.field(description="What happens above the limit.")
    period: Period = strawberry.field(description="The usage period; the next one raises alerts anew.")
    step: int = strawberry.field(description="The percentage reached; of a grace the hours that were left.")
    used: Decimal = strawberry.field(description="What was used when it was raised, in `unit`, exact.")
    limit: Decimal = strawberry.field(description="The limit when it was raised, in `unit`.")
    percent: Decimal | None = strawberry.field(description="`used` in percent of `limit`, cut after six digits.")
    unit: str = strawberry.field(description="What is counted; a currency for a cost cap, in major units.")
    due_at: datetime | None = strawberry.field(
        description="When the limit will be reached, for a forecast, or the grace ends; null for a threshold."
    )
    upgrade: str | None = strawberry.field(description="The key of the cheapest plan that allows more, if any.")
    raised_at: datetime = strawberry.field(description="When, in the customer's business time.")
    read_at: datetime | None = strawberry.field(description="When it was first marked read, in real time.")
    delivery: Delivery = strawberry.field(description="What became of its mail.")


@guarded_type(Permission.ALERT_READ, "What a customer wants to be told.")
class AlertPreference:
    """A customer's preference."""

    thresholds: list[int] | None = strawberry.field(
        description="Percentages at which alerts are raised; null: those of each product."
    )
    unsubscribed: list[Notice] = strawberry.field(description="Kinds of mail that are not wanted.")
    weekly_digest: bool = strawberry.field(description="Whether the week's usage is mailed, on Mondays.")


@strawberry.input(description="Which alert to mark, and how.")
class MarkAlertReadInput:
    """Input of markAlertRead."""

    id: strawberry.ID = strawberry.field(description="`alr_…`")
    is_read: bool = strawberry.field(description="False marks it unread again.", default=True)


@guarded_type(Permission.ALERT_WRITE, "The alert is marked.")
class AlertMarked:
    """Success of markAlertRead."""

    alert: Alert = strawberry.field(description="As it now stands.")


@strawberry.input(description="What a customer wants to be told; it replaces what was wanted before.")
class ChangeAlertPreferenceInput:
    """Input of changeAlertPreference."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    thresholds: list[int] | None = strawberry.field(
        description="1 to 10 different whole percentages from 1 to 1000; null: those of each product.", default=None
    )
    unsubscribed: list[Notice] = strawberry.field(
        description="Kinds of mail that are not wanted; those about invoices and payments are refused.",
        default_factory=list,
    )
    weekly_digest: bool = strawberry.field(description="Whether to mail the week's usage, on Mondays.", default=False)


@guarded_type(Permission.ALERT_WRITE, "What the customer wants is noted.")
class AlertPreferenceChanged:
    """Success of changeAlertPreference."""

    preference: AlertPreference = strawberry.field(description="As it now stands.")


MarkAlertReadResult = Annotated[
    AlertMarked | AnyProblem, strawberry.union("MarkAlertReadResult", description="What became of markAlertRead.")
]
ChangeAlertPreferenceResult = Annotated[
    AlertPreferenceChanged | AnyProblem,
    strawberry.union("ChangeAlertPreferenceResult", description="What became of changeAlertPreference."),
]


def alert_of(value: alerts.Alert) -> Alert:
    """Wrap an alert."""
    percent = percent_of(value.used, value.limit)
    return Alert(
        id=ids.id_of("alert", value.id),
        subscription_id=ids.id_of("subscription", value.subscription_id),
        kind=value.kind,
        severity=value.severity,
        limit_key=value.limit_key,
        description=value.description,
        policy=LimitPolicy(value.policy),
        period=Period(start=value.period.start, end=value.period.end),
        step=value.step,
        used=exact(value.used),
        limit=exact(value.limit),
        percent=exact(percent) if percent is not None else None,
        unit=value.unit,
        due_at=value.due_at,
        upgrade=value.upgrade,
        raised_at=value.raised_at,
        read_at=value.read_at,
        delivery=value.delivery,
    )


def preference_type_of(value: Preference) -> AlertPreference:
    """Wrap what a customer wants."""
    return AlertPreference(
        thresholds=None if value.thresholds is None else list(value.thresholds),
        unsubscribed=sorted(value.unsubscribed),
        weekly_digest=value.weekly_digest,
    )


async def alerts_of(
    context: Context, customer_id: CustomerId, first: int, after: str | None, *, unread_only: bool
) -> Connection[Alert]:
    """Load a page of one customer's alerts, newest first, with those of the request's other customers."""
    loader = context.loaders.unread_alerts if unread_only else context.loaders.alerts

    async def load(last: UUID | None, limit: int) -> list[tuple[UUID, Alert]]:
        found = await loader.load(PageOf(customer_id, last, limit)) or []
        return [(each.id, alert_of(each)) for each in found]

    return await page(context, first, after, load)


@strawberry.type
class AlertMutation:
    """Changes of alerts."""

    @changing(Permission.ALERT_WRITE, "Mark an alert read, or unread again. Safe to repeat.")
    async def mark_alert_read(
        self,
        info: Info[Context, None],
        input: Annotated[MarkAlertReadInput, strawberry.argument(description="Which one, and how.")],
    ) -> MarkAlertReadResult:
        """Mark it."""
        context = info.context
        async with context.runtime.db.transaction() as tx:
            marked = await service.mark_read(tx, context.call, ids.alert_id(input.id), is_read=input.is_read)
        await context.runtime.wakeups.publish([marked.customer_id])
        return AlertMarked(alert=alert_of(marked))

    @changing(
        Permission.ALERT_WRITE,
        "Set what a customer wants to be told, as a whole: what is left out is as if it was never set. Safe to "
        "repeat; each change is audited.",
    )
    async def change_alert_preference(
        self,
        info: Info[Context, None],
        input: Annotated[ChangeAlertPreferenceInput, strawberry.argument(description="All that is wanted.")],
    ) -> ChangeAlertPreferenceResult:
        """Set it."""
        wanted = preference_of(
            ids.customer_id(input.customer_id),
            thresholds=input.thresholds,
            unsubscribed=input.unsubscribed,
            weekly_digest=input.weekly_digest,
        )
        async with info.context.runtime.db.transaction() as tx:
            changed = await preferring.change_preference(tx, info.context.call, wanted)
        return AlertPreferenceChanged(preference=preference_type_of(changed))
