"""What staff do about a dunning case: retry now, pause, resume, extend the grace, write off, ask for another method."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.dunning import DunningCase, case_of
from api.graphql.fields import changing
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.customers.store import Sight
from domain.db import Tx
from domain.dunning import store
from domain.dunning.staff import service
from domain.dunning.store import StoredCase
from domain.kernel.call import Call
from domain.kernel.ids import CaseId

_ID = "`dun_…`"
_REASON = "Why, 1 to 500 characters; kept in the audit trail."


@guarded_type(Permission.DUNNING_WRITE, "The case was changed, or stood so already.")
class DunningCaseChanged:
    """Success of the mutations of a dunning case."""

    case: DunningCase = strawberry.field(description="As it now stands.")


RetryDunningCaseResult = Annotated[
    DunningCaseChanged | AnyProblem,
    strawberry.union("RetryDunningCaseResult", description="What became of retryDunningCase."),
]
PauseDunningCaseResult = Annotated[
    DunningCaseChanged | AnyProblem,
    strawberry.union("PauseDunningCaseResult", description="What became of pauseDunningCase."),
]
ResumeDunningCaseResult = Annotated[
    DunningCaseChanged | AnyProblem,
    strawberry.union("ResumeDunningCaseResult", description="What became of resumeDunningCase."),
]
ExtendDunningGraceResult = Annotated[
    DunningCaseChanged | AnyProblem,
    strawberry.union("ExtendDunningGraceResult", description="What became of extendDunningGrace."),
]
WriteOffDunningCaseResult = Annotated[
    DunningCaseChanged | AnyProblem,
    strawberry.union("WriteOffDunningCaseResult", description="What became of writeOffDunningCase."),
]
RequestPaymentMethodResult = Annotated[
    DunningCaseChanged | AnyProblem,
    strawberry.union("RequestPaymentMethodResult", description="What became of requestPaymentMethod."),
]


@strawberry.input(description="Which case to charge now.")
class RetryDunningCaseInput:
    """Input of retryDunningCase."""

    id: strawberry.ID = strawberry.field(description=_ID)
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="Which case to pause.")
class PauseDunningCaseInput:
    """Input of pauseDunningCase."""

    id: strawberry.ID = strawberry.field(description=_ID)
    reason: str = strawberry.field(description=_REASON)


@strawberry.input(description="Which case to let go on.")
class ResumeDunningCaseInput:
    """Input of resumeDunningCase."""

    id: strawberry.ID = strawberry.field(description=_ID)


@strawberry.input(description="The case whose customer to ask.")
class RequestPaymentMethodInput:
    """Input of requestPaymentMethod."""

    id: strawberry.ID = strawberry.field(description=_ID)


@strawberry.input(description="How long everything can still be used.")
class ExtendDunningGraceInput:
    """Input of extendDunningGrace."""

    id: strawberry.ID = strawberry.field(description=_ID)
    until: datetime = strawberry.field(description="An instant of business time, at most 90 days ahead.")
    reason: str = strawberry.field(description=_REASON)


@strawberry.input(description="Which case to write off.")
class WriteOffDunningCaseInput:
    """Input of writeOffDunningCase."""

    id: strawberry.ID = strawberry.field(description=_ID)
    reason: str = strawberry.field(description=_REASON)
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.type
class DunningDeskMutation:
    """Changes of dunning cases, by staff."""

    @changing(
        Permission.DUNNING_WRITE,
        "Charge the invoice of a case now, also after it was given up; it uses no retry. Once per idempotency key.",
    )
    async def retry_dunning_case(
        self,
        info: Info[Context, None],
        input: Annotated[RetryDunningCaseInput, strawberry.argument(description="Which one.")],
    ) -> RetryDunningCaseResult:
        """Order the attempt."""
        given = strawberry.asdict(input)
        return await _once(info.context, "retryDunningCase", input.idempotency_key, given, service.retry_now)

    @changing(Permission.DUNNING_WRITE, "Stop the retries and the clock of access of a case. Safe to repeat.")
    async def pause_dunning_case(
        self,
        info: Info[Context, None],
        input: Annotated[PauseDunningCaseInput, strawberry.argument(description="Which one, and why.")],
    ) -> PauseDunningCaseResult:
        """Pause it."""
        async with info.context.runtime.db.transaction() as tx:
            case_id = ids.dunning_case_id(input.id)
            changed = await service.pause(tx, info.context.call, case_id, reason=input.reason)
        return DunningCaseChanged(case=case_of(changed))

    @changing(
        Permission.DUNNING_WRITE, "Let a paused case go on, all of it later by as long as it stood. Safe to repeat."
    )
    async def resume_dunning_case(
        self,
        info: Info[Context, None],
        input: Annotated[ResumeDunningCaseInput, strawberry.argument(description="Which.")],
    ) -> ResumeDunningCaseResult:
        """Resume it."""
        async with info.context.runtime.db.transaction() as tx:
            changed = await service.resume(tx, info.context.call, ids.dunning_case_id(input.id))
        return DunningCaseChanged(case=case_of(changed))

    @changing(Permission.DUNNING_WRITE, "Let everything be used until an instant, before access is restricted.")
    async def extend_dunning_grace(
        self,
        info: Info[Context, None],
        input: Annotated[ExtendDunningGraceInput, strawberry.argument(description="Until when, and why.")],
    ) -> ExtendDunningGraceResult:
        """Extend it."""
        context, case_id = info.context, ids.dunning_case_id(input.id)
        async with context.runtime.db.transaction() as tx:
            changed = await service.extend_grace(tx, context.call, case_id, until=input.until, reason=input.reason)
        await context.runtime.wakeups.publish([changed.customer_id])
        return DunningCaseChanged(case=case_of(changed))

    @changing(
        Permission.DUNNING_WRITE,
        "Give the invoice of a case up as a bad debt; its subscriptions go on. Once per idempotency key.",
    )
    async def write_off_dunning_case(
        self,
        info: Info[Context, None],
        input: Annotated[WriteOffDunningCaseInput, strawberry.argument(description="Which one, and why.")],
    ) -> WriteOffDunningCaseResult:
        """Write it off."""

        async def act(tx: Tx, call: Call, case_id: CaseId) -> StoredCase:
            return await service.write_off(tx, call, case_id, reason=input.reason)

        given = strawberry.asdict(input)
        return await _once(info.context, "writeOffDunningCase", input.idempotency_key, given, act)

    @changing(
        Permission.DUNNING_WRITE,
        "Mail the customer of a case a request for another payment method, once after each failed attempt.",
    )
    async def request_payment_method(
        self,
        info: Info[Context, None],
        input: Annotated[RequestPaymentMethodInput, strawberry.argument(description="Which.")],
    ) -> RequestPaymentMethodResult:
        """Ask for it."""
        async with info.context.runtime.db.transaction() as tx:
            changed = await service.ask_for_method(tx, info.context.call, ids.dunning_case_id(input.id))
        return DunningCaseChanged(case=case_of(changed))


async def _once(
    context: Context,
    mutation: str,
    key: str,
    given: Mapping[str, object],
    act: Callable[[Tx, Call, CaseId], Awaitable[StoredCase]],
) -> DunningCaseChanged | AnyProblem:
    """Change the case that an input names, once per idempotency key of its customer."""
    case_id = ids.dunning_case_id(str(given["id"]))
    async with context.runtime.db.transaction() as tx:
        found = await store.find_case(tx, case_id, sight=Sight(None, context.call.principal.environment))
    if found is None or context.call.scope not in {None, found.customer_id}:
        raise service.DunningCaseNotFound

    async def change(tx: Tx) -> tuple[DunningCaseChanged, Mapping[str, str]]:
        changed = await act(tx, context.call, case_id)
        return DunningCaseChanged(case=case_of(changed)), {"case": str(case_id)}

    async def again(tx: Tx, _: Mapping[str, str]) -> DunningCaseChanged:
        kept = await store.find_case(tx, case_id, sight=Sight(None))
        assert kept is not None, "a case is never deleted"
        return DunningCaseChanged(case=case_of(kept))

    done = await once(Wish(context, mutation, key, found.customer_id, given), change, again)
    await context.runtime.wakeups.publish([found.customer_id])
    return done
