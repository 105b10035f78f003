"""Inbound events from the payment provider: what became of them, and their processing once more; for staff."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import changing, reading
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.kernel.call import Environment
from domain.kernel.period import Period
from domain.webhooks import inbox
from domain.webhooks.desk import service
from domain.webhooks.desk.service import Replayed, ReplayOutOfBounds
from domain.webhooks.inbox import InboxState

name_enum(
    InboxState,
    "InboxState",
    "What became of an inbound event.",
    RECEIVED="It waits for a worker.",
    PROCESSED="What it is about was fetched and followed.",
    IGNORED="It is not about anything of ours, or has no effect; the note says why.",
    QUARANTINED="It is about something that cannot be placed, and waits for staff.",
)


@guarded_type(Permission.JOB_READ, "An event that the payment provider sent. Its content is not shown.")
class InboxEvent:
    """An inbox event."""

    id: strawberry.ID = strawberry.field(description="`ibx_…`")
    provider: str = strawberry.field(description="Who sent it: stripe.")
    event_id: str = strawberry.field(description="The provider's id of it.")
    type: str = strawberry.field(description="The provider's word for what happened, such as invoice.paid.")
    object_id: str = strawberry.field(description="The provider's id of what it is about; empty where it has none.")
    environment: Environment = strawberry.field(description="Whether it is about real money.")
    api_version: str | None = strawberry.field(description="The version in which it was written.")
    received_at: datetime = strawberry.field(description="When it was stored, in real time.")
    state: InboxState = strawberry.field(description="What became of it.")
    attempts: int = strawberry.field(description="How often its processing was begun.")
    processed_at: datetime | None = strawberry.field(description="When it ended, in real time.")
    note: str | None = strawberry.field(description="Why it was ignored, or what staff have to mend.")


@guarded_type(Permission.JOB_READ, "A day on which events of another version came than the one that is read.")
class InboxAlarm:
    """A version alarm."""

    on_day: str = strawberry.field(description="In UTC, such as 2026-01-31.")
    api_version: str = strawberry.field(description="The version of the events.")
    event_id: str = strawberry.field(description="The provider's id of the first one of the day.")


@guarded_type(Permission.JOB_READ, "How the inbox stands.")
class InboxStanding:
    """The standing of the inbox."""

    waiting: int = strawberry.field(description="Events that wait for a worker, counted up to 10,000.")
    quarantined: int = strawberry.field(description="Events that wait for staff, counted up to 10,000.")
    swept_to: datetime | None = strawberry.field(
        description="Everything that happened at the provider before this instant was looked for; null before the "
        "first look."
    )
    expected_version: str = strawberry.field(description="The version that is read. Set the endpoint to it.")
    alarms: list[InboxAlarm] = strawberry.field(
        description="The last days on which events of another one came, at most 30, the newest first."
    )


@guarded_type(Permission.JOB_WRITE, "The events wait for a worker again.")
class InboxEventsReplayed:
    """Success of replayInboxEvents."""

    count: int = strawberry.field(description="How many.")
    last_id: strawberry.ID | None = strawberry.field(
        description="`ibx_…`: the last of them, where more follow: pass it as `after`. Null where all were taken."
    )


@strawberry.input(description="Which events to process again: those named, or those received in a stretch of time.")
class ReplayInboxEventsInput:
    """Input of replayInboxEvents."""

    ids: list[strawberry.ID] | None = strawberry.field(description="`ibx_…`, 1 to 500.", default=None)
    received_from: datetime | None = strawberry.field(description="The start of the stretch.", default=None)
    received_to: datetime | None = strawberry.field(description="Its end, which does not belong to it.", default=None)
    state: InboxState | None = strawberry.field(
        description="Of a stretch: only those that are in this state; all where it is null.", default=None
    )
    after: strawberry.ID | None = strawberry.field(
        description="Of a stretch: those that came after this one, the `lastId` of the answer before.", default=None
    )


ReplayInboxEventsResult = Annotated[
    InboxEventsReplayed | AnyProblem,
    strawberry.union("ReplayInboxEventsResult", description="What became of replayInboxEvents."),
]


def _event_of(value: inbox.InboxEvent) -> InboxEvent:
    return InboxEvent(
        id=ids.id_of("inbox_event", value.key),
        provider=value.provider,
        event_id=value.id,
        type=value.type,
        object_id=value.object_id,
        environment=value.environment,
        api_version=value.api_version,
        received_at=value.received_at,
        state=value.state,
        attempts=value.attempts,
        processed_at=value.processed_at,
        note=value.note,
    )


@strawberry.type
class InboxQuery:
    """Queries of the inbox."""

    @reading(Permission.JOB_READ, "Events that the payment provider sent, the newest first; for staff.")
    async def inbox_events(
        self,
        info: Info[Context, None],
        *,
        state: Annotated[
            InboxState | None, strawberry.argument(description="Those in a state, such as QUARANTINED.")
        ] = None,
        type: Annotated[str | None, strawberry.argument(description="Those of a type, such as invoice.paid.")] = None,
        stuck_only: Annotated[
            bool,
            strawberry.argument(
                description="Those that wait for staff only: quarantined, or given up after their processing failed."
            ),
        ] = False,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[InboxEvent]:
        """List a page."""

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, InboxEvent]]:
            async with info.context.runtime.db.transaction() as tx:
                found = await service.list_events(
                    tx,
                    info.context.call,
                    state=state,
                    event_type=type,
                    before=last,
                    limit=limit,
                    stuck_only=stuck_only,
                )
            return [(event.key, _event_of(event)) for event in found]

        return await page(info.context, first, after, load)

    @reading(Permission.JOB_READ, "How the inbox stands: what waits, how far was looked, version alarms; for staff.")
    async def inbox_standing(self, info: Info[Context, None]) -> InboxStanding:
        """Tell it."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.standing(tx, info.context.call)
        return InboxStanding(
            waiting=found.waiting,
            quarantined=found.quarantined,
            swept_to=found.swept_to,
            expected_version=inbox.API_VERSION,
            alarms=[
                InboxAlarm(on_day=each.on_day.isoformat(), api_version=each.api_version, event_id=each.event_id)
                for each in found.alarms
            ],
        )


@strawberry.type
class InboxMutation:
    """Changes of the inbox."""

    @changing(
        Permission.JOB_WRITE,
        "Process inbound events again, at most 500 a call, after what they lacked is there: each fetches what it is "
        "about as that now is. Safe to repeat; for staff.",
    )
    async def replay_inbox_events(
        self,
        info: Info[Context, None],
        input: Annotated[ReplayInboxEventsInput, strawberry.argument(description="Which ones.")],
    ) -> ReplayInboxEventsResult:
        """Let them wait again."""
        async with info.context.runtime.db.transaction() as tx:
            if input.ids is not None:
                keys = [ids.inbox_event_key(each) for each in input.ids]
                return _replayed_of(await service.replay(tx, info.context.call, keys))
            after = ids.inbox_event_key(input.after) if input.after is not None else None
            span = _span_of(input)
            return _replayed_of(await service.replay_range(tx, info.context.call, span, state=input.state, after=after))


def _span_of(given: ReplayInboxEventsInput) -> Period:
    start, end = given.received_from, given.received_to
    if start is None or end is None or start >= end:
        raise ReplayOutOfBounds
    return Period(start, end)


def _replayed_of(done: Replayed) -> InboxEventsReplayed:
    return InboxEventsReplayed(
        count=done.count, last_id=ids.id_of("inbox_event", done.last) if done.last is not None else None
    )
