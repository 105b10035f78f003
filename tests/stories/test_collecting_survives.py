"""A process that collects dies at each of its steps: what comes after charges every invoice once, or not at all.

The services run against the sandbox and Postgres. The first life ends at the first step, the next one at the second,
and so on until a life comes to its end: steps that are added are covered by themselves.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from domain.adapters.stripe import StripeGateway
from domain.contracts import service as contracts
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Database
from domain.invoices.invoice import Invoice, VoidReason
from domain.invoices.voiding.service import void_invoice
from domain.journal import service as journal
from domain.journal.store import outbox_job
from domain.kernel.call import Environment
from domain.ledger import service as ledger
from domain.ledger.store import ledger_line
from domain.payments import service as collection
from domain.payments import store as payments
from domain.payments.methods import service as methods
from domain.runtime import Runtime
from domain.subscriptions.schedule import Interval
from tests.domain.payments.gateways import SandboxProbe, sandbox, sandbox_url, stripe_gateway
from tests.stories.mortal import Death, Fate, mortal
from tests.stories.owing import CONFIRM, NO_FUNDS, STARTER_MINOR, attempts
from tests.world import World, runtime_of
from workers import runner

__all__ = ["sandbox", "sandbox_url", "stripe_gateway"]

VISA = "pm_card_visa"
COLLECTING = frozenset(("collect_invoice", "payment_settled", "invoice_settled", "run_dunning"))
LIVES_MAX = 400
ROUNDS_MAX = 50
# An attempt's answer is overdue after two minutes.
OVERDUE = timedelta(minutes=3)


@dataclass(frozen=True)
class Story:
    """One customer, and how their only invoice is collected. `kinds` are the jobs that are carried out."""

    world: World
    customer: Customer
    kinds: frozenset[str] = COLLECTING
    within: timedelta = timedelta(days=1)

    async def attach(self, runtime: Runtime, card: str) -> None:
        """Give a card, as the customer's browser does."""
        await methods.attach_method(
            runtime.db, runtime.gateway, self.world.call, customer_id=self.customer.id, gateway_method_id=card
        )

    async def work(self, runtime: Runtime) -> None:
        """Carry out all jobs of its kinds that are due `within` a while; others are told elsewhere, and cost time."""
        living = self.world.runtime
        for _ in range(ROUNDS_MAX):
            at = living.now() + self.within
            async with living.db.transaction() as tx:
                now = await customers.clock_now(tx, self.world.call, self.world.clock_id)
                clocks = [(None, at), (self.world.clock_id, now)]
                await tx.execute(sa.delete(outbox_job).where(outbox_job.c.kind.not_in(self.kinds)))
                due = await journal.offer_due(tx, clocks, at=at, until=at, limit=50)
            if not due:
                return
            for job in due:
                await runner.run(runtime, job.id)
        raise AssertionError("jobs do not come to an end")

    async def invoice(self) -> Invoice:
        """Return the customer's only invoice."""
        [found] = await self.world.invoices(self.customer)
        return found

    async def copy_id(self) -> str | None:
        """Return the id of the gateway's copy, where it is known."""
        async with self.world.runtime.db.transaction() as tx:
            push = await payments.find_push(tx, self.customer.id, (await self.invoice()).id)
        return push.gateway_invoice_id if push else None


Part = Callable[[Story, Runtime], Awaitable[None]]
Recovery = Callable[[Story], Awaitable[None]]


async def _work(story: Story, runtime: Runtime) -> None:
    await story.work(runtime)


def _given(card: str) -> Part:
    """Give a card and collect. It is given again by whoever got no answer."""

    async def part(story: Story, runtime: Runtime) -> None:
        await story.attach(runtime, card)
        await story.work(runtime)

    return part


async def _voided(story: Story, runtime: Runtime) -> None:
    """Void the invoice, as staff do, and carry it to the gateway."""
    invoice = await story.invoice()
    async with runtime.db.transaction() as tx:
        now = await customers.business_now(tx, story.world.call, story.customer.id)
        await void_invoice(
            tx,
            story.world.call,
            now,
            customer_id=story.customer.id,
            invoice_id=invoice.id,
            reason=VoidReason.MISTAKE,
        )
    await story.work(runtime)


async def _jobs_again(story: Story) -> None:
    """Let nothing but the jobs that were cut off come back."""
    await story.work(story.world.runtime)


async def _reconciler(story: Story) -> None:
    """Let the task that looks for overdue answers be first."""
    runtime = story.world.runtime
    call = story.world.call
    await collection.reconcile_stale(runtime.db, runtime.gateway, replace(call, at=call.at + OVERDUE), limit=50)


async def _webhook(story: Story) -> None:
    """Let an event about the copy be first, and come twice at once."""
    copy_id = await story.copy_id()
    if copy_id is not None:
        runtime, call = story.world.runtime, story.world.call
        news = (collection.settle_from_gateway(runtime.db, runtime.gateway, call, copy_id) for _ in range(2))
        await asyncio.gather(*news)


async def _two_workers(story: Story) -> None:
    """Let two workers look into the same invoice at once."""
    runtime, invoice = story.world.runtime, await story.invoice()
    runs = (
        collection.collect(
            runtime.db, runtime.gateway, story.world.call, customer_id=story.customer.id, invoice_id=invoice.id
        )
        for _ in range(2)
    )
    await asyncio.gather(*runs)


RECOVERIES: tuple[Recovery, ...] = (_jobs_again, _reconciler, _webhook, _two_workers)


@dataclass(frozen=True)
class Course:
    """How an invoice is collected by a first card: what happens before, the part that is cut off, and its end.

    The end is the attempts, the states of invoice and copy, and what was received. The first death is at the step
    `since`, where another course has the steps before it.
    """

    card: str
    before: tuple[Part, ...]
    mortal: Part
    tries: tuple[tuple[str, str], ...]
    state: str
    received_minor: int
    deaths_min: int
    since: str | None = None


_DECLINED = ("billing", "failed")
_REPLACED = ("new_method", "succeeded")
COURSES = {
    "a first charge": Course(VISA, (), _work, (("billing", "succeeded"),), "paid", STARTER_MINOR, 30),
    "a declined charge": Course(NO_FUNDS, (), _work, (_DECLINED,), "open", 0, 8, since="before pay"),
    "a card that replaces a declined one": Course(
        NO_FUNDS, (_work,), _given(VISA), (_DECLINED, _REPLACED), "paid", STARTER_MINOR, 20
    ),
    "a card that replaces one to be confirmed": Course(
        CONFIRM,
        (_work,),
        _given(VISA),
        (("billing", "superseded"), _REPLACED),
        "paid",
        STARTER_MINOR,
        10,
        since="before fetch_invoice",
    ),
    "an invoice that is taken back": Course(NO_FUNDS, (_work,), _voided, (_DECLINED,), "void", 0, 10),
}


@pytest.fixture
async def world(db: Database, stripe_gateway: StripeGateway) -> World:
    """Make a system whose gateway is the Stripe adapter against the sandbox."""
    return World(replace(runtime_of(db), gateway=stripe_gateway))


async def _begin(world: World, course: Course) -> Story:
    """Subscribe a new customer, whose invoice is open and not collected yet, and go through what comes before."""
    story = Story(world, await world.customer(on="2026-03-01", card=None))
    await story.attach(world.runtime, course.card)
    async with world.runtime.db.transaction() as tx:
        await contracts.subscribe(
            tx,
            world.call,
            customer_id=story.customer.id,
            product_key="edge",
            plan_key="starter",
            interval=Interval.MONTH,
        )
    for part in course.before:
        await part(story, world.runtime)
    return story


async def _check(story: Story, probe: SandboxProbe, course: Course, died: str) -> None:
    """Expect the end that the course has when nobody dies, here and at the gateway."""
    made = [(trigger, state) for _, trigger, state in await attempts(story.world, story.customer)]
    assert made == list(course.tries), died
    assert (await story.invoice()).state == course.state, died
    copy = await probe.ask("GET", f"/v1/invoices/{await story.copy_id()}")
    assert (copy["status"], copy["amount_paid"]) == (course.state, course.received_minor), died
    of_customer = {"customer": copy["customer"], "limit": 100}
    copies = await probe.ask("GET", "/v1/invoices", params=of_customer)
    assert [each["id"] for each in copies["data"]] == [copy["id"]], died
    intents = (await probe.ask("GET", "/v1/payment_intents", params=of_customer))["data"]
    received = [each["amount_received"] for each in intents if each["status"] == "succeeded"]
    assert received == ([course.received_minor] if course.received_minor else []), died
    await _check_rows(story, course, died)


async def _check_rows(story: Story, course: Course, died: str) -> None:
    """Expect that every job is done, and that the customer's accounts say what was received."""
    of_jobs = sa.select(outbox_job.c.kind).where(outbox_job.c.state != "done")
    of_accounts = (
        sa.select(ledger_line.c.account, sa.func.sum(ledger_line.c.amount_minor).label("sum"))
        .where(ledger_line.c.customer_id == story.customer.id)
        .group_by(ledger_line.c.account)
    )
    async with story.world.runtime.db.transaction() as tx:
        assert await tx.rows(of_jobs) == [], died
        sums: Counter[str] = Counter({row.account: int(row.sum) for row in await tx.rows(of_accounts)})
        assert sum(money.minor for _, money in await ledger.trial_balance(tx, Environment.TEST)) == 0, died
    earned = 0 if course.state == "void" else STARTER_MINOR
    expected = {"cash": course.received_minor, "receivable": earned - course.received_minor, "revenue": -earned}
    assert {name: sums[name] for name in sums | expected} == expected, died


async def _life(world: World, course: Course, *, at: int) -> tuple[Story, Fate]:
    """Let one customer's collection go on until the step with a number, or to its end."""
    story, fate = await _begin(world, course), Fate(at)
    with suppress(Death):
        await course.mortal(story, await mortal(world.runtime, fate))
    return story, fate


async def _deaths(world: World, probe: SandboxProbe, course: Course) -> list[str]:
    """Let one life after another end one step later, until one comes to its end; return the steps of the deaths."""
    story, whole = await _life(world, course, at=LIVES_MAX)
    await _check(story, probe, course, "nobody died")
    first = whole.steps.index(course.since) + 1 if course.since else 1
    died: list[str] = []
    for number in range(first, LIVES_MAX):
        story, fate = await _life(world, course, at=number)
        if not fate.is_met:
            return died
        died.append(fate.steps[-1])
        await RECOVERIES[number % len(RECOVERIES)](story)
        await course.mortal(story, world.runtime)
        await _check(story, probe, course, f"death {number}, {fate.steps[-1]}, at {fate.steps}")
    raise AssertionError("the lives do not come to an end")


@pytest.mark.parametrize("name", COURSES)
async def test_death_at_any_step_of_collecting_charges_once_or_not_at_all(
    world: World, sandbox: SandboxProbe, name: str, record_property: Callable[[str, Any], None]
) -> None:
    course = COURSES[name]
    deaths = await _deaths(world, sandbox, course)
    record_property("deaths_survived", len(deaths))
    assert len(deaths) >= course.deaths_min
    assert {"before a commit", "after a commit"} < set(deaths)
