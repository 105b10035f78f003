"""Recurring tasks."""

from datetime import timedelta

from domain.adapters.memory import MemoryGateway
from domain.journal import store
from domain.journal.jobs import KINDS
from domain.payments.reconciling import service as reconciling
from domain.webhooks import store as inbox
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
    await schedule.announce(world.runtime, tasks)
    await schedule.tick(world.runtime, tasks)
    await schedule.tick(world.runtime, tasks)
    assert sorted(ran) == ["bad", "good"]
    call = world.call
    async with world.runtime.db.transaction() as tx:
        assert await store.lock_due_schedules(tx, at=call.at + timedelta(seconds=59)) == []
        assert len(await store.lock_due_schedules(tx, at=call.at + timedelta(seconds=61))) == 2


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
