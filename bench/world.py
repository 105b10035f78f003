"""Throw-away servers with a product to measure: 1,000 customers, and two kinds of event."""

import random
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from api.local.home import PASSABLE_DIRECTORY
from api.local.postgres import Postgres, postgres_at
from api.local.site import choose_account, socket_directory
from api.local.valkey import Valkey, valkey_at
from domain.access import service as access
from domain.access.roles import Permission, system_principal
from domain.adapters import clock
from domain.customers import service as customers
from domain.db import Database
from domain.kernel.call import Call, Environment, Principal, PrincipalKind
from domain.kernel.ids import encode
from domain.plans import service as plans
from domain.plans.definition import ProductDefinition, read_product
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval
from domain.usage.event import UsageEvent
from domain.usage.service import ensure_partitions
from domain.vault import Vault
from migrations.run import upgrade

MASTER_KEY: Final = bytes(32)
PEPPER: Final = "p" * 32
LLM, ONE = "bench_llm", "bench_one"
DIMENSIONS = ("provider", "model", "endpoint")
MODELS = (
    ("gemini", "gemini-2.5-pro"),
    ("gemini", "gemini-2.5-flash"),
    ("openai", "gpt-4o"),
    ("mistral", "mistral-large"),
)
ENDPOINTS = ("chat", "search")
KINDS = tuple((*model, endpoint) for model in MODELS for endpoint in ENDPOINTS)
_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens")
_FEE = {"key": "fee", "kind": "fee", "interval": "month", "model": "flat", "definition": {"amount": "0"}}
_COST = {"key": "usage", "kind": "usage", "meter": "cost", "model": "dynamic", "definition": {"multiplier": "1.00"}}
_PRICES: list[dict[str, Any]] = [{**each, "currency": "USD", "description": "A price"} for each in (_FEE, _COST)]


@dataclass(frozen=True, slots=True)
class Servers:
    """Running servers."""

    postgres: Postgres
    valkey: Valkey

    @property
    def postgres_id(self) -> int:
        """The id of the first process of Postgres."""
        assert self.postgres.process_id is not None, "it runs"
        return self.postgres.process_id


@contextmanager
def servers() -> Iterator[Servers]:
    """Start a durable Postgres, whose word is on disk, and a Valkey; remove both with their data at the end."""
    place = Path(tempfile.mkdtemp(prefix="tollgate-bench-"))
    place.chmod(PASSABLE_DIRECTORY)
    account = choose_account(place / "data")
    postgres = postgres_at(
        place, socket_directory(place / "s", secrets.token_hex(4), account), place / "postgres.log", durable=True
    )
    valkey = valkey_at(place / "valkey", place.name, place / "valkey.log", durable=False)
    try:
        postgres.start()
        valkey.start()
        yield Servers(postgres, valkey)
    finally:
        valkey.stop()
        postgres.stop()
        shutil.rmtree(place, ignore_errors=True)


def operator() -> Call:
    """Start a call by the system, now."""
    return Call(clock.new_id(), clock.now(), system_principal("bench"), clock.new_id)


def sender(product: str) -> Call:
    """Start a call by a key of a product, now."""
    principal = Principal(
        PrincipalKind.KEY,
        "bench",
        "key",
        frozenset((Permission.USAGE_WRITE,)),
        Environment.LIVE,
        product=product,
        source="bench",
    )
    return Call(clock.new_id(), clock.now(), principal, clock.new_id)


async def make_secret(db: Database, product: str) -> str:
    """Make a key of a product and return its secret."""
    async with db.transaction() as tx:
        _, secret = await access.create_key(
            tx,
            operator(),
            name=product,
            environment=Environment.LIVE,
            scopes=("usage:write",),
            product_key=product,
            customer_id=None,
            source="bench",
            pepper=PEPPER.encode(),
        )
    return secret


@asynccontextmanager
async def opened(running: Servers, name: str) -> AsyncIterator[Database]:
    """Open one of the databases."""
    db = Database(running.postgres.dsn(name), Vault(MASTER_KEY), pool_size=20)
    try:
        yield db
    finally:
        await db.close()


async def make_database(running: Servers, name: str, people: int, *, since: timedelta = timedelta(days=1)) -> list[str]:
    """Make a database with both products and so many customers subscribed to each; return the customers' names.

    The subscriptions began `since` ago.
    """
    await _administer(running, f"CREATE DATABASE {name}")
    await upgrade(running.postgres.dsn(name))
    async with opened(running, name) as db:
        async with db.transaction() as tx:
            await plans.seed_catalogue(tx, operator())
            for product in (
                _product(LLM, _llm_meters(), _PRICES),
                _product(ONE, [_meter(ONE, "requests")], _PRICES[:1]),
            ):
                await plans.publish(tx, operator(), product)
            await ensure_partitions(tx, clock.now())
        return await _make_people(db, people, clock.now() - since)


async def copy_database(running: Servers, source: str, name: str) -> None:
    """Copy a database that nobody is connected to."""
    await _administer(running, f"CREATE DATABASE {name} TEMPLATE {source}")


async def _administer(running: Servers, statement: str) -> None:
    connection = await asyncpg.connect(**running.postgres.asyncpg_arguments())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _make_people(db: Database, people: int, since: datetime) -> list[str]:
    async with db.transaction() as tx:
        catalogue = await plans.load_catalogue(tx)
    names = []
    async with db.transaction() as tx:
        for number in range(people):
            customer = await customers.create_customer(
                tx, operator(), environment=Environment.LIVE, name=f"C{number}", email=f"c{number}@example.com"
            )
            names.append(encode("customer", customer.id))
            for product in (LLM, ONE):
                await subscriptions.open_subscription(
                    tx,
                    operator(),
                    since,
                    customer=customer,
                    product_id=catalogue.product(product).id,
                    plan_version_id=catalogue.current_version(product, "plan").id,
                    interval=Interval.MONTH,
                    currency="USD",
                )
    return names


def _meter(event_type: str, key: str, aggregation: str = "count", values: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "key": key,
        "name": key,
        "event_type": event_type,
        "aggregation": aggregation,
        "unit": "unit",
        "value_properties": values,
        "when_missing": "skip",
        "dimensions": DIMENSIONS if event_type == LLM else ("region",),
    }


def _llm_meters() -> list[dict[str, Any]]:
    sums = [_meter(LLM, name, "sum", (name,)) for name in _TOKENS]
    return [_meter(LLM, "calls"), *sums, _meter(LLM, "tokens", "sum", _TOKENS), _meter(LLM, "cost", "cost")]


def _product(key: str, meters: list[dict[str, Any]], prices: list[dict[str, Any]]) -> ProductDefinition:
    plan = {"key": "plan", "name": "Plan", "rank": 1, "support": "", "features": [], "invoice_grace_s": 0}
    plan |= {"prices": prices, "entitlements": []}
    return read_product(msgspec.json.encode({"key": key, "name": key, "meters": meters, "plans": [plan]}))


class Workload:
    """Makes events, always other ones: 10 % of a stream repeat an earlier one of it."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self._random = random.Random(7)  # noqa: S311 -- a workload, not a secret
        self._next = 0

    def stream(self, product: str, count: int) -> list[UsageEvent]:
        """Make a stream of events."""
        events = [self._event(product) for _ in range(count)]
        for _ in range(count // 10):
            events[self._random.randrange(count)] = events[self._random.randrange(count)]
        return events

    def one_of_each(self, product: str) -> list[UsageEvent]:
        """Make an event for each customer and each combination of dimensions: afterwards every total exists."""
        kinds = KINDS if product == LLM else KINDS[:1]
        return [self._made(product, name, kind) for kind in kinds for name in self.names]

    def _event(self, product: str) -> UsageEvent:
        return self._made(product, self._random.choice(self.names), self._random.choice(KINDS))

    def _made(self, product: str, customer: str, kind: tuple[str, str, str]) -> UsageEvent:
        self._next += 1
        if product == ONE:
            return UsageEvent(f"request-{self._next}", ONE, customer, properties={"region": "fra"})
        provider, model, endpoint = kind
        properties = {
            "provider": provider,
            "model": model,
            "endpoint": endpoint,
            "input_tokens": 2048,
            "output_tokens": 28,
            "cache_read_tokens": 512,
            "latency_ms": 900,
        }
        return UsageEvent(f"call-{self._next}", LLM, customer, properties=properties)
