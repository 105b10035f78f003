"""What a policy would do about a payment that failed, and how its attempts then end: a calendar, by the real rules."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from domain.customers.customer import check_zone
from domain.dunning import case as cases
from domain.dunning.case import Case, CaseState, Step
from domain.dunning.policy import BANK_DEBIT, Policy, access_at, grace_end
from domain.invoices.invoice import State as InvoiceState
from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass
from domain.payments.declines import Decline, classify
from domain.subscriptions.subscription import AccessState, Status

OUTCOMES_MAX = 20
# More than any policy within its bounds can bring.
EVENTS_MAX = 200
PAID = "paid"
CARD = "card"
METHOD_KINDS = (CARD, BANK_DEBIT)
# A calendar of years is added to the first failure.
YEARS = range(2000, 3000)


class Happening(StrEnum):
    """What a line of a simulated calendar is about."""

    ATTEMPT = "attempt"
    ACCESS = "access"
    MAIL = "mail"
    END = "end"


@dataclass(eq=False)
class OutcomesMalformed(DomainError):
    """Give 1 to {most} outcomes of attempts: codes of declines, or `paid`. The first one fails."""

    code = "outcomes_malformed"
    kind = Kind.INVALID
    most: int


@dataclass(eq=False)
class SimulationOutOfBounds(DomainError):
    """This payment cannot be simulated: {reason}."""

    code = "simulation_out_of_bounds"
    kind = Kind.INVALID
    reason: str


@dataclass(frozen=True, slots=True)
class Happens:
    """One line of the calendar; `about` is the decline or `paid`, the access state, the mail, or the end."""

    at: datetime
    what: Happening
    about: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The payment to be simulated: when it failed first, and how its attempts end, the last one for all that follow."""

    failed_at: datetime
    outcomes: Sequence[str]
    method_kind: str = CARD
    zone: str = "UTC"


def simulate(policy: Policy, failed: Failed) -> list[Happens]:
    """Return what would happen, in the order of time. Raises OutcomesMalformed, SimulationOutOfBounds, ZoneUnknown."""
    check_zone(failed.zone)
    if failed.method_kind not in METHOD_KINDS:
        raise SimulationOutOfBounds(f"a method is one of {', '.join(METHOD_KINDS)}")
    if failed.failed_at.year not in YEARS:
        raise SimulationOutOfBounds(f"it fails in the years {YEARS.start} to {YEARS.stop - 1}")
    if not 1 <= len(failed.outcomes) <= OUTCOMES_MAX or failed.outcomes[0] == PAID:
        raise OutcomesMalformed(OUTCOMES_MAX)
    run = _Run(policy, failed)
    run.begin()
    for _ in range(EVENTS_MAX):
        if not run.step():
            break
    return run.found


class _Run:
    """A simulation under way: the case, what was told so far, and the number of the attempt that comes next."""

    def __init__(self, policy: Policy, failed: Failed) -> None:
        self._policy, self._failed = policy, failed
        self._grace_ends_at = grace_end(policy, failed.failed_at)
        self._case = Case(CaseState.OPEN, failed.failed_at, 0, None, None)
        self._access = AccessState.FULL
        self._tries = 0
        self.found: list[Happens] = []

    def begin(self) -> None:
        """Let the first attempt fail."""
        at, decline = self._failed.failed_at, self._next_decline(self._failed.failed_at)
        assert decline is not None, "the first attempt fails"
        self._case, next_ = cases.opened(
            self._policy, at, decline, method_kind=self._failed.method_kind, zone=self._failed.zone
        )
        self._mail(at, "payment_failed")
        self._after(at, gives_up=next_.gives_up)

    def step(self) -> bool:
        """Go to the next instant at which something happens; False where nothing does any more."""
        case = self._case
        graces = [self._grace_ends_at] if self._access is AccessState.FULL else []
        at = cases.due_at(case, graces)
        if at is None:
            return False
        after, step = cases.run(case, at, invoice=InvoiceState.OPEN, subscription=Status.PAST_DUE)
        self._case = after
        if step is Step.CHARGE:
            self._charge(at)
        elif step is not Step.GIVE_UP and graces and self._grace_ends_at <= at:
            self._mail(at, "access_restricted")
        if self._case.notice_at is not None and self._case.notice_at <= at:
            self._case = cases.noticed(self._case)
            self._mail(at, "last_notice")
        self._after(at, gives_up=step is Step.GIVE_UP or self._case.state is CaseState.GIVEN_UP)
        return True

    def _charge(self, at: datetime) -> None:
        decline = self._next_decline(at)
        if decline is None:
            self._case = cases.paid(self._case, at)
            return
        self._case, next_ = cases.failed_again(
            self._policy, self._case, at, decline, method_kind=self._failed.method_kind, zone=self._failed.zone
        )
        if not next_.gives_up:
            self._mail(at, "retry_failed")

    def _next_decline(self, at: datetime) -> Decline | None:
        outcomes = self._failed.outcomes
        outcome = outcomes[min(self._tries, len(outcomes) - 1)]
        self._tries += 1
        self.found.append(Happens(at, Happening.ATTEMPT, outcome))
        return None if outcome == PAID else classify(outcome, decline_code=outcome)

    def _after(self, at: datetime, *, gives_up: bool) -> None:
        """Tell how the case stands after an instant."""
        is_paid = self._case.state is CaseState.RECOVERED
        given_up_at = at if gives_up else None
        access = AccessState.FULL if is_paid else access_at(self._grace_ends_at, at, given_up_at=given_up_at)
        if access is not self._access:
            self._access = access
            self.found.append(Happens(at, Happening.ACCESS, access))
        if gives_up:
            self.found.append(Happens(at, Happening.END, self._policy.after_last))
            self._mail(at, "ended")
        elif is_paid:
            self.found.append(Happens(at, Happening.END, PAID))

    def _mail(self, at: datetime, mail: str) -> None:
        if mail in self._policy.mails:
            self.found.append(Happens(at, Happening.MAIL, mail))


def days_after(failed_at: datetime, at: datetime) -> str:
    """Write how long after the failure something happens, in days and hours: "7 d", "2 d 9 h"."""
    hours = (at - failed_at) // timedelta(hours=1)
    days, rest = divmod(hours, 24)
    return f"{days} d {rest} h" if rest else f"{days} d"
