"""Alerts about limits, month after month: raised once, mailed once, counted down, and raised anew in a new period."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from domain.adapters.memory import MemoryMailer
from domain.alerts.alert import Alert, AlertKind, Delivery
from domain.alerts.notice import Notice
from domain.alerts.port import MailUnavailable
from domain.alerts.preference import preference_of
from domain.alerts.preferring import service as preferring
from domain.alerts.raising import service
from domain.config import thresholds_of
from domain.customers.customer import Customer
from domain.kernel.ids import encode
from domain.limits import service as limits
from domain.limits.override import Wish
from domain.usage.event import UsageEvent
from tests import make
from tests.waiting import until
from tests.world import World, llm_call

GEMINI = "Calls to Gemini a month"
REQUESTS = "Requests a month"


def calls(customer: Customer, at: datetime, number: int) -> list[UsageEvent]:
    """Make calls of one token to Gemini; the Free plan has 100 of them a month."""
    return [llm_call(customer, at, input_tokens=1) for _ in range(number)]


def requests(customer: Customer, at: datetime, number: int) -> UsageEvent:
    """Make one event of many requests; the Free plan of the edge product has 10,000 a month, softly."""
    name = encode("customer", customer.id)
    return UsageEvent(secrets.token_hex(8), "edge.request", name, None, at.isoformat(), {"count": number})


def subjects(world: World, customer: Customer) -> list[str]:
    """Give the subjects of the mails that a customer got, in order."""
    assert isinstance(world.runtime.mailer, MemoryMailer)
    return [mail.subject for mail in world.runtime.mailer.sent if mail.recipient == customer.email]


async def alerts(world: World, customer: Customer) -> list[Alert]:
    """Return a customer's alerts, oldest first."""
    async with world.runtime.db.transaction() as tx:
        return (await service.list_alerts(tx, world.call, customer_id=customer.id, limit=100))[::-1]


def told(found: Sequence[Alert]) -> list[tuple[str, str, int, str]]:
    """Give the parts of alerts by which they are told apart."""
    return [(each.limit_key, each.kind, each.step, each.severity) for each in found]


async def grant(
    world: World,
    customer: Customer,
    limit: str,
    amount: int,
    *,
    from_at: datetime | None = None,
    until_at: datetime | None = None,
    product: str = "llm",
) -> None:
    """Grant a customer another amount of a limit, from now on unless told."""
    wish = Wish(product, limit, Decimal(amount), "agreed", from_at, until_at)
    catalogue = await world.runtime.catalogue()
    async with world.runtime.db.transaction() as tx:
        await limits.set_override(tx, world.call, catalogue, customer.id, wish)


async def prefer(
    world: World,
    customer: Customer,
    *,
    thresholds: Sequence[int] | None = None,
    unsubscribed: Sequence[Notice] = (),
    weekly_digest: bool = False,
) -> None:
    """Set what a customer wants."""
    wanted = preference_of(customer.id, thresholds=thresholds, unsubscribed=unsubscribed, weekly_digest=weekly_digest)
    async with world.runtime.db.transaction() as tx:
        await preferring.change_preference(tx, world.call, wanted)


async def test_thresholds_are_told_in_order_once_and_again_in_the_next_period(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "free")
    start = make.at("2026-01-31")
    expected = [
        (79, []),
        (1, [80]),
        (5, [80]),
        (5, [80, 90]),
        (10, [80, 90, 100]),
        (3, [80, 90, 100]),
    ]
    for number, steps in expected:
        await world.use("llm", *calls(ada, start, number))
        await world.drain()
        assert [each.step for each in await alerts(world, ada)] == steps
    assert told(await alerts(world, ada)) == [
        ("gemini_calls", "threshold", 80, "warning"),
        ("gemini_calls", "threshold", 90, "warning"),
        ("gemini_calls", "threshold", 100, "critical"),
    ]
    assert subjects(world, ada) == [f"{percent}% of your limit is used: {GEMINI}" for percent in (80, 90, 100)]
    # 31 January to 28 February is the first period; the second one tells anew.
    await world.advance(to="2026-02-28")
    await world.use("llm", *calls(ada, make.at("2026-02-28"), 80))
    await world.drain()
    found = await alerts(world, ada)
    assert [(each.step, each.period.start) for each in found[3:]] == [(80, make.at("2026-02-28"))]
    assert subjects(world, ada)[3:] == [f"80% of your limit is used: {GEMINI}"]
    assert {each.delivery for each in found} == {Delivery.SENT}


async def test_what_is_passed_at_once_is_told_of_each_and_mailed_by_the_highest(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "free")
    await world.use("llm", *calls(ada, make.at("2026-01-31"), 100))
    await world.drain()
    found = await alerts(world, ada)
    assert [(each.step, each.delivery) for each in found] == [
        (80, Delivery.SUPERSEDED),
        (90, Delivery.SUPERSEDED),
        (100, Delivery.SENT),
    ]
    assert subjects(world, ada) == [f"100% of your limit is used: {GEMINI}"]
    # Basic has 1,000 calls to Gemini for 29.00, Pro more for 79.00; the mail calls a plan by its name.
    assert {each.upgrade for each in found} == {"basic"}
    assert isinstance(world.runtime.mailer, MemoryMailer)
    assert "The plan Basic allows more." in world.runtime.mailer.sent[-1].text


async def test_a_larger_plan_has_limits_of_its_own_to_tell_of(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "free")
    await world.use("llm", *calls(ada, make.at("2026-01-31"), 100))
    await world.drain()
    catalogue = await world.runtime.catalogue()
    async with world.runtime.db.transaction() as tx:
        moved = sa.text("UPDATE subscription SET plan_version_id = :version WHERE customer_id = :customer")
        basic = catalogue.current_version("llm", "basic").id
        await tx.execute(moved.bindparams(version=basic, customer=ada.id))
    for number in (600, 100):
        await world.use("llm", *calls(ada, make.at("2026-01-31"), number))
        await world.drain()
    # 800 of the 1,000 calls of Basic.
    assert [(each.step, each.limit) for each in await alerts(world, ada)][3:] == [(80, Decimal(1_000))]


async def test_the_edge_product_tells_at_80_and_100_and_a_customer_at_its_own(world: World) -> None:
    ada, bob = await world.customer(on="2026-01-31"), await world.customer(on="2026-01-31")
    for each in (ada, bob):
        await world.subscribe(each, "free", product="edge")
    await prefer(world, bob, thresholds=[95, 50])
    start = make.at("2026-01-31")
    for number in (4_999, 1, 3_000, 1_500, 500):
        await world.use("edge", requests(ada, start, number), requests(bob, start, number))
        await world.drain()
    assert [each.step for each in await alerts(world, ada)] == [80, 100]
    assert [each.step for each in await alerts(world, bob)] == [50, 95]


async def test_however_many_workers_look_at_once_each_alert_is_raised_by_one(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "free")
    await world.use("llm", *calls(ada, make.at("2026-01-31"), 100))
    catalogue = await world.runtime.catalogue()
    percents = thresholds_of(world.runtime.settings)

    async def look() -> list[int]:
        async with world.runtime.db.transaction() as tx:
            return [each.step for each in await service.check(tx, world.call, catalogue, ada.id, percents=percents)]

    raised = await asyncio.gather(*(look() for _ in range(9)))
    assert sorted(step for steps in raised for step in steps) == [80, 90, 100]
    assert [each.step for each in await alerts(world, ada)] == [80, 90, 100]
    async with world.runtime.db.transaction() as tx:
        count = "SELECT count(*) FROM outbox_job WHERE kind = 'send_notice' AND payload->>'notice' = 'limit_threshold'"
        assert await tx.value(sa.text(count)) == 1
    await world.drain()
    assert subjects(world, ada) == [f"100% of your limit is used: {GEMINI}"]


async def test_mail_that_cannot_be_sent_now_is_seen_to_wait_and_sent_later(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "free")
    await world.use("llm", *calls(ada, make.at("2026-01-31"), 80))
    assert isinstance(world.runtime.mailer, MemoryMailer)
    world.runtime.mailer.failures.append(MailUnavailable("timeout"))
    catalogue = await world.runtime.catalogue()
    async with world.runtime.db.transaction() as tx:
        percents = thresholds_of(world.runtime.settings)
        await service.check(tx, world.call, catalogue, ada.id, percents=percents)
    assert [each.delivery for each in await alerts(world, ada)] == [Delivery.PENDING]
    await world.drain()
    assert [each.delivery for each in await alerts(world, ada)] == [Delivery.SENT]
    assert subjects(world, ada) == [f"80% of your limit is used: {GEMINI}"]


async def test_a_soft_limit_that_is_passed_is_counted_down_over_48_hours(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "free", product="edge")
    await world.use("edge", requests(ada, make.at("2026-01-31"), 10_001))
    await world.drain()
    await world.advance(to="2026-02-05")
    grace = [each for each in await alerts(world, ada) if each.kind is AlertKind.GRACE]
    # Passed at midnight of 31 January: tolerated until midnight of 2 February.
    assert [(each.step, each.raised_at, each.severity) for each in grace] == [
        (48, make.at("2026-01-31T00:00"), "warning"),
        (24, make.at("2026-02-01T00:00"), "warning"),
        (6, make.at("2026-02-01T18:00"), "warning"),
        (0, make.at("2026-02-02T00:00"), "critical"),
    ]
    assert {each.due_at for each in grace} == {make.at("2026-02-02")}
    countdown = [subject for subject in subjects(world, ada) if subject.startswith("You are over")]
    assert countdown == [
        f"You are over your limit, 48 hours of tolerance left: {REQUESTS}",
        f"You are over your limit, 24 hours of tolerance left: {REQUESTS}",
        f"You are over your limit, 6 hours of tolerance left: {REQUESTS}",
        f"You are over your limit, the tolerance is over: {REQUESTS}",
    ]


async def test_a_forecast_is_told_once_with_the_instant_at_the_present_rate(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "free")
    # In the first 24 hours nothing is projected.
    await world.use("llm", *calls(ada, make.at("2026-01-31"), 20))
    await world.drain()
    assert await alerts(world, ada) == []
    await world.advance(to="2026-02-05")
    await world.use("llm", *calls(ada, make.at("2026-02-05"), 20), *calls(ada, make.at("2026-02-05"), 1))
    await world.drain()
    await world.use("llm", *calls(ada, make.at("2026-02-05"), 1))
    await world.drain()
    [forecast] = await alerts(world, ada)
    assert (forecast.kind, forecast.step, forecast.severity) == (AlertKind.FORECAST, 100, "warning")
    # 41 calls in 5 days: 100 after 500/41 days, to the microsecond and not before.
    assert forecast.due_at is not None
    took = forecast.due_at - make.at("2026-01-31")
    assert timedelta(0) <= took - timedelta(days=500) / 41 <= timedelta(microseconds=1)
    assert subjects(world, ada) == [f"Your limit will be reached on 12 Feb 2026, 04:40 UTC: {GEMINI}"]


async def test_an_unwanted_kind_is_raised_and_not_mailed(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "free")
    await prefer(world, ada, unsubscribed=[Notice.LIMIT_THRESHOLD])
    await world.use("llm", *calls(ada, make.at("2026-01-31"), 80))
    await world.drain()
    assert [(each.step, each.delivery) for each in await alerts(world, ada)] == [(80, Delivery.UNWANTED)]
    assert subjects(world, ada) == []


async def test_a_digest_comes_on_mondays_at_nine_for_as_long_as_it_is_wanted(world: World) -> None:
    ada = await world.customer(on="2026-01-31", zone="Europe/Berlin")
    await world.subscribe(ada, "free")
    await world.use("llm", *calls(ada, make.at("2026-01-31"), 7))
    await prefer(world, ada, weekly_digest=True)
    # 2 and 9 February 2026 are Mondays; 09:00 in Berlin is 08:00 UTC.
    await world.advance(to="2026-02-02T07:59")
    assert subjects(world, ada) == []
    await world.advance(to="2026-02-10")
    assert subjects(world, ada) == ["Your week at Example, 2 Feb 2026", "Your week at Example, 9 Feb 2026"]
    assert isinstance(world.runtime.mailer, MemoryMailer)
    assert f"  {GEMINI}: 7 of 100 calls (7%)\n" in world.runtime.mailer.sent[0].text
    await grant(world, ada, "gemini_calls", 70)
    await world.advance(to="2026-02-17")
    # It goes by what staff granted, as checks do.
    assert f"  {GEMINI}: 7 of 70 calls (10%)\n" in world.runtime.mailer.sent[2].text
    await prefer(world, ada)
    await world.advance(to="2026-02-27")
    assert len(subjects(world, ada)) == 3


async def test_no_plan_is_proposed_where_another_amount_was_granted_whatever_the_plan(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "basic")
    await grant(world, ada, "gemini_calls", 10)
    await world.use("llm", *calls(ada, make.at("2026-01-31"), 10))
    await world.drain()
    # Free allows 100, but the 10 that were granted would hold there too.
    assert {each.upgrade for each in await alerts(world, ada)} == {None}
    assert isinstance(world.runtime.mailer, MemoryMailer)
    assert "Please write to us if you need more." in world.runtime.mailer.sent[-1].text


async def test_a_limit_that_is_lowered_below_what_is_used_is_told_of_though_nothing_more_is_used(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "free")
    await world.use("llm", *calls(ada, make.at("2026-01-31"), 40))
    await world.drain()
    assert await alerts(world, ada) == []
    # 100 calls to Gemini in the plan, 40 from now on, and 45 from tomorrow on.
    await grant(world, ada, "gemini_calls", 40)
    await world.drain()
    await grant(world, ada, "gemini_calls", 45, from_at=make.at("2026-02-01"))
    await world.advance(to="2026-02-02")
    found = [each for each in await alerts(world, ada) if each.kind is AlertKind.THRESHOLD]
    assert [(each.limit, each.step, each.raised_at) for each in found] == [
        (Decimal(40), 80, make.at("2026-01-31")),
        (Decimal(40), 90, make.at("2026-01-31")),
        (Decimal(40), 100, make.at("2026-01-31")),
        (Decimal(45), 80, make.at("2026-02-01")),
    ]


async def test_an_override_that_ends_below_what_is_used_is_told_of(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "free", product="edge")
    await grant(world, ada, "requests", 20_000, until_at=make.at("2026-02-03"), product="edge")
    await world.use("edge", requests(ada, make.at("2026-01-31"), 10_500))
    await world.drain()
    await world.advance(to="2026-02-04")
    found = [each for each in await alerts(world, ada) if each.kind is not AlertKind.FORECAST]
    # 10,000 requests in the plan: its hours begin as the 20,000 end.
    assert [(each.kind, each.step, each.raised_at) for each in found] == [
        (AlertKind.THRESHOLD, 80, make.at("2026-02-03")),
        (AlertKind.THRESHOLD, 100, make.at("2026-02-03")),
        (AlertKind.GRACE, 48, make.at("2026-02-03")),
        (AlertKind.GRACE, 24, make.at("2026-02-04")),
    ]


async def test_what_nobody_limits_is_not_told(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "free", product="edge")
    name = encode("customer", ada.id)
    event = UsageEvent("s1", "edge.storage", name, None, "2026-01-31T00:00:00+00:00", {"delta": 10**15})
    assert [each.status for each in await world.use("edge", event)] == ["counted"]
    await world.drain()
    assert await alerts(world, ada) == []


async def test_no_threshold_is_missed_while_usage_and_looks_race(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "free")
    start, is_over = make.at("2026-01-31"), asyncio.Event()

    async def look() -> None:
        while not is_over.is_set():
            await world.drain()
            await asyncio.sleep(0)

    looking = [asyncio.create_task(look()) for _ in range(2)]
    for steps in ([80], [80, 90], [80, 90, 100]):
        for _ in range(80 if steps == [80] else 10):
            await world.use("llm", *calls(ada, start, 1))
        # The last flush staged a look, or found one waiting that had yet to begin: nothing more is needed.

        async def is_told(wanted: list[int] = steps) -> bool:
            return [each.step for each in await alerts(world, ada)] == wanted

        await until(is_told, f"alerts of {steps}")
    is_over.set()
    await asyncio.gather(*looking)
    await world.drain()
    # A mail is sent at least once, always under one Message-ID; the two that look here take each other's jobs.
    assert isinstance(world.runtime.mailer, MemoryMailer)
    assert {mail.subject for mail in world.runtime.mailer.sent} == {
        f"{percent}% of your limit is used: {GEMINI}" for percent in (80, 90, 100)
    }
    assert len({mail.message_id for mail in world.runtime.mailer.sent}) == 3
