"""Promotional pages: usage takes them before it is rated, late news move them, and all of it can be proved."""

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from domain.credits.grants import service
from domain.credits.grants.service import Terms
from domain.credits.grants.store import unit_grant_use
from domain.credits.unit_grant import Refill
from domain.customers.customer import Customer
from domain.invoices.invoice import Line, LineKind, VoidReason
from domain.invoices.voiding.service import void_invoice
from domain.kernel.ids import encode
from domain.kernel.money import exact_text
from domain.plans import service as plans
from domain.plans.definition import read_product
from domain.subscriptions.subscription import Subscription
from domain.usage.event import UsageEvent
from domain.usage.verdict import COUNTED
from tests.stories.test_back_to_the_same_price import PRESS, is_equal, prove
from tests.world import World

_PAGES: dict[str, Any] = {
    "key": "pages",
    "kind": "usage",
    "currency": "USD",
    "model": "per_unit",
    "definition": {"unit_amount": "0.10", "included_units": "30"},
    "description": "pages",
    "meter": "pages",
}
_TERMS = Terms("pages", "Welcome", Decimal(100))


async def _press(world: World, card: str | None = "pm_card_visa", zone: str = "UTC") -> tuple[Customer, Subscription]:
    """Subscribe Ada on 1 January to a plan with 30 pages, and each further one at 0.10."""
    parts: dict[str, Any] = PRESS
    small, large = parts["plans"]
    mine = {**small, "prices": [small["prices"][0], _PAGES]}
    async with world.runtime.db.transaction() as tx:
        made = read_product(json.dumps({**PRESS, "plans": [mine, large]}).encode())
        await plans.publish(tx, world.call, made)
    ada = await world.customer(on="2026-01-01", card=card, zone=zone)
    return ada, await world.subscribe(ada, "small", product="press")


async def _grant(world: World, of: Subscription, terms: Terms) -> str:
    async with world.runtime.db.transaction() as tx:
        made = await service.create_grant(tx, world.call, of.id, terms, await plans.load_catalogue(tx))
    return encode("grant", made.id)


async def _use(world: World, of: Customer, at: str, pages: int) -> None:
    event = UsageEvent(f"{at}-{pages}", "press.pages", encode("customer", of.id), None, f"{at}:00Z", {"count": pages})
    assert await world.use("press", event) == [COUNTED]


async def _page_lines(world: World, of: Customer) -> list[Line]:
    """Return the lines of pages, from the first invoice to the last."""
    found = [line for each in await world.invoices(of) for line in await world.lines(each)]
    return [line for line in found if line.identity.kind is LineKind.USAGE]


async def _balances(world: World, of: Customer) -> list[str]:
    async with world.runtime.db.transaction() as tx:
        return [exact_text(each.balance) for each in await service.list_grants(tx, world.call, of.id)]


async def _uses(world: World) -> Sequence[str]:
    own = unit_grant_use.c
    async with world.runtime.db.transaction() as tx:
        rows = await tx.rows(sa.select(own.quantity).where(own.returned_at.is_(None)).order_by(own.line_id))
    return [exact_text(row.quantity) for row in rows]


async def test_usage_takes_what_was_granted_before_it_is_rated(world: World) -> None:
    ada, own = await _press(world)
    grant_id = await _grant(world, own, _TERMS)
    await world.advance(to="2026-01-10")
    await _use(world, ada, "2026-01-02T10:30", 150)
    assert await _balances(world, ada) == ["0"]
    await world.advance(to="2026-02-02")
    [line] = await _page_lines(world, ada)
    # 150 - 100 granted - 30 included are 20 at 0.10.
    assert (line.amount.minor, line.quantity) == (200, Decimal(150))
    assert line.derivation["granted"] == {"quantity": "100", "grants": [{"grant": grant_id, "quantity": "100"}]}
    assert line.derivation["included_units_used"] == "30"
    assert await _uses(world) == ["100"]
    found = await prove(world, own)
    assert found.holds
    [pages] = [each for each in found.accounts if each.meter == "pages"]
    assert [exact_text(each) for each in (pages.counted, pages.charged, pages.included)] == ["150", "20", "130"]
    assert await is_equal(world, ada)


async def test_late_news_move_what_was_taken_and_a_void_gives_it_back(world: World) -> None:
    ada, own = await _press(world)
    await _grant(world, own, _TERMS)
    await world.advance(to="2026-01-10")
    await _use(world, ada, "2026-01-02T10:30", 150)
    await world.advance(to="2026-02-02")
    void = UsageEvent("void", "void", encode("customer", ada.id), corrects="2026-01-02T10:30-150")
    assert await world.use("press", void) == [COUNTED]
    await _use(world, ada, "2026-01-20T10:00", 60)
    assert await is_equal(world, ada)
    await world.advance(to="2026-03-02")
    first, late = await _page_lines(world, ada)
    # Only 60 were used, all of them granted: the 2.00 go back, and 40 of the 100.
    assert (first.amount.minor, late.amount.minor, late.quantity, late.revision) == (200, -200, Decimal(-90), 1)
    assert (await _uses(world), await _balances(world, ada)) == (["100", "-40"], ["40"])
    assert (await prove(world, own)).holds
    assert await is_equal(world, ada)


async def test_a_voided_invoice_takes_nothing_of_a_grant(world: World) -> None:
    ada, own = await _press(world, card=None)
    await _grant(world, own, replace(_TERMS, amount=Decimal(10), refill=Refill.WEEK))
    await world.advance(to="2026-01-10")
    # Ten of the first week; the ten that came on the 8th were taken by what was still open of the 2nd.
    await _use(world, ada, "2026-01-02T10:30", 25)
    await _use(world, ada, "2026-01-09T10:30", 25)
    await world.cancel(own, at_period_end=False)
    last = (await world.invoices(ada))[-1]
    assert await _uses(world) == ["20"]
    async with world.runtime.db.transaction() as tx:
        await void_invoice(
            tx,
            world.call,
            await world.now(),
            customer_id=ada.id,
            invoice_id=last.id,
            reason=VoidReason.MISTAKE,
        )
    assert await _uses(world) == []


async def test_a_grant_for_the_first_hour_of_a_period_that_began_inside_of_it_begins_with_the_period(
    world: World,
) -> None:
    # Midnight in UTC is 05:30 in Kolkata: the hour from 05:00 on is cut there.
    ada, subscription = await _press(world, zone="Asia/Kolkata")
    await _grant(world, subscription, replace(_TERMS, effective_at=subscription.period.start))
    await _use(world, ada, "2026-01-01T00:00", 40)
    await world.advance(to="2026-01-02")
    assert await _balances(world, ada) == ["60"]
