"""A whole Tollgate as real processes: the API, the worker, the sandbox and the mail catcher, over throw-away servers.

The commands, settings and health checks are those of `tollgate up`; only its supervisor is left out, so that a test
decides which process dies when. Logs stay in the home below the test's directory.
"""

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import httpx

from api.local import demo, up, webhooks
from api.local.children import Program
from api.local.home import make_secrets, open_home
from api.local.ports import LOOPBACK, free_port
from api.local.processes import wait_until
from api.local.throwaway import TemporaryServers
from api.replay import documents
from api.replay.client import Client
from api.seed import seed
from domain.adapters import clock as real_time
from domain.config import Settings
from tests.databases import copied
from tests.waiting import PATIENCE_S

POLL_S = 0.05
LIST_PAGES_MAX = 20
T = TypeVar("T")

MAKE_KEY = """mutation($input: CreateApiKeyInput!) {
  createApiKey(input: $input) { ... on ApiKeyCreated { key { id } secret } ... on Problem { __typename code message } }
}"""


@dataclass
class Processes:
    """The running processes by name, and the ways in to look at what they do."""

    servers: TemporaryServers
    database: str
    stack: up.Stack
    settings: Settings
    client: Client
    stripe: httpx.AsyncClient
    mail: httpx.AsyncClient
    rows: asyncpg.Connection
    _hands: ThreadPoolExecutor
    _programs: dict[str, Program] = field(default_factory=dict)
    _ports: dict[str, int] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def start(self, *names: str) -> None:
        """Start processes beside one another, or start them again, and wait until they are healthy."""
        made = [*up._helpers(self.stack), *up._processes(self.stack, self.settings), *self._more_apis()]
        programs = {each.name: each for each in made if each.name in names}
        self._programs |= programs
        for program in programs.values():
            await self._by_hand(program.launch)
        for program in programs.values():
            await self._by_hand(program.await_health)

    async def start_api(self, name: str) -> str:
        """Start one more API process beside the first one, under a name of its own; return its address."""
        self._ports[name] = free_port()
        await self.start(name)
        return f"http://{LOOPBACK}:{self._ports[name]}"

    def _more_apis(self) -> list[Program]:
        made = []
        for name, port in self._ports.items():
            api = up._processes(self.stack, replace(self.settings, port=port))[0]
            made.append(replace(api, name=name, log=self.stack.home.logs / f"{name}.log"))
        return made

    async def kill(self, name: str) -> None:
        """Send SIGKILL, without any warning, and wait until the process is gone."""
        program = self._programs[name]
        program.stop_steps = ()
        await self._by_hand(program.stop)

    async def kill_postgres(self) -> None:
        """Send SIGKILL to the first process of Postgres; its children notice and end by themselves."""
        process_id = self.servers.postgres.process_id
        assert process_id is not None
        os.kill(process_id, signal.SIGKILL)
        await self._by_hand(self._await_end_of_postgres)

    async def start_postgres(self) -> None:
        """Start Postgres again from the directory that it left behind, and look at its rows anew."""
        await self._by_hand(self.servers.postgres.start)
        await self.forget_rows()
        self.rows = await asyncpg.connect(**self.servers.postgres.asyncpg_arguments(self.database))

    async def stop_redis(self) -> None:
        """End Redis, with all that it holds."""
        await self._by_hand(self.servers.valkey.stop)

    async def start_redis(self) -> None:
        """Start Redis again, empty."""
        await self._by_hand(self.servers.valkey.start)

    async def forget_rows(self) -> None:
        """Close the connection that looks at rows."""
        await self.rows.close()

    def process_id(self, name: str) -> int | None:
        """Return the id of a process while it runs."""
        return self._programs[name].process_id

    async def stop(self) -> None:
        """Ask every process to end, the last started first."""
        for program in reversed(self._programs.values()):
            await self._by_hand(program.stop)

    async def customer(
        self, clock_id: str | None, *, card: str | None = "pm_card_visa", plan: str | None = "pro"
    ) -> tuple[str, str]:
        """Make a customer with a card and a monthly subscription of the product llm; return its id and address."""
        number = next(self._numbers)
        email = f"customer{number}@example.com"
        created = await self.client.change(
            documents.CREATE_CUSTOMER,
            environment="TEST",
            name=f"Customer {number}",
            email=email,
            zone="UTC",
            clockId=clock_id,
        )
        customer_id = str(created["customer"]["id"])
        if card is not None:
            await self.client.change(
                documents.ATTACH_METHOD,
                customerId=customer_id,
                gatewayMethodId=card,
                idempotencyKey=f"{customer_id} {card}",
            )
        if plan is not None:
            await self.subscribe(customer_id, plan)
        return customer_id, email

    async def subscribe(self, customer_id: str, plan: str) -> str:
        """Subscribe a customer to a plan of the product llm by the month; return the subscription's id."""
        started = await self.client.change(
            documents.SUBSCRIBE,
            customerId=customer_id,
            product="llm",
            plan=plan,
            interval="MONTH",
            currency="USD",
            idempotencyKey=f"{customer_id} {plan}",
        )
        return str(started["subscription"]["id"])

    async def clock(self, on: str) -> str:
        """Make a test clock that starts on a day."""
        created = await self.client.change(documents.CREATE_CLOCK, name="story", nowAt=f"{on}T00:00:00Z")
        return str(created["clock"]["id"])

    async def advance(self, clock_id: str, to: str) -> None:
        """Send a clock on its way to a day, without waiting for it."""
        await self.client.change(documents.ADVANCE_CLOCK, clockId=clock_id, to=f"{to}T00:00:00Z")

    async def arrived(self, clock_id: str) -> bool:
        """Tell whether a clock stands at its target. A clock that stopped on its way is a fault."""
        clock = await self.client.read(documents.CLOCK, id=clock_id)
        assert clock["state"] != "FAILED", clock["reason"]
        return bool(clock["state"] == "READY")

    async def usage_key(self, *more: str) -> str:
        """Make an API key with which the product llm reports usage of test customers; return its secret."""
        made = await self.client.change(
            MAKE_KEY, name="story", environment="TEST", scopes=["usage:write", *more], product="llm"
        )
        return str(made["secret"])

    @asynccontextmanager
    async def product(self) -> AsyncIterator[Client]:
        """Open a client that reports usage with a key of its own."""
        async with Client(self.client.api_url, self.client.token, await self.usage_key()) as client:
            yield client

    async def at_stripe(self, verb: str, path: str, form: Mapping[str, Any] | None = None) -> Any:
        """Make a request to Stripe's API of the sandbox, past Tollgate. A refusal is returned too."""
        return (await self.stripe.request(verb, path, data=dict(form or {}))).json()

    async def list_at_stripe(self, path: str, **filters: str) -> list[Any]:
        """Return all of a list at the sandbox, newest first."""
        found: list[Any] = []
        for _ in range(LIST_PAGES_MAX):
            after = {"starting_after": found[-1]["id"]} if found else {}
            page = (await self.stripe.get(path, params={"limit": 100, **after, **filters})).raise_for_status().json()
            found += page["data"]
            if not page["has_more"]:
                return found
        raise AssertionError("the list does not end")

    async def control(self, path: str, order: Any) -> None:
        """Order faults, or how deliveries are made, at the sandbox."""
        (await self.stripe.post(f"/_sandbox/{path}", json=order)).raise_for_status()

    async def messages(self, to: str) -> list[Any]:
        """Return the mails that an address got, oldest first, as the catcher shows them."""
        listed = (await self.mail.get("/messages", params={"to": to})).raise_for_status().json()
        return [(await self.mail.get(f"/messages/{each['id']}")).json() for each in reversed(listed)]

    def _await_end_of_postgres(self) -> None:
        assert wait_until(lambda: not self.servers.postgres.is_alive(), PATIENCE_S)

    async def _by_hand(self, act: Callable[[], None]) -> None:
        # One thread for as long as the processes live: the kernel ends them when the thread that started them ends.
        await asyncio.get_running_loop().run_in_executor(self._hands, act)


@asynccontextmanager
async def running(servers: TemporaryServers, template: str, place: Path) -> AsyncIterator[Processes]:
    """Run everything on a database of its own until the block ends."""
    home = open_home(place)
    secrets = make_secrets(home)
    async with AsyncExitStack() as held:
        database = await held.enter_async_context(copied(servers, "story", template))
        given = Settings(
            database_url=servers.postgres.dsn(database),
            redis_url=servers.valkey.url(),
            dev=True,
            port=free_port(),
            home=home.path,
        )
        stack = up.plan(given, home, secrets)
        await seed(stack.settings)
        token = demo.sign(stack.settings, real_time.now(), {"sub": "story", "kind": "staff", "role": "admin"})
        assert stack.sandbox_url is not None
        assert stack.mail_url is not None
        key = {"Authorization": f"Bearer {stack.settings.stripe_secret_key}"}
        rows = await asyncpg.connect(**servers.postgres.asyncpg_arguments(database))
        processes = Processes(
            servers=servers,
            database=database,
            stack=stack,
            settings=stack.settings,
            client=await held.enter_async_context(Client(stack.api_url, token)),
            stripe=await held.enter_async_context(_http(stack.sandbox_url, key)),
            mail=await held.enter_async_context(_http(stack.mail_url)),
            rows=rows,
            _hands=held.enter_context(ThreadPoolExecutor(1)),
        )
        held.push_async_callback(processes.forget_rows)
        held.push_async_callback(processes.stop)
        await _start(processes)
        yield processes


async def _start(processes: Processes) -> None:
    await processes.start("sandbox", "mail")
    stack = processes.stack
    assert stack.sandbox_url is not None
    secret = await asyncio.to_thread(
        webhooks.register, stack.home, stack.sandbox_url, stack.settings.stripe_secret_key, stack.api_url
    )
    processes.settings = replace(stack.settings, stripe_webhook_secret=(secret,))
    await processes.start("api", "worker")


def _http(url: str, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE_S, trust_env=False)


async def until(look: Callable[[], Awaitable[T]], within_s: float, what: str) -> T:
    """Look again and again until something true is seen, and return it; a failure after `within_s` seconds."""
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        found = await look()
        if found:
            return found
        assert asyncio.get_running_loop().time() < deadline, f"{what} did not come about within {within_s:.0f} s"
        await asyncio.sleep(POLL_S)


def llm_events(customer_id: str, names: list[str], at: datetime, **properties: object) -> list[dict[str, Any]]:
    """Make one LLM call's event for each name, a second apart."""
    return [
        {
            "id": name,
            "type": "llm.call",
            "customer": customer_id,
            "occurred_at": (at + timedelta(seconds=number)).isoformat(),
            "properties": {"provider": "gemini", "model": "gemini-2.5-pro", **properties},
        }
        for number, name in enumerate(names)
    ]
