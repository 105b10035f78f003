"""Recurring tasks. A task is a row with the instant it runs next; whoever locks the row runs it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from domain.access.roles import system_principal
from domain.alerts.mailing import service as mailing
from domain.alerts.unsettled import service as unsettled
from domain.contracts.closing import service as closing
from domain.db import DATABASE_ERRORS, Tx, unreachable_reason
from domain.dunning import service as dunning
from domain.dunning.asking import service as asking
from domain.journal import service as journal
from domain.journal.recurring import service as recurring
from domain.kernel.call import Call
from domain.kernel.ids import ClockId
from domain.kernel.values import dataclass
from domain.limits import service as limits
from domain.payments import service as payments
from domain.payments.expiring import service as expiring
from domain.payments.overdue import service as overdue
from domain.payments.pages import service as pages
from domain.payments.reconciling import service as reconciling
from domain.payments.refunding import service as refunding
from domain.privacy.erasing import service as erasing
from domain.privacy.exporting import service as exporting
from domain.runtime import Runtime
from domain.usage import service as usage
from domain.usage.redriving import service as redriving
from domain.usage.sealing import service as events
from domain.webhooks.delivering import service as delivering
from domain.webhooks.sweeping import service as sweeping

TICK_S = 1.0
RECONCILE_BATCH = 50
FORGET_BATCH = 5_000
# Transactions of one run of a task that forgets or seals; its next run takes what is left then.
FORGET_BATCHES_MAX = 200
DONE_JOBS_DAYS = 7
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Task:
    """What runs, and how often in seconds."""

    every_s: int
    run: Callable[[Runtime, Call], Awaitable[None]]


# The tasks that this process runs at present.
Under = dict[str, asyncio.Task[None]]


async def close_due_periods(runtime: Runtime, call: Call) -> None:
    """Stage the closing of every subscription whose period has ended in real time."""
    await stage_due_periods(runtime, call, clock_id=None)


async def stage_due_periods(runtime: Runtime, call: Call, *, clock_id: ClockId | None) -> None:
    """Stage the closing of what is due on one clock. Safe to repeat: one job is pending for a subscription."""
    async with runtime.db.transaction() as tx:
        await closing.stage_due(tx, call, clock_id=clock_id)


async def run_due_cases(runtime: Runtime, call: Call) -> None:
    """Stage what is due in real time about every dunning case."""
    await stage_due_cases(runtime, call, clock_id=None)


async def stage_due_cases(runtime: Runtime, call: Call, *, clock_id: ClockId | None) -> None:
    """Stage what is due about dunning cases on one clock. Safe to repeat: one job is pending for a case."""
    async with runtime.db.transaction() as tx:
        await dunning.stage_due(tx, call, clock_id=clock_id)


async def follow_unfollowed(runtime: Runtime, call: Call) -> None:
    """Stage the collection of open invoices that are due and that nobody follows, on all clocks."""
    async with runtime.db.transaction() as tx:
        await asking.stage_unfollowed(tx, call)


async def warn_of_expiry(runtime: Runtime, call: Call) -> None:
    """Mail the owners of cards that expire this month in real time."""
    await stage_due_warnings(runtime, call, clock_id=None)


async def stage_due_warnings(runtime: Runtime, call: Call, *, clock_id: ClockId | None) -> None:
    """Stage the mails about cards that expire, on one clock. Safe to repeat: a card is warned of once."""
    async with runtime.db.transaction() as tx:
        await expiring.warn_due(tx, call, clock_id=clock_id)


async def seal_audit(runtime: Runtime, _: Call) -> None:
    """Give committed audit entries their numbers."""
    async with runtime.db.transaction() as tx:
        await journal.seal_audit(tx)


async def reconcile_attempts(runtime: Runtime, call: Call) -> None:
    """Find out what became of payment attempts and refunds whose answer was lost."""
    await payments.reconcile_stale(runtime.db, runtime.gateway, call, limit=RECONCILE_BATCH)
    await refunding.reconcile_stale(runtime.db, runtime.gateway, call, limit=RECONCILE_BATCH)


async def reconcile_nightly(runtime: Runtime, call: Call) -> None:
    """Have everything compared with the gateway, once a night."""
    async with runtime.db.transaction() as tx:
        await reconciling.start_nightly(tx, call, runtime.gateway)


async def sweep_events(runtime: Runtime, call: Call) -> None:
    """Have the gateway's list looked through for events whose webhook never arrived."""
    async with runtime.db.transaction() as tx:
        await sweeping.stage_sweep(tx, call)


async def forget_events(runtime: Runtime, call: Call) -> None:
    """Delete inbound events that are past their use."""
    await sweeping.forget(runtime.db, call, days=runtime.settings.inbox_days)


async def forget(runtime: Runtime, call: Call) -> None:
    """Delete jobs done a week ago, idempotency rows past their promise, old exports, and looks at what was answered."""
    await _in_batches(runtime, lambda tx: overdue.forget(tx, call), overdue.FORGET_BATCH)
    await _in_batches(runtime, lambda tx: exporting.forget(tx, call), exporting.FORGET_BATCH)
    await _in_batches(
        runtime,
        lambda tx: journal.forget(tx, call, done_jobs_days=DONE_JOBS_DAYS, limit=FORGET_BATCH),
        FORGET_BATCH,
    )


async def _in_batches(runtime: Runtime, act: Callable[[Tx], Awaitable[int]], batch: int) -> None:
    """Act in transactions of a bounded size until less than a batch is left: more is written in an hour than one."""
    for _ in range(FORGET_BATCHES_MAX):
        async with runtime.db.transaction() as tx:
            done = await act(tx)
        if done < batch:
            return


async def seal_plain(runtime: Runtime, _: Call) -> None:
    """Seal personal values that an earlier version has kept plain, or still does beside this one."""
    await _in_batches(runtime, events.seal_plain, events.SEAL_BATCH)
    await _in_batches(runtime, pages.seal_plain, pages.SEAL_BATCH)


async def end_retentions(runtime: Runtime, call: Call) -> None:
    """Delete what was kept of erased customers once its time is over, and what the gateway has sent of them since."""
    async with runtime.db.transaction() as tx:
        await erasing.end_due(tx, call)
    await erasing.follow(runtime.db, call)


async def make_partitions(runtime: Runtime, call: Call) -> None:
    """Make the partitions that coming events need."""
    async with runtime.db.transaction() as tx:
        await usage.ensure_partitions(tx, call.at)


async def sweep_limits(runtime: Runtime, call: Call) -> None:
    """Delete leases, reservations and decisions that are past their use."""
    await _in_batches(runtime, lambda tx: limits.sweep(tx, call), limits.SWEEP_MAX)


async def tell_unsettled(runtime: Runtime, call: Call) -> None:
    """Tell staff of metered calls that expired with nobody telling what they used."""
    await _in_batches(runtime, lambda tx: unsettled.tell(tx, call), unsettled.BATCH)


async def forget_deliveries(runtime: Runtime, call: Call) -> None:
    """Delete what the log of deliveries, and that of reports about mail, have kept for their time."""
    await _in_batches(runtime, lambda tx: delivering.forget(tx, call), delivering.FORGET_BATCH)
    await _in_batches(runtime, lambda tx: mailing.forget(tx, call), mailing.FORGET_BATCH)


async def forget_words(runtime: Runtime, call: Call) -> None:
    """Delete mails, and events that have left quarantine, once their time is over."""
    settings = runtime.settings
    await _in_batches(runtime, lambda tx: mailing.forget_mails(tx, call, days=settings.mail_days), mailing.FORGET_BATCH)
    await _in_batches(
        runtime, lambda tx: redriving.forget(tx, call, days=settings.quarantine_days), redriving.FORGET_BATCH
    )


TASKS: Mapping[str, Task] = {
    "close_due_periods": Task(2, close_due_periods),
    "run_due_cases": Task(2, run_due_cases),
    "follow_unfollowed": Task(10 * 60, follow_unfollowed),
    "warn_of_expiry": Task(3600, warn_of_expiry),
    "seal_audit": Task(5, seal_audit),
    "reconcile_attempts": Task(30, reconcile_attempts),
    "reconcile_nightly": Task(10 * 60, reconcile_nightly),
    "sweep_events": Task(15 * 60, sweep_events),
    "forget": Task(3600, forget),
    "forget_events": Task(3600, forget_events),
    "seal_plain": Task(10 * 60, seal_plain),
    "make_partitions": Task(6 * 3600, make_partitions),
    "forget_deliveries": Task(3600, forget_deliveries),
    "sweep_limits": Task(5 * 60, sweep_limits),
    "tell_unsettled": Task(5 * 60, tell_unsettled),
    "forget_words": Task(3600, forget_words),
    "end_retentions": Task(3600, end_retentions),
}


async def tick_forever(runtime: Runtime) -> None:
    """Begin what is due, then wait, until cancelled. A task that fails is logged and comes again at its next time."""
    under: Under = {}
    is_announced = False
    try:
        while True:
            try:
                if not is_announced:
                    await announce(runtime)
                    is_announced = True
                await tick(runtime, under)
            except DATABASE_ERRORS as error:
                _log.warning("schedule_waits", error=type(error).__name__, reason=unreachable_reason(error))
            await asyncio.sleep(TICK_S)
    finally:
        for running in under.values():
            running.cancel()
        await asyncio.gather(*under.values(), return_exceptions=True)


async def tick(runtime: Runtime, under: Under, tasks: Mapping[str, Task] = TASKS) -> None:
    """Begin every task that is due, each in units of work of its own, and leave those that run in `under`.

    Nothing is waited for: a task that waits for the gateway does not hold up the closing of periods. One that still
    runs is not begun again, and what another version of the program has announced is left to that.
    """
    for name in [name for name, running in under.items() if running.done()]:
        del under[name]
    call = runtime.call(system_principal("schedule"))
    async with runtime.db.transaction() as tx:
        due = await recurring.take_due_tasks(tx, call, tasks.keys() - under.keys())
    for name in due:
        under[name] = asyncio.create_task(_run(runtime, call, name, tasks[name]))


async def _run(runtime: Runtime, call: Call, name: str, task: Task) -> None:
    try:
        await task.run(runtime, call)
    except Exception:  # noqa: BLE001 -- one task's fault must not stop the others
        _log.exception("task_failed", task=name)


async def announce(runtime: Runtime, tasks: Mapping[str, Task] = TASKS) -> None:
    """Make the recurring tasks known. Safe to repeat."""
    call = runtime.call(system_principal("schedule"))
    async with runtime.db.transaction() as tx:
        await recurring.announce(tx, call, {name: task.every_s for name, task in tasks.items()})
