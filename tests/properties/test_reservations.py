"""What holds for every race of reservations: what was asked for never passes the bound, and all of it can be used.

Steps of one round run at the same time, in several processes on one database. The model knows only what callers know:
what they were promised, what they settled, what they gave back, and what they lost with a process.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.customers.customer import Customer
from domain.db import Database
from domain.limits.request import Reserved
from domain.limits.reservation import ReservationClosed
from tests.domain.limits.office import Office, Process, open_office
from tests.domain.usage.world import event

BOUND = 200
PROCESSES = 3
_AMOUNTS = st.integers(1, 90)
_PROCESS = st.integers(0, PROCESSES - 1)
_RESERVE = st.tuples(st.just("reserve"), _PROCESS, _AMOUNTS)
_SETTLE = st.tuples(st.just("settle"), _PROCESS, st.integers(0, 120))
_RELEASE = st.tuples(st.just("release"), _PROCESS, st.just(0))
_EVENT = st.tuples(st.just("event"), st.just(0), st.integers(1, 15))
_CRASH = st.tuples(st.just("crash"), _PROCESS, st.just(0))
_PASS = st.tuples(st.just("pass"), st.just(0), st.sampled_from((3, 25)))
_STALL = st.tuples(st.just("pass"), st.just(0), st.just(61))
_Step = tuple[str, int, int]
_RACE = st.lists(st.one_of(_RESERVE, _RESERVE, _SETTLE, _RELEASE, _EVENT), min_size=2, max_size=10)
_ROUNDS: st.SearchStrategy[list[list[_Step]]] = st.lists(
    st.one_of(_RACE, _RACE, st.one_of(_CRASH, _PASS, _STALL).map(lambda step: [step])), min_size=2, max_size=7
)


@dataclass
class Promise:
    """A reservation as its caller knows it."""

    process: int
    reserved: Reserved
    held: int


@dataclass
class Model:
    """What callers know. `asked` was used within a promise, `unasked` beside any."""

    open: list[Promise] = field(default_factory=list)
    lost: list[Promise] = field(default_factory=list)
    asked: int = 0
    unasked: int = 0
    number: int = 0

    @property
    def promised(self) -> int:
        """What was promised and not given back, as held or as used."""
        return self.asked + sum(promise.held for promise in self.open)

    def lose(self, process: int | None) -> None:
        """Lose the promises of one process, or of all."""
        gone = [each for each in self.open if process in {None, each.process}]
        self.open = [each for each in self.open if each not in gone]
        self.lost += gone


@dataclass
class Race:
    """One customer, the processes that serve them, and the model."""

    office: Office
    ada: Customer
    processes: list[Process]
    model: Model = field(default_factory=Model)

    async def run(self, steps: list[_Step]) -> None:
        """Take the steps of a round at once, and check what was promised."""
        unasked = self.model.unasked
        granted = any(await asyncio.gather(*(self.step(*step) for step in steps)))
        assert self.model.promised <= BOUND
        if granted and unasked == self.model.unasked:
            assert self.model.promised + self.model.unasked <= BOUND

    async def step(self, kind: str, process: int, amount: int) -> bool:
        """Take one step; whether something was promised."""
        if kind == "reserve":
            return await self.reserve(process, amount)
        if kind == "event":
            self.model.number += 1
            self.model.unasked += amount
            await self.office.world.record(
                event(self.ada, f"u{self.model.number}", input_tokens=amount, output_tokens=0)
            )
        elif kind == "crash":
            self.model.lose(process)
            self.processes[process] = await self.office.process()
        elif kind == "pass":
            if amount > 60:
                self.model.lose(None)
            self.office.later(seconds=amount)
            await self.tick()
        else:
            await self.end(kind, process, amount)
        return False

    async def reserve(self, process: int, amount: int) -> bool:
        """Ask for some tokens."""
        self.model.number += 1
        name = f"r{self.model.number}"
        reserved = await self.processes[process].reserve(self.ada, name, input_tokens=amount, output_tokens=0)
        if reserved.answer.is_allowed:
            self.model.open.append(Promise(process, reserved, amount))
        return reserved.answer.is_allowed

    async def end(self, kind: str, process: int, percent: int) -> None:
        """Settle or release the oldest promise, or one that was lost, at any process."""
        from_open = bool(self.model.open)
        waiting = self.model.open or self.model.lost
        if not waiting:
            return
        promise = waiting.pop(0)
        if kind == "release":
            await self.processes[process].release(promise.reserved)
            return
        used = promise.held * percent // 100
        within = min(used, promise.held) if from_open else 0
        # It counts from the moment at which it may be counted.
        self.model.asked += within
        self.model.unasked += used - within
        await self.processes[process].settle(promise.reserved, input_tokens=used, output_tokens=0)

    async def tick(self) -> None:
        """Let every process do what it does by itself."""
        for process in self.processes:
            await process.tick()


@pytest.fixture
def origin(catalogued: str) -> str:
    """Begin with both products published."""
    return catalogued


@pytest.fixture
async def office(db: Database) -> AsyncIterator[Office]:
    """Stand in an office on a seeded database."""
    async with open_office(db) as opened:
        yield opened


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=_ROUNDS)
async def test_what_is_asked_for_never_passes_the_bound_and_all_that_is_left_can_be_used(
    office: Office, rounds: list[list[_Step]]
) -> None:
    ada, subscription = await office.subscriber("free")
    await office.override(ada, "tokens", BOUND)
    race = Race(office, ada, [await office.process() for _ in range(PROCESSES)])
    for steps in rounds:
        await race.run(steps)

    # Everything is given back or lost, and a minute passes: exactly what was not used is there again.
    for promise in race.model.open:
        try:
            await race.processes[0].release(promise.reserved)
        except ReservationClosed:
            raise AssertionError("an open promise ended by itself") from None
    office.later(seconds=61)
    await race.tick()
    await race.tick()
    used = (await office.world.usage(subscription)).quantity(office.world.meter("llm", "tokens"))
    assert used == race.model.asked + race.model.unasked
    left = BOUND - int(used)
    fresh = await office.process()
    assert await fresh.allows(ada, input_tokens=max(left, 0) + 1, output_tokens=0) is False
    if left >= 0:
        assert await fresh.allows(ada, input_tokens=left, output_tokens=0)
