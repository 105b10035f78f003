"""Open invoices that nobody follows are found, and followed once.

Starter costs 29.00 USD a month. Before there were cases without an attempt, the push of an invoice without a payment
method waited, and nothing else was written.
"""

import asyncio

import pytest
import sqlalchemy as sa

from domain.contracts import service as contracts
from domain.customers.collecting import service as collecting
from domain.customers.customer import CollectionMethod, Customer
from domain.dunning.asking import service as asking
from domain.dunning.case import CaseState
from domain.dunning.reading import service as reading
from domain.invoices.heading import Heading
from domain.invoices.headings import service as headings
from domain.journal.store import outbox_job
from domain.payments import store as payments
from domain.payments.push import Push, PushState
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import AccessState, Status
from tests.stories.owing import attempts, case_of, live, mail, steps
from tests.world import World
from workers.schedule import follow_unfollowed

_ASKED = "Please add a payment method: invoice TEST-2026-000001 is not paid"


async def _forgotten(
    world: World,
    *,
    card: str | None = None,
    collection: CollectionMethod = CollectionMethod.CHARGE,
    net_days: int = 0,
) -> Customer:
    """Make a customer whose first invoice, on 1 March 2026, is open, and of which nothing is known or coming."""
    ada = await world.customer(on="2026-03-01", card=card)
    async with world.runtime.db.transaction() as tx:
        await collecting.set_collection(tx, world.call, ada.id, collection)
        await headings.set_heading(tx, world.call, ada.id, Heading(net_days=net_days))
        await contracts.subscribe(
            tx, world.call, customer_id=ada.id, product_key="edge", plan_key="starter", interval=Interval.MONTH
        )
        await tx.execute(sa.delete(outbox_job).where(outbox_job.c.customer_id == ada.id))
    if card is None:
        [invoice] = await world.invoices(ada)
        async with world.runtime.db.transaction() as tx:
            await payments.insert_push(tx, Push(ada.id, invoice.id, 1, PushState.WAITING, None, world.call.at))
    return ada


async def _sweep(world: World) -> int:
    async with world.runtime.db.transaction() as tx:
        return await asking.stage_unfollowed(tx, world.call)


async def _cases(world: World, ada: Customer) -> int:
    async with world.runtime.db.transaction() as tx:
        return len(await reading.list_cases(tx, world.call, customer_id=ada.id))


async def test_an_invoice_from_before_is_followed_once_whoever_looks(world: World) -> None:
    ada = await _forgotten(world)
    await asyncio.gather(*(follow_unfollowed(world.runtime, world.call) for _ in range(4)))
    assert await _sweep(world) == 0
    await world.drain()
    assert (await steps(world, ada), mail(world)) == (["03-01 opened"], [_ASKED])
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    [copy] = world.gateway.copies.values()
    assert str(copy.state) == "open"
    assert (await _sweep(world), await world.drain(), await _cases(world, ada)) == (0, 0, 1)

    await world.attach(ada.id, "pm_card_visa")
    await world.drain()
    assert await attempts(world, ada) == [("03-01", "billing", "succeeded")]
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED


async def test_what_can_be_charged_is_charged(world: World) -> None:
    ada = await _forgotten(world, card="pm_card_visa")
    assert await _sweep(world) == 1
    await world.drain()
    assert await attempts(world, ada) == [("03-01", "billing", "succeeded")]
    assert (await _sweep(world), await _cases(world, ada)) == (0, 0)


async def test_what_has_ended_meanwhile_gets_a_case_that_is_closed_and_nobody_is_asked(world: World) -> None:
    ada = await _forgotten(world)
    async with world.runtime.db.transaction() as tx:
        await tx.execute(sa.text("UPDATE subscription SET status = 'canceled', ended_at = '2026-03-01T00:00:00Z'"))
    await world.attach(ada.id, "pm_card_visa")
    await world.drain()
    assert (await case_of(world, ada)).case.state is CaseState.DROPPED
    assert (await attempts(world, ada), world.gateway.charges, mail(world)) == ([], [], [])
    assert (await _sweep(world), await world.drain()) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE invoice SET state = 'void', voided_at = issued_at, void_reason = 'mistake'",
        """INSERT INTO outbox_job (customer_id, id, kind, payload, key, run_at, retry_at, state, attempts, created_at)
            SELECT customer_id, id, 'collect_invoice', '{}', id::text, issued_at, issued_at, 'failed', 12, issued_at
            FROM invoice""",
    ],
    ids=["void", "job_failed"],
)
async def test_what_is_closed_or_left_to_staff_is_left_alone(world: World, change: str) -> None:
    ada = await _forgotten(world)
    async with world.runtime.db.transaction() as tx:
        await tx.execute(sa.text(change))
    assert (await _sweep(world), await _cases(world, ada)) == (0, 0)


async def test_a_debit_that_is_on_its_way_is_waited_for(world: World) -> None:
    ada = await world.customer(on="2026-03-01", card="pm_usBankAccount_success")
    await world.subscribe(ada, "starter", product="edge")
    assert await attempts(world, ada) == [("03-01", "billing", "processing")]
    assert (await _sweep(world), await _cases(world, ada)) == (0, 0)


async def test_what_is_not_due_is_left_alone_until_it_is(world: World) -> None:
    ada = await _forgotten(world, net_days=14)
    assert (await _sweep(world), await _cases(world, ada)) == (0, 0)
    await world.advance(to="2026-03-15")
    assert await _sweep(world) == 1


async def test_each_look_takes_as_many_as_it_may_and_the_next_one_goes_on(world: World) -> None:
    for _ in range(3):
        await _forgotten(world)
    found = []
    for _ in range(3):
        async with world.runtime.db.transaction() as tx:
            found.append(await asking.stage_unfollowed(tx, world.call, limit=2))
    assert found == [2, 1, 0]


async def test_an_invoice_that_is_sent_has_a_calendar_of_its_own(world: World) -> None:
    await _forgotten(world, collection=CollectionMethod.SEND)
    assert await _sweep(world) == 0
