"""Due dunning cases worked off: each is looked at, a retry is ordered, sent, declined, and followed up."""

import sqlalchemy as sa

from bench import working
from bench.report import Result, at_least, at_most
from bench.working import Work, drain, side_by_side
from bench.world import Servers
from domain.access.roles import system_principal
from domain.contracts import service as contracts
from domain.customers import service as customers
from domain.dunning import service as dunning
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId
from domain.payments.methods import service as methods
from domain.runtime import Runtime
from domain.subscriptions.schedule import Interval

CASES_A_MINUTE_MIN = 1_000
# What two cores have in the minute of that many cases.
CPU_MS_MAX = 120
# Stripe takes 25 calls a second of one endpoint.
CALLS_MAX = 1.5
_DECLINED = "pm_card_chargeDeclinedInsufficientFunds"


def measure(running: Servers, database: str, cases: int) -> list[Result]:
    """Return how many due cases are worked off in a minute, and what one takes of the machine and of Stripe."""
    done = working.measure(running, database, Work(_prepare, _work_off, _check), cases)
    return [
        at_least("Dunning: due cases worked off by two workers", done.a_minute, CASES_A_MINUTE_MIN, unit=" a minute"),
        at_most("Dunning: CPU for a due case, PostgreSQL included", done.cpu_ms, CPU_MS_MAX, unit=" ms"),
        at_most("Dunning: calls of one endpoint of Stripe for a due case", done.calls, CALLS_MAX),
    ]


async def _prepare(runtime: Runtime, cases: int) -> None:
    """Make so many customers whose first payment has failed, and whose retry is due."""
    await side_by_side(lambda: subscribe(runtime, _DECLINED), cases)
    await drain(runtime)
    async with runtime.db.transaction() as tx:
        due = "UPDATE dunning_case SET next_attempt_at = first_failed_at, due_at = first_failed_at"
        moved = await tx.execute(sa.text(due))
        await tx.execute(sa.text("UPDATE payment_attempt SET began_at = began_at - interval '2 days'"))
    assert moved.rowcount == cases, "every customer owes"


async def _work_off(runtime: Runtime, _: int) -> None:
    """Stage all that is due, as the schedule does every two seconds, and carry it out, until nothing is due."""
    call = runtime.call(system_principal("bench"))
    staged = 1
    while staged:
        async with runtime.db.transaction() as tx:
            staged = await dunning.stage_due(tx, call, clock_id=None)
        await drain(runtime)


async def _check(runtime: Runtime, cases: int) -> None:
    async with runtime.db.transaction() as tx:
        count = "SELECT count(*) FROM payment_attempt WHERE trigger = 'retry' AND state = 'failed'"
        retried = await tx.value(sa.text(count))
    assert retried == cases, f"{retried} of {cases} were retried once"


async def subscribe(runtime: Runtime, token: str) -> CustomerId:
    """Make a customer with a card, by a test token, who subscribes: the first invoice is due."""
    call = runtime.call(system_principal("bench"))
    async with runtime.db.transaction() as tx:
        made = await customers.create_customer(
            tx, call, environment=Environment.TEST, name="Bench", email="bench@example.com"
        )
    await methods.attach_method(runtime.db, runtime.gateway, call, customer_id=made.id, gateway_method_id=token)
    async with runtime.db.transaction() as tx:
        await contracts.subscribe(
            tx, call, customer_id=made.id, product_key="edge", plan_key="starter", interval=Interval.MONTH
        )
    return made.id
