"""Comparisons of the payment provider with our rows, and what they found; for staff."""

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
from api.graphql.scalars import BigInt
from domain.access.roles import Permission
from domain.kernel.call import Environment
from domain.payments.reconciling import finding, run, service
from domain.payments.reconciling.finding import Outcome

name_enum(
    Outcome,
    "DriftOutcome",
    "What became of a difference.",
    OPEN="It is still so and needs a person.",
    HEALED="News that had been lost was followed.",
    GONE="A later comparison did not find it any more.",
    CLOSED="A person has closed it.",
)


@guarded_type(Permission.JOB_READ, "One comparison of what the payment provider holds with our rows.")
class ReconciliationRun:
    """A comparison."""

    id: strawberry.ID = strawberry.field(description="`rec_…`")
    environment: Environment = strawberry.field(description="Whether of real money.")
    trigger: str = strawberry.field(description="Who began it: schedule, staff or command.")
    started_at: datetime = strawberry.field(description="In real time, as all instants here.")
    window_start: datetime = strawberry.field(
        description="What was made since then is compared; what is open is compared whatever its age."
    )
    window_end: datetime = strawberry.field(description="What was made from then on is left to the next one.")
    stage: str = strawberry.field(
        description="What it is at: customers, methods, invoices_there, invoices_here, payments, refunds, "
        "refunds_here, disputes_there, disputes_here, report."
    )
    compared: BigInt = strawberry.field(description="How many things were compared so far.")
    ended_at: datetime | None = strawberry.field(description="When it came to its end; null while it is under way.")


@guarded_type(Permission.JOB_READ, "A difference between the payment provider and our rows.")
class DriftFinding:
    """A finding."""

    id: strawberry.ID = strawberry.field(description="`drf_…`")
    environment: Environment = strawberry.field(description="Whether about real money.")
    kind: str = strawberry.field(description="What differs, such as invoice_total or payment_unknown.")
    about: str = strawberry.field(description="The provider's id of the thing.")
    customer_id: strawberry.ID | None = strawberry.field(description="`cus_…`, where it is about one.")
    ours: str = strawberry.field(description="What our rows say; none where there is none.")
    theirs: str = strawberry.field(description="What the provider says; none where it has none.")
    outcome: Outcome = strawberry.field(description="What became of it.")
    needs_person: bool = strawberry.field(description="Whether somebody has to see to it.")
    first_seen_at: datetime = strawberry.field(description="When a comparison saw it first.")
    last_seen_at: datetime = strawberry.field(description="When a comparison saw it last.")
    run_id: strawberry.ID = strawberry.field(description="`rec_…`: the comparison that saw it last.")
    closed_at: datetime | None = strawberry.field(description="When it was healed, gone or closed.")
    note: str | None = strawberry.field(description="What the person who closed it has said.")


@guarded_type(Permission.JOB_WRITE, "The comparison is under way.")
class ReconciliationStarted:
    """Success of startReconciliation."""

    run: ReconciliationRun = strawberry.field(description="It, or the one that was under way already.")


@guarded_type(Permission.JOB_WRITE, "The finding is closed.")
class DriftFindingClosed:
    """Success of closeDriftFinding."""

    finding: DriftFinding = strawberry.field(description="As it now stands.")


@strawberry.input(description="What to compare.")
class StartReconciliationInput:
    """Input of startReconciliation."""

    environment: Environment = strawberry.field(description="That of the provider's key which this deployment has.")


@strawberry.input(description="Which finding was seen to, and how.")
class CloseDriftFindingInput:
    """Input of closeDriftFinding."""

    id: strawberry.ID = strawberry.field(description="`drf_…`")
    note: str = strawberry.field(description="What was done about it, 1 to 500 characters; nothing personal.")


StartReconciliationResult = Annotated[
    ReconciliationStarted | AnyProblem,
    strawberry.union("StartReconciliationResult", description="What became of startReconciliation."),
]
CloseDriftFindingResult = Annotated[
    DriftFindingClosed | AnyProblem,
    strawberry.union("CloseDriftFindingResult", description="What became of closeDriftFinding."),
]


def _run_of(value: run.Run) -> ReconciliationRun:
    return ReconciliationRun(
        id=ids.id_of("reconciliation", value.id),
        environment=value.environment,
        trigger=value.trigger,
        started_at=value.started_at,
        window_start=value.window_start,
        window_end=value.window_end,
        stage=value.stage,
        compared=BigInt(value.compared),
        ended_at=value.ended_at,
    )


def _finding_of(value: finding.Finding) -> DriftFinding:
    return DriftFinding(
        id=ids.id_of("finding", value.id),
        environment=value.environment,
        kind=value.kind,
        about=value.about,
        customer_id=ids.id_of("customer", value.customer_id) if value.customer_id else None,
        ours=value.ours,
        theirs=value.theirs,
        outcome=value.outcome,
        needs_person=value.outcome is Outcome.OPEN,
        first_seen_at=value.first_seen_at,
        last_seen_at=value.last_seen_at,
        run_id=ids.id_of("reconciliation", value.run_id),
        closed_at=value.closed_at,
        note=value.note,
    )


@strawberry.type
class ReconciliationQuery:
    """Queries of comparisons."""

    @reading(Permission.JOB_READ, "Comparisons with the payment provider, the newest first; for staff.")
    async def reconciliation_runs(
        self, info: Info[Context, None], first: First = PAGE_DEFAULT, after: After = None
    ) -> Connection[ReconciliationRun]:
        """List a page."""

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, ReconciliationRun]]:
            async with info.context.runtime.db.transaction() as tx:
                found = await service.list_runs(tx, info.context.call, before=last, limit=limit)
            return [(each.id, _run_of(each)) for each in found]

        return await page(info.context, first, after, load)

    @reading(Permission.JOB_READ, "Differences between the payment provider and our rows, the newest first; for staff.")
    async def drift_findings(
        self,
        info: Info[Context, None],
        outcome: Annotated[
            Outcome | None, strawberry.argument(description="Those of which this became; OPEN need a person.")
        ] = None,
        run_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="`rec_…`: those that this comparison saw last.")
        ] = None,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[DriftFinding]:
        """List a page."""
        of_run = ids.reconciliation_id(run_id) if run_id is not None else None

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, DriftFinding]]:
            async with info.context.runtime.db.transaction() as tx:
                found = await service.list_findings(
                    tx, info.context.call, outcome=outcome, run_id=of_run, before=last, limit=limit
                )
            return [(each.id, _finding_of(each)) for each in found]

        return await page(info.context, first, after, load)


@strawberry.type
class ReconciliationMutation:
    """Changes of comparisons."""

    @changing(
        Permission.JOB_WRITE,
        "Compare everything with the payment provider now, without waiting for the night. Safe to repeat: one is under "
        "way at a time. It moves no money.",
    )
    async def start_reconciliation(
        self,
        info: Info[Context, None],
        input: Annotated[StartReconciliationInput, strawberry.argument(description="Of what.")],
    ) -> StartReconciliationResult:
        """Begin it."""
        runtime = info.context.runtime
        async with runtime.db.transaction() as tx:
            begun = await service.start(
                tx, info.context.call, runtime.gateway, trigger="staff", environment=input.environment
            )
        return ReconciliationStarted(run=_run_of(begun))

    @changing(Permission.JOB_WRITE, "Close a finding that was seen to; it is reported anew where it is still so.")
    async def close_drift_finding(
        self,
        info: Info[Context, None],
        input: Annotated[CloseDriftFindingInput, strawberry.argument(description="Which one, and what was done.")],
    ) -> CloseDriftFindingResult:
        """Close it."""
        async with info.context.runtime.db.transaction() as tx:
            closed = await service.close_finding(tx, info.context.call, ids.finding_id(input.id), note=input.note)
        return DriftFindingClosed(finding=_finding_of(closed))
