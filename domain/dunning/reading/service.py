"""Read cases, timelines and recovery figures."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.store import Sight
from domain.db import Tx
from domain.dunning import store
from domain.dunning.case import CaseState, last_day
from domain.dunning.policies import service as policies
from domain.dunning.recovery import Recovery, recoveries_of
from domain.dunning.store import CaseStep, StoredCase
from domain.kernel.call import Call, Environment, Forbidden
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CaseId, CustomerId
from domain.kernel.values import dataclass

# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101
LOOKUP_MAX = 1_000
STEPS_MAX = 500
STRETCH_DAYS_MAX = 731


@dataclass(eq=False)
class StretchMalformed(DomainError):
    """A stretch of time starts before it ends and has at most {days_max} days."""

    code = "stretch_malformed"
    kind = Kind.INVALID
    days_max: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """Until when everything can be used, None where that is over or nothing is restricted; and the last day."""

    grace_ends_at: datetime | None
    last_at: datetime | None


async def find_case(tx: Tx, call: Call, case_id: CaseId) -> StoredCase | None:
    """Return a case, or None where there is none that the caller may see. Raises Forbidden."""
    call.need(Permission.DUNNING_READ)
    return await store.find_case(tx, case_id, sight=_sight(call))


async def list_cases(
    tx: Tx,
    call: Call,
    *,
    customer_id: CustomerId | None = None,
    state: CaseState | None = None,
    before: UUID | None = None,
    limit: int = PAGE_MAX,
) -> Sequence[StoredCase]:
    """Return cases that the caller may see, the newest first, at most PAGE_MAX. Raises Forbidden, CustomerNotFound."""
    call.need(Permission.DUNNING_READ)
    if customer_id is not None:
        await customers.load_customer(tx, call, customer_id)
    return await store.list_cases(
        tx, sight=_sight(call), customer_id=customer_id, state=state, before=before, limit=min(limit, PAGE_MAX)
    )


async def steps_of_cases(
    tx: Tx, cases: Collection[tuple[CustomerId, CaseId]], *, scope: CustomerId | None
) -> dict[CaseId, list[CaseStep]]:
    """Return the first STEPS_MAX steps of each of several cases, the oldest first: one statement, for loaders.

    Why staff did something is in their words and for them: it is left out for who sees one customer alone (`scope`).
    """
    assert len(cases) <= LOOKUP_MAX, "look-ups are bounded"
    seen = [(customer_id, case_id) for customer_id, case_id in cases if scope in {None, customer_id}]
    found = await store.steps_of_cases(tx, seen, limit=STEPS_MAX)
    return found if scope is None else {key: [_without_words(each) for each in steps] for key, steps in found.items()}


def _without_words(step: CaseStep) -> CaseStep:
    return replace(step, facts={name: each for name, each in step.facts.items() if name != "reason"})


async def outlook(tx: Tx, stored: StoredCase, now: datetime) -> Outlook:
    """Say what a case still holds, for mails about it."""
    holdings = (await store.holdings_of(tx, [(stored.customer_id, stored.id)]))[stored.id]
    version = (await policies.policies_by_id(tx, [stored.policy_id]))[stored.policy_id]
    grace_ends_at = min((each.grace_ends_at for each in holdings), default=None)
    is_running = stored.case.state is CaseState.OPEN and grace_ends_at is not None and now < grace_ends_at
    return Outlook(grace_ends_at if is_running else None, last_day(version.policy, stored.case))


async def recovery(tx: Tx, call: Call, *, start: datetime, end: datetime, environment: Environment) -> list[Recovery]:
    """Return what came back of the payments that failed first in a stretch of business time, a currency each.

    Raises Forbidden, StretchMalformed.
    """
    call.need(Permission.DUNNING_READ)
    if call.scope is not None:
        raise Forbidden(Permission.DUNNING_READ)
    if not start < end <= start + timedelta(days=STRETCH_DAYS_MAX):
        raise StretchMalformed(STRETCH_DAYS_MAX)
    own = call.principal.environment
    if own not in {None, environment}:
        return []
    return recoveries_of(await store.list_tallies(tx, sight=Sight(None, environment), start=start, end=end))


def _sight(call: Call) -> Sight:
    return Sight(call.scope, call.principal.environment)
