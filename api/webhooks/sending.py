"""What `tollgate webhooks` prints and orders, as the operator."""

from datetime import datetime

from api.seed import operator
from domain.config import Settings
from domain.kernel.ids import CustomerId, EndpointId, decode, encode
from domain.kernel.values import dataclass
from domain.webhooks.delivering import service as delivering
from domain.webhooks.endpoints import service as endpoints
from domain.webhooks.replaying import service as replaying


@dataclass(frozen=True, slots=True)
class Numbers:
    """A range of events by number, inclusive."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Times:
    """A stretch of business time, half-open."""

    since: datetime
    until: datetime


async def describe(settings: Settings) -> list[str]:
    """Return a line for each endpoint."""
    async with operator(settings) as (tx, call):
        found = await endpoints.list_endpoints(tx, call)
        waiting = await delivering.waiting_by_id(tx, call, [each.id for each in found])
    lines = []
    for each in found:
        state = f"{each.state} ({each.disabled_by})" if each.disabled_by else each.state.value
        queue = waiting[each.id]
        lines.append(
            f"{encode('webhook_endpoint', each.id)}  {each.environment}  {state}  waiting {queue.lanes}, "
            f"held {queue.held}  {each.name}  {' '.join(each.events)}"
        )
    return lines or ["there are no webhook endpoints"]


async def order_replay(settings: Settings, endpoint: str, wanted: Numbers | Times, *, customer: str) -> str:
    """Order a replay and say what it holds. Raises IdMalformed, EndpointNotFound, ReplayRefused."""
    endpoint_id = EndpointId(decode("webhook_endpoint", endpoint))
    customer_id = CustomerId(decode("customer", customer)) if customer else None
    async with operator(settings) as (tx, call):
        if isinstance(wanted, Numbers):
            made, customers = await replaying.replay_range(
                tx, call, endpoint_id, first_number=wanted.first, last_number=wanted.last, customer_id=customer_id
            )
        else:
            made, customers = await replaying.replay_time(
                tx, call, endpoint_id, since=wanted.since, until=wanted.until, customer_id=customer_id
            )
    return f"events {made.first_number} to {made.last_number} of {customers} customers will be sent once more"
