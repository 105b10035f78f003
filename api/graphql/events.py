"""Usage events: report them, look at what was counted and at what waits in quarantine."""

from datetime import datetime
from decimal import Decimal
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
from api.graphql.scalars import Cost, Json, exact
from domain.access.roles import Permission
from domain.customers import service as customers
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import EventId
from domain.plans.provider_price import LIST_CURRENCY
from domain.usage import reading as readings
from domain.usage import service
from domain.usage.event import UsageEvent
from domain.usage.verdict import Reason, Status, Verdict, rejected

TYPED_BATCH_MAX = 100

name_enum(
    Status,
    "EventStatus",
    "What became of a usage event.",
    COUNTED="It was counted now, once.",
    DUPLICATE="It was counted before; nothing changed.",
    CONFLICT="Its id was sent before with another payload; the first one stays.",
    QUARANTINED="It is kept and not counted; staff look at it.",
    REJECTED="It is not kept; mend it and send it again.",
)


class TooManyEvents(DomainError):
    """A recordUsage call takes 1 to 100 events. Send more with POST /v1/events, up to 1,000 at a time."""

    code = "too_many_events"
    kind = Kind.TOO_LARGE


@guarded_type(Permission.EVENT_READ, "A usage event that was counted.")
class CountedEvent:
    """A counted event."""

    id: strawberry.ID = strawberry.field(description="`evt_…`")
    received_at: datetime = strawberry.field(description="When it came, in real time.")
    source: str = strawberry.field(description="Source of the key that sent it.")
    event_id: str = strawberry.field(description="The sender's id.")
    type: str = strawberry.field(description="The sender's type.")
    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`: where it was counted.")
    occurred_at: datetime = strawberry.field(description="When it happened, in business time.")
    properties: Json = strawberry.field(description="What was sent.")
    cost: Cost | None = strawberry.field(
        description="By the provider price list at `occurredAt`; null where its type has none or no price is known."
    )
    corrects: str | None = strawberry.field(
        description="The sender's id of the earlier event that it voids or replaces; null for any other."
    )


@guarded_type(Permission.EVENT_READ, "An event that could not be counted, or not priced, and waits for a person.")
class QuarantinedEvent:
    """A quarantined event."""

    id: strawberry.ID = strawberry.field(description="`evt_…`")
    received_at: datetime = strawberry.field(description="When it came, in real time.")
    source: str = strawberry.field(description="Source of the key that sent it.")
    event_id: str = strawberry.field(description="The sender's id.")
    type: str = strawberry.field(description="The sender's type.")
    customer: str = strawberry.field(description="The customer as the sender named it.")
    occurred_at: datetime = strawberry.field(description="When the sender says it happened.")
    properties: Json = strawberry.field(description="What was sent.")
    reason: str = strawberry.field(description="Why it waits, for programs, such as unknown_customer.")
    detail: str | None = strawberry.field(description="Where the fault is, such as the name of a property.")
    resolved_at: datetime | None = strawberry.field(description="When a person dealt with it.")


@guarded_type(Permission.USAGE_WRITE, "What became of one event.")
class EventResult:
    """The answer to one event."""

    id: str = strawberry.field(description="The sender's id.")
    status: Status = strawberry.field(description="What became of it.")
    reason: str | None = strawberry.field(description="Why it was not counted, for programs, such as outside_window.")
    message: str | None = strawberry.field(description="Why it was not counted, for people.")


@guarded_type(Permission.USAGE_WRITE, "What was counted is committed; each event has an answer.")
class UsageRecorded:
    """Success of recordUsage."""

    results: list[EventResult] = strawberry.field(description="One for each event, in order.")
    counted: int = strawberry.field(description="How many were counted now.")
    duplicate: int = strawberry.field(description="How many had been counted before.")


@strawberry.input(description="Something a customer used.")
class UsageEventInput:
    """One event."""

    id: str = strawberry.field(
        description="Unique for the customer and the key's source, for ever; 1 to 255 characters."
    )
    type: str = strawberry.field(
        description="The event type of a meter, such as llm.call; or void, for an event that only voids another."
    )
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    subscription_id: strawberry.ID | None = strawberry.field(
        description="`sub_…`; the live one of the key's product, unless told.", default=None
    )
    occurred_at: datetime | None = strawberry.field(
        description="35 days back to 5 minutes ahead in business time; when it is received, unless told.", default=None
    )
    # Null stands for none: introspection cannot write an object as the default of a scalar.
    properties: Json | None = strawberry.field(
        description="An object of at most 32 texts, numbers and truth values; numbers have at most 20.18 digits.",
        default=None,
    )
    corrects: str | None = strawberry.field(
        description=(
            "The id of an earlier event of the key's source, which this one replaces, or voids where its type is void. "
            "The key needs the scope usage:correct."
        ),
        default=None,
    )


@strawberry.input(description="1 to 100 events; more go to POST /v1/events.")
class RecordUsageInput:
    """Input of recordUsage."""

    events: list[UsageEventInput] = strawberry.field(description="In any order.")


RecordUsageResult = Annotated[
    UsageRecorded | AnyProblem, strawberry.union("RecordUsageResult", description="What became of recordUsage.")
]


def _cost_of(value: Decimal | None) -> Cost | None:
    return Cost(amount=exact(value), currency=LIST_CURRENCY) if value is not None else None


def _counted_of(value: readings.StoredEvent) -> CountedEvent:
    return CountedEvent(
        id=ids.id_of("event", value.id),
        received_at=value.received_at,
        source=value.source,
        event_id=value.event_id,
        type=value.type,
        subscription_id=ids.id_of("subscription", value.subscription_id),
        occurred_at=value.occurred_at,
        properties=Json(value.properties),
        cost=_cost_of(value.cost),
        corrects=value.corrects,
    )


def _quarantined_of(value: readings.QuarantinedEvent) -> QuarantinedEvent:
    return QuarantinedEvent(
        id=ids.id_of("event", value.id),
        received_at=value.received_at,
        source=value.source,
        event_id=value.event_id,
        type=value.type,
        customer=value.customer,
        occurred_at=value.occurred_at,
        properties=Json(value.properties),
        reason=value.reason,
        detail=value.detail,
        resolved_at=value.resolved_at,
    )


def _event_of(sent: UsageEventInput) -> UsageEvent | Verdict:
    properties: Json = Json({}) if sent.properties is None else sent.properties
    if not isinstance(properties, dict):
        return rejected(Reason.MALFORMED, "properties")
    return UsageEvent(
        id=sent.id,
        type=sent.type,
        customer=sent.customer_id,
        subscription=sent.subscription_id,
        occurred_at=sent.occurred_at.isoformat() if sent.occurred_at else None,
        properties=properties,
        corrects=sent.corrects,
    )


@strawberry.type
class EventQuery:
    """Queries about usage events."""

    @reading(Permission.EVENT_READ, "A customer's counted events, the last received first.")
    async def usage_events(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
        subscription_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Those of one subscription, `sub_…`.")
        ] = None,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[CountedEvent]:
        """List a page. Raises CustomerNotFound."""
        call, owner = info.context.call, ids.customer_id(customer_id)
        subscription = ids.find_subscription_id(subscription_id)

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, CountedEvent]]:
            async with info.context.runtime.db.transaction() as tx:
                await customers.load_customer(tx, call, owner)
                found = await service.list_events(
                    tx,
                    call,
                    owner,
                    subscription_id=subscription,
                    before=EventId(last) if last else None,
                    limit=limit,
                )
            return [(event.id, _counted_of(event)) for event in found]

        return await page(info.context, first, after, load)

    @reading(Permission.EVENT_READ, "Events in quarantine that nobody has dealt with, the last received first.")
    async def quarantined_events(
        self, info: Info[Context, None], first: First = PAGE_DEFAULT, after: After = None
    ) -> Connection[QuarantinedEvent]:
        """List a page."""

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, QuarantinedEvent]]:
            async with info.context.runtime.db.transaction() as tx:
                found = await service.list_quarantined(
                    tx, info.context.call, before=EventId(last) if last else None, limit=limit
                )
            return [(event.id, _quarantined_of(event)) for event in found]

        return await page(info.context, first, after, load)


@strawberry.type
class EventMutation:
    """Changes of usage."""

    @changing(
        Permission.USAGE_WRITE, "Report usage, with a key of scope usage:write. Safe to repeat. Enforces no limit."
    )
    async def record_usage(
        self,
        info: Info[Context, None],
        input: Annotated[RecordUsageInput, strawberry.argument(description="What was used.")],
    ) -> RecordUsageResult:
        """Hand the events to the committer and wait for its commit."""
        if not 1 <= len(input.events) <= TYPED_BATCH_MAX:
            raise TooManyEvents
        sent = [_event_of(event) for event in input.events]
        verdicts = await info.context.serving.recorder.record(info.context.call, sent)
        results = [
            EventResult(id=event.id, status=verdict.status, reason=verdict.reason, message=verdict.message)
            for event, verdict in zip(input.events, verdicts, strict=True)
        ]
        return UsageRecorded(
            results=results,
            counted=sum(verdict.status is Status.COUNTED for verdict in verdicts),
            duplicate=sum(verdict.status is Status.DUPLICATE for verdict in verdicts),
        )
