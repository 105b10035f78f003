"""What was done and what happened: audit entries, billing events, jobs that wait or failed."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import changing, reading
from api.graphql.loaders import PageOf
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.graphql.scalars import BigInt, Json, Money, money_of
from domain.access.roles import Permission
from domain.customers import service as customers
from domain.journal import store
from domain.journal.backlog import store as backlog
from domain.journal.parties import Party
from domain.journal.retrying import service as retrying
from domain.kernel import money
from domain.kernel.call import Call, Forbidden, PrincipalKind
from domain.kernel.ids import NOBODY, CustomerId

FAILED_JOBS_MAX = 100


@guarded_type(Permission.AUDIT_READ, "Who did what to which row. Entries are never changed.")
class AuditEntry:
    """An audit entry."""

    id: strawberry.ID = strawberry.field(description="`aud_…`")
    number: BigInt | None = strawberry.field(description="Its place in the chain, given shortly after it was written.")
    at: datetime = strawberry.field(description="When, in real time.")
    customer_id: strawberry.ID | None = strawberry.field(description="`cus_…`, where it concerns one.")
    principal_kind: PrincipalKind = strawberry.field(description="What sort of caller did it.")
    principal_id: str = strawberry.field(
        description="Who did it: a key's id, or the subject of a token. Customers are not told who of the staff."
    )
    action: str = strawberry.field(description="What was done, such as open_invoice.")
    about: str = strawberry.field(description="The id of the row that it was done to.")
    facts: Json = strawberry.field(
        description="Ids, states and amounts; never personal values. Customers are not told staff's `reason`."
    )


@guarded_type(Permission.INVOICE_READ, "What happened to a customer's money or subscription.")
class BillingEvent:
    """A billing event."""

    id: strawberry.ID = strawberry.field(description="`bev_…`")
    at: datetime = strawberry.field(description="When, in the customer's business time.")
    type: str = strawberry.field(description="Such as invoice_paid.")
    amount: Money | None = strawberry.field(description="How much money it is about, if any.")
    description: str = strawberry.field(description="For people.")
    metadata: Json = strawberry.field(description="Ids of the rows concerned.")


@guarded_type(Permission.JOB_READ, "A job that failed for good and waits for a person.")
class FailedJob:
    """A failed job."""

    id: strawberry.ID = strawberry.field(description="`job_…`")
    kind: str = strawberry.field(description="What it was to do.")
    payload: Json = strawberry.field(description="The ids it was about.")
    attempts: int = strawberry.field(description="How often it was tried.")
    error: str | None = strawberry.field(description="The code of the last error.")


name_enum(
    Party,
    "JobParty",
    "Whom jobs may have to wait for. Those of each have places of their own in every worker.",
    NOBODY="Nobody beside our own servers.",
    GATEWAY="The payment provider, its calculation of taxes included.",
    MAIL="The mail server.",
)


@guarded_type(Permission.JOB_READ, "The jobs due in real time that are not done, of those that may wait for one party.")
class JobBacklog:
    """A backlog."""

    waits_for: Party = strawberry.field(description="Whom they may have to wait for.")
    waiting: int = strawberry.field(
        description="How many there are, those that run included; 10000 is as many or more."
    )
    retried: int = strawberry.field(description="How many of these have come to nothing at least once.")
    oldest_at: datetime | None = strawberry.field(description="Since when the oldest is due; null where none is.")
    error: str | None = strawberry.field(description="The code of the last error of the one that was tried most often.")


@guarded_type(Permission.JOB_WRITE, "The job is offered to a worker again.")
class JobOffered:
    """Success of retryJob."""

    id: strawberry.ID = strawberry.field(description="`job_…`")


@strawberry.input(description="Which failed job to offer again.")
class RetryJobInput:
    """Input of retryJob."""

    id: strawberry.ID = strawberry.field(description="`job_…`")


RetryJobResult = Annotated[
    JobOffered | AnyProblem, strawberry.union("RetryJobResult", description="What became of retryJob.")
]


@guarded_type(Permission.JOB_WRITE, "Failed jobs are offered to workers again.")
class JobsOffered:
    """Success of retryJobs."""

    count: int = strawberry.field(description="How many; after 500 there may be more: do it again.")


@strawberry.input(description="Which failed jobs to offer again.")
class RetryJobsInput:
    """Input of retryJobs."""

    kind: str = strawberry.field(description="Their kind, such as collect_invoice.")
    error: str | None = strawberry.field(description="Only those that ended with this error.", default=None)


RetryJobsResult = Annotated[
    JobsOffered | AnyProblem, strawberry.union("RetryJobsResult", description="What became of retryJobs.")
]


def _audit_entry_of(value: store.AuditEntry, *, is_customer: bool) -> AuditEntry:
    """Wrap an entry. To a customer it names nobody of the staff, and no reason.

    Some reasons are words of staff, and some a bank's, which whoever holds the card is not to be told.
    """
    kind, facts = PrincipalKind(value.principal_kind), value.facts
    if is_customer:
        facts = {name: each for name, each in facts.items() if name != "reason"}
    return AuditEntry(
        id=ids.id_of("audit", value.id),
        number=BigInt(value.number) if value.number is not None else None,
        at=value.at,
        customer_id=None if value.customer_id == NOBODY else ids.id_of("customer", value.customer_id),
        principal_kind=kind,
        principal_id=kind if is_customer and kind is PrincipalKind.STAFF else value.principal_id,
        action=value.action,
        about=value.about,
        facts=Json(facts),
    )


def _billing_event_of(value: store.BillingEvent) -> BillingEvent:
    amount = None
    if value.amount_minor is not None and value.currency is not None:
        amount = money_of(money.Money(value.amount_minor, value.currency))
    return BillingEvent(
        id=ids.id_of("billing_event", value.id),
        at=value.at,
        type=value.type,
        amount=amount,
        description=value.description,
        metadata=Json(value.metadata),
    )


async def billing_events_of(
    context: Context, customer_id: CustomerId, first: int, after: str | None
) -> Connection[BillingEvent]:
    """Load a page of one customer's billing events, newest first, with those of the request's other customers."""

    async def load(last: UUID | None, limit: int) -> list[tuple[UUID, BillingEvent]]:
        found = await context.loaders.billing_events.load(PageOf(customer_id, last, limit)) or []
        return [(event.id, _billing_event_of(event)) for event in found]

    return await page(context, first, after, load)


def _need_both_environments(call: Call, permission: Permission) -> None:
    """Refuse callers who work in one environment only: these rows tell of customers of both. Raises Forbidden."""
    if call.scope is not None or call.principal.environment is not None:
        raise Forbidden(permission)


@strawberry.type
class JournalQuery:
    """Queries of the journal."""

    @reading(Permission.AUDIT_READ, "Audit entries that the caller may see, newest first.")
    async def audit_entries(
        self,
        info: Info[Context, None],
        customer_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Those about one customer; an API key has to name it."),
        ] = None,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[AuditEntry]:
        """List a page."""
        call = info.context.call
        scope = ids.customer_id(customer_id) if customer_id is not None else call.scope

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, AuditEntry]]:
            async with info.context.runtime.db.transaction() as tx:
                if scope is None:
                    _need_both_environments(call, Permission.AUDIT_READ)
                else:
                    await customers.load_customer(tx, call, scope)
                found = await store.list_audit_entries(tx, scope=scope, before=last, limit=limit)
            return [(entry.id, _audit_entry_of(entry, is_customer=call.scope is not None)) for entry in found]

        return await page(info.context, first, after, load)

    @reading(Permission.JOB_READ, "Jobs that failed for good, newest first, at most 100; for staff.")
    async def failed_jobs(self, info: Info[Context, None]) -> list[FailedJob]:
        """List them."""
        _need_both_environments(info.context.call, Permission.JOB_READ)
        async with info.context.runtime.db.transaction() as tx:
            found = await store.list_failed_jobs(tx, limit=FAILED_JOBS_MAX)
        return [
            FailedJob(
                id=ids.id_of("job", job.id),
                kind=job.kind,
                payload=Json(job.payload),
                attempts=job.attempts,
                error=job.last_error,
            )
            for job in found
        ]

    @reading(
        Permission.JOB_READ,
        "How many jobs are due and not done, by whom they may have to wait for; for staff. Those of one party pile up, "
        "and are tried again, while it does not answer.",
    )
    async def job_backlog(self, info: Info[Context, None]) -> list[JobBacklog]:
        """Count them."""
        call = info.context.call
        _need_both_environments(call, Permission.JOB_READ)
        async with info.context.runtime.db.transaction() as tx:
            found = [await backlog.count_backlog(tx, party, at=call.at) for party in Party]
        return [
            JobBacklog(
                waits_for=each.party,
                waiting=each.waiting,
                retried=each.retried,
                oldest_at=each.oldest_at,
                error=each.error,
            )
            for each in found
        ]


@strawberry.type
class JournalMutation:
    """Changes of the journal."""

    @changing(Permission.JOB_WRITE, "Offer a failed job again, after its cause was mended; for staff.")
    async def retry_job(
        self,
        info: Info[Context, None],
        input: Annotated[RetryJobInput, strawberry.argument(description="Which job.")],
    ) -> RetryJobResult:
        """Offer it."""
        _need_both_environments(info.context.call, Permission.JOB_WRITE)
        async with info.context.runtime.db.transaction() as tx:
            await retrying.retry(tx, info.context.call, ids.job_id(input.id))
        return JobOffered(id=input.id)

    @changing(
        Permission.JOB_WRITE,
        "Offer failed jobs of one kind again, the oldest 500, after their cause was mended; for staff. Of several "
        "about the same thing it is the newest, and none where one waits.",
    )
    async def retry_jobs(
        self,
        info: Info[Context, None],
        input: Annotated[RetryJobsInput, strawberry.argument(description="Which jobs.")],
    ) -> RetryJobsResult:
        """Offer them."""
        call = info.context.call
        _need_both_environments(call, Permission.JOB_WRITE)
        async with info.context.runtime.db.transaction() as tx:
            count = await retrying.retry_kind(tx, call, input.kind, error=input.error)
        return JobsOffered(count=count)
