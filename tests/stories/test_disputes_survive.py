"""Paid invoices are disputed and returned while processes die and news of it is lost: each effect is booked once.

Of every four customers one disputes the payment and wins, one loses, one's bank returns the debit for want of funds,
and one's returns it as nobody had authorised it. The worker and the API are killed with SIGKILL meanwhile, six times
each: 12 deaths that are survived. Events come twice, late, in another order, while nobody listens, or not at all.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_string
from functools import partial
from typing import Any

from api.reconciling.run import Report, reconcile
from api.replay import documents
from api.seed import operator_call, operator_database
from domain.adapters.stripe import StripeGateway
from domain.kernel.call import Environment
from domain.kernel.ids import decode
from domain.ledger import service as ledger
from domain.payments.reconciling import service as reconciling
from tests.stories.deaths import CREATE, FINALIZE, PAY, Death, come_to_rest, worker_lives_and_dies
from tests.stories.processes import Processes

DEATHS = 12
MOMENT_MAX_S = 0.15
FEE = 7_900
METHODS = {
    "won": "pm_card_visa",
    "lost": "pm_card_visa",
    "returned": "pm_usBankAccount_success",
    "unauthorised": "pm_usBankAccount_success",
}
RETURNS = {"returned": "insufficient_funds", "unauthorised": "debit_not_authorized"}
# Stripe's client repeats a request twice: three lost replies leave the caller without an answer.
FAULTS = [
    {"kind": "drop", "operation": "GET /v1/disputes/{dispute}", "times": 3},
    {"kind": "error", "status": 500, "operation": "GET /v1/disputes/{dispute}", "times": 4},
    {"kind": "delay", "seconds": 0.3, "operation": "GET /v1/disputes/{dispute}", "times": 4},
    {"kind": "drop", "operation": "GET /v1/invoices/{invoice}", "times": 3},
    {"kind": "error", "status": 429, "operation": "GET /v1/events", "times": 1},
    {"kind": "drop", "when": "after", "operation": CREATE, "times": 3},
    {"kind": "drop", "when": "after", "operation": FINALIZE, "times": 3},
    {"kind": "drop", "when": "after", "operation": PAY, "times": 3},
]


@dataclass
class Payer:
    """A customer, how it goes with their payment, and the gateway's ids of it and of what was done to it."""

    id: str
    email: str
    fate: str
    payment: str = ""
    dispute: str = ""


@dataclass
class Story:
    """The processes, who pays on which clock, the moments of chance, and who was killed."""

    processes: Processes
    clock_id: str
    chance: random.Random
    payers: list[Payer] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)
    killed: set[int | None] = field(default_factory=set)

    async def through_deaths(self, act: Callable[[], Awaitable[None]], *, unheard: bool = False) -> None:
        """Let something happen at the gateway or to the clock, and kill the worker and the API meanwhile.

        Either the worker dies as it works on what has happened, and the API after it; or nobody hears of it at first,
        as the API is dead, and the worker dies at any moment, with what came before.
        """
        await self.processes.control("faults", self.chance.choice(FAULTS))
        if unheard:
            await self._kill_api()
        await act()
        moment_s = self.chance.uniform(0, MOMENT_MAX_S)
        death = await worker_lives_and_dies(self.processes, moment_s, at_work=not unheard)
        self.deaths.append(death)
        self.killed.add(death.process_id)
        if not unheard:
            await self._kill_api()
        await self.processes.start("api")

    async def _kill_api(self) -> None:
        self.killed.add(self.processes.process_id("api"))
        await self.processes.kill("api")

    @asynccontextmanager
    async def worker(self) -> Any:
        """Let a worker live until the block has seen what it waits for."""
        await self.processes.start("worker")
        yield
        await self.processes.kill("worker")

    async def rest(self) -> None:
        """Wait until nothing is on its way."""
        await come_to_rest(self.processes, self.clock_id)

    async def rows(self, payer: Payer, statement: str) -> list[Any]:
        """Read rows of one customer."""
        return list(await self.processes.rows.fetch(statement, decode("customer", payer.id)))


async def _begin(processes: Processes) -> Story:
    """Have two customers of every fate pay their first fee."""
    chance = random.Random(20261128)  # noqa: S311 -- moments that can be repeated
    story = Story(processes, await processes.clock("2026-01-31"), chance)
    await processes.control("ach", {"settle_after_s": 0})
    for fate in (*METHODS, *METHODS):
        story.payers.append(Payer(*await processes.customer(story.clock_id, card=METHODS[fate]), fate))
    await story.rest()
    for payer in story.payers:
        await _paid(story, payer)
    await processes.kill("worker")
    await processes.control("deliveries", {"duplicate": True, "reorder": True, "delay_ms": 50})
    return story


async def _paid(story: Story, payer: Payer) -> None:
    """Expect that the last attempt at a customer's invoice has succeeded, and note its payment."""
    statement = "SELECT gateway_payment_id, state FROM payment_attempt WHERE customer_id = $1 ORDER BY number"
    last = (await story.rows(payer, statement))[-1]
    assert last["state"] == "succeeded"
    payer.payment = last["gateway_payment_id"]


async def _take_back(story: Story, payers: Sequence[Payer]) -> None:
    """Let card holders dispute their payments, and banks return their debits."""
    for payer in payers:
        way = "returns" if payer.fate in RETURNS else "disputes"
        order = {"reason": RETURNS.get(payer.fate, "fraudulent")}
        made = await story.processes.stripe.post(f"/_sandbox/{way}/{payer.payment}", json=order)
        payer.dispute = made.raise_for_status().json()["id"]


async def _decide(story: Story, payers: Sequence[Payer]) -> None:
    for payer in payers:
        await story.processes.control(f"verdicts/{payer.dispute}", {"result": payer.fate})


async def _untold(story: Story, act: Callable[[], Awaitable[None]]) -> None:
    """Let something happen of which no event is ever delivered."""
    [endpoint] = (await story.processes.at_stripe("GET", "/v1/webhook_endpoints"))["data"]
    path = f"/v1/webhook_endpoints/{endpoint['id']}"
    await story.processes.at_stripe("POST", path, {"disabled": "true"})
    await act()
    await story.processes.at_stripe("POST", path, {"disabled": "false"})


async def _sweep(story: Story) -> None:
    """Have the gateway's list of events looked through now, and not in a quarter of an hour."""
    hurry = "UPDATE schedule SET next_run_at = next_run_at - interval '1 day' WHERE name = 'sweep_events'"
    await story.processes.rows.execute(hurry)
    async with story.worker():
        await story.rest()


async def _compare(story: Story) -> Report:
    """Compare everything with the gateway, also what was made within the last hour."""
    settings = story.processes.settings
    gateway = StripeGateway(settings.stripe_secret_key, api_base=settings.stripe_api_base)
    async with operator_database(settings) as db, db.transaction() as tx:
        await reconciling.start(tx, operator_call(), gateway, trigger="command")
    await gateway.close()
    await story.processes.rows.execute("UPDATE reconciliation_run SET window_end = window_end + interval '2 hours'")
    return await reconcile(settings, tell=lambda _: None)


async def _states(story: Story) -> list[tuple[str, str, list[str], str, str]]:
    """Return how it stands with each customer: fate, invoice, attempts, subscription and access."""
    found = []
    for payer in story.payers:
        [invoice] = (await story.processes.client.read(documents.INVOICES, id=payer.id))["invoices"]["nodes"]
        attempts = await story.rows(payer, "SELECT state FROM payment_attempt WHERE customer_id = $1 ORDER BY number")
        [own] = await story.rows(payer, "SELECT status, access FROM subscription WHERE customer_id = $1")
        states = [each["state"] for each in attempts]
        found.append((payer.fate, invoice["state"], states, own["status"], own["access"]))
    return found


async def _check_books(story: Story) -> None:
    """Every entry balances, and the accounts say what was received, lost and is owed."""
    async with operator_database(story.processes.settings) as db, db.transaction() as tx:
        assert (await ledger.check_books(tx, Environment.TEST)).hold
        balances = dict(await ledger.trial_balance(tx, Environment.TEST))
    assert sum(money.minor for money in balances.values()) == 0
    # Eight fees. Two were won and two paid again after their return; two were lost, and two are owed.
    assert {str(account): money.minor for account, money in balances.items() if money.minor} == {
        "cash": 4 * FEE,
        "bad_debt": 2 * FEE,
        "receivable": 2 * FEE,
        "revenue": -8 * FEE,
    }


async def _check_told(story: Story) -> None:
    """Every change was told once, and staff were alerted once of each; a dispute that is over is no news to them."""
    rows = await story.processes.rows.fetch("SELECT type, count(*) FROM billing_event GROUP BY type")
    told = {row["type"]: row["count"] for row in rows}
    # Four debits were returned, and one of them once more: five times an invoice was asked for again, three times it
    # was paid again, and the first eight payments come on top.
    expected = {
        "dispute_opened": 4,
        "dispute_won": 2,
        "dispute_lost": 2,
        "invoice_charged_back": 2,
        "payment_returned": 5,
        "invoice_reopened": 5,
        "subscription_past_due": 5,
        "payment_succeeded": 8 + 3,
        "invoice_paid": 8 + 3,
        "access_restricted": 2,
    }
    assert {name: told.get(name) for name in expected} == expected
    alerts = await story.processes.rows.fetch("SELECT kind, about FROM staff_alert")
    counts = Counter((row["kind"], row["about"]) for row in alerts)
    assert set(counts.values()) == {1}
    kinds = Counter(kind for kind, _ in counts)
    assert (kinds["dispute_lost"], set(kinds)) == (2, {"dispute_opened", "dispute_lost"})


async def _check_stripe(story: Story) -> None:
    """Expect that paid copies stay paid, what was asked for again has another one, and no payment was taken twice."""
    copies = await story.processes.list_at_stripe("/v1/invoices")
    assert Counter((each["number"][len("TEST-2026-000001") :], each["status"]) for each in copies) == {
        ("", "paid"): 8,
        ("-R1", "paid"): 2,
        ("-R2", "paid"): 1,
        # Nobody charges these again; their customers can pay them there.
        ("-R1", "open"): 2,
    }
    intents = await story.processes.list_at_stripe("/v1/payment_intents")
    received = [each["amount_received"] for each in intents if each["status"] == "succeeded"]
    assert received == [FEE] * 11


async def _check_mails(story: Story) -> None:
    """Each failure and each payment is mailed once; one whose sending was cut off may come twice, as the same mail."""
    doubtful = frozenset().union(*(death.mails for death in story.deaths))
    expected = {
        "won": {"Invoice": 1, "Payment received": 1},
        "lost": {"Invoice": 1, "Payment received": 1},
        "returned": {"Invoice": 1, "Payment received": 2, "Payment failed": 1},
        "unauthorised": {"Invoice": 1, "Payment received": 1, "Payment failed": 1, "Your access": 1},
    }
    for payer in story.payers:
        raw = [message_from_string(each["raw"]) for each in await story.processes.messages(payer.email)]
        copies = Counter(str(mail["Message-ID"]) for mail in raw)
        assert {name for name, count in copies.items() if count > 1} <= doubtful
        subjects = {str(mail["Message-ID"]): str(mail["Subject"]).split() for mail in raw}
        kinds = Counter(words[0] if words[0] == "Invoice" else " ".join(words[:2]) for words in subjects.values())
        again = {"Payment received": 1, "Payment failed": 1} if payer is story.payers[2] else {}
        assert kinds == Counter(expected[payer.fate]) + Counter(again)


async def _check_rest(story: Story) -> None:
    """Nothing is stuck."""
    rows = story.processes.rows
    assert await rows.fetchval("SELECT count(*) FROM outbox_job WHERE state <> 'done'") == 0
    assert await rows.fetchval("SELECT count(*) FROM inbox_event WHERE state <> 'processed'") == 0


async def test_disputes_and_returns_are_booked_once_while_worker_and_api_are_killed_again_and_again(
    processes: Processes, record_property: Callable[[str, Any], None]
) -> None:
    story = await _begin(processes)
    first, second = story.payers[:4], story.payers[4:]
    await story.through_deaths(partial(_take_back, story, first))
    await story.through_deaths(partial(_untold, story, partial(_take_back, story, second)), unheard=True)
    await story.through_deaths(partial(_decide, story, [*first[:2], second[0]]))
    await _sweep(story)
    # Two days after it was returned for want of funds a debit is sent again; one of the two comes back once more.
    await story.through_deaths(partial(processes.advance, story.clock_id, "2026-02-03"))
    async with story.worker():
        await story.rest()
    await _paid(story, first[2])
    await story.through_deaths(partial(_take_back, story, first[2:3]), unheard=True)
    await story.through_deaths(partial(processes.advance, story.clock_id, "2026-02-10"))
    async with story.worker():
        await story.rest()
    # The last verdict reaches nobody: the comparison finds it, and nothing else.
    await _untold(story, partial(_decide, story, second[1:2]))
    report = await _compare(story)
    assert [(each.kind, each.about) for each in report.healed] == [("dispute_status", second[1].dispute)]
    assert report.waiting == []
    assert report.run.compared > len(story.payers)
    async with story.worker():
        await story.rest()
    assert await _states(story) == [
        ("won", "PAID", ["succeeded"], "active", "full"),
        ("lost", "CHARGED_BACK", ["succeeded"], "active", "full"),
        ("returned", "PAID", ["returned", "returned", "succeeded"], "active", "full"),
        # Nobody tries that account again: its grace of seven days is over.
        ("unauthorised", "OPEN", ["returned"], "past_due", "restricted"),
        ("won", "PAID", ["succeeded"], "active", "full"),
        ("lost", "CHARGED_BACK", ["succeeded"], "active", "full"),
        ("returned", "PAID", ["returned", "succeeded"], "active", "full"),
        ("unauthorised", "OPEN", ["returned"], "past_due", "restricted"),
    ]
    await _check_books(story)
    await _check_told(story)
    await _check_stripe(story)
    await _check_mails(story)
    await _check_rest(story)
    record_property("deaths_survived", len(story.killed - {None}))
    assert len(story.killed - {None}) == DEATHS, "a process was gone before it was killed"
    assert any(death.jobs for death in story.deaths), "no kill met the worker at work"
