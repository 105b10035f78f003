"""Recurring tasks."""

from datetime import timedelta

from domain.journal import store
from tests.world import World
from workers import schedule


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
