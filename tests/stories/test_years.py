"""Subscriptions over years: the 31st, a leap day, a pause over New Year, and trials that go on or do not."""

from itertools import pairwise
from zoneinfo import ZoneInfo

from domain.adapters.memory import MemoryMailer
from domain.contracts import service as contracts
from domain.contracts.starting.wish import Wish
from domain.customers.customer import Customer
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.invoice import State
from domain.kernel.period import Period
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Status, Subscription
from tests.domain.contracts.examples import Shop, open_shop
from tests.make import at
from tests.world import World


async def _live_until(shop: Shop, of: Subscription, to: str) -> list[Period]:
    """Close everything up to an instant; return the service periods of all fees, each of 10.00 or 108.00, in order."""
    await shop.move(to)
    while await shop.close(of):
        pass
    found = await shop.invoices()
    async with shop.db.transaction() as tx:
        lines = await invoices.lines_by_invoice_ids(tx, [each.id for each in found], scope=None)
    return sorted(line.identity.period for each in lines.values() for line in each)


def _days(periods: list[Period], zone: str) -> list[str]:
    return [f"{period.start.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for period in periods]


async def test_five_years_on_the_31st_begin_at_local_midnight_of_each_last_day(db: Database) -> None:
    # 31 August 2023, midnight in Berlin (UTC+2).
    async with open_shop(db, on="2023-08-30T22:00", zone="Europe/Berlin") as shop:
        running = await shop.subscribe()
        fees = await _live_until(shop, running, "2028-08-31T12:00")
        # Sixty months, and the one that begins on the last day.
        assert len(fees) == 61
        days = _days(fees, "Europe/Berlin")
        assert days[:8] == [
            "2023-08-31 00:00",
            "2023-09-30 00:00",
            "2023-10-31 00:00",
            "2023-11-30 00:00",
            "2023-12-31 00:00",
            "2024-01-31 00:00",
            "2024-02-29 00:00",
            "2024-03-31 00:00",
        ]
        assert [day for day in days if "-02-" in day] == [
            "2024-02-29 00:00",
            "2025-02-28 00:00",
            "2026-02-28 00:00",
            "2027-02-28 00:00",
            "2028-02-29 00:00",
        ]
        assert days[-1] == "2028-08-31 00:00"
        assert all(one.end == other.start for one, other in pairwise(fees))
        # 61 fees of 10.00, whatever the length of the month.
        assert sum(bill.total_minor for bill in await shop.bills()) == 61_000


async def test_a_leap_day_comes_back_to_a_yearly_plan_after_four_years(db: Database) -> None:
    async with open_shop(db, on="2024-02-29T10:00") as shop:
        running = await shop.subscribe(interval=Interval.YEAR)
        fees = await _live_until(shop, running, "2028-03-01T00:00")
        assert _days(fees, "UTC") == [
            "2024-02-29 10:00",
            "2025-02-28 10:00",
            "2026-02-28 10:00",
            "2027-02-28 10:00",
            "2028-02-29 10:00",
        ]
        # Five yearly fees of 108.00.
        assert sum(bill.total_minor for bill in await shop.bills()) == 54_000
        assert (await shop.again(running)).period == Period(at("2028-02-29T10:00"), at("2028-03-29T10:00"))


async def test_a_pause_over_new_year_is_a_hole_in_what_is_billed(db: Database) -> None:
    async with open_shop(db, on="2026-10-15T08:00") as shop:
        running = await shop.subscribe()
        await _live_until(shop, running, "2026-11-20T00:00")
        async with shop.db.transaction() as tx:
            await contracts.pause(tx, shop.call, subscription_id=running.id, resumes_at=at("2027-02-01"))
        fees = await _live_until(shop, running, "2027-03-15T00:00")
        assert [(f"{each.start:%Y-%m-%d}", f"{each.end:%Y-%m-%d}") for each in fees] == [
            ("2026-10-15", "2026-11-15"),
            ("2026-11-15", "2026-12-15"),
            ("2027-02-01", "2027-03-01"),
            ("2027-03-01", "2027-04-01"),
        ]
        assert [each.during for each in await shop.segments(running)] == fees
        assert (await shop.again(running)).status is Status.ACTIVE


async def _try(world: World, customer: Customer) -> Subscription:
    async with world.runtime.db.transaction() as tx:
        started = await contracts.subscribe(
            tx,
            world.call,
            customer_id=customer.id,
            product_key="llm",
            plan_key="pro",
            interval=Interval.MONTH,
            wish=Wish(trial_days=14),
        )
    await world.drain()
    return started


def _subjects(world: World, customer: Customer, *, of: str) -> list[str]:
    assert isinstance(world.runtime.mailer, MemoryMailer)
    sent = [mail for mail in world.runtime.mailer.sent if mail.recipient == customer.email]
    return [mail.subject for mail in sent if of in mail.subject]


async def test_one_trial_becomes_a_paid_subscription_and_another_one_ends(world: World) -> None:
    ada = await world.customer(on="2026-01-31T10:00")
    bob = await world.customer(on="2026-01-31T10:00", card=None)
    hers, his = await _try(world, ada), await _try(world, bob)
    await world.advance(to="2026-02-10T00:00")
    assert _subjects(world, ada, of="trial") == []
    await world.advance(to="2026-02-16T00:00")
    told = ["Your trial of Pro ends on 14 Feb 2026"]
    assert (_subjects(world, ada, of="trial"), _subjects(world, bob, of="trial")) == (told, told)

    converted, ended = await world.subscription(hers), await world.subscription(his)
    assert (converted.status, ended.status) == (Status.ACTIVE, Status.CANCELED)
    assert ended.ended_at == at("2026-02-14")
    [paid] = await world.invoices(ada)
    # The fee of Pro, 79.00, of 14 February to 14 March.
    assert (paid.state, paid.total.minor) == (State.PAID, 7_900)
    [fee] = await world.lines(paid)
    assert fee.identity.period == Period(at("2026-02-14"), at("2026-03-14"))
    assert await world.invoices(bob) == []
