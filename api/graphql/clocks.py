"""Test clocks: make one, look at it, send it on its way."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import changing, reading
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.customers import clock as clocks
from domain.customers import service
from domain.kernel.ids import ClockId

name_enum(
    clocks.ClockState,
    "ClockState",
    "Whether a test clock moves.",
    READY="It stands still.",
    ADVANCING="It is on its way to `targetAt`: a worker runs what falls due.",
    FAILED="It stopped on its way; `reason` says why. It can be sent on.",
)


@guarded_type(Permission.CLOCK_READ, "Time that stands still until staff advance it; only test customers have one.")
class TestClock:
    """A test clock."""

    id: strawberry.ID = strawberry.field(description="`clk_…`")
    name: str = strawberry.field(description="What staff call it.")
    now_at: datetime = strawberry.field(description="What time it is for its customers.")
    target_at: datetime | None = strawberry.field(description="Where it is going, while it advances.")
    state: clocks.ClockState = strawberry.field(description="Whether it has arrived.")
    reason: str | None = strawberry.field(description="Why it stopped on its way, if it failed.")


def clock_of(value: clocks.Clock) -> TestClock:
    """Wrap a test clock."""
    return TestClock(
        id=ids.id_of("clock", value.id),
        name=value.name,
        now_at=value.now_at,
        target_at=value.target_at,
        state=value.state,
        reason=value.reason,
    )


@guarded_type(Permission.CLOCK_WRITE, "The clock was created.")
class TestClockCreated:
    """Success of createTestClock."""

    clock: TestClock = strawberry.field(description="The new clock.")


@guarded_type(Permission.CLOCK_WRITE, "The clock is on its way, or there already. Poll it until its state is READY.")
class TestClockAdvancing:
    """Success of advanceTestClock."""

    clock: TestClock = strawberry.field(description="The clock as it now stands.")


@strawberry.input(description="A new test clock.")
class CreateTestClockInput:
    """Input of createTestClock."""

    name: str = strawberry.field(description="1 to 200 characters.")
    now_at: datetime = strawberry.field(description="Where it stands at first, between the years 2000 and 2100.")


@strawberry.input(description="Where to send a test clock.")
class AdvanceTestClockInput:
    """Input of advanceTestClock."""

    clock_id: strawberry.ID = strawberry.field(description="`clk_…`")
    to: datetime = strawberry.field(description="Not before its present instant, at most five years ahead.")


CreateTestClockResult = Annotated[
    TestClockCreated | AnyProblem,
    strawberry.union("CreateTestClockResult", description="What became of createTestClock."),
]
AdvanceTestClockResult = Annotated[
    TestClockAdvancing | AnyProblem,
    strawberry.union("AdvanceTestClockResult", description="What became of advanceTestClock."),
]


@strawberry.type
class ClockQuery:
    """Queries about test clocks."""

    @reading(Permission.CLOCK_READ, "A test clock, or null.")
    async def test_clock(
        self, info: Info[Context, None], id: Annotated[strawberry.ID, strawberry.argument(description="`clk_…`")]
    ) -> TestClock | None:
        """Look one up."""
        try:
            async with info.context.runtime.db.transaction() as tx:
                return clock_of(await service.get_clock(tx, info.context.call, ids.clock_id(id)))
        except service.ClockNotFound:
            return None

    @reading(Permission.CLOCK_READ, "Test clocks, newest first.")
    async def test_clocks(
        self, info: Info[Context, None], first: First = PAGE_DEFAULT, after: After = None
    ) -> Connection[TestClock]:
        """List a page."""

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, TestClock]]:
            async with info.context.runtime.db.transaction() as tx:
                found = await service.list_clocks(
                    tx, info.context.call, after=ClockId(last) if last else None, limit=limit
                )
            return [(clock.id, clock_of(clock)) for clock in found]

        return await page(info.context, first, after, load)


@strawberry.type
class ClockMutation:
    """Changes of test clocks."""

    @changing(Permission.CLOCK_WRITE, "Make a test clock. Bind test customers to it when you create them.")
    async def create_test_clock(
        self,
        info: Info[Context, None],
        input: Annotated[CreateTestClockInput, strawberry.argument(description="The new clock.")],
    ) -> CreateTestClockResult:
        """Create it."""
        async with info.context.runtime.db.transaction() as tx:
            created = await service.create_clock(tx, info.context.call, name=input.name, now_at=input.now_at)
        return TestClockCreated(clock=clock_of(created))

    @changing(
        Permission.CLOCK_WRITE,
        "Send a clock to an instant. Everything that falls due on the way is run in order. Safe to repeat.",
    )
    async def advance_test_clock(
        self,
        info: Info[Context, None],
        input: Annotated[AdvanceTestClockInput, strawberry.argument(description="Which clock, and where to.")],
    ) -> AdvanceTestClockResult:
        """Start it; a worker drives it."""
        async with info.context.runtime.db.transaction() as tx:
            clock = await service.start_advance(tx, info.context.call, ids.clock_id(input.clock_id), input.to)
        return TestClockAdvancing(clock=clock_of(clock))
