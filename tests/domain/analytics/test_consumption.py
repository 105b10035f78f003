"""Trends, figures and response times as they are read from what is kept of recorded calls."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from domain.access.roles import Permission
from domain.alerts.preference import preference_of
from domain.alerts.preferring import service as preferring
from domain.analytics.consumption import service
from domain.analytics.consumption.figures import Figure
from domain.customers.customer import Customer
from domain.customers.service import CustomerNotFound
from domain.db import Database
from domain.kernel.call import Call, Forbidden
from domain.limits.markup import markup_of
from domain.plans import service as plans
from domain.usage.event import UsageEvent
from domain.usage.responses import service as responses
from domain.usage.trends.buckets import Grain, hours_back
from tests import make
from tests.domain.usage.world import World, llm, name_of, open_world
from tests.domain.usage.yard import sender

BERLIN = "Europe/Berlin"
_LLM = sender(product_key="llm")


def _void(customer: Any, event_id: str, target: str) -> UsageEvent:
    return UsageEvent(event_id, "void", name_of(customer), corrects=target)


@pytest.fixture
def origin(catalogued: str) -> str:
    """Begin with both products published."""
    return catalogued


@pytest.fixture
async def world(db: Database) -> AsyncIterator[World]:
    """Stand on a seeded database with a running recorder."""
    async with open_world(db) as opened:
        yield opened


def reader(when: str, customer: Customer | None = None) -> Call:
    """Make the call of somebody who may read usage, of one customer or of all."""
    return make.call(when, make.principal(Permission.USAGE_READ, customer_id=customer.id if customer else None))


async def trend(world: World, customer: Customer, grain: Grain, months: int, when: str) -> dict[str, Figure]:
    """Read a trend, and leave out what is empty."""
    async with world.db.transaction() as tx:
        found = await service.read_trends(tx, reader(when), world.catalogue, customer.id, grain=grain, months=months)
    return {point.day.isoformat(): point.total for point in found if point.total != Figure()}


async def test_calls_stand_in_the_local_month_and_day_in_which_they_occurred(world: World) -> None:
    ada, _ = await world.subscriber(zone=BERLIN)
    # Each call costs 1,000 x 1.25 + 100 x 10 a million = 0.00225 USD. 28 February ends at 23:00 UTC, 31 March at 22:00.
    instants = {
        "a": "2026-02-28T22:59:59Z",
        "b": "2026-02-28T23:00:00Z",
        "c": "2026-03-28T22:59:00Z",
        "d": "2026-03-28T23:00:00Z",
        "e": "2026-03-29T21:59:00Z",
        "f": "2026-03-29T22:00:00Z",
        "g": "2026-03-31T21:59:59Z",
        "h": "2026-03-31T22:00:00Z",
    }
    await world.record(*(llm(ada, name, at=at) for name, at in instants.items()), when="2026-04-01T12:00")
    months = await trend(world, ada, Grain.MONTH, 6, "2026-04-01T12:00")
    assert months == {
        "2026-02-01": Figure(Decimal(1), Decimal(1_100), Decimal("0.00225")),
        "2026-03-01": Figure(Decimal(6), Decimal(6_600), Decimal("0.0135")),
        "2026-04-01": Figure(Decimal(1), Decimal(1_100), Decimal("0.00225")),
    }
    days = await trend(world, ada, Grain.DAY, 3, "2026-04-01T12:00")
    # 29 March has 23 hours: from 23:00 UTC of the day before to 22:00.
    assert {day: figure.calls for day, figure in days.items()} == {
        "2026-02-28": 1,
        "2026-03-01": 1,
        "2026-03-28": 1,
        "2026-03-29": 2,
        "2026-03-30": 1,
        "2026-03-31": 1,
        "2026-04-01": 1,
    }


async def test_a_trend_begins_with_its_first_month_and_leaves_out_what_was_voided(world: World) -> None:
    ada, _ = await world.subscriber()
    old, new = llm(ada, "old", at="2026-01-31T23:59:59Z"), llm(ada, "new", at="2026-02-01T00:00:00Z")
    await world.record(old, new, by=_LLM, when="2026-02-10")
    assert set(await trend(world, ada, Grain.MONTH, 1, "2026-02-10")) == {"2026-02-01"}
    await world.record(_void(ada, "void", "new"), by=_LLM, when="2026-02-11")
    assert set(await trend(world, ada, Grain.MONTH, 2, "2026-02-11")) == {"2026-01-01"}


async def test_every_provider_has_its_figure_and_its_models_are_added_up(world: World) -> None:
    ada, subscription = await world.subscriber()
    await world.record(
        llm(ada, "1", at="2026-01-10T10:00:00Z"),
        llm(ada, "2", at="2026-01-10T10:00:00Z", model="gemini-2.5-flash"),
        llm(ada, "3", at="2026-01-10T10:00:00Z", provider="google"),
        UsageEvent("4", "llm.call", name_of(ada), None, "2026-01-11T10:00:00Z", {"provider": "exa", "model": "search"}),
    )
    async with world.db.transaction() as tx:
        [point] = await service.read_trends(tx, reader("2026-01-15"), world.catalogue, ada.id, months=1)
        standing = await service.load_standing(tx, reader("2026-01-15", ada), world.catalogue, ada.id, percents={})
    # Two calls of 0.00225, one of 0.0001625 (0.000125 + 0.0000375), and a search for 0.003.
    expected = {
        "gemini": Figure(Decimal(3), Decimal(3_300), Decimal("0.0046625")),
        "exa": Figure(Decimal(1), Decimal(0), Decimal("0.003")),
    }
    assert (point.providers, list(point.providers)) == (expected, ["gemini", "exa"])
    assert (standing.figures, standing.subscription.id) == (expected, subscription.id)
    assert point.total == Figure(Decimal(4), Decimal(3_300), Decimal("0.0076625"))
    # Pro charges usage at list price; what no price is for has no markup either.
    for meter in ("cost", "calls"):
        assert markup_of(world.catalogue, subscription, world.meter("llm", meter)) == 1


async def test_notices_go_by_the_thresholds_at_which_the_customer_is_alerted(world: World) -> None:
    ada, _ = await world.subscriber()
    # 60,000,000 tokens at 1.25 a million are 75.00: half of the 150.00 that Pro may cost.
    await world.record(llm(ada, "1", at="2026-01-10T10:00:00Z", input_tokens=60_000_000, output_tokens=0))

    async def told(**percents: tuple[int, ...]) -> int | None:
        async with world.db.transaction() as tx:
            seen = await service.read_dashboard(
                tx, reader("2026-01-15", ada), world.catalogue, ada.id, percents=percents
            )
        [cost] = [each for each in seen.notices if each.key == "monthly_cost"]
        return cost.threshold

    assert await told(llm=(50,)) == 50
    assert await told(llm=(51,)) is None
    # Of a product that nothing is said about they are 80, 90 and 100 %.
    assert await told(edge=(50,)) is None
    wanted = preference_of(ada.id, thresholds=[40, 60], unsubscribed=[], weekly_digest=False)
    async with world.db.transaction() as tx:
        await preferring.change_preference(tx, make.call("2026-01-15", make.principal(Permission.ALERT_WRITE)), wanted)
    assert await told(llm=(50,)) == 40


async def test_nobody_reads_without_permission_nor_about_another_customer(world: World) -> None:
    ada, _ = await world.subscriber()
    bob, _ = await world.subscriber()
    async with world.db.transaction() as tx:
        book = await plans.load_price_book(tx)
        for read in (
            lambda call: service.read_trends(tx, call, world.catalogue, ada.id),
            lambda call: service.read_dashboard(tx, call, world.catalogue, ada.id, percents={}),
            lambda call: service.read_notices(tx, call, world.catalogue, ada.id, percents={}),
            lambda call: service.read_statistics(tx, call, world.catalogue, book, ada.id, percents={}),
            lambda call: service.read_performance(tx, call, world.catalogue, book, ada.id),
        ):
            with pytest.raises(Forbidden):
                await read(make.call("2026-01-15", make.principal(Permission.EVENT_READ)))
            with pytest.raises(CustomerNotFound):
                await read(reader("2026-01-15", bob))


async def test_response_times_are_those_of_the_newest_events_that_stand(world: World) -> None:
    ada, _ = await world.subscriber()
    events = [
        llm(ada, f"e{n}", at=f"2026-01-15T11:{n:02}:00Z", latency_ms=n, status="ok", endpoint="chat") for n in range(10)
    ]
    told = llm(ada, "silent", at="2026-01-15T11:30:00Z")
    old = llm(ada, "old", at="2026-01-14T10:59:59Z", latency_ms=900, status="error")
    alias = llm(ada, "alias", at="2026-01-15T11:31:00Z", provider="google", latency_ms=Decimal("12.5"), status="odd")
    await world.record(*events, told, old, alias, by=_LLM)
    await world.record(_void(ada, "void", "e9"), by=_LLM)
    async with world.db.transaction() as tx:
        book = await plans.load_price_book(tx)
        report = await service.read_performance(tx, reader("2026-01-15T11:59"), world.catalogue, book, ada.id)
    [found] = report.providers
    # 0 to 8 ms, and 12.5; the calls are 9 that stand, one that said nothing and one with a status of its own.
    assert (found.calls, found.succeeded, found.failed) == (Decimal(11), Decimal(9), Decimal(0))
    assert (found.measured, found.measured_from) == (10, make.at("2026-01-15T11:00"))
    assert (found.p50_ms, found.p95_ms, found.p99_ms) == (Decimal(4), Decimal("12.5"), Decimal("12.5"))
    assert report.during.start == make.at("2026-01-14T11:00")


async def test_no_more_than_the_bound_of_events_are_looked_at(world: World) -> None:
    ada, subscription = await world.subscriber()
    for start in range(0, responses.EVENTS_MAX + 2, 1_000):
        await world.record(
            *(
                llm(ada, f"e{n}", at=f"2026-01-15T{10 + n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z", latency_ms=n)
                for n in range(start, min(start + 1_000, responses.EVENTS_MAX + 2))
            )
        )
    during = hours_back(3, make.at("2026-01-15T12:00"), "UTC")
    async with world.db.transaction() as tx:
        found = await responses.latencies_during(tx, ada.id, [subscription.id], during)
        assert await responses.latencies_during(tx, ada.id, [], during) == []
    # The two oldest are left out.
    assert len(found) == responses.EVENTS_MAX
    assert min(each.latency_ms for each in found) == 2
