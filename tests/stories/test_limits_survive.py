"""Two API processes divide a limit while one of them is killed, Redis is lost, and Postgres is killed and started.

What callers were promised never passes the bound, what they were told is counted is counted once, and what died with a
process is free again when its lease ends.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx

from api.replay import documents
from domain.adapters.clock import now
from domain.limits.lease import LEASE_FOR
from tests.stories.processes import Processes, until

SET_OVERRIDE = """mutation($input: SetLimitOverrideInput!) {
  setLimitOverride(input: $input) { ... on LimitOverrideSet { override { key } } ... on Problem { code message } }
}"""
# Calls that the customer may make: the number that nothing may pass.
BOUND = 300
CALLERS = 12
# What callers who die with the process held there, and what callers who live on held there.
LOST, KEPT = 15, 5
FIRST, SECOND = "api", "second"
ROUNDS_MAX = 400
REFUSALS_MAX = 3
PAUSE_S = 0.05
WITHIN_S = 60.0
# Permits at which one thing after another is lost.
REDIS_AT, REDIS_BACK_AT, KILL_AT, POSTGRES_AT = 40, 70, 100, 160
USED = {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 800, "output_tokens": 10}


@dataclass
class Promises:
    """What callers know: which reservations they hold, and which they were told are counted."""

    held: set[str] = field(default_factory=set)
    settled: dict[str, str] = field(default_factory=dict)
    permits: int = 0
    refused: int = 0
    overruns: int = 0
    unavailable: int = 0
    broken: int = 0

    def permit(self, reservation: str) -> None:
        """Note a permit: with it, all that was promised still fits."""
        self.held.add(reservation)
        self.permits += 1
        assert len(self.held) + len(self.settled) <= BOUND

    def give_back(self, reservation: str) -> None:
        """Note what may be promised to someone else from now on."""
        self.held.remove(reservation)

    def settle(self, reservation: str, status: str) -> None:
        """Note what was acknowledged as counted."""
        self.held.discard(reservation)
        assert status in {"counted", "duplicate"}
        self.settled[reservation] = status


@dataclass
class Product:
    """A server of the product, which asks one of the processes and turns to the other when that does not answer."""

    http: httpx.AsyncClient
    urls: list[str]
    customer_id: str
    promises: Promises

    async def ask(self, path: str, body: Mapping[str, Any], turn: int) -> tuple[int, Any]:
        """Ask until there is an answer about the limit: the same request as often as it takes."""
        for attempt in range(turn, turn + ROUNDS_MAX):
            try:
                answer = await self.http.post(f"{self.urls[attempt % len(self.urls)]}{path}", json=body)
            except httpx.TransportError:
                self.promises.broken += 1
            else:
                if answer.status_code in {200, 201, 429} and answer.json().get("code") != "usage_busy":
                    assert answer.status_code != 429 or int(answer.headers["Retry-After"]) > 0
                    return answer.status_code, answer.json()
                assert answer.status_code in {429, 503}, answer.text
                assert int(answer.headers["Retry-After"]) > 0
                self.promises.unavailable += 1
            await asyncio.sleep(PAUSE_S)
        raise AssertionError(f"no answer to {path}")

    async def reserve(self, name: str, turn: int) -> str | None:
        """Hold one call; None where the limit refuses."""
        asked = {"id": name, "customer": self.customer_id, "type": "llm.call", "properties": USED}
        status, answer = await self.ask("/v1/reservations", asked, turn)
        if status == 429:
            assert answer["refusal"]["key"] == "gemini_calls"
            self.promises.refused += 1
            return None
        self.promises.permit(answer["reservation"])
        return str(answer["reservation"])

    async def settle(self, reservation: str, turn: int) -> None:
        """Report the call."""
        _, answer = await self.ask(
            f"/v1/reservations/{reservation}/settle", {"status": "measured", "properties": USED}, turn
        )
        self.promises.overruns += answer["overrun"]
        self.promises.settle(reservation, answer["status"])

    async def release(self, reservation: str, turn: int) -> None:
        """Give it back; others may be promised it before the answer comes."""
        self.promises.give_back(reservation)
        await self.ask(f"/v1/reservations/{reservation}/release", {}, turn)

    async def work(self, caller: int) -> None:
        """Make calls until the limit has refused some of them, and give back every fourth."""
        chance, refusals = random.Random(caller), 0  # noqa: S311 -- a workload, the same in every run
        for number in range(ROUNDS_MAX):
            turn = chance.randrange(2)
            reservation = await self.reserve(f"{caller}-{number}", turn)
            if reservation is None:
                refusals += 1
                if refusals == REFUSALS_MAX:
                    return
            elif chance.random() < 0.25:
                await self.release(reservation, turn)
            else:
                await self.settle(reservation, chance.randrange(2))


async def test_a_killed_process_a_lost_redis_and_a_killed_postgres_neither_pass_the_bound_nor_lose_a_settlement(
    durable_processes: Processes,
) -> None:
    processes = durable_processes
    second_url = await processes.start_api(SECOND)
    customer_id, _ = await processes.customer(None, card=None, plan="free")
    await _grant(processes, customer_id)
    key, promises = await processes.usage_key("limit:check"), Promises()
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=10, trust_env=False) as http:
        product = Product(http, [processes.client.api_url, second_url], customer_id, promises)
        lost, kept = await _hold_at_second(product, processes)
        holder = await processes.rows.fetchval("SELECT DISTINCT holder FROM limit_reservation")
        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as callers:
            for caller in range(CALLERS):
                callers.create_task(product.work(caller))
            await _comes_to(promises, REDIS_AT)
            await processes.stop_redis()
            await _comes_to(promises, REDIS_BACK_AT)
            await processes.start_redis()
            assert promises.unavailable == promises.broken == 0
            await _comes_to(promises, KILL_AT)
            assert promises.overruns == 0
            await processes.kill(SECOND)
            killed_at = now()
            await _comes_to(promises, POSTGRES_AT)
            await processes.kill_postgres()
            await processes.start_postgres()
        assert promises.broken > 0
        assert promises.unavailable > 0
        # Those whose callers live on are counted where nobody but the database knows of them, without an overrun.
        for reservation in kept:
            await product.settle(reservation, 0)
        await _lease_ends(processes, holder, killed_at + LEASE_FOR)
        for reservation in lost:
            promises.give_back(reservation)
        await _takes_the_rest(product)
    assert len(promises.settled) == BOUND
    [subscription] = (await processes.client.read(documents.USAGE, id=customer_id))["subscriptions"]
    assert {each["meter"]["key"]: each["quantity"] for each in subscription["meters"]}["calls"] == str(BOUND)
    stored = await processes.rows.fetch("SELECT event_id FROM usage_event")
    assert sorted(row["event_id"] for row in stored) == sorted(promises.settled)
    # A hold that had no row yet when its process was killed is settled above what is known of it: one for each caller.
    assert promises.overruns <= CALLERS
    overruns = await processes.rows.fetchval("SELECT count(*) FROM audit_entry WHERE action = 'limit_overrun'")
    assert overruns == promises.overruns


async def _grant(processes: Processes, customer_id: str) -> None:
    """Let the customer make BOUND calls of Gemini, and as much as it likes of everything else that a call feeds."""
    given: dict[str, Any] = {"customerId": customer_id, "product": "llm", "reason": "a story"}
    await processes.client.change(SET_OVERRIDE, **given, key="gemini_calls", amount=str(BOUND))
    await processes.client.change(SET_OVERRIDE, **given, key="tokens", unlimited=True)
    # Money fails closed: while Postgres is away nothing is let through unseen.
    await processes.client.change(SET_OVERRIDE, **given, key="monthly_cost", amount="1000000")


async def _hold_at_second(product: Product, processes: Processes) -> tuple[list[str], list[str]]:
    """Hold some calls at the second process alone, and wait until their rows are written."""
    found = [await product.reserve(f"held-{number}", 1) for number in range(LOST + KEPT)]
    held = [each for each in found if each is not None]

    async def written() -> bool:
        return bool(await processes.rows.fetchval("SELECT count(*) FROM limit_reservation") == LOST + KEPT)

    await until(written, WITHIN_S, "the rows of reservations")
    return held[:LOST], held[LOST:]


async def _lease_ends(processes: Processes, holder: UUID, by: datetime) -> None:
    """See that what died with a process is leased for a minute at most, and let that minute pass for it."""
    rows = await processes.rows.fetch("SELECT key, amount, expires_at FROM limit_lease WHERE holder = $1", holder)
    assert {row["key"]: row["amount"] for row in rows}["gemini_calls"] >= LOST
    assert max(row["expires_at"] for row in rows) <= by
    await processes.rows.execute("UPDATE limit_lease SET expires_at = $2 WHERE holder = $1", holder, now())


async def _takes_the_rest(product: Product) -> None:
    """Everything that is left can be used, and not one call more. A refusal by what is idle elsewhere is passing."""
    for number in range(BOUND - len(product.promises.settled)):
        reservation = await product.reserve(f"rest-{number}", 0)
        assert reservation is not None
        await product.settle(reservation, 0)
    assert await product.reserve("one more", 0) is None


async def _comes_to(promises: Promises, permits: int) -> None:
    async def come() -> bool:
        return promises.permits >= permits

    await until(come, WITHIN_S, f"permit {permits}")
