"""Leases on real Postgres: several processes share one bound, and each of them may be gone at any moment."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.db import Database
from domain.limits import service as limits
from domain.limits import store as limits_store
from domain.limits.explanation import Decision
from domain.limits.request import LimitsUnavailable, NothingSubscribed
from domain.limits.reservation import Measure, ReservationClosed, ReservationNotFound, name_of
from domain.subscriptions import service as subscriptions
from domain.usage.verdict import Status
from domain.vault import Vault
from tests import make
from tests.domain.limits.office import Office, call_of, edge_of, key
from tests.domain.usage.world import event


async def test_processes_that_race_hold_no_more_than_there_is(office: Office) -> None:
    ada, _ = await office.subscriber("free")
    processes = [await office.process(runs=True) for _ in range(3)]
    # 500,000 tokens: eight reservations of 60,000 fit.
    answers = await asyncio.gather(
        *(processes[n % 3].reserve(ada, f"r{n}", input_tokens=60_000, output_tokens=0) for n in range(24))
    )
    assert sum(reserved.answer.is_allowed for reserved in answers) == 8
    assert await office.leased(ada, "tokens") <= 500_000


async def test_a_lease_covers_many_reservations(office: Office) -> None:
    ada, _ = await office.subscriber("pro")
    process = await office.process()
    await process.reserve(ada, "first", input_tokens=10, output_tokens=0)
    # 1 asked for and 200 times as much beside it: less than an eighth of the 4,999 that are left.
    assert await office.leased(ada, "gemini_calls") == 201
    for number in range(150):
        assert (await process.reserve(ada, f"r{number}", input_tokens=10, output_tokens=0)).answer.is_allowed
    assert await office.leased(ada, "gemini_calls") == 201


async def test_nothing_is_leased_ahead_below_the_floor(office: Office) -> None:
    ada, _ = await office.subscriber("free")
    process = await office.process()
    # 480,000 of 500,000 are asked for: less than a twentieth is left.
    await process.reserve(ada, input_tokens=480_000, output_tokens=0)
    assert await office.leased(ada, "tokens") == 480_000


async def test_what_another_process_leaves_idle_is_recalled_before_anyone_is_refused(office: Office) -> None:
    ada, _ = await office.subscriber("free")
    first, second = await office.process(runs=True), await office.process(runs=True)
    # Of 100 calls the first holds one and leases an eighth of the 99 others: 12.
    assert (await first.reserve(ada, "one", input_tokens=1, output_tokens=0)).answer.is_allowed
    assert await office.leased(ada, "gemini_calls") == 13
    allowed = 0
    for number in range(99):
        allowed += (await second.reserve(ada, f"r{number}", input_tokens=1, output_tokens=0)).answer.is_allowed
    assert allowed == 99
    assert not (await second.reserve(ada, "more", input_tokens=1, output_tokens=0)).answer.is_allowed


async def test_a_killed_process_frees_what_it_held_after_a_minute_and_never_before(office: Office) -> None:
    ada, subscription = await office.subscriber("free")
    killed, other = await office.process(), await office.process()
    lost = await killed.reserve(ada, input_tokens=400_000, output_tokens=0)
    await killed.tick()
    del killed
    # The last renewal was at the reservation: 59 seconds later it still stands, after 60 it does not.
    office.later(seconds=56)
    assert not await other.allows(ada, input_tokens=400_000, output_tokens=0)
    office.later(seconds=1)
    assert await other.allows(ada, input_tokens=400_000, output_tokens=0)
    settled = await other.settle(lost, input_tokens=300_000, output_tokens=0)
    assert settled.verdict.status is Status.COUNTED
    used = await office.world.usage(subscription)
    assert used.quantity(office.world.meter("llm", "tokens")) == 300_000
    # 500,000 - 300,000 are left, for everyone.
    assert not await other.allows(ada, input_tokens=200_001, output_tokens=0)
    assert await other.allows(ada, input_tokens=200_000, output_tokens=0)


async def test_a_process_that_lives_keeps_what_it_holds(office: Office) -> None:
    ada, _ = await office.subscriber("free")
    holder, other = await office.process(), await office.process()
    await holder.reserve(ada, input_tokens=400_000, output_tokens=0)
    for _ in range(4):
        office.later(seconds=32)
        await holder.tick()
    assert not await other.allows(ada, input_tokens=400_000, output_tokens=0)
    # 600 seconds after the reservation its time is over.
    office.later(seconds=470)
    await holder.tick()
    assert await other.allows(ada, input_tokens=400_000, output_tokens=0)


async def test_a_reservation_is_settled_released_and_extended_at_another_process(office: Office) -> None:
    ada, _ = await office.subscriber("free")
    holder, other = await office.process(runs=True), await office.process()
    settled = await holder.reserve(ada, "a", input_tokens=100_000, output_tokens=0)
    released = await holder.reserve(ada, "b", input_tokens=100_000, output_tokens=0)
    extended = await holder.reserve(ada, "c", input_tokens=100_000, output_tokens=0)
    assert extended.reservation is not None
    await holder.tick()
    assert (await other.settle(settled, input_tokens=50_000, output_tokens=0)).overrun == {}
    assert await other.release(released)
    taken = await other.reserver.extend(
        office.call(),
        extended.reservation.name.text,
        expires_in_s=600,
        properties=call_of(ada, input_tokens=200_000, output_tokens=0).properties,
    )
    assert taken.answer.is_allowed
    await other.tick()
    await holder.tick()
    assert (holder.reserver.count, other.reserver.count) == (0, 1)
    await holder.tick()
    # 50,000 are used and 200,000 held by the other.
    assert await holder.allows(ada, input_tokens=250_000, output_tokens=0)
    assert not await holder.allows(ada, input_tokens=250_001, output_tokens=0)


async def test_what_another_process_held_just_now_is_waited_for_before_it_counts_as_lost(office: Office) -> None:
    ada, _ = await office.subscriber("free")
    holder, other = await office.process(runs=True), await office.process()
    # The rows of both are written a moment after the answer.
    settled, released = await holder.reserve(ada, "a"), await holder.reserve(ada, "b")
    found = await asyncio.gather(other.settle(settled), other.release(released))
    assert found[0].overrun == {}
    assert found[1]


async def test_usage_that_nobody_asked_for_is_seen_by_the_next_grant(office: Office) -> None:
    ada, _ = await office.subscriber("free")
    process = await office.process()
    await office.world.record(event(ada, input_tokens=450_000, output_tokens=0))
    assert not (await process.reserve(ada, "a", input_tokens=50_001, output_tokens=0)).answer.is_allowed
    assert (await process.reserve(ada, "b", input_tokens=50_000, output_tokens=0)).answer.is_allowed


async def test_without_the_database_limits_answer_as_each_of_them_says(office: Office, vault: Vault) -> None:
    ada, _ = await office.subscriber("pro")
    await office.world.subscribe(ada, "edge", "free")
    url = office.world.db._engine.url.render_as_string(hide_password=False)
    database = Database(url, vault, pool_size=2, wait_s=1)
    process = await office.process(db=database)
    edge = office.call(key("edge"))
    assert (await process.reserve(ada, "a", input_tokens=10)).answer.is_allowed
    assert (await process.reserver.check(edge, edge_of(ada, "edge.build", minutes=1))).is_allowed
    async with office.world.db.transaction() as tx:
        await tx.execute(sa.text("LOCK TABLE limit_lease, limit_override IN ACCESS EXCLUSIVE MODE"))
        assert (await process.reserve(ada, "warm", input_tokens=10)).answer.is_allowed
    await database.close()
    broken = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", vault, pool_size=2, wait_s=1)
    process.reserver._db = broken
    process.reserver._leases._db = broken
    # What is leased already is still divided; money fails closed, build minutes fail open.
    assert (await process.reserve(ada, "still warm", input_tokens=10)).answer.is_allowed
    with pytest.raises(LimitsUnavailable):
        await process.reserve(ada, "cold", input_tokens=20_000_000)
    opened = await process.reserver.reserve(edge, edge_of(ada, "edge.build", minutes=50), "build")
    assert opened.answer.is_allowed
    await broken.close()


async def test_another_plan_counts_from_the_moment_at_which_its_border_is_known(office: Office) -> None:
    ada, subscription = await office.subscriber("free")
    process = await office.process()
    assert not await process.allows(ada, input_tokens=600_000, output_tokens=0)
    pro = office.world.catalogue.current_version("llm", "pro").id
    async with office.world.db.transaction() as tx:
        before = await subscriptions.lock_subscription(tx, subscription.id, scope=ada.id)
        await subscriptions.switch_version(tx, office.call(), before, pro, office.at)
    # The facts that the process remembers are of the border before; it reads them anew.
    assert await process.allows(ada, input_tokens=600_000, output_tokens=0)
    assert (await process.reserve(ada, input_tokens=600_000, output_tokens=0)).answer.is_allowed


async def test_a_new_period_starts_with_nothing_used_before_the_subscription_is_renewed(office: Office) -> None:
    ada, _ = await office.subscriber("free")
    process = await office.process()
    held = await process.reserve(ada, input_tokens=500_000, output_tokens=0)
    await process.settle(held, input_tokens=500_000, output_tokens=0)
    assert not await process.allows(ada, input_tokens=1, output_tokens=0)
    office.at = make.at("2026-02-01")
    assert await process.allows(ada, input_tokens=500_000, output_tokens=0)


async def test_nothing_is_allowed_while_a_subscription_grants_nothing(office: Office) -> None:
    ada, subscription = await office.subscriber("free")
    process = await office.process()
    async with office.world.db.transaction() as tx:
        await tx.execute(
            sa.text("UPDATE subscription SET status = 'unpaid' WHERE id = :id").bindparams(id=subscription.id)
        )
    with pytest.raises(NothingSubscribed):
        await process.allows(ada)


async def test_what_is_past_its_use_is_swept(office: Office) -> None:
    ada, _ = await office.subscriber("free")
    process = await office.process()
    await process.reserve(ada, input_tokens=100_000, output_tokens=0)
    assert not await process.allows(ada, input_tokens=500_000, output_tokens=0)
    await process.tick()
    tables = ("limit_lease", "limit_reservation", "limit_decision")
    # Leases are kept for an hour, reservations for 35 days, decisions for 90.
    for days, left in ((0, [3, 1, 1]), (1, [0, 1, 1]), (36, [0, 0, 1]), (91, [0, 0, 0])):
        office.at = make.at("2026-01-15T12:00") + timedelta(days=days)
        async with office.world.db.transaction() as tx:
            await limits.sweep(tx, office.call())
        assert [await office.world.count(table) for table in tables] == left


async def test_a_process_that_stops_leaves_what_it_holds_and_returns_the_rest(office: Office) -> None:
    ada, _ = await office.subscriber("free")
    process = await office.process()
    await process.reserve(ada, input_tokens=1, output_tokens=0)
    # One call is held, and 12 more are leased of the 99 that are left.
    assert await office.leased(ada, "gemini_calls") == 13
    await process.reserver.stop()
    assert await office.leased(ada, "gemini_calls") == 1
    assert await office.world.count("limit_reservation") == 1


async def test_a_longer_time_given_at_another_process_reaches_the_one_that_holds(office: Office) -> None:
    ada, _ = await office.subscriber("free")
    holder, other = await office.process(), await office.process()
    held = await holder.reserve(ada, input_tokens=400_000, output_tokens=0)
    assert held.reservation is not None
    name = held.reservation.name.text
    await holder.tick()
    longer = await other.reserver.extend(office.call(), name, expires_in_s=3_600)
    assert longer.reservation is not None
    for _ in range(25):
        office.later(seconds=27)
        await holder.tick()
    # 750 seconds later, 150 after its first time, it is still held.
    assert holder.reserver.count == 1
    assert not await other.allows(ada, input_tokens=400_000, output_tokens=0)
    assert await holder.release(held)
    with pytest.raises(ReservationClosed):
        await other.reserver.extend(office.call(), name, expires_in_s=60)
    unknown = name_of(ada.id, "llm.call", "gateway", "never").text
    with pytest.raises(ReservationNotFound):
        await other.reserver.extend(office.call(), unknown, expires_in_s=60)
    assert not await other.reserver.release(office.call(), unknown)


async def test_a_lost_reservation_is_settled_without_anything_known_of_it(office: Office) -> None:
    ada, _ = await office.subscriber("pro")
    process = await office.process()
    settled = await process.reserver.settle(
        office.call(),
        name_of(ada.id, "llm.call", "gateway", "lost").text,
        measure=Measure.ESTIMATED,
        properties=call_of(ada).properties,
        reference="call-7",
    )
    assert settled.verdict.status is Status.COUNTED
    assert set(settled.overrun) == {"gemini_calls", "tokens", "monthly_cost"}
    async with office.world.db.transaction() as tx:
        row = await tx.row(sa.text("SELECT state, measure, reference FROM limit_reservation"))
    assert row is not None
    assert tuple(row) == ("settled", "estimated", "call-7")


async def test_of_many_that_are_refused_at_once_each_decision_is_kept_and_the_next_one_asks_anew(
    office: Office,
) -> None:
    ada, _ = await office.subscriber("pro")
    await office.override(ada, "gemini_calls", 3)
    first, second = [await office.process(runs=True) for _ in range(2)]
    held = [await process.reserve(ada, f"h{number}") for number, process in enumerate((first, first, second))]
    asked = await asyncio.gather(*((first, second)[number % 2].reserve(ada, f"r{number}") for number in range(40)))
    assert [each.answer.is_allowed for each in held] == [True] * 3
    assert not any(each.answer.is_allowed for each in asked)
    # Every refusal names a decision of its own, which is kept, with the numbers as they stood.
    names = [each.answer.decision for each in asked if each.answer.decision is not None]
    async with office.world.db.transaction() as tx:
        kept = [await limits_store.find_decision(tx, each, scope=ada.id) for each in names]
    assert len(set(names)) == 40
    assert [each is not None and each.allowed for each in kept] == [False] * 40
    assert {(each.rule, _numbers(each, "gemini_calls", "held", "bound")) for each in kept if each is not None} == {
        ("gemini_calls", ("3", "3"))
    }
    # What is given back elsewhere is seen by whoever asks from now on.
    await second.release(held[2])
    assert (await first.reserve(ada, "again")).answer.is_allowed
    assert not (await second.reserve(ada, "late")).answer.is_allowed


def _numbers(kept: Decision, key: str, *names: str) -> tuple[str, ...]:
    """Return numbers of a limit as a decision tells them."""
    return tuple(next(each[name] for each in kept.numbers if each["key"] == key) for name in names)
