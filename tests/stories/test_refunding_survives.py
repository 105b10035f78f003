"""A process that refunds dies at each of its steps: what comes after pays every refund back once, and books it once.

As in test_collecting_survives the first life ends at the first step, the next one at the second, until one comes to its
end. One payment of 29.00 is given back in pieces of ten cents, a piece a life, and the accounts are seen as a whole.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from domain.adapters import stripe_objects
from domain.adapters.stripe import StripeGateway
from domain.contracts import service as contracts
from domain.customers import service as customers
from domain.db import Database
from domain.invoices.credit_note import CreditKind, CreditNote, CreditPart, CreditReason
from domain.invoices.crediting import service as crediting
from domain.journal import service as journal
from domain.journal.store import outbox_job
from domain.kernel.call import Environment
from domain.ledger import service as ledger
from domain.payments.refund import Refund, RefundReason, RefundState
from domain.payments.refunding import service as refunding
from domain.payments.refunding import store as refunds
from domain.runtime import Runtime
from domain.subscriptions.schedule import Interval
from domain.webhooks import service as webhooks
from domain.webhooks.store import inbox_event
from tests.domain.payments.gateways import SandboxProbe, sandbox, sandbox_url, stripe_gateway
from tests.stories.mortal import Death, Fate, mortal
from tests.stories.owing import STARTER_MINOR
from tests.stories.test_collecting_survives import LIVES_MAX, OVERDUE, VISA, Story
from tests.world import World, runtime_of

__all__ = ["sandbox", "sandbox_url", "stripe_gateway"]

PIECE_MINOR = 10
REFUNDING = frozenset(("carry_refund", "process_inbox_event"))
NEWS = ("refund.updated", "refund.failed")
# What a life has made stands first in the sandbox's lists.
NEWEST = 5
# A refund on its way is looked at again after six hours: until then only news can tell of it.
SOON = timedelta(hours=1)


@dataclass(frozen=True)
class Life:
    """Ten cents of a paid invoice that a credit note gives back, and the process that pays them."""

    story: Story
    probe: SandboxProbe
    note: CreditNote
    living: Runtime

    async def rows(self) -> list[Refund]:
        """Return our refunds of the note."""
        owner = (self.note.customer_id, self.note.invoice_id)
        async with self.living.db.transaction() as tx:
            found = (await refunds.list_refunds_of(tx, [owner]))[self.note.invoice_id]
        return [each for each in found if each.credit_note_id == self.note.id]

    async def paid_back(self) -> list[dict[str, Any]]:
        """Return what the gateway has paid back of it, by what stands in the metadata."""
        ours = {str(each.key).rpartition(":")[2] for each in await self.rows()}
        found = (await self.probe.ask("GET", "/v1/refunds", params={"limit": NEWEST}))["data"]
        return [each for each in found if each["metadata"]["refund_id"] in ours]

    async def work(self, runtime: Runtime) -> None:
        """Carry out all jobs that are due soon."""
        await replace(self.story, within=SOON).work(runtime)


Part = Callable[[Life, Runtime], Awaitable[None]]


async def _ordered(life: Life, runtime: Runtime) -> None:
    """Order the refund as the API does: whoever repeats the request with its key orders no other."""
    call, owner, key = runtime.call(life.story.world.call.principal), life.note.customer_id, str(life.note.id)
    async with runtime.db.transaction() as tx:
        if await journal.recall(tx, call, "refund", key, customer_id=owner, digest=b"") is None:
            await refunding.order(tx, call, life.note.id, amount=None, reason=RefundReason.REQUESTED_BY_CUSTOMER)
            await journal.remember(tx, call, "refund", key, customer_id=owner, digest=b"", outcome={})
    await life.work(runtime)


async def _moved(life: Life, status: str, result: dict[str, str]) -> None:
    """Let the bank end a refund of the life, unless it has."""
    for each in await life.paid_back():
        if each["status"] != status:
            await life.probe.ask("POST", f"/_sandbox/refunds/{each['id']}", json=result)


async def _arrived(life: Life, runtime: Runtime) -> None:
    """Let the bank end a refund that was on its way."""
    await _ordered(life, runtime)
    await _moved(life, "succeeded", {"result": "succeed"})
    await _told(life, runtime)


async def _came_back(life: Life, runtime: Runtime) -> None:
    """Let the bank send back what had gone."""
    await _ordered(life, runtime)
    await _moved(life, "failed", {"result": "fail", "reason": "lost_or_stolen_card"})
    await _told(life, runtime)


async def _told(life: Life, runtime: Runtime) -> None:
    """Let every event about the refund arrive, each of them twice, the newest first."""
    call = runtime.call(life.story.world.call.principal)
    ids = {each["id"] for each in await life.paid_back()}
    page = await life.probe.ask("GET", "/v1/events", params={"types[]": NEWS, "limit": NEWEST})
    for event in [stripe_objects.event(each, json.dumps(each).encode()) for each in page["data"]]:
        if event.object_id in ids:
            for process in (runtime, life.living):
                async with process.db.transaction() as tx:
                    await webhooks.receive(tx, call, event)
    await life.work(runtime)


async def _jobs_again(life: Life) -> None:
    """Let nothing but the jobs that were cut off come back."""
    await life.work(life.living)


async def _reconciler(life: Life) -> None:
    """Let the task that looks for overdue answers be first."""
    call = life.story.world.call
    later = replace(call, at=call.at + OVERDUE)
    await refunding.reconcile_stale(life.living.db, life.living.gateway, later, limit=50)


async def _webhooks(life: Life) -> None:
    """Let news of the refund be first, and come twice at once."""
    call, runtime = life.story.world.call, life.living
    news = [
        refunding.settle_from_gateway(runtime.db, runtime.gateway, call, each["id"])
        for each in [*await life.paid_back()] * 2
    ]
    await asyncio.gather(*news)


async def _two_workers(life: Life) -> None:
    """Let two workers carry the same refund out at once."""
    call, runtime = life.story.world.call, life.living
    runs = [
        refunding.carry_out(runtime.db, runtime.gateway, call, customer_id=each.customer_id, refund_id=each.id)
        for each in await life.rows() * 2
    ]
    await asyncio.gather(*runs)


RECOVERIES = (_jobs_again, _reconciler, _webhooks, _two_workers)


@dataclass(frozen=True)
class Course:
    """How a refund goes: the card, the part that is cut off, its end here and there, and what of ten cents has gone.

    The first death is at the step `since`, where another course has the steps before it. Replies to the calls named in
    `lost` are lost once a life; when nobody dies the sandbox drops them, each time that Stripe's package asks for them.
    """

    card: str
    mortal: Part
    state: RefundState
    status: str
    gone_minor: int
    lost: tuple[str, ...] = ()
    since: str | None = None
    deaths_min: int = field(default=12, kw_only=True)


COURSES = {
    "a refund that goes at once": Course(VISA, _ordered, RefundState.SUCCEEDED, "succeeded", PIECE_MINOR),
    "a refund whose reply is lost": Course(
        VISA, _ordered, RefundState.SUCCEEDED, "succeeded", PIECE_MINOR, ("create_refund",)
    ),
    "a refund that is on its way for days": Course(
        "pm_card_pendingRefund", _arrived, RefundState.SUCCEEDED, "succeeded", PIECE_MINOR, since="after create_refund"
    ),
    "a refund that the bank sends back": Course(
        VISA, _came_back, RefundState.FAILED, "failed", 0, since="after create_refund", deaths_min=20
    ),
}


@pytest.fixture
async def world(db: Database, stripe_gateway: StripeGateway) -> World:
    """Make a system whose gateway is the Stripe adapter against the sandbox."""
    made = World(replace(runtime_of(db), gateway=stripe_gateway))
    await made.seed()
    return made


async def _paid(world: World, card: str) -> Story:
    """Have 29.00 paid by card."""
    story = Story(world, await world.customer(on="2026-03-01", card=None))
    await story.attach(world.runtime, card)
    async with world.runtime.db.transaction() as tx:
        await contracts.subscribe(
            tx,
            world.call,
            customer_id=story.customer.id,
            product_key="edge",
            plan_key="starter",
            interval=Interval.MONTH,
        )
    await story.work(world.runtime)
    assert (await story.invoice()).state == "paid"
    return replace(story, kinds=REFUNDING)


async def _begin(story: Story, probe: SandboxProbe) -> Life:
    """Give ten cents back, to be refunded."""
    world, invoice = story.world, await story.invoice()
    [line] = await world.lines(invoice)
    async with world.runtime.db.transaction() as tx:
        note = await crediting.credit_lines(
            tx,
            world.call,
            await customers.business_now(tx, world.call, story.customer.id),
            customer_id=story.customer.id,
            invoice_id=invoice.id,
            parts=[CreditPart(line.id, PIECE_MINOR)],
            reason=CreditReason.GOODWILL,
            kind=CreditKind.REFUND,
        )
    return Life(story, probe, note, world.runtime)


async def _live(life: Life, course: Course, *, at: int) -> Fate:
    """Let a refund go on until the step with a number, or to its end."""
    fate = Fate(at, lost=list(course.lost))
    with suppress(Death):
        await course.mortal(life, await mortal(life.living, fate))
    return fate


async def _check(life: Life, course: Course, lives: int, died: str) -> None:
    """Expect the end that the course has when nobody dies, here and at the gateway."""
    [row] = await life.rows()
    assert (row.state, row.amount.minor) == (course.state, PIECE_MINOR), died
    [seen] = await life.paid_back()
    assert (seen["id"], seen["status"], seen["amount"]) == (row.gateway_refund_id, course.status, PIECE_MINOR), died
    everything = (await life.probe.ask("GET", "/v1/refunds", params={"limit": 100}))["data"]
    assert len(everything) == lives, died
    await _check_rows(life, course, lives, died)


async def _check_rows(life: Life, course: Course, lives: int, died: str) -> None:
    """Expect that nothing waits, and that the accounts say what has gone and what is owed still."""
    of_jobs = sa.select(outbox_job.c.kind, outbox_job.c.last_error).where(outbox_job.c.state != "done")
    of_inbox = sa.select(inbox_event.c.type, inbox_event.c.note).where(inbox_event.c.state != "processed")
    async with life.living.db.transaction() as tx:
        assert await tx.rows(of_jobs) == [], died
        assert await tx.rows(of_inbox) == [], died
        balances = await ledger.balances(tx, life.note.customer_id)
        assert sum(money.minor for _, money in await ledger.trial_balance(tx, Environment.TEST)) == 0, died
    sums = Counter({str(name): each.minor for name, each in balances})
    given, gone = lives * PIECE_MINOR, lives * course.gone_minor
    expected = {"cash": STARTER_MINOR - gone, "revenue": given - STARTER_MINOR, "receivable": gone - given}
    assert {name: sums[name] for name in sums | expected} == expected, died


async def _deaths(story: Story, probe: SandboxProbe, course: Course) -> list[str]:
    """Let one life after another end one step later, until one comes to its end; return the steps of the deaths."""
    whole = await _begin(story, probe)
    for operation in course.lost:
        await probe.lose(operation, "after")
    fate = await _live(whole, replace(course, lost=()), at=LIVES_MAX)
    await story.work(whole.living)
    await _check(whole, course, 1, "nobody died")
    first = fate.steps.index(course.since) + 1 if course.since else 1
    died: list[str] = []
    for number in range(first, LIVES_MAX):
        life = await _begin(story, probe)
        fate = await _live(life, course, at=number)
        if not fate.is_met:
            return died
        died.append(fate.steps[-1])
        if number == 1:
            # The first step is before the commit of the order: nothing was ordered, and nothing goes.
            assert (await life.rows(), await life.paid_back()) == ([], [])
        await RECOVERIES[number % len(RECOVERIES)](life)
        await course.mortal(life, life.living)
        await story.work(life.living)
        await _check(life, course, len(died) + 1, f"death {number}, {fate.steps[-1]}, at {fate.steps}")
    raise AssertionError("the lives do not come to an end")


@pytest.mark.parametrize("name", COURSES)
async def test_death_at_any_step_of_refunding_pays_back_once_or_not_at_all(
    world: World, sandbox: SandboxProbe, name: str, record_property: Callable[[str, Any], None]
) -> None:
    course = COURSES[name]
    deaths = await _deaths(await _paid(world, course.card), sandbox, course)
    record_property("deaths_survived", len(deaths))
    assert len(deaths) >= course.deaths_min
    assert {"before a commit", "after a commit", "after create_refund"} <= set(deaths)
    assert course.since is not None or "before create_refund" in deaths
