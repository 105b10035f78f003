"""Subscribe, on real Postgres.

The plan costs 10.00 a month or 108.00 a year in advance, and 0.05 a page in arrears; drafts wait for an hour. A
subscription of 31 January 10:00 has boundaries on 28 February, 31 March and 30 April, at 10:00.
"""

import asyncio

import pytest

from domain.access.roles import system_principal
from domain.contracts import service as contracts
from domain.customers.service import CustomerNotFound
from domain.invoices import service as invoices
from domain.invoices.invoice import InvoiceKind, State
from domain.kernel.call import Call, Environment, Forbidden, PrincipalKind
from domain.kernel.errors import DomainError
from domain.kernel.ids import CustomerId, encode
from domain.plans.plan import PlanNotFound, PriceNotFound, ProductNotFound
from domain.subscriptions.schedule import Interval
from domain.subscriptions.service import AlreadySubscribed
from domain.subscriptions.subscription import Status
from tests import make
from tests.domain.contracts.examples import Bill, Shop, open_shop
from tests.domain.subscriptions import examples

_FEE = ("fee", 0, 1, 1_000)
_FIRST = Bill(State.OPEN, 1_000, [_FEE])


def _member(customer_id: CustomerId, *permissions: str, environment: Environment = Environment.TEST) -> Call:
    by = make.principal(
        *permissions, kind=PrincipalKind.MEMBER, role="owner", customer_id=customer_id, environment=environment
    )
    return make.call(by=by)


async def test_subscribing_issues_the_first_fee_at_once_and_stages_its_collection_on_the_clock(shop: Shop) -> None:
    subscription = await shop.subscribe()
    [invoice] = await shop.invoices()
    assert (invoice.number, invoice.issued_at) == ("TEST-2026-000001", make.at("2026-01-31T10:00"))
    assert await shop.bills() == [_FIRST]
    assert await shop.jobs() == [
        ("send_notice invoice_issued", "2026-01-31T10:00"),
        ("render_invoice", "2026-01-31T10:00"),
        ("collect_invoice", "2026-01-31T10:00"),
    ]
    assert await shop.told() == ["subscription_started: Subscribed to Basic"]
    assert (subscription.status, subscription.environment) == (Status.ACTIVE, Environment.TEST)
    assert subscription.period == subscription.fee_period


async def test_a_yearly_fee_is_billed_once_in_advance_and_its_usage_period_is_a_month(shop: Shop) -> None:
    subscription = await shop.subscribe(interval=Interval.YEAR)
    assert await shop.bills() == [Bill(State.OPEN, 10_800, [("fee", 0, 1, 10_800)])]
    assert subscription.period.end == make.at("2026-02-28T10:00")
    assert subscription.fee_period.end == make.at("2027-01-31T10:00")


async def test_a_free_plan_gets_a_statement_without_number_and_nothing_to_collect(shop: Shop) -> None:
    await shop.subscribe("free")
    [statement] = await shop.invoices()
    assert (statement.kind, statement.number, statement.total.minor) == (InvoiceKind.STATEMENT, None, 0)
    assert await shop.jobs() == []


@pytest.mark.parametrize(
    ("refusal", "wrong"),
    [
        (ProductNotFound, {"product_key": "knit"}),
        (PlanNotFound, {"plan_key": "gold"}),
        (PriceNotFound, {"currency": "EUR"}),
        (CustomerNotFound, {"customer_id": CustomerId(make.new_id())}),
    ],
)
async def test_what_is_not_sold_is_refused_and_nothing_is_written(
    shop: Shop, refusal: type[DomainError], wrong: dict[str, str]
) -> None:
    wanted = {"customer_id": shop.customer.id, "product_key": "print", "plan_key": "basic", "interval": Interval.MONTH}
    before = await shop.rows()
    with pytest.raises(refusal):
        async with shop.db.transaction() as tx:
            await contracts.subscribe(tx, shop.call, **{**wanted, **wrong})  # type: ignore[arg-type]  # a table of faults
    assert await shop.rows() == before


async def test_a_second_subscription_of_the_product_is_refused_and_nothing_is_written(shop: Shop) -> None:
    await shop.subscribe()
    before = await shop.rows()
    with pytest.raises(AlreadySubscribed):
        await shop.subscribe("free")
    assert await shop.rows() == before


async def test_of_two_concurrent_subscribes_one_is_refused_and_one_fee_is_billed(shop: Shop) -> None:
    results = await asyncio.gather(*(shop.subscribe() for _ in range(4)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in results) == [*["AlreadySubscribed"] * 3, "Subscription"]
    assert await shop.bills() == [_FIRST]


async def test_a_viewer_and_a_foreign_member_can_not_subscribe_and_nothing_is_written(shop: Shop) -> None:
    before = await shop.rows()
    stranger = CustomerId(make.new_id())
    for call, refusal in (
        (_member(shop.customer.id, "subscription:read"), Forbidden),
        (_member(stranger, "subscription:write"), CustomerNotFound),
        (_member(shop.customer.id, "subscription:write", environment=Environment.LIVE), CustomerNotFound),
    ):
        with pytest.raises(refusal):
            await shop.subscribe(call=call)
    assert await shop.rows() == before
    await shop.subscribe(call=_member(shop.customer.id, "subscription:write"))
    assert await shop.bills() == [_FIRST]


async def test_a_customer_without_a_test_clock_lives_in_real_time(shop: Shop) -> None:
    async with shop.db.transaction() as tx:
        live = await examples.customer(tx, environment=Environment.LIVE)
        started = await contracts.subscribe(
            tx,
            make.call("2026-05-01", by=system_principal("test")),
            customer_id=live.id,
            product_key="print",
            plan_key="basic",
            interval=Interval.MONTH,
        )
        [invoice] = await invoices.list_invoices(tx, shop.call, customer_id=live.id)
        assert (started.anchor_at, invoice.number) == (make.at("2026-05-01"), "2026-000001")
        assert await contracts.find_due(tx, clock_id=None, now=make.at("2026-06-01")) == [(live.id, started.id)]
        assert encode("subscription", started.id).startswith("sub_")


async def test_boundaries_follow_the_customers_zone(shop: Shop) -> None:
    # 15 March 00:00 in New York is 04:00 UTC (UTC-4); the boundary before, 15 February, is 05:00 UTC (UTC-5).
    async with open_shop(shop.db, on="2026-02-15T05:00", zone="America/New_York") as other:
        subscription = await other.subscribe()
        assert subscription.period.end == make.at("2026-03-15T04:00")
