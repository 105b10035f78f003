"""Subscriptions that wait for their first payment."""

import pytest

from domain.contracts import service as contracts
from domain.invoices.invoice import PaymentUnderWay, State
from domain.invoices.opening import service as opening
from domain.kernel.call import Environment
from domain.kernel.period import Period
from domain.ledger import service as ledger
from domain.subscriptions.subscription import Status
from tests.domain.contracts.examples import Shop
from tests.make import at


async def test_it_runs_once_its_first_invoice_is_paid_and_counts_from_its_start(shop: Shop) -> None:
    waiting = await shop.subscribe()
    assert (waiting.status, waiting.expires_at) == (Status.INCOMPLETE, at("2026-02-01T09:00"))
    [invoice] = await shop.invoices()
    assert (invoice.state, invoice.total.minor) == (State.OPEN, 1000)
    assert await shop.print_pages(1, "2026-01-31T12:00") == "quarantined"
    async with shop.db.transaction() as tx:
        await contracts.note_payment(tx, shop.call, shop.customer.id, invoice.id, succeeded=False)
    assert (await shop.again(waiting)).status is Status.INCOMPLETE
    for _ in range(2):
        async with shop.db.transaction() as tx:
            [running] = await contracts.note_payment(tx, shop.call, shop.customer.id, invoice.id, succeeded=True)
    assert (running.status, running.expires_at, running.failed_invoice_ids) == (Status.ACTIVE, None, ())
    assert [each.during for each in await shop.segments(waiting)] == [
        Period(at("2026-01-31T10:00"), at("2026-02-28T10:00"))
    ]
    assert await shop.print_pages(1, "2026-01-31T13:00") == "counted"


async def test_without_a_payment_it_lapses_after_23_hours_and_owes_nothing(shop: Shop) -> None:
    waiting = await shop.subscribe()
    await shop.move("2026-02-01T08:59")
    await shop.close(waiting)
    assert (await shop.again(waiting)).status is Status.INCOMPLETE
    await shop.move("2026-02-01T09:00")
    await shop.close(waiting)
    lapsed = await shop.again(waiting)
    assert (lapsed.status, lapsed.ended_at) == (Status.CANCELED, at("2026-01-31T10:00"))
    assert [each.state for each in await shop.invoices()] == [State.VOID]
    async with shop.db.transaction() as tx:
        balance = await ledger.trial_balance(tx, Environment.TEST)
        # Late news of its payment revives nothing.
        [invoice] = await shop.invoices()
        await contracts.note_payment(tx, shop.call, shop.customer.id, invoice.id, succeeded=True)
    assert [money.minor for _, money in balance if money.minor] == []
    # The last look, 36 days later, finds nothing to bill.
    await shop.move_and_close("2026-03-20T00:00", waiting)
    assert [each.state for each in await shop.invoices()] == [State.VOID]
    assert (await shop.again(waiting)).status is Status.CANCELED


async def test_a_new_subscription_takes_its_place(shop: Shop) -> None:
    first = await shop.subscribe()
    second = await shop.subscribe()
    assert ((await shop.again(first)).status, second.status) == (Status.CANCELED, Status.INCOMPLETE)
    assert [each.state for each in await shop.invoices()] == [State.VOID, State.OPEN]
    # Nothing is to be paid for the free plan: it runs at once, and takes the place of what waits.
    free = await shop.subscribe("free")
    assert ((await shop.again(second)).status, free.status) == (Status.CANCELED, Status.ACTIVE)


async def test_a_payment_that_is_under_way_is_waited_for(shop: Shop) -> None:
    waiting = await shop.subscribe()
    [invoice] = await shop.invoices()
    async with shop.db.transaction() as tx:
        await opening.hold_for_payment(tx, invoice)
    rows = await shop.rows()
    with pytest.raises(PaymentUnderWay):
        await shop.subscribe()
    assert await shop.rows() == rows
    await shop.move("2026-02-01T09:30")
    await shop.close(waiting)
    longer = await shop.again(waiting)
    assert (longer.status, longer.expires_at) == (Status.INCOMPLETE, at("2026-02-01T10:00"))
