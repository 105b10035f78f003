"""Postgres or the API is killed while usage comes in: what was acknowledged is counted once, and nothing twice."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from api.replay import documents
from api.replay.client import Client
from domain.adapters.clock import now
from tests.stories.processes import Processes, llm_events, until

CUSTOMERS = 3
# Senders, requests of each, events in a request.
LOAD = ((4, 75, 1), (2, 40, 20))
REQUESTS = sum(senders * requests for senders, requests, _ in LOAD)
EVENTS = sum(senders * requests * events for senders, requests, events in LOAD)
POSTGRES = "postgres"
VICTIMS = (POSTGRES, "api", POSTGRES)
REPEATED = 0.1
MOMENT_MAX_S = 0.05
SENT_WITHIN_S = 60.0

Events = list[dict[str, Any]]


@dataclass
class Ledger:
    """What senders remember: every answer that they got for each event, in the order of the answers."""

    answers: dict[str, list[str]] = field(default_factory=dict)
    requests: int = 0
    tries_lost: int = 0

    async def send(self, product: Client, events: Events) -> None:
        """Send a batch until it is answered, and write the answer down."""
        verdicts = await product.send(events)
        self.requests += 1
        for event, verdict in zip(events, verdicts, strict=True):
            assert verdict["id"] == event["id"]
            self.answers.setdefault(event["id"], []).append(verdict["status"])

    async def pause(self, pause_s: float) -> None:
        """Wait before another try of what was not answered, or answered with "not now"."""
        self.tries_lost += 1
        await asyncio.sleep(pause_s)


def _batches(customers: list[str]) -> list[list[Events]]:
    """Make what each sender sends. The event with the number n is worth n input tokens: their sum knows them all."""
    numbers = iter(range(1, EVENTS + 1))

    def batch(size: int) -> Events:
        own = [next(numbers) for _ in range(size)]
        customer_id = customers[own[0] % CUSTOMERS]
        return [llm_events(customer_id, [f"event-{n}"], now(), input_tokens=n, output_tokens=1)[0] for n in own]

    return [[batch(size) for _ in range(requests)] for senders, requests, size in LOAD for _ in range(senders)]


async def _send(product: Client, ledger: Ledger, batches: list[Events], seed: int) -> None:
    """Send batches one after another; after some of them an earlier one comes again, as if its answer had been lost."""
    chance = random.Random(seed)  # noqa: S311 -- repeats that can be repeated
    for number, events in enumerate(batches):
        await ledger.send(product, events)
        if chance.random() < REPEATED:
            await ledger.send(product, batches[chance.randrange(number + 1)])


@asynccontextmanager
async def _under_load(processes: Processes, customers: list[str]) -> AsyncIterator[Ledger]:
    """Let the senders send while the block runs, and afterwards until everything is acknowledged."""
    ledger = Ledger()
    url, token, key = processes.client.api_url, processes.client.token, await processes.usage_key()
    async with (
        Client(url, token, key, sleep=ledger.pause) as product,
        asyncio.timeout(SENT_WITHIN_S),
        asyncio.TaskGroup() as senders,
    ):
        for seed, batches in enumerate(_batches(customers)):
            senders.create_task(_send(product, ledger, batches, seed))
        yield ledger


async def _check(processes: Processes, customers: list[str], ledger: Ledger) -> None:
    """Every event was acknowledged, is stored and is counted; none is twice."""
    assert len(ledger.answers) == EVENTS
    for name, answers in ledger.answers.items():
        # The first answer may be `duplicate`: it was counted, and the answer that said so was lost.
        assert set(answers) <= {"counted", "duplicate"}, name
        assert set(answers[1:]) <= {"duplicate"}, name
    stored = await processes.rows.fetch("SELECT event_id FROM usage_event")
    assert Counter(row["event_id"] for row in stored) == dict.fromkeys(ledger.answers, 1)
    assert await processes.rows.fetchval("SELECT count(*) FROM event_identity") == EVENTS
    totals: Counter[str] = Counter()
    for customer_id in customers:
        totals += Counter(await _quantities(processes, customer_id))
    # 1 + 2 + … + n input tokens.
    assert totals == {"calls": EVENTS, "input_tokens": EVENTS * (EVENTS + 1) // 2, "output_tokens": EVENTS}


async def _quantities(processes: Processes, customer_id: str) -> Mapping[str, int]:
    [subscription] = (await processes.client.read(documents.USAGE, id=customer_id))["subscriptions"]
    meters = {each["meter"]["key"]: each["quantity"] for each in subscription["meters"]}
    return {key: int(meters[key]) for key in ("calls", "input_tokens", "output_tokens")}


async def test_kill_9_of_postgres_and_of_the_api_under_load_loses_nothing_acknowledged_and_counts_nothing_twice(
    durable_processes: Processes,
) -> None:
    processes = durable_processes
    chance = random.Random(20261128)  # noqa: S311 -- moments that can be repeated
    customers = [(await processes.customer(None))[0] for _ in range(CUSTOMERS)]
    async with _under_load(processes, customers) as ledger:
        for number, victim in enumerate(VICTIMS, 1):
            await _comes_to(ledger, number * REQUESTS // (len(VICTIMS) + 1))
            await asyncio.sleep(chance.uniform(0, MOMENT_MAX_S))
            await _kill_and_start(processes, victim, ledger)
    await _check(processes, customers, ledger)


async def _kill_and_start(processes: Processes, victim: str, ledger: Ledger) -> None:
    """Kill one, and start it when a sender has noticed. The others live on: who lost Postgres finds it again."""
    others = {name: processes.process_id(name) for name in ("api", "worker") if name != victim}
    lost = ledger.tries_lost
    await (processes.kill_postgres() if victim == POSTGRES else processes.kill(victim))
    await _loses_a_try(ledger, lost)
    await (processes.start_postgres() if victim == POSTGRES else processes.start(victim))
    answered = ledger.requests
    await _comes_to(ledger, answered + 1)
    assert {name: processes.process_id(name) for name in others} == others


async def _comes_to(ledger: Ledger, requests: int) -> None:
    async def come() -> bool:
        return ledger.requests >= requests

    await until(come, SENT_WITHIN_S, f"the answer to request {requests}")


async def _loses_a_try(ledger: Ledger, before: int) -> None:
    async def lost() -> bool:
        return ledger.tries_lost > before

    await until(lost, SENT_WITHIN_S, "a request that the kill met")
