"""Retry now, pause, resume, extend the grace, write off, ask for another method: each audited, and safe to repeat."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from domain.access.roles import Permission
from domain.contracts import service as contracts
from domain.contracts.owing import service as owing
from domain.customers.erasing import service as erasing
from domain.customers.store import Sight
from domain.db import Tx
from domain.dunning import case as cases
from domain.dunning import store
from domain.dunning.case import CaseState
from domain.dunning.filing import service as filing
from domain.dunning.filing.service import Filed
from domain.dunning.service import allowed
from domain.dunning.store import StoredCase
from domain.invoices.invoice import State as InvoiceState
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call, Forbidden
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CaseId
from domain.kernel.values import dataclass
from domain.payments.attempt import Trigger
from domain.payments.method import PaymentMethod, method_to_retry
from domain.payments.ordering import service as orders

REASON_LENGTH_MAX = 500
EXTENSION_DAYS_MAX = 90


@dataclass(eq=False)
class DunningCaseNotFound(DomainError):
    """There is no such dunning case. See the list of cases."""

    code = "dunning_case_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class DunningCaseClosed(DomainError):
    """This dunning case is {state}, so nothing more is done about it."""

    code = "dunning_case_closed"
    kind = Kind.CONFLICT
    state: str


@dataclass(eq=False)
class AttemptUnderWay(DomainError):
    """A payment of this invoice is under way. Wait until it has ended."""

    code = "attempt_under_way"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class NothingToCharge(DomainError):
    """The customer has no payment method that can be charged. Ask for another one."""

    code = "nothing_to_charge"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class NothingTried(DomainError):
    """No payment of this invoice was tried: its customer transfers it, or was asked for a payment method already."""

    code = "nothing_tried"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class CardCapReached(DomainError):
    """The card was charged as often as its network allows. It can be charged again at {allowed_at}."""

    code = "card_cap_reached"
    kind = Kind.CONFLICT
    allowed_at: datetime


@dataclass(eq=False)
class ExtensionOutOfRange(DomainError):
    """A grace is extended by 1 to {days_max} days."""

    code = "extension_out_of_range"
    kind = Kind.INVALID
    days_max: int


@dataclass(eq=False)
class DunningReasonMalformed(DomainError):
    """Say why, in 1 to {length_max} printable characters."""

    code = "dunning_reason_malformed"
    kind = Kind.INVALID
    length_max: int


async def retry_now(tx: Tx, call: Call, case_id: CaseId) -> StoredCase:
    """Order an attempt at once, also on a case that was given up: it uses no retry.

    It charges the method that a retry would, else the default one. Raises Forbidden, DunningCaseNotFound,
    DunningCaseClosed, AttemptUnderWay, NothingToCharge, CardCapReached.
    """
    filed = await _take(tx, call, case_id)
    standing = filed.standing
    if filed.case.state not in {CaseState.OPEN, CaseState.GIVEN_UP} or standing.invoice.state is not InvoiceState.OPEN:
        raise DunningCaseClosed(filed.case.state)
    if standing.under_way is not None:
        raise AttemptUnderWay
    method = method_to_retry(standing.methods, standing.attempts) or _default(filed)
    if method is None:
        raise NothingToCharge
    allowed_at = await allowed(tx, filed, method, automatic=False)
    if allowed_at > filed.desk.now:
        raise CardCapReached(allowed_at)
    ordered = await orders.order_attempt(tx, call, filed.desk.now, standing, method_id=method.id, trigger=Trigger.STAFF)
    assert ordered is not None, "the invoice is open, and no attempt is under way"
    is_open = filed.case.state is CaseState.OPEN
    after = cases.ordered(filed.case, filed.desk.now) if is_open else filed.case
    filed = await filing.write(tx, call, filed, after, "retried_by_staff", facts={"attempt": ordered.number})
    return filed.stored


async def pause(tx: Tx, call: Call, case_id: CaseId, *, reason: str) -> StoredCase:
    """Stop retries and the clock of access until `resume`. Safe to repeat.

    Raises Forbidden, DunningCaseNotFound, DunningCaseClosed, DunningReasonMalformed.
    """
    said = check_reason(reason)

    async def act(filed: Filed) -> Filed:
        return await filing.write(
            tx, call, filed, cases.paused(filed.case, filed.desk.now), "paused", facts={"reason": said}
        )

    return await _change(tx, call, case_id, act)


async def resume(tx: Tx, call: Call, case_id: CaseId) -> StoredCase:
    """Let a paused case go on: all that was planned comes later by as long as it stood. Safe to repeat.

    Raises Forbidden, DunningCaseNotFound, DunningCaseClosed.
    """

    async def act(filed: Filed) -> Filed:
        paused_at = filed.case.paused_at
        after, stood = cases.resumed(filed.case, filed.desk.now)
        if paused_at is not None:
            filed = await filing.extend_grace(tx, filed, stood, running_at=paused_at)
        return await filing.write(tx, call, filed, after, "resumed")

    return await _change(tx, call, case_id, act)


async def extend_grace(tx: Tx, call: Call, case_id: CaseId, *, until: datetime, reason: str) -> StoredCase:
    """Let the customer use everything until an instant of business time, at most 90 days ahead. Safe to repeat.

    A grace that ends later already stays. Raises Forbidden, DunningCaseNotFound, DunningCaseClosed,
    ExtensionOutOfRange, DunningReasonMalformed.
    """
    said = check_reason(reason)

    async def act(filed: Filed) -> Filed:
        if not filed.desk.now < until <= filed.desk.now + timedelta(days=EXTENSION_DAYS_MAX):
            raise ExtensionOutOfRange(EXTENSION_DAYS_MAX)
        filed = await filing.end_graces(tx, filed, until)
        await filing.note(tx, call, filed, "grace_extended", {"until": until.isoformat(), "reason": said})
        return await filing.write(tx, call, filed, filed.case, None)

    return await _change(tx, call, case_id, act)


async def write_off(tx: Tx, call: Call, case_id: CaseId, *, reason: str) -> StoredCase:
    """Give the invoice up as a bad debt: it is asked for no more, and its subscriptions go on as if it was paid.

    Money that still comes is taken. So may one be that was dropped as what it asks for has ended, while its invoice is
    open. Safe to repeat. Raises Forbidden, DunningCaseNotFound, DunningCaseClosed, AttemptUnderWay,
    DunningReasonMalformed.
    """
    said = check_reason(reason)
    filed = await _take(tx, call, case_id)
    if filed.case.state is CaseState.WRITTEN_OFF:
        return filed.stored
    is_owed = filed.case.state is CaseState.DROPPED and filed.standing.invoice.state is InvoiceState.OPEN
    if not is_owed and filed.case.state not in {CaseState.OPEN, CaseState.GIVEN_UP}:
        raise DunningCaseClosed(filed.case.state)
    if filed.standing.under_way is not None:
        raise AttemptUnderWay
    filed = await filing.write_off(tx, call, filed, {"reason": said})
    stored = filed.stored
    await contracts.note_payment(tx, call, stored.customer_id, stored.invoice_id, succeeded=True)
    await filing.refresh_access(tx, call, filed.desk)
    return stored


async def ask_for_method(tx: Tx, call: Call, case_id: CaseId) -> StoredCase:
    """Mail the customer a request for another payment method, at most one for each attempt that failed.

    Safe to repeat. Raises Forbidden, DunningCaseNotFound, DunningCaseClosed, NothingTried.
    """

    async def act(filed: Filed) -> Filed:
        last, customer = filed.standing.last, filed.desk.customer
        if last is None:
            raise NothingTried
        job = jobs.SendNotice(customer.id, "payment_method_wanted", str(last.id))
        await journal.stage(tx, call, job, customer_id=customer.id, clock_id=customer.clock_id, run_at=filed.desk.now)
        await filing.note(tx, call, filed, "method_wanted", {"attempt": last.number})
        return filed

    return await _change(tx, call, case_id, act)


def check_reason(text: str) -> str:
    """Return a reason without surrounding space. Raises DunningReasonMalformed."""
    trimmed = text.strip()
    if not (1 <= len(trimmed) <= REASON_LENGTH_MAX and trimmed.isprintable()):
        raise DunningReasonMalformed(REASON_LENGTH_MAX)
    return trimmed


async def _change(tx: Tx, call: Call, case_id: CaseId, act: Callable[[Filed], Awaitable[Filed]]) -> StoredCase:
    """Change an open case, and let access follow."""
    filed = await _take(tx, call, case_id)
    if filed.case.state is not CaseState.OPEN:
        raise DunningCaseClosed(filed.case.state)
    filed = await act(filed)
    await filing.refresh_access(tx, call, filed.desk)
    return filed.stored


async def _take(tx: Tx, call: Call, case_id: CaseId) -> Filed:
    """Take a case that the caller may see in hand. Of an erased customer's nothing is changed."""
    call.need(Permission.DUNNING_WRITE)
    if call.scope is not None:
        raise Forbidden(Permission.DUNNING_WRITE)
    found = await store.find_case(tx, case_id, sight=Sight(None, call.principal.environment))
    if found is None:
        raise DunningCaseNotFound
    await erasing.hold_present(tx, found.customer_id)
    desk = await owing.hold(tx, call, found.customer_id)
    _, filed = await filing.take(tx, call, desk, found.invoice_id)
    assert filed is not None, "a case is never deleted"
    return filed


def _default(filed: Filed) -> PaymentMethod | None:
    return next((method for method in filed.standing.methods if method.is_default), None)
