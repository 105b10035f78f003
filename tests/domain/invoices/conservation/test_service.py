"""What became of everything that was counted: it adds up at every stage, and tampering is found."""

from collections.abc import AsyncIterator
from datetime import timedelta
from fractions import Fraction

import pytest
import sqlalchemy as sa

from api.conserving import report
from api.local.throwaway import TemporaryServers
from domain.access.roles import Permission
from domain.invoices.conservation.balance import Account
from domain.invoices.conservation.service import Conservation, conserve, list_periods
from domain.kernel.call import Forbidden
from domain.kernel.ids import encode
from domain.kernel.money import exact_text
from domain.kernel.period import Period
from domain.subscriptions.service import SubscriptionNotFound
from domain.subscriptions.subscription import Subscription
from domain.usage.event import UsageEvent
from domain.usage.verdict import COUNTED
from tests import make
from tests.databases import fresh_database
from tests.world import World, llm_call, runtime_of

START = make.at("2026-01-10")


async def prove(world: World, subscription: Subscription, at: str = "2026-01-10") -> Conservation:
    """Prove a period as the system."""
    async with world.runtime.db.transaction() as tx:
        return await conserve(
            tx,
            world.call,
            customer_id=subscription.customer_id,
            subscription_id=subscription.id,
            period_start=make.at(at),
        )


def account(found: Conservation, meter: str) -> Account:
    """Return the account of a meter in the only segment."""
    [one] = [each for each in found.accounts if each.meter == meter]
    return one


def parts(found: Conservation, *kinds: str, meter: str = "cost") -> list[str]:
    """Return what became of a meter's quantity."""
    return [exact_text(getattr(account(found, meter), kind)) for kind in kinds]


async def prove_tampered(world: World, subscription: Subscription, statement: str) -> Conservation:
    """Prove a period as it would be after somebody wrote what nobody may, and undo that."""
    async with world.runtime.db.transaction() as tx, tx.undone():
        # The database's own guards are out of the way until the transaction ends.
        await tx.execute(sa.text("SET LOCAL session_replication_role = replica"))
        assert (await tx.execute(sa.text(statement))).rowcount, "something was tampered with"
        return await conserve(
            tx,
            world.call,
            customer_id=subscription.customer_id,
            subscription_id=subscription.id,
            period_start=START,
        )


@pytest.fixture(scope="module")
async def billed(servers: TemporaryServers, seeded: str) -> AsyncIterator[tuple[World, Subscription]]:
    """Bill half a year once for all kinds of tampering, which are undone.

    Once the segment is no longer derived, only what stands on invoices accounts for it.
    """
    async with fresh_database(servers, "billed", seeded) as database:
        world = World(runtime_of(database))
        ada = await world.customer(on="2026-01-10")
        pro = await world.subscribe(ada, "pro")
        await world.use("llm", *(llm_call(ada, START, input_tokens=400_000) for _ in range(2)))
        await world.advance(to="2026-06-12")
        yield world, pro
        await world.close()


async def test_a_running_period_is_not_yet_billed_and_a_closed_one_is_charged(world: World) -> None:
    ada = await world.customer(on="2026-01-10")
    pro = await world.subscribe(ada, "pro")
    await world.use("llm", *(llm_call(ada, START, input_tokens=400_000) for _ in range(3)))
    found = await prove(world, pro)
    assert found.holds
    assert found.events == 3
    # 3 x 400,000 x 1.25 / 1M = 1.5 USD
    assert parts(found, "counted", "not_yet_billed", "charged", "missing") == ["1.5", "1.5", "0", "0"]
    assert account(found, "calls").observed == 3
    await world.advance(to="2026-02-12")
    closed = await prove(world, pro)
    assert closed.holds
    assert parts(closed, "charged", "not_yet_billed") == ["1.5", "0"]
    async with world.runtime.db.transaction() as tx:
        periods = await list_periods(tx, world.call, pro.id)
    assert periods[0] == Period(START, make.at("2026-02-10"))
    assert list(report(closed))[-1].endswith("holds, 3 events recounted")


async def test_late_events_and_corrections_are_still_due_until_the_next_invoice_adjusts_them(world: World) -> None:
    ada = await world.customer(on="2026-01-10")
    pro = await world.subscribe(ada, "pro")
    await world.advance(to="2026-02-01")
    first, second = (llm_call(ada, START + timedelta(days=20 + n), input_tokens=800_000) for n in range(2))
    assert await world.use("llm", first, second) == [COUNTED, COUNTED]
    await world.advance(to="2026-02-11")
    late = llm_call(ada, START + timedelta(days=25), input_tokens=400_000)
    void = UsageEvent("v1", "void", encode("customer", ada.id), corrects=first.id)
    assert await world.use("llm", late, void) == [COUNTED, COUNTED]
    found = await prove(world, pro)
    assert found.holds
    # Billed were 2 x 1.00; 1.00 was taken back since and 0.50 came late.
    assert parts(found, "charged", "not_yet_billed") == ["2", "-0.5"]
    assert (found.accepted.counted, found.accepted.put_away, found.accepted.voids) == (4, 1, 1)
    await world.advance(to="2026-03-12")
    after = await prove(world, pro)
    assert after.holds
    assert parts(after, "charged", "not_yet_billed") == ["1.5", "0"]


async def test_what_lies_above_the_cap_and_what_the_free_plan_grants_is_told_apart(world: World) -> None:
    ada = await world.customer(on="2026-01-10")
    basic = await world.subscribe(ada, "basic")
    cap = await _cost_cap(world, basic)
    # Calls of 1.25 USD each, to 25 % above the cap.
    calls = int(cap)
    await world.use("llm", *(llm_call(ada, START, input_tokens=1_000_000) for _ in range(calls)))
    await world.advance(to="2026-02-12")
    found = await prove(world, basic)
    assert parts(found, "charged", "above_cap", "missing") == [exact_text(cap), exact_text(cap / 4), "0"]
    bob = await world.customer(on="2026-01-10")
    free = await world.subscribe(bob, "free")
    await world.use("llm", llm_call(bob, make.at("2026-02-12"), input_tokens=400_000))
    await world.advance(to="2026-03-13")
    granted = await prove(world, free, at="2026-02-13")
    assert parts(granted, "included", "charged", "missing") == ["0.5", "0", "0"]


async def test_what_a_soft_limit_tolerates_is_told_apart_from_what_it_grants(world: World) -> None:
    ada = await world.customer(on="2026-01-10")
    free = await world.subscribe(ada, "free", product="edge")
    name = encode("customer", ada.id)
    sent = UsageEvent("r1", "edge.request", name, None, START.isoformat(), {"count": 10_500, "region": "fra"})
    assert await world.use("edge", sent) == [COUNTED]
    await world.advance(to="2026-02-12")
    # The plan has 10,000 requests a month.
    found = await prove(world, free)
    assert parts(found, "included", "tolerated", "charged", meter="requests") == ["10000", "500", "0"]
    assert found.holds


async def _cost_cap(world: World, subscription: Subscription) -> Fraction:
    async with world.runtime.db.transaction() as tx:
        statement = sa.text("SELECT amount FROM entitlement WHERE money AND plan_version_id = :id")
        return Fraction(await tx.value(statement.bindparams(id=subscription.plan_version_id)))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE invoice_line SET derivation = jsonb_set(derivation, '{quantity}', '\"0.5\"') WHERE kind = 'usage'",
        "UPDATE counter_total SET h0 = h0 + 1",
        "UPDATE counter_total SET q0 = q0 + 1",
        "UPDATE counter_total SET events = events + 1",
        "DELETE FROM usage_event WHERE event_id = (SELECT min(event_id) FROM usage_event)",
        "DELETE FROM event_identity",
    ],
)
async def test_tampering_is_found(billed: tuple[World, Subscription], statement: str) -> None:
    world, pro = billed
    assert (await prove(world, pro)).holds
    found = await prove_tampered(world, pro, statement)
    assert not found.holds
    assert list(report(found))[-1].endswith(f"does not hold, {found.events} events recounted")


async def test_a_proof_is_for_staff_and_of_an_existing_subscription(world: World) -> None:
    ada, other = await world.customer(on="2026-01-10"), await world.customer(on="2026-01-10")
    pro = await world.subscribe(ada, "pro")
    async with world.runtime.db.transaction() as tx:
        reader = make.call(by=make.principal(Permission.INVOICE_READ))
        with pytest.raises(Forbidden):
            await conserve(tx, reader, customer_id=ada.id, subscription_id=pro.id, period_start=START)
        bob = make.call(by=make.principal(Permission.LEDGER_READ, customer_id=other.id))
        with pytest.raises(SubscriptionNotFound):
            await conserve(tx, bob, customer_id=ada.id, subscription_id=pro.id, period_start=START)
    assert (await prove(world, pro)).accounts == ()
