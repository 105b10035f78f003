"""What staff do about webhook endpoints: make, change, stop, delete, roll secrets, try, replay, leave out."""

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.graphql.scalars import BigInt
from api.graphql.webhooks import ENDPOINT_ID, WebhookDelivery, WebhookEndpoint, delivery_of, endpoint_of
from domain.access.roles import Permission
from domain.db import Tx
from domain.kernel.call import Environment
from domain.webhooks.delivering import service as delivering
from domain.webhooks.endpoint import OVERLAP_HOURS_DEFAULT, Endpoint
from domain.webhooks.endpoints import service
from domain.webhooks.endpoints.service import Change
from domain.webhooks.queueing.store import Replay, Waiting
from domain.webhooks.replaying import service as replaying
from domain.webhooks.replaying.service import ReplayRefused

_W = Permission.WEBHOOK_WRITE
_EVENTS = "1 to 50 types such as invoice.paid, groups such as invoice.*, or * for everything."
_URL = "https://…, public; at most 2,048 characters, without user name and fragment."
_NAME = "1 to 100 characters."


@guarded_type(_W, "The endpoint has a new secret, shown this once.")
class WebhookSecretIssued:
    """Success of createWebhookEndpoint and rotateWebhookSecret."""

    endpoint: WebhookEndpoint = strawberry.field(description="The endpoint.")
    secret: str = strawberry.field(
        description="`whsec_…`; give it to a Standard Webhooks library. It is not shown again."
    )


@guarded_type(_W, "The endpoint was changed, or stood so already.")
class WebhookEndpointChanged:
    """Success of the mutations of an endpoint."""

    endpoint: WebhookEndpoint = strawberry.field(description="As it now stands.")


@guarded_type(_W, "The endpoint was tried, whatever came of it.")
class WebhookEndpointTested:
    """Success of testWebhookEndpoint."""

    delivery: WebhookDelivery = strawberry.field(description="What became of the event.")


@guarded_type(_W, "The events will be sent once more.")
class WebhookEventsReplayed:
    """Success of replayWebhookEvents."""

    id: strawberry.ID = strawberry.field(description="`rpl_…`")
    first_number: BigInt = strawberry.field(description="Number of the first event of the range.")
    last_number: BigInt = strawberry.field(description="Number of the last event of the range.")
    customers: int = strawberry.field(description="How many customers' events are in it.")


@strawberry.input(description="A new endpoint.")
class CreateWebhookEndpointInput:
    """Input of createWebhookEndpoint."""

    environment: Environment = strawberry.field(description="It hears of customers of this environment only.")
    name: str = strawberry.field(description=_NAME)
    url: str = strawberry.field(description=_URL)
    events: list[str] = strawberry.field(description=_EVENTS)
    schema_version: str | None = strawberry.field(description="The newest, unless told.", default=None)


@strawberry.input(description="What to change of an endpoint; what is null stays.")
class UpdateWebhookEndpointInput:
    """Input of updateWebhookEndpoint."""

    id: strawberry.ID = strawberry.field(description=ENDPOINT_ID)
    name: str | None = strawberry.field(description=_NAME, default=None)
    url: str | None = strawberry.field(description=_URL, default=None)
    events: list[str] | None = strawberry.field(description=_EVENTS, default=None)
    schema_version: str | None = strawberry.field(description="One of webhookSchemaVersions.", default=None)


@strawberry.input(description="Which endpoint to disable.")
class DisableWebhookEndpointInput:
    """Input of disableWebhookEndpoint."""

    id: strawberry.ID = strawberry.field(description=ENDPOINT_ID)


@strawberry.input(description="Which endpoint to delete.")
class DeleteWebhookEndpointInput:
    """Input of deleteWebhookEndpoint."""

    id: strawberry.ID = strawberry.field(description=ENDPOINT_ID)


@strawberry.input(description="Which endpoint to try.")
class TestWebhookEndpointInput:
    """Input of testWebhookEndpoint."""

    id: strawberry.ID = strawberry.field(description=ENDPOINT_ID)


@strawberry.input(description="Which endpoint to enable.")
class EnableWebhookEndpointInput:
    """Input of enableWebhookEndpoint."""

    id: strawberry.ID = strawberry.field(description=ENDPOINT_ID)
    from_now: bool = strawberry.field(description="Leave out all that waits for it.", default=False)


@strawberry.input(description="Whose secret to roll.")
class RotateWebhookSecretInput:
    """Input of rotateWebhookSecret."""

    id: strawberry.ID = strawberry.field(description=ENDPOINT_ID)
    overlap_hours: int = strawberry.field(
        description="How long the secret before signs beside the new one, 0 to 168 hours.",
        default=OVERLAP_HOURS_DEFAULT,
    )


@strawberry.input(description="Which events to send once more: one, a range of numbers, or a stretch of time.")
class ReplayWebhookEventsInput:
    """Input of replayWebhookEvents."""

    id: strawberry.ID = strawberry.field(description=ENDPOINT_ID)
    event_id: strawberry.ID | None = strawberry.field(description="One event, `bev_…`.", default=None)
    first_number: BigInt | None = strawberry.field(
        description="The first event's number, with lastNumber.", default=None
    )
    last_number: BigInt | None = strawberry.field(description="The last event's number.", default=None)
    since: datetime | None = strawberry.field(description="Business time, inclusive, with until.", default=None)
    until: datetime | None = strawberry.field(description="Business time, exclusive.", default=None)
    customer_id: strawberry.ID | None = strawberry.field(
        description="Those of one customer, `cus_…`; not with eventId.", default=None
    )


@strawberry.input(description="Which event to leave out.")
class SkipWebhookEventInput:
    """Input of skipWebhookEvent."""

    id: strawberry.ID = strawberry.field(description=ENDPOINT_ID)
    event_id: strawberry.ID = strawberry.field(description="`bev_…`; it waits first among its customer's.")


CreateWebhookEndpointResult = Annotated[
    WebhookSecretIssued | AnyProblem,
    strawberry.union("CreateWebhookEndpointResult", description="What became of createWebhookEndpoint."),
]
UpdateWebhookEndpointResult = Annotated[
    WebhookEndpointChanged | AnyProblem,
    strawberry.union("UpdateWebhookEndpointResult", description="What became of updateWebhookEndpoint."),
]
DisableWebhookEndpointResult = Annotated[
    WebhookEndpointChanged | AnyProblem,
    strawberry.union("DisableWebhookEndpointResult", description="What became of disableWebhookEndpoint."),
]
EnableWebhookEndpointResult = Annotated[
    WebhookEndpointChanged | AnyProblem,
    strawberry.union("EnableWebhookEndpointResult", description="What became of enableWebhookEndpoint."),
]
DeleteWebhookEndpointResult = Annotated[
    WebhookEndpointChanged | AnyProblem,
    strawberry.union("DeleteWebhookEndpointResult", description="What became of deleteWebhookEndpoint."),
]
RotateWebhookSecretResult = Annotated[
    WebhookSecretIssued | AnyProblem,
    strawberry.union("RotateWebhookSecretResult", description="What became of rotateWebhookSecret."),
]
TestWebhookEndpointResult = Annotated[
    WebhookEndpointTested | AnyProblem,
    strawberry.union("TestWebhookEndpointResult", description="What became of testWebhookEndpoint."),
]
ReplayWebhookEventsResult = Annotated[
    WebhookEventsReplayed | AnyProblem,
    strawberry.union("ReplayWebhookEventsResult", description="What became of replayWebhookEvents."),
]
SkipWebhookEventResult = Annotated[
    WebhookEndpointChanged | AnyProblem,
    strawberry.union("SkipWebhookEventResult", description="What became of skipWebhookEvent."),
]


@strawberry.type
class WebhookDeskMutation:
    """Changes of webhook endpoints."""

    @changing(_W, "Make an endpoint. Its secret is shown once. At most 16 in an environment.")
    async def create_webhook_endpoint(
        self,
        info: Info[Context, None],
        input: Annotated[CreateWebhookEndpointInput, strawberry.argument(description="The new endpoint.")],
    ) -> CreateWebhookEndpointResult:
        """Make it."""
        runtime = info.context.runtime
        made, secret = await service.create_endpoint(
            runtime.db,
            runtime.sender,
            info.context.call,
            environment=input.environment,
            name=input.name,
            url=input.url,
            events=input.events,
            schema_version=input.schema_version,
        )
        return WebhookSecretIssued(endpoint=endpoint_of(made, Waiting()), secret=secret)

    @changing(_W, "Change an endpoint; what waits for it stays. Safe to repeat.")
    async def update_webhook_endpoint(
        self,
        info: Info[Context, None],
        input: Annotated[UpdateWebhookEndpointInput, strawberry.argument(description="Which one, and what.")],
    ) -> UpdateWebhookEndpointResult:
        """Change it."""
        runtime, endpoint_id = info.context.runtime, ids.endpoint_id(input.id)
        change = Change(input.name, input.url, input.events, input.schema_version)
        changed = await service.update_endpoint(runtime.db, runtime.sender, info.context.call, endpoint_id, change)
        async with runtime.db.transaction() as tx:
            return await _changed(info.context, tx, changed)

    @changing(_W, "Send nothing to an endpoint until it is enabled; what happens waits. Safe to repeat.")
    async def disable_webhook_endpoint(
        self,
        info: Info[Context, None],
        input: Annotated[DisableWebhookEndpointInput, strawberry.argument(description="Which one.")],
    ) -> DisableWebhookEndpointResult:
        """Disable it."""
        async with info.context.runtime.db.transaction() as tx:
            changed = await service.disable_endpoint(tx, info.context.call, ids.endpoint_id(input.id))
            return await _changed(info.context, tx, changed)

    @changing(_W, "Go on sending from where each customer's events stand, also those that are held. Safe to repeat.")
    async def enable_webhook_endpoint(
        self,
        info: Info[Context, None],
        input: Annotated[EnableWebhookEndpointInput, strawberry.argument(description="Which one, and from where.")],
    ) -> EnableWebhookEndpointResult:
        """Enable it."""
        endpoint_id = ids.endpoint_id(input.id)
        async with info.context.runtime.db.transaction() as tx:
            changed = await service.enable_endpoint(tx, info.context.call, endpoint_id, from_now=input.from_now)
            return await _changed(info.context, tx, changed)

    @changing(_W, "Delete an endpoint with all that waits for it, for ever.")
    async def delete_webhook_endpoint(
        self,
        info: Info[Context, None],
        input: Annotated[DeleteWebhookEndpointInput, strawberry.argument(description="Which one.")],
    ) -> DeleteWebhookEndpointResult:
        """Delete it."""
        async with info.context.runtime.db.transaction() as tx:
            changed = await service.delete_endpoint(tx, info.context.call, ids.endpoint_id(input.id))
            return await _changed(info.context, tx, changed)

    @changing(_W, "Give an endpoint a new secret, shown once; the one before signs beside it for some hours.")
    async def rotate_webhook_secret(
        self,
        info: Info[Context, None],
        input: Annotated[RotateWebhookSecretInput, strawberry.argument(description="Whose, and for how long.")],
    ) -> RotateWebhookSecretResult:
        """Roll it."""
        endpoint_id = ids.endpoint_id(input.id)
        async with info.context.runtime.db.transaction() as tx:
            endpoint, secret = await service.rotate_secret(
                tx, info.context.call, endpoint_id, overlap_hours=input.overlap_hours
            )
            changed = await _changed(info.context, tx, endpoint)
        return WebhookSecretIssued(endpoint=changed.endpoint, secret=secret)

    @changing(_W, "Send an endpoint an event of type endpoint.test at once, and tell what came of it.")
    async def test_webhook_endpoint(
        self,
        info: Info[Context, None],
        input: Annotated[TestWebhookEndpointInput, strawberry.argument(description="Which one.")],
    ) -> TestWebhookEndpointResult:
        """Try it."""
        runtime = info.context.runtime
        made = await delivering.probe_endpoint(runtime.db, runtime.sender, info.context.call, ids.endpoint_id(input.id))
        return WebhookEndpointTested(delivery=delivery_of(made))

    @changing(_W, "Send events once more, under their ids, in each customer's order, beside what happens.")
    async def replay_webhook_events(
        self,
        info: Info[Context, None],
        input: Annotated[ReplayWebhookEventsInput, strawberry.argument(description="Which ones.")],
    ) -> ReplayWebhookEventsResult:
        """Order it."""
        async with info.context.runtime.db.transaction() as tx:
            made, customers = await _replay(info.context, tx, input)
        return WebhookEventsReplayed(
            id=ids.id_of("webhook_replay", made.id),
            first_number=BigInt(made.first_number),
            last_number=BigInt(made.last_number),
            customers=customers,
        )

    @changing(_W, "Leave out an event that an endpoint cannot take, and go on with its customer's next.")
    async def skip_webhook_event(
        self,
        info: Info[Context, None],
        input: Annotated[SkipWebhookEventInput, strawberry.argument(description="Which one.")],
    ) -> SkipWebhookEventResult:
        """Leave it out."""
        endpoint_id, event_id = ids.endpoint_id(input.id), ids.billing_event_id(input.event_id)
        async with info.context.runtime.db.transaction() as tx:
            await replaying.skip_event(tx, info.context.call, endpoint_id, event_id)
            return await _changed(info.context, tx, await service.get_endpoint(tx, info.context.call, endpoint_id))


async def _changed(context: Context, tx: Tx, endpoint: Endpoint) -> WebhookEndpointChanged:
    waiting = await delivering.waiting_by_id(tx, context.call, [endpoint.id])
    return WebhookEndpointChanged(endpoint=endpoint_of(endpoint, waiting[endpoint.id]))


async def _replay(context: Context, tx: Tx, wanted: ReplayWebhookEventsInput) -> tuple[Replay, int]:
    """Order what an input says in one of three ways. Raises ReplayRefused for none or several."""
    call, endpoint_id = context.call, ids.endpoint_id(wanted.id)
    customer = ids.customer_id(wanted.customer_id) if wanted.customer_id else None
    parts = (wanted.event_id, wanted.first_number, wanted.last_number, wanted.since, wanted.until)
    match [part is not None for part in parts]:
        case [True, False, False, False, False] if customer is None:
            event_id = ids.billing_event_id(str(wanted.event_id))
            return await replaying.replay_event(tx, call, endpoint_id, event_id)
        case [False, True, True, False, False]:
            assert wanted.first_number is not None, "it is given"
            assert wanted.last_number is not None, "it is given"
            return await replaying.replay_range(
                tx,
                call,
                endpoint_id,
                first_number=wanted.first_number,
                last_number=wanted.last_number,
                customer_id=customer,
            )
        case [False, False, False, True, True]:
            assert wanted.since is not None, "it is given"
            assert wanted.until is not None, "it is given"
            return await replaying.replay_time(
                tx, call, endpoint_id, since=wanted.since, until=wanted.until, customer_id=customer
            )
    raise ReplayRefused("say one event, or a range of numbers, or a stretch of time")
