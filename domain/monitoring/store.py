"""What waits in every queue of the system, each by one index, and bounded."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain import db
from domain.alerts.staffing.store import staff_alert
from domain.customers.store import customer
from domain.dunning.store import dunning_case
from domain.journal.backlog.store import count_backlog
from domain.journal.parties import Party
from domain.journal.recurring.store import schedule
from domain.monitoring.gauge import Gauge
from domain.subscriptions.store import subscription
from domain.webhooks.queueing.store import webhook_lane
from domain.webhooks.store import inbox_event

# More rows of one sort are not counted.
COUNTED_MAX = 10_000


async def list_gauges(tx: db.Tx, at: datetime) -> list[Gauge]:
    """Measure at a real instant. What stands on test clocks is left out of what is late."""
    found = []
    for party in Party:
        backlog = await count_backlog(tx, party, at=at)
        labels = (("waits_for", str(party)),)
        found.append(Gauge("tollgate_jobs_waiting", backlog.waiting, labels))
        found.append(Gauge("tollgate_jobs_late_seconds", _late(backlog.oldest_at, at), labels))
    due, case, lane = subscription.c, dunning_case.c, webhook_lane.c
    in_real_time = sa.exists().where(customer.c.customer_id == due.customer_id, customer.c.clock_id.is_(None))
    for name, column, where in (
        ("tollgate_tasks_late_seconds", schedule.c.next_run_at, sa.true()),
        ("tollgate_closing_late_seconds", due.due_at, (due.due_at <= at) & in_real_time),
        ("tollgate_dunning_late_seconds", case.due_at, (case.due_at <= at) & case.clock_id.is_(None)),
        ("tollgate_inbox_late_seconds", inbox_event.c.received_at, inbox_event.c.state == "received"),
        ("tollgate_webhooks_late_seconds", lane.next_at, lane.next_at <= at),
    ):
        found.append(Gauge(name, _late(await tx.value(sa.select(sa.func.min(column)).where(where)), at)))
    for name, table, where in (
        ("tollgate_inbox_quarantined", inbox_event, inbox_event.c.state == "quarantined"),
        ("tollgate_staff_alerts_unread", staff_alert, staff_alert.c.read_at.is_(None)),
    ):
        found.append(Gauge(name, await tx.value(_count(table, where))))
    found.append(
        Gauge("tollgate_clock_skew_seconds", _seconds(at, await tx.value(sa.select(sa.func.clock_timestamp()))))
    )
    return found


def _count(table: sa.Table, where: Any) -> sa.Select[Any]:
    some = sa.select(sa.literal(1)).select_from(table).where(where).limit(COUNTED_MAX).subquery()
    return sa.select(sa.func.count()).select_from(some)


def _late(since: datetime | None, at: datetime) -> int:
    return 0 if since is None else max(0, _seconds(since, at))


def _seconds(since: datetime, at: datetime) -> int:
    """Return whole seconds from one instant to another, less than none where it comes before."""
    return round((at - since).total_seconds())
