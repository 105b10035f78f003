"""Webhook endpoints of the merchant, what was sent to them, and the events that can be sent."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import reading
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import SIGNED_IN, guarded_type, public_type
from api.graphql.scalars import BigInt, Json
from domain.access.roles import Permission
from domain.kernel.call import Environment
from domain.kernel.ids import NOBODY
from domain.webhooks import endpoint as endpoints
from domain.webhooks.delivering import service as delivering
from domain.webhooks.delivering import store as deliveries
from domain.webhooks.endpoints import service
from domain.webhooks.event_kind import KINDS
from domain.webhooks.feed import service as feed
from domain.webhooks.lane import LIVE
from domain.webhooks.payload import NEWEST, VERSIONS, Event, document_of
from domain.webhooks.port import Outcome
from domain.webhooks.queueing.store import Waiting

ENDPOINT_ID = "`whe_…`"
# A cursor that was made up may be larger than any number.
NUMBER_MAX = 2**63 - 1

name_enum(
    endpoints.EndpointState,
    "WebhookEndpointState",
    "Whether events are sent to an endpoint.",
    ENABLED="They are.",
    DISABLED="They wait, in order, until it is enabled.",
)
name_enum(
    endpoints.DisabledBy,
    "WebhookDisabledBy",
    "Why an endpoint is disabled.",
    STAFF="Somebody did it.",
    FAILING="It has taken nothing for three days.",
    GONE="It answered 410.",
)
name_enum(
    Outcome,
    "DeliveryOutcome",
    "What became of one try to hand over an event.",
    DELIVERED="It was answered with a status from 200 to 299.",
    REFUSED="It was answered with another status.",
    TIMED_OUT="It was not answered within 15 seconds.",
    UNREACHABLE="There was no connection.",
    TARGET_REFUSED="Its name leads to an address that is not public; nothing was sent.",
)


@guarded_type(Permission.WEBHOOK_READ, "Where events are sent, signed as Standard Webhooks say.")
class WebhookEndpoint:
    """An endpoint, without its secret."""

    id: strawberry.ID = strawberry.field(description=ENDPOINT_ID)
    environment: Environment = strawberry.field(description="It hears of customers of this environment only.")
    name: str = strawberry.field(description="What staff call it.")
    url: str = strawberry.field(description="Where events are posted.")
    events: list[str] = strawberry.field(description="Types such as invoice.paid, groups such as invoice.*, or *.")
    schema_version: str = strawberry.field(description="The version of the payloads; it stays until it is changed.")
    state: endpoints.EndpointState = strawberry.field(description="Whether events are sent now.")
    disabled_by: endpoints.DisabledBy | None = strawberry.field(description="Why it is disabled.")
    disabled_at: datetime | None = strawberry.field(description="Since when it is disabled; real time, as all here.")
    last_success_at: datetime | None = strawberry.field(description="When an event last arrived.")
    last_failure_at: datetime | None = strawberry.field(description="When one last did not.")
    created_at: datetime = strawberry.field(description="When it was made.")
    waiting_customers: int = strawberry.field(description="Of how many customers, or replays of theirs, events wait.")
    held_customers: int = strawberry.field(
        description="Of how many of them an event was refused for three days, and waits for staff."
    )
    next_attempt_at: datetime | None = strawberry.field(
        description="When the next of what waits is due to be sent, once the endpoint is enabled; null where nothing "
        "waits but for staff."
    )


@guarded_type(Permission.WEBHOOK_READ, "One try to hand an event to an endpoint; kept for 30 days.")
class WebhookDelivery:
    """A delivery."""

    id: strawberry.ID = strawberry.field(description="`dlv_…`")
    event_id: strawberry.ID = strawberry.field(description="`bev_…`, which was sent as `webhook-id`.")
    type: str = strawberry.field(description="Such as invoice.paid; endpoint.test for one that tries the endpoint.")
    customer_id: strawberry.ID | None = strawberry.field(description="`cus_…`; null for one about nobody.")
    number: BigInt | None = strawberry.field(description="The event's place among all; null for one about nobody.")
    attempt: int = strawberry.field(description="How many tries of this event it was, this one included.")
    is_replay: bool = strawberry.field(description="Whether staff had ordered it once more.")
    at: datetime = strawberry.field(description="When it was sent, in real time.")
    outcome: Outcome = strawberry.field(description="What became of it.")
    status: int | None = strawberry.field(description="The HTTP status of the answer, if there was one.")
    latency_ms: int = strawberry.field(description="Milliseconds until the answer, or until it was given up.")
    excerpt: str = strawberry.field(description="The first 1,000 bytes of the answer, or what stood in the way.")


@public_type("A kind of event that endpoints can hear of.")
class WebhookEventType:
    """A line of the catalogue of events."""

    name: str = strawberry.field(description="Such as invoice.paid.")
    description: str = strawberry.field(description="What has happened.")
    facts: list[str] = strawberry.field(description="What `data` holds of it, besides an amount where there is one.")


@guarded_type(Permission.FEED_READ, "What happened, as endpoints are sent it.")
class PublishedEvent:
    """An event with its place."""

    id: strawberry.ID = strawberry.field(description="`bev_…`")
    type: str = strawberry.field(description="Such as invoice.paid.")
    number: BigInt = strawberry.field(description="Its place among all events; later ones have larger numbers.")
    sequence: BigInt = strawberry.field(description="Its place among its customer's, without gaps.")
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    at: datetime = strawberry.field(description="When, in the customer's business time.")
    payload: Json = strawberry.field(description="What is sent, in the newest schema version.")


def endpoint_of(value: endpoints.Endpoint, waiting: Waiting) -> WebhookEndpoint:
    """Wrap an endpoint."""
    return WebhookEndpoint(
        id=ids.id_of("webhook_endpoint", value.id),
        environment=value.environment,
        name=value.name,
        url=value.url,
        events=list(value.events),
        schema_version=value.schema_version,
        state=value.state,
        disabled_by=value.disabled_by,
        disabled_at=value.disabled_at,
        last_success_at=value.last_success_at,
        last_failure_at=value.last_failure_at,
        created_at=value.created_at,
        waiting_customers=waiting.lanes,
        held_customers=waiting.held,
        next_attempt_at=waiting.next_at,
    )


def delivery_of(value: deliveries.Delivery) -> WebhookDelivery:
    """Wrap a delivery."""
    return WebhookDelivery(
        id=ids.id_of("delivery", value.id),
        event_id=ids.id_of("billing_event", value.event_id),
        type=value.type,
        customer_id=None if value.customer_id == NOBODY else ids.id_of("customer", value.customer_id),
        number=None if value.number is None else BigInt(value.number),
        attempt=value.attempt,
        is_replay=value.replay_id != LIVE,
        at=value.at,
        outcome=value.outcome,
        status=value.status,
        latency_ms=value.latency_ms,
        excerpt=value.excerpt.decode(errors="replace").replace("\0", ""),
    )


def _published_of(value: Event) -> PublishedEvent:
    return PublishedEvent(
        id=ids.id_of("billing_event", value.id),
        type=value.name,
        number=BigInt(value.number),
        sequence=BigInt(value.sequence),
        customer_id=ids.id_of("customer", value.customer_id),
        at=value.at,
        payload=Json(document_of(value, NEWEST)),
    )


@strawberry.type
class WebhookQuery:
    """Queries about webhooks and events."""

    @reading(Permission.WEBHOOK_READ, "The endpoints that the caller may see, oldest first, at most 32.")
    async def webhook_endpoints(
        self,
        info: Info[Context, None],
        environment: Annotated[
            Environment | None, strawberry.argument(description="Those of one environment; else of both.")
        ] = None,
    ) -> list[WebhookEndpoint]:
        """List them."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.list_endpoints(tx, info.context.call, environment=environment)
            waiting = await delivering.waiting_by_id(tx, info.context.call, [each.id for each in found])
        return [endpoint_of(each, waiting[each.id]) for each in found]

    @reading(Permission.WEBHOOK_READ, "Tries to hand events to an endpoint, newest first.")
    async def webhook_deliveries(
        self,
        info: Info[Context, None],
        *,
        endpoint_id: Annotated[strawberry.ID, strawberry.argument(description=ENDPOINT_ID)],
        customer_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Those about one customer, `cus_…`.")
        ] = None,
        failed_only: Annotated[bool, strawberry.argument(description="Those that did not arrive only.")] = False,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[WebhookDelivery]:
        """List a page. Raises EndpointNotFound."""
        endpoint = ids.endpoint_id(endpoint_id)
        customer = ids.customer_id(customer_id) if customer_id else None

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, WebhookDelivery]]:
            async with info.context.runtime.db.transaction() as tx:
                found = await delivering.list_deliveries(
                    tx,
                    info.context.call,
                    endpoint,
                    customer_id=customer,
                    failed_only=failed_only,
                    before=last,
                    limit=limit,
                )
            return [(each.id, delivery_of(each)) for each in found]

        return await page(info.context, first, after, load)

    @reading(SIGNED_IN, "What endpoints can hear of.")
    async def webhook_event_types(self, info: Info[Context, None]) -> list[WebhookEventType]:  # noqa: ARG002
        """List the catalogue."""
        return [
            WebhookEventType(name=each.name, description=each.description, facts=list(each.facts)) for each in KINDS
        ]

    @reading(SIGNED_IN, "The schema versions of payloads, oldest first; a new endpoint keeps the last.")
    async def webhook_schema_versions(self, info: Info[Context, None]) -> list[str]:  # noqa: ARG002
        """List them."""
        return sorted(VERSIONS)

    @reading(Permission.FEED_READ, "What happened to the customers that the caller may see, oldest first.")
    async def published_events(
        self,
        info: Info[Context, None],
        environment: Annotated[
            Environment | None, strawberry.argument(description="Of customers of one environment; else of both.")
        ] = None,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[PublishedEvent]:
        """List a page. Its cursors are the numbers of its events."""

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, PublishedEvent]]:
            async with info.context.runtime.db.transaction() as tx:
                found = await feed.read_feed(
                    tx,
                    info.context.call,
                    after=min(last.int, NUMBER_MAX) if last else 0,
                    limit=limit,
                    environment=environment,
                )
            return [(UUID(int=each.number), _published_of(each)) for each in found.events]

        return await page(info.context, first, after, load)
