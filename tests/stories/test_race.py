"""Two processes count while the clock advances, periods close, and plans change and end: nothing is lost or doubled."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from fractions import Fraction

import sqlalchemy as sa

from api.conserving import report
from domain.customers.customer import Customer
from domain.invoices.conservation.service import Conservation, conserve, list_periods
from domain.invoices.verification import Outcome
from domain.invoices.verifying.service import verify_invoice
from domain.kernel.ids import encode
from domain.plans import service as plans
from domain.subscriptions import service as subscriptions_service
from domain.subscriptions.subscription import Subscription
from domain.usage.event import UsageEvent
from domain.usage.recording.service import Recorder
from domain.usage.verdict import Reason, Status
from tests import make
from tests.domain.usage.world import open_recorder
from tests.world import World, key_of, llm_call

_ROUNDS = 45
_STARTED = make.at("2026-01-31")
_EVENTS = sa.text(
    """
    SELECT e.event_id, e.type, e.occurred_at, g.start_at, g.end_at,
           COALESCE((SELECT sum(c.sign) FROM usage_correction c WHERE c.id = e.id), 0) AS sign
    FROM usage_event e JOIN segment g ON g.customer_id = e.customer_id AND g.id = e.segment_id
    WHERE e.customer_id = :customer
    """
)


def _calls(customer: Customer, now: datetime, chance: random.Random) -> list[UsageEvent]:
    """Make calls of 400,000 input tokens, now and up to ten days late, each 0.50 USD."""
    latest = min(timedelta(days=10), now - _STARTED)
    return [llm_call(customer, now - latest * chance.random(), input_tokens=400_000) for _ in range(5)]


async def _send(world: World, recorder: Recorder, people: Sequence[Customer], seed: int, sent: set[str]) -> None:
    """Report calls, some of them twice, and void some that were counted before."""
    chance = random.Random(seed)  # noqa: S311 -- a workload, the same in every run
    for number in range(_ROUNDS):
        customer = chance.choice(people)
        batch = _calls(customer, await world.now(), chance)
        verdicts = await recorder.record(world.runtime.call(key_of("llm")), [*batch, batch[0]])
        assert {each.status for each in verdicts} <= {Status.COUNTED, Status.DUPLICATE, Status.QUARANTINED}
        assert {each.reason for each in verdicts} <= {None, Reason.OUTSIDE_SUBSCRIPTION}
        counted = [each for each, verdict in zip(batch, verdicts, strict=False) if verdict.status is Status.COUNTED]
        sent |= {each.id for each in counted}
        if counted and chance.random() < 0.4:
            void = UsageEvent(f"void-{seed}-{number}", "void", counted[0].customer, corrects=counted[0].id)
            [verdict] = await recorder.record(world.runtime.call(key_of("llm")), [void])
            if verdict.status is Status.COUNTED:
                sent.remove(counted[0].id)
        await asyncio.sleep(0)


async def _time_passes(world: World, changing: Subscription, leaving: Subscription) -> None:
    """Go over two month ends; change one plan within a period and back, and end one subscription at once."""
    for day in ("02-10", "02-27", "03-01", "03-05", "03-15", "03-20", "03-30", "04-02"):
        await world.advance(to=f"2026-{day}")
        if day in {"03-05", "03-20"}:
            await _switch(world, changing, "enterprise" if day == "03-05" else "pro")
        if day == "03-15":
            await world.cancel(leaving, at_period_end=False)


async def _switch(world: World, of: Subscription, plan: str) -> None:
    async with world.runtime.db.transaction() as tx:
        held = await subscriptions_service.lock_subscription(tx, of.id, scope=None)
        version = (await plans.load_catalogue(tx)).current_version("llm", plan)
        await subscriptions_service.switch_version(tx, world.call, held, version.id, await world.now())


async def _prove(world: World, subscription: Subscription) -> list[Conservation]:
    async with world.runtime.db.transaction() as tx:
        return [
            await conserve(
                tx,
                world.call,
                customer_id=subscription.customer_id,
                subscription_id=subscription.id,
                period_start=period.start,
            )
            for period in await list_periods(tx, world.call, subscription.id)
        ]


async def test_whatever_races_every_event_is_in_its_segment_and_billed_once(world: World) -> None:
    people = [await world.customer(on="2026-01-31") for _ in range(3)]
    subscriptions = [await world.subscribe(each, "pro") for each in people]
    sent: set[str] = set()
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(open_recorder(world.runtime.db)) for _ in range(2)]
        await asyncio.gather(
            *(_send(world, process, people, seed, sent) for seed, process in enumerate(processes)),
            _time_passes(world, subscriptions[1], subscriptions[2]),
        )
    # Late usage is billed with the next period, and of the one that ended when its last events could have come.
    await world.advance(to="2026-06-15")
    standing: set[str] = set()
    for customer, subscription in zip(people, subscriptions, strict=True):
        async with world.runtime.db.transaction() as tx:
            events = await tx.rows(_EVENTS.bindparams(customer=customer.id))
        calls = [each for each in events if each.type != "void"]
        assert all(each.start_at <= each.occurred_at < each.end_at for each in calls)
        own = {each.event_id for each in calls if not each.sign}
        standing |= own
        proofs = await _prove(world, subscription)
        assert [line for proof in proofs if not proof.holds for line in report(proof)] == []
        accounts = [each for proof in proofs for each in proof.accounts if each.meter == "cost"]
        # Three segments of a period are two accounts: what came before and after the other plan is rated together.
        assert all(sum(each.meter == "cost" for each in proof.accounts) <= 2 for proof in proofs)
        assert {each.not_yet_billed for each in accounts} <= {Fraction(0)}
        assert sum(each.charged for each in accounts) == Fraction(len(own), 2)
        for invoice in await world.invoices(customer):
            async with world.runtime.db.transaction() as tx:
                verified = await verify_invoice(tx, world.call, invoice.id)
            assert verified.outcome is Outcome.EQUAL, encode("invoice", invoice.id)
    assert standing == sent
    assert len(sent) > 100
