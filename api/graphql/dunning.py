"""Dunning cases: unpaid invoices that are followed up, what happened to them, and what comes back."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import reading
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Json, Money, money_of, percent_of
from domain.access.roles import Permission
from domain.dunning import recovery
from domain.dunning.case import CaseState
from domain.dunning.reading import service
from domain.dunning.store import CaseStep, StoredCase
from domain.kernel.call import Environment
from domain.payments.attempt import Trigger
from domain.subscriptions.subscription import AccessState

name_enum(
    AccessState,
    "AccessState",
    "What checks of limits answer by while a payment is owed.",
    FULL="The plan.",
    RESTRICTED="The limits of the free plan; nothing may be added.",
    SUSPENDED="Everything is refused.",
)
name_enum(
    CaseState,
    "DunningCaseState",
    "Where a dunning case stands.",
    OPEN="The money is asked for.",
    RECOVERED="The invoice was paid.",
    GIVEN_UP="The last day has passed; money that still comes recovers it.",
    DROPPED="What was owed has ended or is void.",
    WRITTEN_OFF="The invoice is a bad debt.",
)
name_enum(
    Trigger,
    "PaymentTrigger",
    "Who started a payment attempt.",
    BILLING="The invoice was issued.",
    RETRY="The calendar of dunning.",
    CUSTOMER="The customer, or money that came without an attempt of ours.",
    NEW_METHOD="A new payment method.",
    STAFF="Staff.",
)


@guarded_type(Permission.DUNNING_READ, "Something that happened to a dunning case.")
class DunningStep:
    """A step of a case."""

    at: datetime = strawberry.field(description="When, in the customer's business time.")
    kind: str = strawberry.field(description="Such as opened, retry_ordered, attempt_failed, recovered.")
    facts: Json = strawberry.field(description="What is known about it: states, instants and ids.")


@guarded_type(Permission.DUNNING_READ, "An invoice whose payment failed. Instants are the customer's business time.")
class DunningCase:
    """A dunning case."""

    id: strawberry.ID = strawberry.field(description="`dun_…`")
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`")
    policy_id: strawberry.ID = strawberry.field(description="`dpl_…`, the version that its retries follow.")
    state: CaseState = strawberry.field(description="Where it stands.")
    amount: Money = strawberry.field(description="What was owed when it was opened.")
    first_failed_at: datetime = strawberry.field(description="When the payment failed first; grace counts from here.")
    counted_failures: int = strawberry.field(description="Failures so far that use up retries.")
    next_attempt_at: datetime | None = strawberry.field(description="When it is tried again by itself.")
    waits_until: datetime | None = strawberry.field(description="The last day on which the customer can act instead.")
    is_charging: bool = strawberry.field(description="Whether a payment is under way: meanwhile nothing else happens.")
    paused_at: datetime | None = strawberry.field(description="Since when staff have paused it.")
    closed_at: datetime | None = strawberry.field(description="When it was over.")
    recovered_by: Trigger | None = strawberry.field(description="Who started the attempt that was paid.")

    @reading(Permission.DUNNING_READ, "What happened to it, the oldest first, at most 500 steps.")
    async def timeline(self, info: Info[Context, None]) -> list[DunningStep]:
        """Load its steps."""
        case_id = ids.dunning_case_id(self.id)
        steps = await info.context.loaders.dunning_steps.load((ids.customer_id(self.customer_id), case_id)) or []
        info.context.spend(len(steps))
        return [_step_of(each) for each in steps]


@guarded_type(Permission.DUNNING_READ, "What came back of payments that failed, in one currency.")
class RecoveryFigures:
    """Recovery figures."""

    currency: str = strawberry.field(description="ISO 4217.")
    cases: int = strawberry.field(description="Cases whose first failure lies in the stretch of time.")
    recovered: int = strawberry.field(description="Those that were paid.")
    lost: int = strawberry.field(description="Those that were given up or written off.")
    open: int = strawberry.field(description="Those still asked for.")
    failed_amount: Money = strawberry.field(description="What was owed when the cases were opened.")
    recovered_amount: Money = strawberry.field(description="What was owed by those that were paid.")
    recovery_percent: Decimal | None = strawberry.field(
        description="Recovered in percent of all cases, open ones among them; null without any."
    )
    recovered_amount_percent: Decimal | None = strawberry.field(
        description="Recovered amount in percent of the failed one; null without any."
    )
    mean_hours: Decimal | None = strawberry.field(
        description="Mean elapsed hours from the first failure to the money; null where nothing was recovered."
    )


def case_of(value: StoredCase) -> DunningCase:
    """Wrap a case."""
    case = value.case
    return DunningCase(
        id=ids.id_of("dunning_case", value.id),
        customer_id=ids.id_of("customer", value.customer_id),
        invoice_id=ids.id_of("invoice", value.invoice_id),
        policy_id=ids.id_of("dunning_policy", value.policy_id),
        state=case.state,
        amount=money_of(value.amount),
        first_failed_at=case.first_failed_at,
        counted_failures=case.counted,
        next_attempt_at=case.next_attempt_at,
        waits_until=case.waits_until,
        is_charging=case.charging_since is not None,
        paused_at=case.paused_at,
        closed_at=case.closed_at,
        recovered_by=value.recovered_by,
    )


def _step_of(value: CaseStep) -> DunningStep:
    return DunningStep(at=value.at, kind=value.kind, facts=Json(value.facts))


def _figures_of(value: recovery.Recovery) -> RecoveryFigures:
    tally = value.tally
    return RecoveryFigures(
        currency=tally.currency,
        cases=tally.cases,
        recovered=tally.recovered,
        lost=tally.lost,
        open=tally.open,
        failed_amount=money_of(value.failed),
        recovered_amount=money_of(value.recovered),
        recovery_percent=percent_of(value.rate * 100) if value.rate is not None else None,
        recovered_amount_percent=percent_of(value.amount_rate * 100) if value.amount_rate is not None else None,
        mean_hours=percent_of(value.mean_hours) if value.mean_hours is not None else None,
    )


@strawberry.type
class DunningQuery:
    """Queries of dunning."""

    @reading(Permission.DUNNING_READ, "Dunning cases that the caller may see, newest first.")
    async def dunning_cases(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID | None, strawberry.argument(description="Those of one customer.")] = None,
        state: Annotated[CaseState | None, strawberry.argument(description="Those that stand so.")] = None,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[DunningCase]:
        """List a page."""
        context = info.context
        customer = ids.customer_id(customer_id) if customer_id is not None else None

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, DunningCase]]:
            async with context.runtime.db.transaction() as tx:
                found = await service.list_cases(
                    tx, context.call, customer_id=customer, state=state, before=last, limit=limit
                )
            return [(each.id, case_of(each)) for each in found]

        return await page(context, first, after, load)

    @reading(Permission.DUNNING_READ, "A dunning case, or null where the caller sees none.")
    async def dunning_case(
        self, info: Info[Context, None], id: Annotated[strawberry.ID, strawberry.argument(description="`dun_…`")]
    ) -> DunningCase | None:
        """Find it."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.find_case(tx, info.context.call, ids.dunning_case_id(id))
        return case_of(found) if found is not None else None

    @reading(
        Permission.DUNNING_READ,
        "What came back of payments that failed first in a stretch of business time, a currency each; of live "
        "customers unless told.",
    )
    async def dunning_recovery(
        self,
        info: Info[Context, None],
        start: Annotated[datetime, strawberry.argument(description="The first instant.")],
        end: Annotated[datetime, strawberry.argument(description="The first instant after it, at most 731 days on.")],
        environment: Annotated[
            Environment, strawberry.argument(description="Of live or of test customers.")
        ] = Environment.LIVE,
    ) -> list[RecoveryFigures]:
        """Work them out."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.recovery(tx, info.context.call, start=start, end=end, environment=environment)
        return [_figures_of(each) for each in found]
