"""Recurring tasks."""

import asyncio
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
import structlog

from domain.access.roles import system_principal
from domain.adapters import clock
from domain.adapters.memory import MemoryGateway
from domain.db import Database, Tx
from domain.journal import jobs, store
from domain.journal import service as journal
from domain.journal.jobs import KINDS
from domain.journal.recurring import store as recurring
from domain.kernel.call import Call
from domain.payments.reconciling import service as reconciling
from domain.webhooks import store as inbox
from tests.waiting import until
from tests.world import World
from workers import schedule
from workers.registry import HANDLERS


async def test_every_task_runs_once_when_it_is_due_and_a_faulty_one_does_not_stop_the_others(world: World) -> None:
    ran: list[str] = []

    async def note(*_: object) -> None:
        ran.append("good")

    async def fail(*_: object) -> None:
        ran.append("bad")
        raise ValueError

    tasks = {"bad": schedule.Task(60, fail), "good": schedule.Task(60, note)}
    under: schedule.Under = {}
    await schedule.announce(world.runtime, tasks)
    for _ in range(2):
        await schedule.tick(world.runtime, under, tasks)
        await asyncio.gather(*under.values())
    assert sorted(ran) == ["bad", "good"]
    call = world.call
    async with world.runtime.db.transaction() as tx:
        assert await recurring.lock_due_schedules(tx, tasks, at=call.at + timedelta(seconds=59)) == []
        assert len(await recurring.lock_due_schedules(tx, tasks, at=call.at + timedelta(seconds=61))) == 2


async def test_a_task_that_waits_holds_up_no_other_and_is_not_begun_twice(world: World) -> None:
    ran: list[str] = []
    answered = asyncio.Event()

    async def wait(*_: object) -> None:
        ran.append("slow")
        await answered.wait()

    async def note(*_: object) -> None:
        ran.append("quick")

    tasks = {"slow": schedule.Task(1, wait), "quick": schedule.Task(1, note)}
    under: schedule.Under = {}
    for _ in range(2):
        async with world.runtime.db.transaction() as tx:
            await tx.execute(sa.delete(recurring.schedule))
        await schedule.announce(world.runtime, tasks)
        await schedule.tick(world.runtime, under, tasks)
        await under["quick"]
    assert sorted(ran) == ["quick", "quick", "slow"]
    answered.set()
    await under["slow"]


async def test_a_task_that_another_version_of_the_program_announced_is_left_to_it(world: World) -> None:
    async def nothing(*_: object) -> None:
        pass

    newer = {"invented_later": schedule.Task(60, nothing)}
    await schedule.announce(world.runtime, newer)
    under: schedule.Under = {}
    await schedule.tick(world.runtime, under, {})
    assert under == {}
    await schedule.tick(world.runtime, under, newer)
    assert list(under) == ["invented_later"]
    await under["invented_later"]


async def test_more_is_forgotten_at_once_than_one_transaction_deletes(world: World) -> None:
    # Ended eight days ago, a day longer than they are kept; the sixth ended an hour ago.
    at = world.runtime.now() - timedelta(days=8)
    then = Call(clock.new_id_at(at), at, system_principal("test"), lambda: clock.new_id_at(at))
    async with world.runtime.db.transaction() as tx:
        for number in range(6):
            await journal.stage(tx, then, jobs.ProcessInboxEvent("stripe", f"evt_{number}"))
        for stored in await journal.offer_due(tx, [(None, at)], at=at, until=at, limit=9):
            is_last = stored.payload["event_id"] == "evt_5"
            await journal.finish(tx, world.call if is_last else then, stored)
    batches: list[int] = []

    async def forget(tx: Tx) -> int:
        batches.append(await journal.forget(tx, world.call, done_jobs_days=schedule.DONE_JOBS_DAYS, limit=2))
        return batches[-1]

    await schedule._in_batches(world.runtime, forget, 2)
    # Five are old enough: two, two, and one, after which less than a batch can be left.
    assert batches == [2, 2, 1]
    async with world.runtime.db.transaction() as tx:
        left = [row.payload["event_id"] for row in await tx.rows(sa.select(store.outbox_job.c.payload))]
    assert left == ["evt_5"]


async def test_the_tasks_of_the_system_run_on_an_empty_one(world: World) -> None:
    call = world.call
    for task in schedule.TASKS.values():
        await task.run(world.runtime, call)


async def test_the_look_through_the_events_and_the_comparison_come_to_their_ends(world: World) -> None:
    gateway = world.runtime.gateway
    assert isinstance(gateway, MemoryGateway)
    call = world.call
    async with world.runtime.db.transaction() as tx:
        await reconciling.start(tx, call, gateway, trigger="schedule")
    await schedule.sweep_events(world.runtime, call)
    await world.drain()
    async with world.runtime.db.transaction() as tx:
        assert await inbox.find_swept_to(tx, "stripe") is not None
        [run] = await reconciling.list_runs(tx, call, before=None, limit=9)
        assert await store.list_failed_jobs(tx, limit=9) == []
    assert run.ended_at is not None


def test_every_job_that_has_a_handler_can_be_read_back() -> None:
    assert set(KINDS.values()) == set(HANDLERS)


async def test_the_schedule_waits_for_a_database_that_is_away_when_it_begins(world: World, tmp_path: Path) -> None:
    runtime, present = world.runtime, world.runtime.db
    runtime.db = Database(f"postgresql+asyncpg://u@/d?host={tmp_path}", present.vault)

    async def is_announced() -> bool:
        async with present.transaction() as tx:
            count = await tx.value(sa.select(sa.func.count()).select_from(recurring.schedule))
            return bool(count == len(schedule.TASKS))

    with structlog.testing.capture_logs() as logs:
        ticking = asyncio.create_task(schedule.tick_forever(runtime))
        await until(lambda: ticking.done() or "schedule_waits" in {each["event"] for each in logs}, "it waits")
        assert not ticking.done()
        assert not await is_announced()
        runtime.db = present
        await until(lambda: ticking.done() or is_announced(), "it goes on")
    assert not ticking.done()
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)
