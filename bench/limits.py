"""Checks and reservations over HTTP, one after another on one connection: warm, and when a lease must be granted."""

import asyncio
import time
from collections.abc import Iterable, Sequence

import msgspec

from bench.report import Result, at_most, middle
from bench.serving import HOST, Api, ask, connected, serving
from bench.world import PEPPER, Servers, opened, operator
from domain.access import service as access
from domain.customers import service as customers
from domain.db import Database
from domain.kernel.call import Environment
from domain.kernel.ids import encode
from domain.plans import service as plans
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval

WARM_MS_MAX, GRANT_MS_MAX = 0.3, 5.0
PRODUCT, PLAN = "llm", "enterprise"
SCOPES = ("limit:check", "usage:write")


def measure(running: Servers, database: str, requests: int) -> list[Result]:
    """Return the median times of warm checks and reservations, of grants, and of an endpoint that does nothing."""
    with serving(running, database) as api:
        return asyncio.run(_measure(running, database, api, requests))


async def _measure(running: Servers, database: str, api: Api, requests: int) -> list[Result]:
    async with opened(running, database) as db:
        secret = await _key(db)
        names = await _subscribers(db, max(requests // 20, 20))
    warm, *others = names
    bare = await _times(api, [_get(api)] * requests)
    await _times(api, [_reserve(api, secret, warm, "first")])
    checked = await _times(api, [_post(api, secret, "/v1/check", _wanted(warm))] * requests)
    reserved = await _times(api, [_reserve(api, secret, warm, f"r{number}") for number in range(requests)])
    await _times(api, [_post(api, secret, "/v1/check", _wanted(name)) for name in others])
    granted = await _times(api, [_reserve(api, secret, name, "first") for name in others])
    return [
        Result("an endpoint that does nothing: p50", f"{middle(bare):.2f} ms"),
        at_most("check, warm: p50", middle(checked), WARM_MS_MAX, digits=2, unit=" ms"),
        at_most("reserve, warm lease: p50", middle(reserved), WARM_MS_MAX, digits=2, unit=" ms"),
        at_most("reserve when a lease must be granted: p50", middle(granted), GRANT_MS_MAX, digits=2, unit=" ms"),
    ]


async def _times(api: Api, requests: Iterable[bytes]) -> list[float]:
    """Send requests one after another and return the milliseconds of each."""
    found = []
    async with connected(api) as (reader, writer):
        for request in requests:
            started = time.perf_counter()
            await ask(reader, writer, request)
            found.append((time.perf_counter() - started) * 1_000)
    return found


def _wanted(name: str) -> dict[str, object]:
    properties = {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 1_000, "output_tokens": 100}
    return {"customer": name, "type": "llm.call", "properties": properties}


def _reserve(api: Api, secret: str, name: str, caller_id: str) -> bytes:
    return _post(api, secret, "/v1/reservations", {**_wanted(name), "id": caller_id})


def _post(api: Api, secret: str, path: str, said: dict[str, object]) -> bytes:
    body = msgspec.json.encode(said)
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}:{api.port}\r\nAuthorization: Bearer {secret}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _get(api: Api) -> bytes:
    return f"GET /healthz HTTP/1.1\r\nHost: {HOST}:{api.port}\r\n\r\n".encode()


async def _key(db: Database) -> str:
    async with db.transaction() as tx:
        _, secret = await access.create_key(
            tx,
            operator(),
            name="limits",
            environment=Environment.TEST,
            scopes=SCOPES,
            product_key=PRODUCT,
            pepper=PEPPER.encode(),
        )
    return secret


async def _subscribers(db: Database, count: int) -> Sequence[str]:
    """Make customers whose calls and tokens are unlimited under a cap of their cost."""
    async with db.transaction() as tx:
        catalogue = await plans.load_catalogue(tx)
        names = []
        for _ in range(count):
            call = operator()
            made = await customers.create_customer(
                tx, call, environment=Environment.TEST, name="Ada", email="ada@example.com"
            )
            await subscriptions.open_subscription(
                tx,
                call,
                call.at,
                customer=made,
                product_id=catalogue.product(PRODUCT).id,
                plan_version_id=catalogue.current_version(PRODUCT, PLAN).id,
                interval=Interval.MONTH,
                currency="USD",
            )
            names.append(encode("customer", made.id))
        return names
