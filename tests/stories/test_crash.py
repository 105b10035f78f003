"""Processes die, replies are lost, webhooks come twice and Redis is emptied: everyone is billed and charged once."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email import message_from_string
from typing import Any

from redis.asyncio import Redis

from api.local.throwaway import TemporaryServers
from api.replay import documents
from domain.kernel.ids import encode
from tests.make import at
from tests.stories.deaths import FAULTS, SETTLED_WITHIN_S, Death, come_to_rest, worker_lives_and_dies
from tests.stories.processes import Processes, llm_events, until

CUSTOMERS = 6
KILLS = 8
# Each second death of a worker falls into a death of the API, which misses the webhooks meanwhile.
DEATHS = KILLS + KILLS // 2
MOMENT_MAX_S = 0.7
# The anchor is the 31st: each month's last day.
BOUNDARIES = ("2026-02-28", "2026-03-31", "2026-04-30")


@dataclass(frozen=True)
class Billed:
    """A customer and the totals, in cents, of the invoices it must have, oldest first."""

    id: str
    email: str
    totals: tuple[int, ...]


async def _customers(processes: Processes, clock_id: str, *, count: int, months: int) -> list[Billed]:
    """Subscribe customers to Pro, and use a dollar more for each of them than for the one before."""
    billed = []
    async with processes.product() as product:
        for number in range(1, count + 1):
            customer_id, email = await processes.customer(clock_id)
            # 800,000 input tokens at 1.25 per million are 1.00 USD.
            names = [f"{number}-{event}" for event in range(number)]
            events = llm_events(customer_id, names, at("2026-01-31"), input_tokens=800_000, output_tokens=0)
            assert {verdict["status"] for verdict in await product.send(events)} == {"counted"}
            # A fee of 79.00 a month in advance; what was used in the first month stands on the second invoice.
            totals = [7900] * (months + 1)
            totals[1] += 100 * number
            billed.append(Billed(customer_id, email, tuple(totals)))
    return billed


async def _check_invoices(processes: Processes, billed: Sequence[Billed]) -> dict[str, Any]:
    """Everyone has exactly the expected invoices, all paid; their numbers have no gap. Return them by id."""
    found: dict[str, Any] = {}
    for each in billed:
        nodes = (await processes.client.read(documents.INVOICES, id=each.id))["invoices"]["nodes"]
        assert [(node["state"], round(float(node["total"]["amount"]) * 100)) for node in reversed(nodes)] == [
            ("PAID", total) for total in each.totals
        ]
        found |= {node["id"]: node for node in nodes}
    numbers = sorted(row["number"] for row in await processes.rows.fetch("SELECT number FROM invoice"))
    assert numbers == [f"TEST-2026-{number:06}" for number in range(1, len(found) + 1)]
    return found


async def _check_charges(processes: Processes, invoices: dict[str, Any]) -> None:
    """Every invoice has one copy at Stripe, and every copy one payment that succeeded, over its total."""
    copies = await processes.list_at_stripe("/v1/invoices")
    assert Counter(copy["metadata"]["invoice_id"] for copy in copies) == dict.fromkeys(invoices, 1)
    assert {copy["status"] for copy in copies} == {"paid"}
    payments = await processes.list_at_stripe("/v1/invoice_payments", status="paid")
    paid_by = {payment["payment"]["payment_intent"]: payment["invoice"] for payment in payments}
    intents = await processes.list_at_stripe("/v1/payment_intents")
    succeeded = [intent for intent in intents if intent["status"] == "succeeded"]
    charged = Counter({paid_by[intent["id"]]: intent["amount_received"] for intent in succeeded})
    assert charged == {copy["id"]: copy["total"] for copy in copies}
    assert len(succeeded) == len(invoices)
    # The cards are good: an attempt that failed, or a second one, would be an answer that was lost.
    attempts = await processes.rows.fetch("SELECT invoice_id, state FROM payment_attempt")
    assert Counter(encode("invoice", row["invoice_id"]) for row in attempts) == dict.fromkeys(invoices, 1)
    assert {row["state"] for row in attempts} == {"succeeded"}


async def _check_books(processes: Processes, billed: Sequence[Billed]) -> None:
    """Expect that what was invoiced was received, that nobody owes anything, and that the sums balance."""
    rows = await processes.rows.fetch(
        "SELECT account, sum(amount_minor)::bigint AS sum FROM ledger_line GROUP BY account"
    )
    sums = {row["account"]: row["sum"] for row in rows}
    total = sum(sum(each.totals) for each in billed)
    assert sums == {"cash": total, "receivable": 0, "revenue": -total}


async def _check_mails(processes: Processes, billed: Sequence[Billed], doubtful: frozenset[str]) -> int:
    """One mail of each kind per invoice. One whose hand-over was cut off may have come twice, as the same mail.

    Returns how many came twice.
    """
    again = 0
    for each in billed:
        mails = [message_from_string(mail["raw"]) for mail in await processes.messages(each.email)]
        copies = Counter(str(mail["Message-ID"]) for mail in mails)
        twice = {name for name, count in copies.items() if count > 1}
        assert twice <= doubtful
        again += len(twice)
        subjects = {str(mail["Message-ID"]): str(mail["Subject"]).partition(" ")[0] for mail in mails}
        months = len(each.totals)
        assert Counter(subjects.values()) == {"Invoice": months, "Payment": months}
    return again


async def _check(processes: Processes, billed: Sequence[Billed], doubtful: frozenset[str]) -> int:
    invoices = await _check_invoices(processes, billed)
    await _check_charges(processes, invoices)
    await _check_books(processes, billed)
    assert await processes.rows.fetchval("SELECT count(*) FROM outbox_job WHERE state <> 'done'") == 0
    assert await processes.rows.fetchval("SELECT count(*) FROM inbox_event WHERE state <> 'processed'") == 0
    return await _check_mails(processes, billed, doubtful)


async def test_worker_and_api_killed_again_and_again_bill_and_charge_everyone_once(
    processes: Processes, record_property: Callable[[str, Any], None]
) -> None:
    chance = random.Random(20260131)  # noqa: S311 -- moments that can be repeated
    clock_id = await processes.clock("2026-01-31")
    billed = await _customers(processes, clock_id, count=CUSTOMERS, months=len(BOUNDARIES))
    await processes.control("deliveries", {"duplicate": True, "reorder": True, "delay_ms": 50})
    await processes.kill("worker")
    await processes.advance(clock_id, BOUNDARIES[-1])
    deaths: list[Death] = []
    killed: set[int | None] = set()
    for number in range(KILLS):
        await processes.control("faults", chance.choice(FAULTS))
        moment_s, at_work = chance.uniform(0, MOMENT_MAX_S), number % 2 == 0
        if at_work:
            killed.add(processes.process_id("api"))
            await processes.kill("api")
        deaths.append(await worker_lives_and_dies(processes, moment_s, at_work=at_work))
        if at_work:
            await processes.start("api")
    assert not await processes.arrived(clock_id), "it was all done before the last kill"
    await processes.start("worker")
    await come_to_rest(processes, clock_id)
    assert any(death.jobs for death in deaths), "no kill met the worker at work"
    await _check(processes, billed, frozenset().union(*(death.mails for death in deaths)))
    killed |= {death.process_id for death in deaths}
    record_property("deaths_survived", len(killed - {None}))
    assert len(killed - {None}) == DEATHS, "a process was gone before it was killed"


async def test_redis_emptied_in_the_middle_of_closing_costs_nothing(
    processes: Processes, servers: TemporaryServers
) -> None:
    clock_id = await processes.clock("2026-01-31")
    billed = await _customers(processes, clock_id, count=4, months=2)
    await processes.advance(clock_id, BOUNDARIES[1])
    async with Redis.from_url(servers.valkey.url()) as queue:
        for _ in range(2):
            await until(lambda: queue.zcard("arq:queue"), SETTLED_WITHIN_S, "work in the queue")
            await queue.flushall()
    await come_to_rest(processes, clock_id)
    assert await _check(processes, billed, frozenset()) == 0
