"""A change of a subscription, as the subscription shows it."""

from datetime import datetime

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.catalogue import Plan, plan_of
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import reading
from api.graphql.permissions import guarded_type
from domain.access.roles import Permission
from domain.kernel.ids import PlanVersionId
from domain.subscriptions import change as changes
from domain.subscriptions import schedule

name_enum(
    changes.ChangeAt,
    "ChangeAt",
    "When a change of a subscription takes effect.",
    NOW="At once.",
    PERIOD_END="Where the paid fee period ends.",
)
name_enum(
    changes.ChangeState,
    "SubscriptionChangeState",
    "Where a change of a subscription stands.",
    SCHEDULED="It waits for the end of what is paid.",
    PENDING="Its invoice waits to be paid; it takes effect then.",
    APPLIED="It has taken effect.",
    REPLACED="A later change took its place.",
    CANCELED="It was taken back.",
    LAPSED="Its invoice was not paid in time; nothing of it is charged.",
    REFUSED="When it was due, the plan did not hold what there was.",
)
name_enum(
    changes.Direction,
    "ChangeDirection",
    "Which way a change goes.",
    UPGRADE="A higher rank; or an equal one, and a longer interval or a larger quantity.",
    DOWNGRADE="Anything else.",
)


@guarded_type(Permission.SUBSCRIPTION_READ, "A change of the zone that a subscription is counted in.")
class ZoneChange:
    """A change of zone that waits for a boundary."""

    zone: str = strawberry.field(description="IANA time zone afterwards: the customer's.")
    at: datetime = strawberry.field(description="The boundary at which it takes effect, as far as is known now.")


@guarded_type(Permission.SUBSCRIPTION_READ, "A change of plan, interval or quantity that was asked for.")
class SubscriptionChange:
    """A change."""

    version_key: strawberry.Private[PlanVersionId]
    id: strawberry.ID = strawberry.field(description="`chg_…`")
    state: changes.ChangeState = strawberry.field(description="Where it stands.")
    direction: changes.Direction = strawberry.field(description="Which way it goes.")
    interval: schedule.Interval = strawberry.field(description="How often the fee is due afterwards.")
    quantity: int = strawberry.field(description="Units of the fee afterwards.")
    asked_at: datetime = strawberry.field(description="When it was asked for, in business time.")
    effective_at: datetime = strawberry.field(description="From where on it is charged.")
    expires_at: datetime | None = strawberry.field(description="When a pending one lapses.")
    invoice_id: strawberry.ID | None = strawberry.field(
        description="`inv_…` of the invoice that a pending one waits for."
    )

    @reading(Permission.CATALOGUE_READ, "The plan afterwards, in the version that will be pinned.")
    async def plan(self, info: Info[Context, None]) -> Plan:
        """Read it from the catalogue."""
        catalogue = await info.context.loaders.catalogue()
        return plan_of(catalogue, catalogue.plan_of_version(self.version_key), self.version_key)


def change_of(value: changes.Change) -> SubscriptionChange:
    """Wrap a change."""
    return SubscriptionChange(
        version_key=value.target.plan_version_id,
        id=ids.id_of("change", value.id),
        state=value.state,
        direction=value.direction,
        interval=value.target.interval,
        quantity=value.target.quantity,
        asked_at=value.asked_at,
        effective_at=value.effective_at,
        expires_at=value.expires_at,
        invoice_id=ids.id_of("invoice", value.invoice_id) if value.invoice_id else None,
    )
