"""Events from Stripe: how soon each is acknowledged after its commit, and how many stored ones are processed."""

import asyncio
import hmac
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256

import sqlalchemy as sa

from bench import working
from bench.dunning import subscribe
from bench.report import Result, at_least, at_most
from bench.serving import HOST, Api, ask, connected, serving
from bench.working import Work, drain, side_by_side
from bench.world import Servers, copy_database
from domain.access.roles import system_principal
from domain.kernel.call import Environment
from domain.payments.port import GatewayEvent
from domain.runtime import Runtime
from domain.webhooks import service as webhooks
from domain.webhooks.inbox import API_VERSION

RATE_PER_S = 200
P50_MS_MAX, P99_MS_MAX = 5, 50
EVENTS_A_MINUTE_MIN = 10_000
# What two cores have in the minute of that many events.
CPU_MS_MAX = 12
CONNECTIONS = 32
# Events about one invoice: each is fetched and followed by itself.
EVENTS_OF_ONE = 20
_SECRET = "whsec_of_the_bench"  # noqa: S105 -- of a throw-away server
_VISA = "pm_card_visa"
_PADDING = "x" * 3_000


def measure(running: Servers, database: str, acknowledged: int, processed: int) -> list[Result]:
    """Return both: latencies of so many acknowledgements, and the rate of so many stored events."""
    asyncio.run(copy_database(running, database, f"{database}_acknowledged"))
    with serving(running, f"{database}_acknowledged", STRIPE_WEBHOOK_SECRET=_SECRET) as api:
        asyncio.run(_send(api, RATE_PER_S, first=0))  # Connections, statements and caches are warm afterwards.
        took = sorted(asyncio.run(_send(api, acknowledged, first=RATE_PER_S)))
    done = working.measure(running, database, Work(_prepare, _process, _check), processed)
    half, most = took[len(took) // 2], took[len(took) * 99 // 100]
    return [
        at_most("Webhooks: p50 to the acknowledgement at 200 a second", half * 1e3, P50_MS_MAX, unit=" ms"),
        at_most("Webhooks: p99 to the acknowledgement at 200 a second", most * 1e3, P99_MS_MAX, unit=" ms"),
        at_least(
            "Webhooks: stored events processed by two workers", done.a_minute, EVENTS_A_MINUTE_MIN, unit=" a minute"
        ),
        at_most("Webhooks: CPU to process an event, PostgreSQL included", done.cpu_ms, CPU_MS_MAX, unit=" ms"),
    ]


async def _send(api: Api, count: int, *, first: int) -> Sequence[float]:
    """Send events at the rate, whether or not the ones before are answered; return how long each took, in seconds.

    The time counts from the instant at which an event was to be sent, so that a late one is not made to look good.
    """
    numbers: Iterator[int] = itertools.count()
    started = time.perf_counter() + 0.1
    took: list[float] = []

    async def send() -> None:
        async with connected(api) as (reader, writer):
            for number in numbers:
                if number >= count:
                    return
                due = started + number / RATE_PER_S
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                await ask(reader, writer, _request(api, first + number))
                took.append(time.perf_counter() - due)

    await asyncio.gather(*(send() for _ in range(CONNECTIONS)))
    return took


def _request(api: Api, number: int) -> bytes:
    """Write the delivery of an event of the size that invoices have, signed now."""
    event = {
        "id": f"evt_{number}",
        "object": "event",
        "api_version": API_VERSION,
        "created": int(time.time()),  # noqa: TID251 -- a load has no other clock
        "data": {"object": {"id": f"in_{number}", "object": "invoice", "description": _PADDING}},
        "livemode": False,
        "type": "invoice.paid",
    }
    body = json.dumps(event).encode()
    signed = f"{event['created']}.".encode() + body
    signature = hmac.new(_SECRET.encode(), signed, sha256).hexdigest()
    head = (
        f"POST /api/webhooks/stripe HTTP/1.1\r\nHost: {HOST}:{api.port}\r\nContent-Type: application/json\r\n"
        f"Stripe-Signature: t={event['created']},v1={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _prepare(runtime: Runtime, events: int) -> None:
    """Store so many events about invoices that are paid, as most are when their events arrive."""
    await side_by_side(lambda: subscribe(runtime, _VISA), -(-events // EVENTS_OF_ONE))
    await drain(runtime)
    call = runtime.call(system_principal("bench"))
    async with runtime.db.transaction() as tx:
        copies = [row[0] for row in await tx.rows(sa.text("SELECT gateway_invoice_id FROM gateway_invoice"))]
        for number in range(events):
            about, name = copies[number % len(copies)], f"evt_{number}"
            event = GatewayEvent(
                name, "invoice.paid", API_VERSION, call.at, Environment.TEST, "invoice", about, _PADDING.encode()
            )
            await webhooks.receive(tx, call, event)


async def _process(runtime: Runtime, _: int) -> None:
    await drain(runtime)


async def _check(runtime: Runtime, events: int) -> None:
    async with runtime.db.transaction() as tx:
        done = await tx.value(sa.text("SELECT count(*) FROM inbox_event WHERE state = 'processed'"))
    assert done == events, f"{done} of {events} were processed"
