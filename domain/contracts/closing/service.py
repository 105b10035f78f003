"""Stage the closing of what is due, and tell how far it has come."""

from collections.abc import Sequence
from datetime import datetime

from domain.access.roles import Permission
from domain.contracts import service as contracts
from domain.contracts.closing import store
from domain.contracts.closing.store import Refused
from domain.customers import service as customers
from domain.db import Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import ClockId
from domain.kernel.values import dataclass

# Closings that one transaction stages.
STAGE_MAX = 500
# How many subscriptions that cannot be closed are looked at. Where there are more, something is wrong with all.
REFUSED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left to be closed in real time. Of `due` subscriptions `refused` could not be closed so far."""

    due: int
    refused: Sequence[Refused]

    @property
    def is_moving(self) -> bool:
        """Whether something is left that was not refused; with REFUSED_MAX refused there is nothing to wait for."""
        return len(self.refused) < min(self.due, REFUSED_MAX)


async def stage_due(tx: Tx, call: Call, *, clock_id: ClockId | None, limit: int = STAGE_MAX) -> int:
    """Stage the closing of what is due on one clock (None: real time), oldest first; return how many.

    Safe to repeat: one job is pending for a subscription, and one that has a job already is passed over, so what
    cannot be closed does not stand in the way of the others.
    """
    now = await customers.clock_now(tx, call, clock_id)
    due = await contracts.find_due(tx, clock_id=clock_id, now=now, limit=min(limit, STAGE_MAX))
    for customer_id, subscription_id in due:
        job = jobs.ClosePeriod(customer_id, subscription_id)
        await journal.stage(tx, call, job, customer_id=customer_id, clock_id=clock_id, run_at=now)
    return len(due)


async def standing(tx: Tx, call: Call, *, now: datetime, attempts_min: int) -> Standing:
    """Return what of real time is still to be closed by an instant; what failed `attempts_min` times is refused.

    Raises Forbidden.
    """
    call.need(Permission.JOB_READ)
    due = await store.count_due(tx, now=now)
    refused = await store.list_refused(tx, now=now, attempts_min=attempts_min, limit=REFUSED_MAX) if due else []
    return Standing(due, refused)
