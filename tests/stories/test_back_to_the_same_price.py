"""A customer who leaves a plan within a period and comes back to it pays as if it had never been cut."""

import json
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from domain.contracts.what_if.service import what_if
from domain.customers.customer import Customer
from domain.invoices.conservation.service import Conservation, conserve
from domain.invoices.invoice import Invoice, Line, LineKind
from domain.invoices.verification import Outcome
from domain.invoices.verifying.service import hours_of_line, verify_invoice
from domain.kernel.ids import encode
from domain.kernel.money import exact_text
from domain.kernel.period import Period
from domain.plans import service as plans
from domain.plans.definition import read_product
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Segment, Subscription
from domain.usage.event import UsageEvent
from domain.usage.verdict import COUNTED
from tests import make
from tests.world import World

JANUARY = Period(make.at("2026-01-01"), make.at("2026-02-01"))


def _meter(key: str, aggregation: str, unit: str, value: str) -> dict[str, Any]:
    own = {"key": key, "name": key, "event_type": f"press.{key}", "aggregation": aggregation, "unit": unit}
    return {**own, "value_properties": [value]}


def _plan(key: str, rank: int, pages: dict[str, str], payments: dict[str, str], visitor: str) -> dict[str, Any]:
    def price(name: str, model: str, definition: dict[str, str], **more: str) -> dict[str, Any]:
        own = {"key": name, "kind": "usage", "currency": "USD", "model": model, "definition": definition}
        return {**own, "description": name, **more}

    prices = [
        price("fee", "flat", {"amount": "10.00"}, kind="fee", interval="month"),
        price("pages", "package", pages, meter="pages"),
        price("payments", "percentage", payments, meter="payments"),
        price("visitors", "per_unit", {"unit_amount": visitor}, meter="visitors"),
    ]
    own = {"key": key, "name": key, "rank": rank, "support": "", "features": [], "invoice_grace_s": 0}
    return {**own, "entitlements": [], "prices": prices}


# "small" has 310 free pages and 310 free units of payments a month: 10 a day of January.
PRESS = {
    "key": "press",
    "name": "Press",
    "meters": [
        _meter("pages", "sum", "page", "count"),
        _meter("payments", "sum", "USD", "amount"),
        _meter("visitors", "unique_count", "visitor", "who"),
    ],
    "plans": [
        _plan(
            "small",
            1,
            {"package_size": "1000", "package_amount": "5", "free_units": "310"},
            {"rate_percent": "2", "free_units": "310"},
            "1",
        ),
        _plan("large", 2, {"package_size": "1000", "package_amount": "8"}, {"rate_percent": "1"}, "2"),
    ],
}


async def switch(world: World, of: Subscription, plan: str) -> None:
    """Go on under a plan from now on."""
    async with world.runtime.db.transaction() as tx:
        held = await subscriptions.lock_subscription(tx, of.id, scope=None)
        version = (await plans.load_catalogue(tx)).current_version("press", plan)
        now = await world.now()
        await subscriptions.switch_version(tx, world.call, held, version.id, now)


async def segments(world: World, of: Subscription) -> Sequence[Segment]:
    """Return the segments of January."""
    async with world.runtime.db.transaction() as tx:
        found = (await subscriptions.segments_of(tx, [of.id]))[of.id]
    return [each for each in found if each.period == JANUARY]


async def used(world: World, of: Customer, day: int, **values: Any) -> None:
    """Report pages, a payment or a visitor of a day in January."""
    kinds = {"pages": "count", "payments": "amount", "visitors": "who"}
    for number, (kind, value) in enumerate(values.items()):
        at = (JANUARY.start + timedelta(days=day - 1, hours=1)).isoformat()
        name, properties = f"{kind}-{day}-{number}-{value}", {kinds[kind]: value}
        event = UsageEvent(name, f"press.{kind}", encode("customer", of.id), None, at, properties)
        assert await world.use("press", event) == [COUNTED]


async def away_and_back(world: World) -> tuple[Customer, Subscription]:
    """Have small until 10 January, large until the 20th, and small again; small has 21 of the 31 days."""
    async with world.runtime.db.transaction() as tx:
        await plans.publish(tx, world.call, read_product(json.dumps(PRESS).encode()))
    ada = await world.customer(on="2026-01-01")
    own = await world.subscribe(ada, "small", product="press")
    await world.advance(to="2026-01-10")
    await used(world, ada, 2, pages=600, payments=50, visitors="ada")
    await used(world, ada, 3, visitors="bob")
    await switch(world, own, "large")
    await world.advance(to="2026-01-20")
    await used(world, ada, 12, pages=1500, payments=100, visitors="ada")
    await switch(world, own, "small")
    await world.advance(to="2026-01-29")
    await used(world, ada, 22, pages=500, payments=200, visitors="ada")
    await used(world, ada, 24, payments=50, visitors="cleo")
    return ada, own


async def usage_lines(world: World, invoice: Invoice) -> dict[tuple[str, str], Line]:
    """Return an invoice's usage lines by plan and meter."""
    lines = [line for line in await world.lines(invoice) if line.identity.kind is LineKind.USAGE]
    return {(line.derivation["plan"], line.derivation["meter"]): line for line in lines}


async def prove(world: World, of: Subscription) -> Conservation:
    """Prove January."""
    async with world.runtime.db.transaction() as tx:
        return await conserve(
            tx, world.call, customer_id=of.customer_id, subscription_id=of.id, period_start=JANUARY.start
        )


async def is_equal(world: World, customer: Customer) -> bool:
    """Verify every invoice of a customer from the stored events."""
    for invoice in await world.invoices(customer):
        async with world.runtime.db.transaction() as tx:
            if (await verify_invoice(tx, world.call, invoice.id)).outcome is not Outcome.EQUAL:
                return False
    return True


async def test_what_is_used_before_and_after_another_plan_is_rated_together(world: World) -> None:
    ada, own = await away_and_back(world)
    await world.advance(to="2026-02-02")
    first, second, third = await segments(world, own)
    january = (await world.invoices(ada))[-1]
    lines = await usage_lines(world, january)
    assert {key: line.amount.minor for key, line in lines.items()} == {
        # 600 + 500 less 10 free a day for 21 days are 890: one package. Apart, each part would start one.
        ("small", "pages"): 500,
        # 2 % of 50 + 250 less 210; apart, the first part would leave 40 of its 90 free units unused.
        ("small", "payments"): 180,
        # Ada, Bob and Cleo. Apart, Ada would count twice.
        ("small", "visitors"): 300,
        ("large", "pages"): 1600,
        ("large", "payments"): 100,
        ("large", "visitors"): 200,
    }
    small, large = lines["small", "pages"], lines["large", "pages"]
    assert (small.identity.segment_id, small.period) == (first.id, JANUARY)
    assert (large.identity.segment_id, large.period) == (second.id, second.during)
    assert small.description == "Press usage: pages, 1 Jan 2026 – 10 Jan 2026, 20 Jan 2026 – 1 Feb 2026"  # noqa: RUF001 - ranges
    assert (small.derivation["share_of_time"], small.derivation["events"]) == ("21/31", 2)
    parts = small.derivation["segments"]
    assert [(each["segment_id"], each["share_of_time"], each["quantity"], each["events"]) for each in parts] == [
        (encode("segment", first.id), "9/31", "600", 1),
        (encode("segment", third.id), "12/31", "500", 1),
    ]
    assert sum(int(each["digest"], 16) for each in parts) % 2**256 == int(small.derivation["digest"], 16)
    assert "segments" not in large.derivation
    assert [each["quantity"] for each in lines["small", "visitors"].derivation["segments"]] == ["2", "2"]
    assert await is_equal(world, ada)
    async with world.runtime.db.transaction() as tx:
        hours = await hours_of_line(tx, small, await plans.load_catalogue(tx))
    assert [(hour.at, hour.quantity) for hour in hours] == [
        (make.at("2026-01-02T01:00"), Decimal(600)),
        (make.at("2026-01-22T01:00"), Decimal(500)),
    ]


async def test_usage_is_not_billed_before_its_period_can_have_no_further_segment(world: World) -> None:
    ada, own = await away_and_back(world)
    # The first segment ended on 10 January, and an invoice of something else is made meanwhile.
    other = await world.subscribe(ada, "basic", product="llm")
    lines = [line for each in await world.invoices(ada) for line in await world.lines(each)]
    assert {line.identity.kind for line in lines} == {LineKind.FEE}
    assert {each.final for each in await segments(world, own)} == {False}
    found = await prove(world, own)
    assert found.holds
    pages = [each for each in found.accounts if each.meter == "pages"]
    assert [(exact_text(each.counted), exact_text(each.not_yet_billed)) for each in pages] == [
        ("1100", "1100"),
        ("1500", "1500"),
    ]
    # What ends is rated at its end: small for 9 + 9 of 31 days has 180 free pages, and 1100 - 180 are one package.
    await world.cancel(own, at_period_end=False)
    last = (await world.invoices(ada))[-1]
    assert (await usage_lines(world, last))["small", "pages"].amount.minor == 500
    assert {each.final for each in await segments(world, own)} == {True}
    assert (await prove(world, own)).holds
    assert await is_equal(world, ada)
    assert other.is_live


async def test_late_usage_of_any_of_the_segments_adjusts_their_one_line(world: World) -> None:
    ada, own = await away_and_back(world)
    await world.advance(to="2026-02-02")
    billed = (await usage_lines(world, (await world.invoices(ada))[-1]))["small", "pages"]
    await used(world, ada, 5, pages=200)
    await used(world, ada, 28, visitors="bob")
    await used(world, ada, 27, visitors="dora")
    due = await prove(world, own)
    assert due.holds
    assert [exact_text(each.not_yet_billed) for each in due.accounts] == ["200", "0", "1", "0", "0", "0"]
    assert await is_equal(world, ada)
    await world.advance(to="2026-03-02")
    lines = await usage_lines(world, (await world.invoices(ada))[-1])
    # 1300 - 210 are two packages, of which one was billed; Bob was there before, and Dora is new.
    late = lines["small", "pages"]
    assert (late.identity, late.revision, late.amount.minor, late.quantity) == (billed.identity, 1, 500, Decimal(200))
    assert [each["events"] for each in late.derivation["segments"]] == [2, 1]
    assert {key: line.amount.minor for key, line in lines.items()} == {
        ("small", "pages"): 500,
        ("small", "visitors"): 100,
    }
    assert await is_equal(world, ada)
    assert (await prove(world, own)).holds


async def test_what_is_taken_back_in_one_segment_is_told_from_the_others(world: World) -> None:
    ada, own = await away_and_back(world)
    await world.advance(to="2026-02-02")
    sent = encode("customer", ada.id)
    voids = [UsageEvent(f"void-{each}", "void", sent, corrects=each) for each in ("pages-2-0-600", "pages-22-0-500")]
    assert await world.use("press", *voids) == [COUNTED, COUNTED]
    assert await is_equal(world, ada)
    await world.advance(to="2026-03-02")
    taken = (await usage_lines(world, (await world.invoices(ada))[-1]))["small", "pages"]
    assert (taken.revision, taken.amount.minor, taken.quantity) == (1, -500, Decimal(-1100))
    assert [(each["events"], each["quantity"]) for each in taken.derivation["segments"]] == [(0, "0"), (0, "0")]
    assert await is_equal(world, ada)
    assert (await prove(world, own)).holds


async def test_a_comparison_rates_together_what_the_invoice_does(world: World) -> None:
    ada, own = await away_and_back(world)

    async def compared(plan: str) -> dict[str, tuple[int, int]]:
        async with world.runtime.db.transaction() as tx:
            wish = {"customer_id": ada.id, "subscription_id": own.id, "plan_key": plan, "at": JANUARY.start}
            found = await what_if(tx, world.call, **wish)  # type: ignore[arg-type]  # the same for both
        return {line.key: (line.present.minor, line.other.minor) for line in found.lines}

    running = await compared("large")
    # 5.00 and 16.00 beside 2,600 pages in 3 packages of 8; 1.80 and 1.00 beside 1 % of 400; 3.00 and 2.00 beside three.
    expected = {"fee": (1000, 1000), "pages": (2100, 2400), "payments": (280, 400), "visitors": (500, 600)}
    assert running == expected
    await world.advance(to="2026-02-02")
    assert await compared("large") == expected


async def test_a_cut_that_keeps_the_price_leaves_the_period_as_it_is(world: World) -> None:
    async with world.runtime.db.transaction() as tx:
        await plans.publish(tx, world.call, read_product(json.dumps(PRESS).encode()))
    ada = await world.customer(on="2026-01-01")
    own = await world.subscribe(ada, "small", product="press")
    for day in (7, 14, 21):
        await world.advance(to=f"2026-01-{day:02}")
        await used(world, ada, day - 1, pages=400, payments=100, visitors=f"v{day % 2}")
        await switch(world, own, "small")
    assert len(await segments(world, own)) == 4
    await world.advance(to="2026-02-02")
    january = (await world.invoices(ada))[-1]
    lines = await usage_lines(world, january)
    # 1,200 - 310 are one package; nothing of 300 lies outside of 310; v1 came twice.
    assert {key[1]: line.amount.minor for key, line in lines.items()} == {"pages": 500, "payments": 0, "visitors": 200}
    assert lines["small", "pages"].derivation["share_of_time"] == "1"
    assert lines["small", "pages"].description == "Press usage: pages, 1 Jan 2026 – 1 Feb 2026"  # noqa: RUF001 - a range
    assert await is_equal(world, ada)
    assert (await prove(world, own)).holds
