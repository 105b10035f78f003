"""Events in quarantine that are counted, or priced, once what they lacked is there; and who is told of prices."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from domain.access.roles import Permission
from domain.customers.customer import Customer
from domain.invoices.conservation.store import count_accepted
from domain.kernel.call import Forbidden
from domain.kernel.ids import encode
from domain.plans import service as plans
from domain.plans.provider_price import PriceSet
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Subscription
from domain.usage import service as usage
from domain.usage.event import UsageEvent, canonical_json, event_digest, identity_of
from domain.usage.redriving import service as redriving
from domain.usage.redriving.service import Redriven, redrive
from domain.usage.verdict import COUNTED, DUPLICATE, Reason, Status
from tests import make
from tests.domain.usage.world import World, event, key, llm, name_of
from tests.domain.usage.yard import sender

_STAFF = make.call("2026-01-20T09:00", make.principal(Permission.EVENT_WRITE))
_NEW_MODEL = "gemini-9-ultra"


async def _price(world: World, model: str) -> None:
    """Price a model from 1 January on: 2 USD a million tokens in, 4 USD a million out."""
    at = make.at("2026-01-01")
    prices = (("input", Decimal(2), Decimal(1_000_000)), ("output", Decimal(4), Decimal(1_000_000)))
    async with world.db.transaction() as tx:
        added = PriceSet("gemini", model, at, None, "ours", prices)
        await plans.import_provider_prices(tx, make.call(by=make.principal(Permission.PRICE_WRITE)), [added])


async def _open(world: World) -> list[tuple[str, Reason]]:
    async with world.db.transaction() as tx:
        found = await usage.list_quarantined(tx, make.call(by=make.principal(Permission.EVENT_READ)))
    return sorted((each.event_id, each.reason) for each in found)


async def _alerts(world: World) -> list[dict[str, str]]:
    async with world.db.transaction() as tx:
        statement = sa.text("SELECT facts FROM audit_entry WHERE action = 'usage_unpriced' ORDER BY id")
        return [row.facts for row in await tx.rows(statement)]


async def _digests(world: World, customer: Customer, subscription: Subscription) -> set[int]:
    """Return the digests of all totals of the subscription's only segment."""
    async with world.db.transaction() as tx:
        [segment] = (await subscriptions.segments_of(tx, [subscription.id]))[subscription.id]
        return {each.digest for each in (await usage.usage_of_segments(tx, customer.id, [segment.id]))[segment.id]}


async def _digest_of_events(world: World, customer: Customer) -> int:
    """Add up the digests of a customer's stored events."""
    async with world.db.transaction() as tx:
        events = await usage.list_events(tx, make.call(by=make.principal(Permission.EVENT_READ)), customer.id)
    parts = (
        (identity_of(name_of(customer), each.source, each.event_id), each.occurred_at, each.properties, each.cost)
        for each in events
    )
    return sum(event_digest(one, at, canonical_json(kept), cost) for one, at, kept, cost in parts) % 2**256


async def test_an_event_before_its_subscription_counts_once_that_is_there(world: World) -> None:
    ada = await world.customer()
    [verdict] = await world.record(event(ada, "e1"))
    assert (verdict.status, verdict.reason) == (Status.QUARANTINED, Reason.OUTSIDE_SUBSCRIPTION)
    kept = await redrive(world.db, _STAFF)
    assert [why for _, why in kept.kept] == [Reason.OUTSIDE_SUBSCRIPTION]
    subscription = await world.subscribe(ada)
    done = await redrive(world.db, _STAFF, reason=Reason.OUTSIDE_SUBSCRIPTION)
    assert (done.resolved, done.kept) == ((kept.last,), ())
    assert await redrive(world.db, _STAFF) == Redriven((), (), None)
    found = await world.usage(subscription)
    assert found.quantity(world.meter("llm", "calls")) == 1
    assert found.quantity(world.meter("llm", "cost")) == Decimal("0.00225")
    assert await world.record(event(ada, "e1")) == [DUPLICATE]
    assert await _open(world) == []
    async with world.db.transaction() as tx:
        [stored] = await usage.list_events(tx, make.call(by=make.principal(Permission.EVENT_READ)), ada.id)
    assert (stored.event_id, stored.received_at) == ("e1", make.at("2026-01-15T12:00"))


async def test_an_unpriced_call_is_told_once_a_day_and_gets_the_price_of_its_day(world: World) -> None:
    ada, subscription = await world.subscriber()
    sent = [llm(ada, f"e{n}", at="2026-01-15T12:00:00Z", model=_NEW_MODEL) for n in range(3)]
    assert await world.record(*sent[:2]) == [COUNTED, COUNTED]
    await world.record(sent[2], when="2026-01-16T00:00")
    found = await world.usage(subscription)
    assert found.quantity(world.meter("llm", "calls")) == 3
    assert found.quantity(world.meter("llm", "cost")) == 0
    assert await _open(world) == [(f"e{n}", Reason.UNPRICED) for n in range(3)]
    assert await _alerts(world) == [
        {"provider": "gemini", "model": _NEW_MODEL, "day": "2026-01-15"},
        {"provider": "gemini", "model": _NEW_MODEL, "day": "2026-01-16"},
    ]
    assert len((await redrive(world.db, _STAFF)).kept) == 3
    await _price(world, _NEW_MODEL)
    assert len((await redrive(world.db, _STAFF, reason=Reason.UNPRICED)).resolved) == 3
    found = await world.usage(subscription)
    # 3 x (1,000 x 2 + 100 x 4) / 1M
    assert found.quantity(world.meter("llm", "cost")) == Decimal("0.0072")
    assert found.quantity(world.meter("llm", "calls")) == 3
    assert await _open(world) == []
    assert await _digests(world, ada, subscription) == {await _digest_of_events(world, ada)}


async def test_a_voided_call_needs_no_price_any_more(world: World) -> None:
    ada, subscription = await world.subscriber()
    by = sender(product_key="llm")
    await world.record(llm(ada, "e1", at="2026-01-15T12:00:00Z", model=_NEW_MODEL), by=by)
    assert await world.record(UsageEvent("v1", "void", name_of(ada), corrects="e1"), by=by) == [COUNTED]
    assert await _open(world) == []
    await _price(world, _NEW_MODEL)
    assert await redrive(world.db, _STAFF) == Redriven((), (), None)
    assert (await world.usage(subscription)).quantity(world.meter("llm", "cost")) == 0


async def test_an_unknown_customers_event_is_counted_once_and_only_for_a_key_that_may(world: World) -> None:
    bob, _ = await world.subscriber()
    ada = await world.customer()
    ghost = encode("customer", make.new_id())
    await world.record(event(ghost, "e0"), event(ada, "e1"))
    await world.record(event(ada, "e2"), by=key(customer_id=bob.id))
    assert await _open(world) == [
        ("e0", Reason.UNKNOWN_CUSTOMER),
        ("e1", Reason.OUTSIDE_SUBSCRIPTION),
        ("e2", Reason.UNKNOWN_CUSTOMER),
    ]
    subscription = await world.subscribe(ada)
    done = await redrive(world.db, _STAFF)
    assert (len(done.resolved), [why for _, why in done.kept]) == (1, [Reason.UNKNOWN_CUSTOMER] * 2)
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 1


async def test_a_correction_that_came_before_its_event_is_re_driven(world: World) -> None:
    ada, subscription = await world.subscriber()
    by = sender(product_key="llm")
    [verdict] = await world.record(UsageEvent("v1", "void", name_of(ada), corrects="e1"), by=by)
    assert (verdict.status, verdict.reason) == (Status.QUARANTINED, Reason.UNKNOWN_EVENT)
    await world.record(event(ada, "e1"), by=by)
    assert len((await redrive(world.db, _STAFF)).resolved) == 1
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 0


async def test_a_void_of_what_was_voided_meanwhile_is_resolved_as_a_duplicate_and_holds_nothing(world: World) -> None:
    ada, subscription = await world.subscriber()
    by = sender(product_key="llm")
    early, later = (UsageEvent(name, "void", name_of(ada), corrects="e1") for name in ("v1", "v2"))
    await world.record(early, by=by)
    assert await world.record(event(ada, "e1"), later, by=by) == [COUNTED, COUNTED]
    assert len((await redrive(world.db, _STAFF)).resolved) == 1
    assert await _open(world) == []
    async with world.db.transaction() as tx:
        accepted = await count_accepted(await tx.raw(), ada.id)
    # e1 and v2; nothing is answered for as waiting that waits no more.
    assert (accepted["counted"], accepted["stored"], accepted["quarantined"], accepted["held"]) == (2, 2, 0, 0)
    assert await world.record(early, by=by) == [DUPLICATE]
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 0


async def test_re_driving_needs_its_permission_and_keeps_to_the_scope(world: World) -> None:
    ada = await world.customer()
    await world.record(event(ada, "e1"))
    await world.subscribe(ada)
    before = await world.counts()
    with pytest.raises(Forbidden):
        await redrive(world.db, make.call(by=make.principal(Permission.EVENT_READ)))
    other = make.principal(Permission.EVENT_WRITE, customer_id=(await world.customer()).id)
    assert await redrive(world.db, replace(_STAFF, principal=other)) == Redriven((), (), None)
    assert await redrive(world.db, _STAFF, limit=0) == Redriven((), (), None)
    assert await redrive(world.db, _STAFF, ids=[]) == Redriven((), (), None)
    assert await world.counts() == before


async def test_many_events_are_re_driven_in_several_transactions_oldest_first(world: World) -> None:
    ada = await world.customer()
    start = make.at("2026-01-15T12:00")
    for batch in range(3):
        at = (start + timedelta(seconds=batch)).replace(tzinfo=None).isoformat()
        await world.record(*(event(ada, f"e{batch}-{n}") for n in range(150)), when=at)
    subscription = await world.subscribe(ada)
    done = await redrive(world.db, _STAFF, limit=300)
    assert len(done.resolved) == 300
    assert list(done.resolved) == sorted(done.resolved)
    assert len((await redrive(world.db, _STAFF, after=done.last)).resolved) == 150
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 450


async def test_re_drives_at_once_count_each_event_once_and_price_it_once(world: World) -> None:
    ada = await world.customer()
    await world.record(*(llm(ada, f"e{n}", at="2026-01-15T12:00:00Z", model=_NEW_MODEL) for n in range(100)))
    subscription = await world.subscribe(ada)
    done = await asyncio.gather(*(redrive(world.db, _STAFF) for _ in range(4)))
    # All are counted, and wait for their price from now on.
    assert {why for each in done for _, why in each.kept} == {Reason.UNPRICED}
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 100
    await _price(world, _NEW_MODEL)
    done = await asyncio.gather(*(redrive(world.db, _STAFF) for _ in range(4)))
    assert sum(len(each.resolved) for each in done) == 100
    found = await world.usage(subscription)
    # 100 x (1,000 x 2 + 100 x 4) / 1M
    assert found.quantity(world.meter("llm", "cost")) == Decimal("0.24")
    assert found.quantity(world.meter("llm", "calls")) == 100
    assert await _digests(world, ada, subscription) == {await _digest_of_events(world, ada)}


async def test_a_re_drive_and_voids_of_the_same_events_go_on_beside_each_other(world: World) -> None:
    ada, subscription = await world.subscriber()
    by = sender(product_key="llm")
    for turn in range(3):
        model, names = f"{_NEW_MODEL}-{turn}", [f"e{turn}-{n}" for n in range(100)]
        await world.record(*(llm(ada, name, at="2026-01-15T12:00:00Z", model=model) for name in names), by=by)
        await _price(world, model)
        voids = [UsageEvent(f"void {name}", "void", name_of(ada), corrects=name) for name in reversed(names)]
        _, verdicts, _ = await asyncio.gather(
            redrive(world.db, _STAFF), world.record(*voids, by=by), redrive(world.db, _STAFF)
        )
        assert verdicts == [COUNTED] * 100
    found = await world.usage(subscription)
    assert found.quantity(world.meter("llm", "cost")) == 0
    assert found.quantity(world.meter("llm", "calls")) == 0
    assert await _open(world) == []


async def test_what_left_quarantine_is_forgotten_in_time_and_what_waits_never_is(world: World) -> None:
    ada = await world.customer()
    await world.record(event(ada, "e1"))
    async with world.db.transaction() as tx:
        late = replace(_STAFF, at=_STAFF.at + timedelta(days=5_000))
        assert await redriving.forget(tx, late, days=180) == 0
    await world.subscribe(ada)
    assert len((await redrive(world.db, _STAFF)).resolved) == 1
    for days, forgotten in ((180, 0), (181, 1), (182, 0)):
        async with world.db.transaction() as tx:
            then = replace(_STAFF, at=_STAFF.at + timedelta(days=days))
            assert await redriving.forget(tx, then, days=180) == forgotten
    # It was counted, and is so still.
    assert await world.record(event(ada, "e1")) == [DUPLICATE]
