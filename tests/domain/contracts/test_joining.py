"""What falls due together on one invoice, on real Postgres.

Two products, print and scan, cost 10.00 a month each, in advance and without a grace. Subscriptions of 31 January 10:00
have boundaries on 28 February, 31 March and 30 April, at 10:00.
"""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import sqlalchemy as sa

from domain.access.roles import permissions_of
from domain.contracts import service as contracts
from domain.contracts.joining.service import TOGETHER_TRIES
from domain.contracts.previewing import service as previewing
from domain.customers import service as customers
from domain.db import Database
from domain.invoices.invoice import State
from domain.kernel.call import Environment, Forbidden, Principal, PrincipalKind
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Status, Subscription
from tests import make
from tests.domain.contracts.examples import Shop, open_shop
from tests.domain.subscriptions import examples

_BREAK = "ALTER TABLE subscription ADD CONSTRAINT stuck CHECK (id <> '{}' OR period_start_at < '2026-02-28') NOT VALID"
_MEND = "ALTER TABLE subscription DROP CONSTRAINT stuck"
_FEES = [("fee", 0, 1, 1_000), ("fee", 0, 1, 1_000)]


@pytest.fixture
async def shop(db: Database) -> AsyncIterator[Shop]:
    """Open a shop at 31 January 2026, 10:00, whose customer's invoices are consolidated."""
    async with open_shop(db, on="2026-01-31T10:00") as opened:
        async with db.transaction() as tx:
            await examples.publish(tx, grace_s=0)
            await examples.publish_other(tx, grace_s=0)
        await _consolidate(opened, consolidates=True)
        yield opened


async def _consolidate(shop: Shop, *, consolidates: bool) -> None:
    async with shop.db.transaction() as tx:
        await customers.set_consolidation(tx, shop.call, shop.customer.id, consolidates=consolidates)


async def _subscribe(shop: Shop, product: str) -> Subscription:
    async with shop.db.transaction() as tx:
        return await contracts.subscribe(
            tx,
            shop.call,
            customer_id=shop.customer.id,
            product_key=product,
            plan_key="basic",
            interval=Interval.MONTH,
        )


async def _both(shop: Shop) -> tuple[Subscription, Subscription]:
    return await _subscribe(shop, "print"), await _subscribe(shop, "scan")


async def _totals(shop: Shop) -> list[int]:
    """Return what was invoiced since the two first fees."""
    return [each.total_minor for each in (await shop.bills())[2:]]


async def test_what_falls_due_together_is_on_one_invoice_whichever_worker_closes_first(shop: Shop) -> None:
    both = await _both(shop)
    await shop.move("2026-02-28T10:00")
    await asyncio.gather(*(shop.close(each) for each in (*both, *both)))
    assert [(each.state, each.lines) for each in (await shop.bills())[2:]] == [(State.OPEN, _FEES)]
    assert [(await shop.again(each)).period.start for each in both] == [make.at("2026-02-28T10:00")] * 2
    rows = await shop.rows()
    for each in both:
        await shop.close(each)
    assert await shop.rows() == rows


async def test_the_preview_of_one_shows_all_that_falls_due_with_it(shop: Shop) -> None:
    one, _ = await _both(shop)
    async with shop.db.transaction() as tx:
        shown = await previewing.preview_invoice(tx, shop.call, subscription_id=one.id)
    assert shown.invoice is not None
    assert [line.amount.minor for line in shown.lines] == [1_000, 1_000]
    await shop.move("2026-02-28T10:00")
    await shop.close(one)
    assert await _totals(shop) == [shown.invoice.total.minor]


async def test_catching_up_late_joins_the_same_as_being_in_time(shop: Shop) -> None:
    one, two = await _both(shop)
    # One ends on 10 March: its last invoice is of another instant than the renewals.
    async with shop.db.transaction() as tx:
        await contracts.cancel(tx, shop.call, subscription_id=two.id, at=make.at("2026-03-10"))
    await shop.move("2026-04-30T10:00")
    await shop.close(one)
    # 28 February: 10.00, and of the other 10.00 for 230 of 744 hours: 3.09. Then 31 March and 30 April.
    assert await _totals(shop) == [1_309, 1_000, 1_000]
    assert (await shop.again(two)).status is Status.CANCELED


async def test_without_the_option_each_has_its_own(shop: Shop) -> None:
    await _consolidate(shop, consolidates=False)
    for each in await _both(shop):
        await shop.move("2026-02-28T10:00")
        await shop.close(each)
    assert await _totals(shop) == [1_000, 1_000]


async def test_one_that_fails_is_waited_for_so_often_and_then_left_to_its_own_job(shop: Shop) -> None:
    good, bad = await _both(shop)
    await shop.move("2026-02-28T10:00")
    # Whatever is wrong with it: the database does not let it go on into March.
    async with shop.db.transaction() as tx:
        await tx.execute(sa.text(_BREAK.format(bad.id)))
    before = await shop.rows()
    for tries in range(TOGETHER_TRIES):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await _close(shop, good, tries)
    assert await shop.rows() == before
    await _close(shop, good, TOGETHER_TRIES)
    assert await _totals(shop) == [1_000]
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await _close(shop, bad, TOGETHER_TRIES)
    # A month later it is still behind, and is not waited for any more.
    await shop.move("2026-03-31T10:00")
    await _close(shop, good, TOGETHER_TRIES)
    assert await _totals(shop) == [1_000, 1_000]
    async with shop.db.transaction() as tx:
        await tx.execute(sa.text(_MEND))
    # February and March of what was mended, each by itself.
    await _close(shop, bad, TOGETHER_TRIES + 1)
    assert await _totals(shop) == [1_000] * 4


async def _close(shop: Shop, which: Subscription, tries: int) -> None:
    async with shop.db.transaction() as tx:
        await contracts.close_period(tx, shop.call, shop.customer.id, which.id, tries=tries)


async def test_only_staff_say_so_and_it_is_audited_once(shop: Shop) -> None:
    own = permissions_of(PrincipalKind.MEMBER, "owner")
    by = Principal(PrincipalKind.MEMBER, "m", "owner", own, Environment.TEST, shop.customer.id)
    before = await shop.rows()
    with pytest.raises(Forbidden):
        async with shop.db.transaction() as tx:
            await customers.set_consolidation(tx, make.call(by=by), shop.customer.id, consolidates=False)
    await _consolidate(shop, consolidates=True)
    assert await shop.rows() == before
