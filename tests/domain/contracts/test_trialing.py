"""Trials: what is counted in them is not billed, and what becomes of them at their end."""

from typing import Any

import pytest

from domain.access.roles import system_principal
from domain.contracts import service as contracts
from domain.contracts.starting.wish import TrialNeedsMethod, Wish
from domain.contracts.trialing import service as trialing
from domain.customers import service as customers
from domain.invoices.conservation import service as conservation
from domain.invoices.invoice import State
from domain.kernel.call import Call, Environment, Forbidden, Principal, PrincipalKind
from domain.kernel.period import Period
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Status, Subscription
from tests import make
from tests.domain.contracts.examples import Bill, Shop
from tests.domain.subscriptions import examples
from tests.make import at

_OPEN = State.OPEN


async def _with_trial(shop: Shop, **trial: Any) -> None:
    async with shop.db.transaction() as tx:
        await examples.publish(tx, start={"trial": {"days": 14, **trial}})


async def _method(shop: Shop) -> None:
    async with shop.db.transaction() as tx:
        await customers.note_method(tx, shop.customer.id, has_method=True)


async def _subscribe(shop: Shop, wish: Wish | None = None, call: Call | None = None) -> Subscription:
    async with shop.db.transaction() as tx:
        return await contracts.subscribe(
            tx,
            call or shop.call,
            customer_id=shop.customer.id,
            product_key="print",
            plan_key="basic",
            interval=Interval.MONTH,
            wish=wish,
        )


async def test_a_trial_with_a_payment_method_becomes_a_paid_period_and_its_usage_is_never_billed(shop: Shop) -> None:
    await _with_trial(shop)
    await _method(shop)
    tried = await _subscribe(shop)
    # 14 days after 31 January is 14 February; the reminder comes three days before.
    assert (tried.status, tried.trial_ends_at) == (Status.TRIALING, at("2026-02-14"))
    assert (await shop.bills(), await shop.jobs()) == ([], [("remind_trial", "2026-02-11T00:00")])
    assert await shop.print_pages(20, "2026-02-05T12:00") == "counted"

    await shop.move_and_close("2026-02-14T01:30", tried)
    paid = await shop.again(tried)
    assert (paid.status, paid.fee_period) == (Status.ACTIVE, Period(at("2026-02-14"), at("2026-03-14")))
    assert await shop.bills() == [Bill(_OPEN, 1000, [("fee", 0, 1, 1000)])]
    assert [segment.during for segment in await shop.segments(tried)] == [
        Period(at("2026-01-31T10:00"), at("2026-02-14")),
        Period(at("2026-02-14"), at("2026-03-14")),
    ]

    # 30 pages at 0.05 in the first paid period.
    await shop.print_pages(30, "2026-02-20T12:00")
    await shop.move_and_close("2026-03-14T01:30", tried)
    assert (await shop.bills())[1].total_minor == 1150
    async with shop.db.transaction() as tx:
        proof = await conservation.conserve(
            tx,
            shop.call,
            customer_id=shop.customer.id,
            subscription_id=tried.id,
            period_start=at("2026-02-01"),
        )
    assert proof.holds
    assert [(int(each.counted), int(each.trial)) for each in proof.accounts] == [(20, 20)]


@pytest.mark.parametrize(
    ("trial", "status", "plan", "totals"),
    [
        ({"without_method": "cancel"}, Status.CANCELED, "basic", []),
        ({"without_method": "pause"}, Status.PAUSED, "basic", []),
        # Nothing of the free plan costs anything: its fee is on a statement, which is no invoice.
        ({"without_method": "fall_back", "fall_back": "free"}, Status.ACTIVE, "free", []),
        ({"without_method": "bill"}, Status.ACTIVE, "basic", [1000]),
    ],
)
async def test_without_a_payment_method_a_trial_ends_as_its_plan_says(
    shop: Shop, trial: dict[str, Any], status: Status, plan: str, totals: list[int]
) -> None:
    await _with_trial(shop, **trial)
    tried = await _subscribe(shop)
    await shop.print_pages(20, "2026-02-05T12:00")
    await shop.move_and_close("2026-02-14T01:30", tried)
    after = await shop.again(tried)
    assert after.status is status
    async with shop.db.transaction() as tx:
        catalogue = await examples.publish(tx, start={"trial": {"days": 14, **trial}})
    assert catalogue.plan_of_version(after.plan_version_id).key == plan
    assert [bill.total_minor for bill in await shop.bills()] == totals
    # Closing again changes nothing.
    await shop.close(tried)
    assert await shop.again(tried) == after
    if status is Status.PAUSED:
        assert await shop.print_pages(1, "2026-02-14T02:00") == "quarantined"
        async with shop.db.transaction() as tx:
            resumed = await contracts.resume(tx, shop.call, subscription_id=tried.id)
        assert resumed.fee_period == Period(at("2026-02-14T02:00"), at("2026-03-14T02:00"))
        assert [bill.total_minor for bill in await shop.bills()] == [1000]


async def test_a_trial_is_had_once_for_a_product_unless_staff_give_another(shop: Shop) -> None:
    await _with_trial(shop)
    first = await _subscribe(shop)
    async with shop.db.transaction() as tx:
        pending = await contracts.cancel(tx, shop.call, subscription_id=first.id)
    assert pending.cancel_at == at("2026-02-14")
    async with shop.db.transaction() as tx:
        # It ends by the customer's own wish: there is nothing to remind of.
        assert not await trialing.remind(tx, shop.call, shop.customer.id, first.id)
        await contracts.cancel(tx, shop.call, subscription_id=first.id, at_period_end=False)
    assert await shop.bills() == []

    member = Principal(
        PrincipalKind.MEMBER,
        "mem_1",
        "owner",
        frozenset({"subscription:write"}),
        Environment.TEST,
        customer_id=shop.customer.id,
    )
    rows = await shop.rows()
    with pytest.raises(Forbidden):
        await _subscribe(shop, Wish(trial_days=30), make.call(by=member))
    assert await shop.rows() == rows

    second = await _subscribe(shop)
    assert (second.status, [bill.total_minor for bill in await shop.bills()]) == (Status.ACTIVE, [1000])
    async with shop.db.transaction() as tx:
        await contracts.cancel(tx, shop.call, subscription_id=second.id, at_period_end=False)
    third = await _subscribe(shop, Wish(trial_days=30), make.call(by=system_principal("test")))
    assert (third.status, third.trial_ends_at) == (Status.TRIALING, at("2026-03-02"))


async def test_the_end_of_a_trial_is_told_of_once_and_a_method_is_needed_where_the_plan_says_so(shop: Shop) -> None:
    await _with_trial(shop, needs_method=True)
    rows = await shop.rows()
    with pytest.raises(TrialNeedsMethod):
        await _subscribe(shop)
    assert await shop.rows() == rows
    await _method(shop)
    tried = await _subscribe(shop)
    for _ in range(2):
        async with shop.db.transaction() as tx:
            assert await trialing.remind(tx, shop.call, shop.customer.id, tried.id)
    notices = [each for each in await shop.jobs() if each[0].startswith("send_notice")]
    assert notices == [("send_notice trial_ending", "2026-01-31T10:00")]
