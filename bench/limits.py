"""Checks and reservations over HTTP: warm, when a lease must be granted, and many more than there is room for.

The API has a core of its own, where there are two.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bench.machine import apart, cpu_s, memory_mb
from bench.report import Result, at_most, middle
from bench.serving import HOST, Api, ask_in_turn, connected, read_any, send_all, serving
from bench.world import PEPPER, Servers, opened, operator
from domain.access import service as access
from domain.customers import service as customers
from domain.db import Database
from domain.kernel.call import Environment
from domain.kernel.ids import encode
from domain.plans import service as plans
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval

WARM_MS_MAX, GRAPHQL_MS_MAX, GRANT_MS_MAX = 0.3, 0.8, 5.0
# Calls and tokens of the first plan are unlimited, under a cap of their cost; the second has 5,000 calls of Gemini.
PRODUCT, PLAN, FLOODED_PLAN, FLOODED_LIMIT = "llm", "enterprise", "pro", 5_000
FLOOD = 10_000
CONNECTIONS, PIPELINED, GRANTS_TOGETHER = 50, 20, 20
QUERY = """query($customer: ID!, $type: String!, $properties: JSON) {
  checkLimit(customerId: $customer, type: $type, properties: $properties) {
    allowed limits { key limit bound used held state resetsAt } } }"""
SCOPES = ("limit:check", "usage:write")


@dataclass(frozen=True, slots=True)
class _Timed:
    """What requests took: the median of each, and the API's CPU."""

    ms: float
    cpu_us: float


def measure(running: Servers, database: str, requests: int) -> list[Result]:
    """Return what warm checks, reservations and grants take, beside an endpoint that does nothing, and a flood."""
    with serving(running, database) as api, apart(api.process_id):
        return asyncio.run(_measure(running, database, api, requests))


async def _measure(running: Servers, database: str, api: Api, requests: int) -> list[Result]:
    async with opened(running, database) as db:
        secret = await _key(db)
        names = await _subscribers(db, PLAN, max(requests // 20, 20))
        [narrow] = await _subscribers(db, FLOODED_PLAN, 1)
    warm, *others = names
    bare = _timed(api, [_get(api)] * requests)
    _timed(api, [_reserve(api, secret, warm, "first")])
    checked = _timed(api, [_post(api, secret, "/v1/check", _wanted(warm))] * requests)
    reserved = _timed(api, [_reserve(api, secret, warm, f"r{number}") for number in range(requests)])
    asked_nothing = _timed(api, [_post(api, secret, "/graphql", {"query": "{ __typename }"})] * requests)
    queried = _timed(api, [_query(api, secret, warm)] * requests)
    found = [
        Result("an endpoint that does nothing: p50", f"{bare.ms:.2f} ms"),
        Result("an endpoint that does nothing: CPU of the API", f"{bare.cpu_us:.0f} us"),
        *_told("check, warm", checked, bare, WARM_MS_MAX),
        *_told("reserve, warm lease", reserved, bare, WARM_MS_MAX),
        Result("a query that asks for nothing, through GraphQL: p50", f"{asked_nothing.ms:.2f} ms"),
        Result("a query that asks for nothing, through GraphQL: CPU of the API", _cpu(asked_nothing, bare)),
        *_told("check through GraphQL, warm", queried, bare, GRAPHQL_MS_MAX),
    ]
    found += _told("reserve when a lease must be granted", _granted(api, secret, others), bare, GRANT_MS_MAX)
    found.append(await _throughput(api, secret, warm, requests))
    return [*found, *await _flooded(api, secret, narrow, FLOOD)]


async def _bare(api: Api, requests: int) -> float:
    """Return how many requests that do nothing are answered a second over as many connections."""
    return requests / await send_all(api, [_get(api)] * requests, CONNECTIONS)


def _told(work: str, timed: _Timed, bare: _Timed, ms_max: float) -> list[Result]:
    return [
        at_most(f"{work}: p50", timed.ms, ms_max, digits=2, unit=" ms"),
        Result(f"{work}: CPU of the API", _cpu(timed, bare)),
    ]


def _cpu(timed: _Timed, bare: _Timed) -> str:
    """Write CPU, also in that of an endpoint that does nothing: a ratio bears a busy machine better than a duration."""
    return f"{timed.cpu_us:,.0f} us, {timed.cpu_us / bare.cpu_us:.1f} times as much as nothing"


def _granted(api: Api, secret: str, names: Sequence[str]) -> _Timed:
    """Grant each customer its first lease, a moment after a check: its plan is known, and nothing is leased."""
    found = []
    for start in range(0, len(names), GRANTS_TOGETHER):
        some = names[start : start + GRANTS_TOGETHER]
        _timed(api, [_post(api, secret, "/v1/check", _wanted(name)) for name in some])
        found.append(_timed(api, [_reserve(api, secret, name, "first") for name in some]))
    return _Timed(middle([each.ms for each in found]), middle([each.cpu_us for each in found]))


async def _throughput(api: Api, secret: str, name: str, requests: int) -> Result:
    """Compare how many reservations are answered a second with how many requests that do nothing."""
    reservations = [_reserve(api, secret, name, f"t{number}") for number in range(requests)]
    bare = await _bare(api, requests)
    held = requests / await send_all(api, reservations, CONNECTIONS)
    figure = f"{held:,.0f}/s, {held / bare:.2f} of {bare:,.0f}/s"
    return Result(f"reservations over {CONNECTIONS} connections, against an endpoint that does nothing", figure)


async def _flooded(api: Api, secret: str, name: str, requests: int) -> list[Result]:
    """Send many more reservations at once than fit; none may be held beyond the limit, and each must be answered."""
    bare = await _bare(api, requests)
    before = memory_mb(api.process_id)
    queue = iter([_reserve(api, secret, name, f"f{number}") for number in range(requests)])
    answers: Counter[int] = Counter()

    async def send() -> None:
        async with connected(api) as (reader, writer):
            while some := list(itertools.islice(queue, PIPELINED)):
                writer.write(b"".join(some))
                for _ in some:
                    head, _body = await read_any(reader)
                    status = int(head.split()[1])
                    if status in {429, 503} and b"retry-after: " not in head:
                        raise RuntimeError("a refusal without Retry-After")
                    answers[status] += 1

    started = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(CONNECTIONS)))
    took = time.perf_counter() - started
    permits = answers.pop(201, 0)
    if permits > FLOODED_LIMIT or set(answers) - {429, 503}:
        raise RuntimeError(f"{permits} permits, {answers}")
    work = f"{requests:,} reservations at once for one customer with {FLOODED_LIMIT:,} left"
    figure = f"{permits:,} and {answers.total():,}"
    return [
        Result(f"{work}: permits, and refusals with Retry-After", figure),
        Result(f"{work}: all answered in", f"{took:.1f} s"),
        Result(
            f"{work}: answers, against an endpoint that does nothing",
            f"{requests / took:,.0f}/s, {requests / took / bare:.2f} of {bare:,.0f}/s",
        ),
        Result(f"{work}: memory", f"{memory_mb(api.process_id) - before:,.0f} MB"),
    ]


def _timed(api: Api, requests: Sequence[bytes]) -> _Timed:
    """Send requests one after another."""
    cpu = cpu_s(api.process_id)
    took = ask_in_turn(api, requests)
    return _Timed(middle(took) * 1_000, (cpu_s(api.process_id) - cpu) / len(requests) * 1e6)


def _wanted(name: str) -> dict[str, object]:
    properties = {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 1_000, "output_tokens": 100}
    return {"customer": name, "type": "llm.call", "properties": properties}


def _reserve(api: Api, secret: str, name: str, caller_id: str) -> bytes:
    return _post(api, secret, "/v1/reservations", {**_wanted(name), "id": caller_id})


def _post(api: Api, secret: str, path: str, said: dict[str, object]) -> bytes:
    body = msgspec.json.encode(said)
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}:{api.port}\r\nAuthorization: Bearer {secret}\r\n"
    head += "Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _query(api: Api, secret: str, name: str) -> bytes:
    wanted = _wanted(name)
    variables = {"customer": name, "type": wanted["type"], "properties": wanted["properties"]}
    return _post(api, secret, "/graphql", {"query": QUERY, "variables": variables})


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


async def _subscribers(db: Database, plan: str, count: int) -> Sequence[str]:
    """Make customers of a plan."""
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
                plan_version_id=catalogue.current_version(PRODUCT, plan).id,
                interval=Interval.MONTH,
                currency="USD",
            )
            names.append(encode("customer", made.id))
        return names
