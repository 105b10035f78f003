"""Re-drive events that wait in quarantine, once what they lacked is there; for staff."""

from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.redriving import reason_of
from domain.access.roles import Permission
from domain.kernel.errors import DomainError, Kind
from domain.usage.redriving import service
from domain.usage.redriving.service import Redriven

# One answer is that of one short transaction; whoever has more asks again.
EVENTS_MAX = 100


class RedriveOutOfBounds(DomainError):
    """A redriveEvents call looks at 1 to 100 events. Ask again with `after` for those that follow."""

    code = "redrive_out_of_bounds"
    kind = Kind.TOO_LARGE


@guarded_type(Permission.EVENT_WRITE, "An event that stays in quarantine.")
class KeptEvent:
    """A kept event."""

    id: strawberry.ID = strawberry.field(description="`evt_…`")
    reason: str = strawberry.field(description="Why it still waits, for programs, such as unpriced.")


@guarded_type(Permission.EVENT_WRITE, "Each event that was looked at left the quarantine or stays in it.")
class EventsRedriven:
    """Success of redriveEvents."""

    resolved_ids: list[strawberry.ID] = strawberry.field(
        description="`evt_…`: counted now, or given their cost; in the order in which they came."
    )
    kept: list[KeptEvent] = strawberry.field(description="Those that still lack something.")
    last_id: strawberry.ID | None = strawberry.field(
        description="The last one that was looked at: pass it as `after` for those that follow; null where none was."
    )


@strawberry.input(description="Which events in quarantine to look at once more; all that wait, unless told.")
class RedriveEventsInput:
    """Input of redriveEvents."""

    ids: list[strawberry.ID] | None = strawberry.field(
        description="`evt_…`, 1 to 100; those that do not wait any more are left out.", default=None
    )
    reason: str | None = strawberry.field(
        description="Those that wait for this reason, such as unpriced.", default=None
    )
    after: strawberry.ID | None = strawberry.field(
        description="Those that came after this one: the `lastId` of the answer before.", default=None
    )
    first: int = strawberry.field(
        description="How many to look at, 1 to 100, the first received first.", default=EVENTS_MAX
    )


RedriveEventsResult = Annotated[
    EventsRedriven | AnyProblem, strawberry.union("RedriveEventsResult", description="What became of redriveEvents.")
]


def _redriven_of(found: Redriven) -> EventsRedriven:
    return EventsRedriven(
        resolved_ids=[ids.id_of("event", each) for each in found.resolved],
        kept=[KeptEvent(id=ids.id_of("event", each), reason=reason) for each, reason in found.kept],
        last_id=ids.id_of("event", found.last) if found.last is not None else None,
    )


@strawberry.type
class RedriveMutation:
    """Changes of what waits in quarantine."""

    @changing(
        Permission.EVENT_WRITE,
        "Count events in quarantine that can be counted by now, and give their cost to those that can be priced by "
        "now. Safe to repeat: what was resolved is not looked at again.",
    )
    async def redrive_events(
        self,
        info: Info[Context, None],
        input: Annotated[RedriveEventsInput, strawberry.argument(description="Which events.")],
    ) -> RedriveEventsResult:
        """Re-drive a page of them."""
        if not (1 <= input.first <= EVENTS_MAX and (input.ids is None or 1 <= len(input.ids) <= EVENTS_MAX)):
            raise RedriveOutOfBounds
        found = await service.redrive(
            info.context.runtime.db,
            info.context.call,
            ids=[ids.event_id(each) for each in input.ids] if input.ids is not None else None,
            reason=reason_of(input.reason) if input.reason is not None else None,
            after=ids.event_id(input.after) if input.after is not None else None,
            limit=input.first,
        )
        await info.context.runtime.wakeups.publish(sorted(found.customers))
        return _redriven_of(found)
