"""Alerts to the merchant's staff: what the system cannot mend by itself."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing, reading
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.alerts.staffing import service
from domain.alerts.staffing import staff_alert as rules
from domain.kernel.call import Environment
from domain.limits.thresholds import Severity


@guarded_type(Permission.STAFF_ALERT_READ, "Something that needs a person. It is mailed to TOLLGATE_STAFF_MAIL too.")
class StaffAlert:
    """An alert to staff."""

    id: strawberry.ID = strawberry.field(description="`sal_…`")
    kind: str = strawberry.field(description="For programs, such as webhook_disabled.")
    severity: Severity = strawberry.field(description="How grave it is.")
    about: str = strawberry.field(description="The id of the row that it tells of.")
    environment: Environment | None = strawberry.field(
        description="Whose customers it concerns; null: of both. A key of the test environment sees and marks those of "
        "test only, a key of live those of both too."
    )
    subject: str = strawberry.field(description="What happened, in a line.")
    text: str = strawberry.field(description="What happened, and what to do.")
    raised_at: datetime = strawberry.field(description="Real time.")
    read_at: datetime | None = strawberry.field(description="When somebody marked it read.")
    mailed_at: datetime | None = strawberry.field(description="When it was mailed.")


@guarded_type(Permission.STAFF_ALERT_WRITE, "The alert is read; the same trouble raises another one.")
class StaffAlertRead:
    """Success of markStaffAlertRead."""

    alert: StaffAlert = strawberry.field(description="As it now stands.")


@strawberry.input(description="Which alert is read.")
class MarkStaffAlertReadInput:
    """Input of markStaffAlertRead."""

    id: strawberry.ID = strawberry.field(description="`sal_…`")


MarkStaffAlertReadResult = Annotated[
    StaffAlertRead | AnyProblem,
    strawberry.union("MarkStaffAlertReadResult", description="What became of markStaffAlertRead."),
]


def _alert_of(value: rules.StaffAlert) -> StaffAlert:
    return StaffAlert(
        id=ids.id_of("staff_alert", value.id),
        kind=value.kind,
        severity=value.severity,
        about=value.about,
        environment=value.environment,
        subject=value.subject,
        text=value.text,
        raised_at=value.raised_at,
        read_at=value.read_at,
        mailed_at=value.mailed_at,
    )


@strawberry.type
class StaffAlertQuery:
    """Queries of alerts to staff."""

    @reading(Permission.STAFF_ALERT_READ, "Alerts to staff, newest first.")
    async def staff_alerts(
        self,
        info: Info[Context, None],
        unread_only: Annotated[bool, strawberry.argument(description="Those that nobody has read only.")] = False,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[StaffAlert]:
        """List a page."""

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, StaffAlert]]:
            async with info.context.runtime.db.transaction() as tx:
                found = await service.list_alerts(
                    tx, info.context.call, unread_only=unread_only, before=last, limit=limit
                )
            return [(each.id, _alert_of(each)) for each in found]

        return await page(info.context, first, after, load)


@strawberry.type
class StaffAlertMutation:
    """Changes of alerts to staff."""

    @changing(Permission.STAFF_ALERT_WRITE, "Mark an alert to staff read. Safe to repeat.")
    async def mark_staff_alert_read(
        self,
        info: Info[Context, None],
        input: Annotated[MarkStaffAlertReadInput, strawberry.argument(description="Which one.")],
    ) -> MarkStaffAlertReadResult:
        """Mark it."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.mark_read(tx, info.context.call, ids.staff_alert_id(input.id))
        return StaffAlertRead(alert=_alert_of(found))
