"""recordUsageBatch: up to 1,000 usage events as one JSON value, read by the decoder of POST /v1/events.

A thousand typed inputs cost the library more than recording them; one value costs next to nothing.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import strawberry
from strawberry.types import Info

from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import changing
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem, Problem
from api.graphql.scalars import Json
from api.rest.events import Mode, answer_of, results_of
from api.rest.forms import EventsMalformed, convert
from domain.access.roles import Permission
from domain.usage.verdict import BatchRefused, Verdict

name_enum(
    Mode,
    "BatchMode",
    "What becomes of a batch with an event that cannot be counted.",
    PARTIAL="Each event is taken by itself.",
    ATOMIC="All events are counted, or none.",
)
_RESULTS = "For each event, in order: `id`, `status`, and where it was not counted `reason` and `message`."


@guarded_type(Permission.USAGE_WRITE, "What was counted is committed; each event has an answer.")
class UsageBatchRecorded:
    """Success of recordUsageBatch."""

    counted: int = strawberry.field(description="How many were counted now.")
    duplicate: int = strawberry.field(description="How many had been counted before.")
    conflict: int = strawberry.field(description="How many ids were sent before with another payload.")
    quarantined: int = strawberry.field(description="How many are kept for staff and not counted.")
    rejected: int = strawberry.field(description="How many are not kept; mend them and send them again.")
    results: Json = strawberry.field(description=_RESULTS)


@guarded_type(Permission.USAGE_WRITE, "An atomic batch holds events that cannot be counted; nothing was recorded.")
class UsageBatchRefused(Problem):
    """What is wrong with an atomic batch."""

    bad: list[int] = strawberry.field(description="The indexes of the events that cannot be counted, from 0.")
    results: Json = strawberry.field(description=_RESULTS)


@strawberry.input(description="1 to 1,000 events.")
class RecordUsageBatchInput:
    """Input of recordUsageBatch."""

    events: Json = strawberry.field(
        description=(
            "An array of events as POST /v1/events takes them: `id`, `type`, `customer`, and optionally "
            "`subscription`, `occurred_at`, `properties` and `corrects`. Pass it as a variable."
        )
    )
    mode: Mode = strawberry.field(description="What becomes of it with a bad event.", default=Mode.PARTIAL)


RecordUsageBatchResult = Annotated[
    UsageBatchRecorded | UsageBatchRefused | AnyProblem,
    strawberry.union("RecordUsageBatchResult", description="What became of recordUsageBatch."),
]


def _results(names: Sequence[str | None], verdicts: Sequence[Verdict]) -> Json:
    return Json(msgspec.to_builtins(results_of(names, verdicts)))


def _refused(refused: BatchRefused, names: Sequence[str | None]) -> UsageBatchRefused:
    return UsageBatchRefused(
        code=refused.code,
        message=refused.message,
        bad=list(refused.bad),
        results=_results(names, refused.verdicts),
    )


def _recorded(names: Sequence[str | None], verdicts: Sequence[Verdict]) -> UsageBatchRecorded:
    answer = msgspec.to_builtins(answer_of(names, verdicts))
    return UsageBatchRecorded(**{**answer, "results": Json(answer["results"])})


@strawberry.type
class UsageBatchMutation:
    """Changes of usage, in bulk."""

    @changing(
        Permission.USAGE_WRITE,
        "Report usage in bulk, with a key of scope usage:write. Safe to repeat. Enforces no limit.",
    )
    async def record_usage_batch(
        self,
        info: Info[Context, None],
        input: Annotated[RecordUsageBatchInput, strawberry.argument(description="What was used.")],
    ) -> RecordUsageBatchResult:
        """Hand the events to the committer and wait for its commit."""
        if not isinstance(input.events, list):
            raise EventsMalformed("`events` is not an array")
        names, events = convert(input.events)
        try:
            verdicts = await info.context.serving.recorder.record(
                info.context.call, events, atomic=input.mode is Mode.ATOMIC
            )
        except BatchRefused as refused:
            return _refused(refused, names)
        return _recorded(names, verdicts)
