"""A comparison: its stages, the stretch of time it looks at, and when the next one is due."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from uuid import UUID

from domain.kernel.call import Environment
from domain.kernel.period import Period
from domain.kernel.values import dataclass

# What was made on both sides a moment ago may be under way.
MARGIN = timedelta(hours=1)
FIRST_WINDOW = timedelta(days=35)
# What was compared last night is compared once more: late news of two days is still seen.
OVERLAP = timedelta(days=2)
NIGHTLY_AT = time(3)
# No gateway's customer is older.
EVER_SINCE = datetime(2011, 1, 1, tzinfo=UTC)


class Stage(StrEnum):
    """What is compared, in this order; each page by page."""

    CUSTOMERS = "customers"  # of the gateway: whose they are, and their balances
    METHODS = "methods"  # of our customers, both ways
    INVOICES_THERE = "invoices_there"  # of the gateway: orphans, states, sums
    INVOICES_HERE = "invoices_here"  # ours that are open, or were pushed lately
    PAYMENTS = "payments"
    REFUNDS = "refunds"  # of the gateway
    REFUNDS_HERE = "refunds_here"  # ours that are on their way, or were sent lately
    DISPUTES_THERE = "disputes_there"  # opened lately
    DISPUTES_HERE = "disputes_here"  # ours that are not over, whatever their age
    REPORT = "report"  # what was found before and not in this run: is it still so?


STAGES = tuple(Stage)


@dataclass(frozen=True, slots=True)
class Run:
    """One comparison of an environment. `after` is the last id of the present stage that was compared.

    Instants are real time. `trigger` is who began it: schedule, staff or command.
    """

    id: UUID
    environment: Environment
    trigger: str
    started_at: datetime
    window_start: datetime
    window_end: datetime
    stage: Stage
    after: str | None
    compared: int
    ended_at: datetime | None = None
    version: int = 1

    @property
    def window(self) -> Period:
        """The stretch in which things were made that are compared; what is open is compared whatever its age."""
        return Period(self.window_start, self.window_end)

    @property
    def ever(self) -> Period:
        """The stretch in which the gateway's customers were made that are compared: all before the run."""
        return Period(EVER_SINCE, self.window_end)


def begin(run_id: UUID, environment: Environment, at: datetime, *, last: Run | None, trigger: str) -> Run:
    """Begin a comparison, from a little before the end of the last one."""
    end = at - MARGIN
    start = last.window_end - OVERLAP if last is not None else end - FIRST_WINDOW
    return Run(run_id, environment, trigger, at, min(start, end - OVERLAP), end, STAGES[0], None, 0)


def go_on(before: Run, *, compared: int, after: str | None, at: datetime) -> Run:
    """Go on to the next page of a stage; without one to the next stage, and after the last to the end."""
    counted = replace(before, compared=before.compared + compared, after=after)
    if after is not None:
        return counted
    place = STAGES.index(before.stage) + 1
    return replace(counted, ended_at=at) if place == len(STAGES) else replace(counted, stage=STAGES[place])


def is_due(last_started_at: datetime | None, at: datetime) -> bool:
    """Whether the nightly comparison is to begin: at NIGHTLY_AT in UTC, or as soon after it as anyone works."""
    due_at = datetime.combine(at.date(), NIGHTLY_AT, at.tzinfo)
    return at >= due_at and (last_started_at is None or last_started_at < due_at)


def again(before: Run) -> Run:
    """Begin the present stage once more."""
    return replace(before, after=None)
