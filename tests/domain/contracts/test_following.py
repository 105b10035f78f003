"""Follow payments and Stripe, on real Postgres.

The plan costs 10.00 a month or 108.00 a year in advance, and 0.05 a page in arrears; drafts wait for an hour. A
subscription of 31 January 10:00 has boundaries on 28 February, 31 March and 30 April, at 10:00.
"""

import pytest

from domain.contracts import service as contracts
from domain.invoices import service as invoices
from domain.invoices.invoice import Invoice, State
from domain.kernel.money import Money
from domain.kernel.period import Period
from domain.subscriptions.schedule import Interval
from domain.subscriptions.service import AlreadySubscribed
from domain.subscriptions.subscription import Status, Subscription
from domain.subscriptions.transitions import TransitionRefused
from tests import make
from tests.domain.contracts.examples import Shop
from tests.domain.subscriptions import examples


async def _cancel(shop: Shop, subscription: Subscription, *, at_period_end: bool = True) -> Subscription:
    async with shop.db.transaction() as tx:
        return await contracts.cancel(tx, shop.call, subscription_id=subscription.id, at_period_end=at_period_end)


async def _settle(shop: Shop, invoice: Invoice, *, succeeded: bool) -> None:
    """Pay an invoice, or not, and note it as the end of a payment attempt does."""
    async with shop.db.transaction() as tx:
        if succeeded:
            amount = Money(invoice.total.minor, "USD")
            await invoices.mark_paid(
                tx,
                shop.call,
                make.at("2026-02-01"),
                customer_id=shop.customer.id,
                invoice_id=invoice.id,
                amount=amount,
                about="att_1",
            )
        await contracts.note_payment(tx, shop.call, shop.customer.id, invoice.id, succeeded=succeeded)


async def test_a_failed_payment_makes_it_past_due_and_a_later_success_active_again(shop: Shop) -> None:
    subscription = await shop.subscribe()
    [invoice] = await shop.invoices()
    for _ in range(2):
        await _settle(shop, invoice, succeeded=False)
        assert (await shop.again(subscription)).status is Status.PAST_DUE
    await _settle(shop, invoice, succeeded=True)
    assert (await shop.again(subscription)).status is Status.ACTIVE
    # News of the failure that arrive late change nothing.
    await _settle(shop, invoice, succeeded=False)
    assert (await shop.again(subscription)).status is Status.ACTIVE
    assert (await shop.told())[1:] == [
        "subscription_past_due: Basic is past due",
        "subscription_active: Basic is active again",
    ]


async def test_it_stays_past_due_until_every_failed_invoice_is_paid_and_renews_meanwhile(shop: Shop) -> None:
    subscription = await shop.subscribe()
    [first] = await shop.invoices()
    await _settle(shop, first, succeeded=False)
    await shop.move_and_close("2026-02-28T11:00", subscription)
    [_, second] = await shop.invoices()
    assert second.state is State.OPEN
    await _settle(shop, second, succeeded=False)
    await _settle(shop, first, succeeded=True)
    assert (await shop.again(subscription)).status is Status.PAST_DUE
    await _settle(shop, second, succeeded=True)
    assert (await shop.again(subscription)).status is Status.ACTIVE


async def test_what_has_ended_absorbs_the_news_of_a_payment(shop: Shop) -> None:
    subscription = await shop.subscribe()
    [invoice] = await shop.invoices()
    await _cancel(shop, subscription, at_period_end=False)
    await _settle(shop, invoice, succeeded=False)
    assert (await shop.again(subscription)).status is Status.CANCELED


async def test_a_payment_of_another_customers_invoice_moves_nothing(shop: Shop) -> None:
    subscription = await shop.subscribe()
    [invoice] = await shop.invoices()
    async with shop.db.transaction() as tx:
        other = await examples.customer(tx)
        assert await contracts.note_payment(tx, shop.call, other.id, invoice.id, succeeded=False) == []
    assert await shop.again(subscription) == subscription


_FEBRUARY = Period(make.at("2026-01-31T10:00"), make.at("2026-02-28T10:00"))


async def _mirror(shop: Shop, status: Status = Status.ACTIVE, plan: str = "basic") -> Subscription:
    async with shop.db.transaction() as tx:
        return await contracts.mirror_subscription(
            tx,
            shop.call,
            make.at("2026-02-01"),
            customer_id=shop.customer.id,
            gateway_id="sub_1",
            product_key="print",
            plan_key=plan,
            interval=Interval.MONTH,
            currency="USD",
            status=status,
            period=_FEBRUARY,
        )


async def test_what_stripe_bills_is_counted_and_never_invoiced_here(shop: Shop) -> None:
    subscription = await _mirror(shop)
    rows = await shop.rows()
    assert await _mirror(shop) == subscription
    assert await shop.rows() == rows
    assert (await shop.print_pages(100, "2026-02-10")) == "counted"
    await shop.move("2026-02-28T11:00")
    async with shop.db.transaction() as tx:
        due = await contracts.find_due(tx, clock_id=shop.clock_id, now=make.at("2026-02-28T11:00"))
    assert due == [(shop.customer.id, subscription.id)]
    await shop.close(subscription)
    # Its usage period goes on, so that limits count anew.
    assert (await shop.again(subscription)).period.start == make.at("2026-02-28T10:00")
    assert await shop.invoices() == []
    with pytest.raises(TransitionRefused):
        await _cancel(shop, subscription)
    with pytest.raises(AlreadySubscribed):
        await shop.subscribe()


async def test_a_canceled_mirror_never_revives_and_frees_the_product(shop: Shop) -> None:
    subscription = await _mirror(shop)
    at = make.at("2026-02-05")
    for _ in range(2):
        async with shop.db.transaction() as tx:
            ended = await contracts.end_mirrored(
                tx, shop.call, at, customer_id=shop.customer.id, gateway_id="sub_1", ended_at=at
            )
        assert ended is not None
        assert (ended.status, ended.ended_at) == (Status.CANCELED, at)
    assert [each.during.end for each in await shop.segments(subscription)] == [at]
    assert (await _mirror(shop)).status is Status.CANCELED
    assert await shop.invoices() == []
    await shop.subscribe()


async def test_a_subscription_that_was_deleted_before_its_creation_was_heard_of_stays_deleted(shop: Shop) -> None:
    async with shop.db.transaction() as tx:
        unknown = await contracts.end_mirrored(
            tx, shop.call, make.at("2026-02-05"), customer_id=shop.customer.id, gateway_id="sub_1"
        )
    assert unknown is None
    gone = await _mirror(shop, Status.CANCELED)
    assert (gone.status, gone.ended_at) == (Status.CANCELED, make.at("2026-02-01"))
    assert await _mirror(shop) == gone
    assert await shop.segments(gone) == []


async def test_a_mirror_follows_its_plan_and_status_and_says_so(shop: Shop) -> None:
    subscription = await _mirror(shop)
    moved = await _mirror(shop, Status.PAST_DUE, "free")
    assert shop.catalogue.plan_of_version(moved.plan_version_id).key == "free"
    assert [each.plan_version_id for each in await shop.segments(subscription)] == [
        subscription.plan_version_id,
        moved.plan_version_id,
    ]
    assert await shop.told() == [
        "subscription_active: Basic, billed by Stripe, is active",
        "subscription_past_due: Free, billed by Stripe, is past due",
    ]
    # Publishing a version does not move it: its plan is the same.
    async with shop.db.transaction() as tx:
        await examples.publish(tx, month="12.00")
    assert (await _mirror(shop, Status.PAST_DUE, "free")).plan_version_id == moved.plan_version_id
