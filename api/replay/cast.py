"""The customers of a run, their clock and their subscriptions: made by the first replay, found by every later one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from api.replay import documents
from api.replay.client import Client
from api.replay.errors import ReplayError
from api.replay.live import Watched
from api.replay.trace import Run
from domain.kernel.values import dataclass

CURRENCY = "USD"
# A card that the sandbox, and Stripe in test mode, always charges.
CARD = "pm_card_visa"
CLOCK_PAGES_MAX = 50


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part in a run. All subscriptions started at the same instant of the same clock.

    `ends_at` is the end of the period that the trace lies in; None once that period was closed.
    """

    clock_id: str
    started_at: datetime
    ends_at: datetime | None
    customers: tuple[Watched, ...]


@dataclass(frozen=True, slots=True)
class _Subscribed:
    """One customer's subscription. `is_open` says that its first period is still the present one."""

    who: Watched
    started_at: datetime
    ends_at: datetime
    is_open: bool


async def gather_cast(client: Client, run: Run, now: datetime) -> Cast:
    """Find the run's clock, customers and subscriptions, and make what is missing.

    Repeatable, also after it was interrupted. `now` is where a new clock starts. Raises ReplayError.
    """
    external_ids = run.external_ids()
    first = await _find_customer(client, external_ids[0])
    clock = first["clock"] if first else await _find_clock(client, run.name) or await _make_clock(client, run, now)
    if clock is None:
        raise ReplayError(f"customer {external_ids[0]} is bound to no test clock; it was not made by a replay")
    subscribed = [await _subscribe(client, run, external_id, clock) for external_id in external_ids]
    started = {each.started_at for each in subscribed}
    if len(started) > 1:
        raise ReplayError(f"the customers of {run.name} did not start at the same instant; replay another file")
    still_open = [each.ends_at for each in subscribed if each.is_open]
    return Cast(clock["id"], started.pop(), min(still_open, default=None), tuple(each.who for each in subscribed))


async def _find_customer(client: Client, external_id: str) -> Any:
    found = (await client.read(documents.FIND_CUSTOMER, externalId=external_id))["nodes"]
    return found[0] if found else None


async def _find_clock(client: Client, name: str) -> Any:
    """Look for a clock whose customers were never made: the first replay was interrupted right after the clock."""
    after = None
    for _ in range(CLOCK_PAGES_MAX):
        page = await client.read(documents.CLOCKS, after=after)
        for clock in page["nodes"]:
            if clock["name"] == name:
                return clock
        if not page["pageInfo"]["hasNextPage"]:
            return None
        after = page["pageInfo"]["endCursor"]
    return None


async def _make_clock(client: Client, run: Run, now: datetime) -> Any:
    starts_at = now.replace(microsecond=0).isoformat()
    created = await client.change(documents.CREATE_CLOCK, repeatable=False, name=run.name, nowAt=starts_at)
    return created["clock"]


async def _subscribe(client: Client, run: Run, external_id: str, clock: Mapping[str, Any]) -> _Subscribed:
    """Bring one customer to the point where it has a card and a subscription."""
    found = await _find_customer(client, external_id)
    customer_id = str(found["id"]) if found else await _make_customer(client, external_id, clock["id"])
    customer = await client.read(documents.CUSTOMER, id=customer_id)
    mine = [each for each in customer["subscriptions"] if _is_of(run, each)]
    if not mine:
        if not customer["paymentMethods"]:
            await client.change(
                documents.ATTACH_METHOD,
                customerId=customer_id,
                gatewayMethodId=CARD,
                idempotencyKey=external_id,
            )
        started = await client.change(
            documents.SUBSCRIBE,
            customerId=customer_id,
            product=run.product,
            plan=run.plan,
            interval="MONTH",
            currency=CURRENCY,
            idempotencyKey=external_id,
        )
        mine = [started["subscription"]]
    first = min(mine, key=lambda each: each["startedAt"])
    started_at, period = datetime.fromisoformat(first["startedAt"]), first["period"]
    return _Subscribed(
        Watched(customer_id, first["id"]),
        started_at,
        datetime.fromisoformat(period["end"]),
        datetime.fromisoformat(period["start"]) == started_at,
    )


async def _make_customer(client: Client, external_id: str, clock_id: str) -> str:
    created = await client.change(
        documents.CREATE_CUSTOMER,
        repeatable=False,
        environment="TEST",
        name=f"Replay {external_id.rpartition('-')[2]}",
        email=f"{external_id}@replay.example",
        zone="UTC",
        externalId=external_id,
        clockId=clock_id,
    )
    return str(created["customer"]["id"])


def _is_of(run: Run, subscription: Mapping[str, Any]) -> bool:
    return (subscription["product"]["key"], subscription["plan"]["key"]) == (run.product, run.plan)
