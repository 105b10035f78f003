"""Metered calls whose process was killed: staff are told of each once, and nothing is billed for them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.access.roles import Permission
from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlert, StaffAlertKind
from domain.alerts.unsettled import service as telling
from domain.customers.customer import Customer
from domain.db import Database
from domain.kernel.call import Call, Environment, Forbidden
from domain.kernel.ids import encode
from domain.limits import service as limits
from domain.limits.request import Reserved
from domain.limits.unsettled import service as unsettled
from domain.limits.unsettled import store
from domain.limits.unsettled.unsettled import Reached, Unsettled
from tests import make
from tests.domain.limits.office import Office, open_office
from tollgate_meter.tolls import new_hold_id

# A hold lives 600 seconds, and a settlement may be 300 late.
FOUND_S = 900


@pytest.fixture
def origin(catalogued: str) -> str:
    """Begin with both products published."""
    return catalogued


@pytest.fixture
async def office(db: Database) -> AsyncIterator[Office]:
    """Stand in an office on a seeded database."""
    async with open_office(db) as opened:
        yield opened


def staff(office: Office) -> Call:
    """Make a call of staff."""
    permissions = (Permission.STAFF_ALERT_READ, Permission.STAFF_ALERT_WRITE)
    return office.call(make.principal(*permissions, environment=Environment.LIVE))


async def tell(office: Office) -> int:
    """Look for what is unsettled, as the worker does."""
    async with office.world.db.transaction() as tx:
        return await telling.tell(tx, office.call())


async def alerts(office: Office) -> Sequence[StaffAlert]:
    """Return the alerts about it, the oldest first."""
    async with office.world.db.transaction() as tx:
        found = await staffing.list_alerts(tx, staff(office))
    return [each for each in reversed(found) if each.kind is StaffAlertKind.USAGE_UNSETTLED]


async def listed(office: Office, of: Customer | None = None) -> list[Unsettled]:
    """Return what staff see."""
    async with office.world.db.transaction() as tx:
        return await unsettled.list_unsettled(tx, staff(office), of=of.id if of else None)


def name_of(reserved: Reserved) -> str:
    """Return the name of a reservation."""
    assert reserved.reservation is not None
    return reserved.reservation.name.text


async def test_calls_of_a_killed_process_are_told_of_once_a_customer_and_day_and_billed_nothing(office: Office) -> None:
    ada, subscription = await office.subscriber("pro")
    bob, _ = await office.subscriber("free")
    process = await office.process()
    lost = [await process.reserve(ada, new_hold_id()) for _ in range(3)]
    # Of another product's own making: whoever holds it may let it expire.
    await process.reserve(ada, "of the product's own")
    await process.settle(await process.reserve(ada, new_hold_id()))
    await process.release(await process.reserve(ada, new_hold_id()))
    await process.reserve(bob, new_hold_id(), provider="acme", model="unheard-of")
    await process.tick()
    office.later(seconds=FOUND_S - 4)
    assert (await tell(office), await alerts(office), await listed(office)) == (0, [], [])
    office.later(seconds=1)
    # Seven have expired and are looked at: four of them are unsettled.
    assert (await tell(office), await tell(office)) == (7, 0)
    names = [encode("customer", each.id) for each in (ada, bob)]
    # 1,000 x 1.25 / 1M + 100 x 10 / 1M = 0.00225 USD for each.
    facts = [
        {"count": 3, "amount": "0.00675 USD at list prices"},
        {"count": 1, "amount": "0 USD at list prices, besides 1 that have no price"},
    ]
    found = sorted(await alerts(office), key=lambda each: names.index(each.facts["customer_id"]))
    assert [(each.about, each.environment, each.facts) for each in found] == [
        (f"{name}:2026-01-15", "live", {"customer_id": name, "day": "2026-01-15", **own})
        for name, own in zip(names, facts, strict=True)
    ]
    assert (await office.world.usage(subscription)).quantity(office.world.meter("llm", "calls")) == 1
    assert {each.name.text for each in await listed(office, ada)} == {name_of(each) for each in lost}
    assert [each.cost for each in await listed(office, bob)] == [None]


async def test_what_is_told_late_leaves_the_list_and_what_is_lost_later_joins_the_alert(office: Office) -> None:
    ada, _ = await office.subscriber("pro")
    process = await office.process()
    settled, released = [await process.reserve(ada, new_hold_id()) for _ in range(2)]
    await process.tick()
    office.later(seconds=FOUND_S)
    await tell(office)
    [alert] = await alerts(office)
    await process.settle(settled)
    # Its time is over, so nothing was held any more; it is ended all the same.
    assert not await process.release(released)
    assert await listed(office) == []
    third = await process.reserve(ada, new_hold_id())
    await process.tick()
    office.later(seconds=FOUND_S)
    await tell(office)
    # The alert is unread: it tells of what is unsettled now, and was mailed once.
    [again] = await alerts(office)
    assert (again.id, again.facts["count"], again.facts["amount"]) == (alert.id, 1, "0.00225 USD at list prices")
    assert await _staged(office) == 1
    async with office.world.db.transaction() as tx:
        await staffing.mark_read(tx, staff(office), alert.id)
    fourth = await process.reserve(ada, new_hold_id())
    await process.tick()
    office.later(seconds=FOUND_S)
    await tell(office)
    # It was read, so another one is raised; it tells of the day so far.
    assert [each.facts["count"] for each in await alerts(office)] == [1, 2]
    assert [each.name.text for each in await listed(office)] == [name_of(fourth), name_of(third)]
    office.later(days=1)
    await process.reserve(ada, new_hold_id())
    await process.tick()
    office.later(seconds=FOUND_S)
    await tell(office)
    assert [(each.facts["day"][-2:], each.facts["count"]) for each in await alerts(office)] == [
        ("15", 1),
        ("15", 2),
        ("16", 1),
    ]


async def test_what_is_held_again_under_its_id_is_not_unsettled_until_it_expires_again(office: Office) -> None:
    ada, _ = await office.subscriber("pro")
    process = await office.process()
    name = new_hold_id()
    await process.reserve(ada, name)
    await process.tick()
    office.later(seconds=FOUND_S)
    await process.tick()
    await tell(office)
    assert len(await listed(office)) == 1
    await process.reserve(ada, name)
    await process.tick()
    assert await listed(office) == []
    office.later(seconds=FOUND_S)
    await tell(office)
    [again] = await listed(office)
    assert again.found_at == office.at
    assert [each.facts["count"] for each in await alerts(office)] == [1]


async def test_each_expired_reservation_is_looked_at_once_though_all_expire_at_one_instant(office: Office) -> None:
    ada, _ = await office.subscriber("pro")
    process = await office.process()
    for _ in range(5):
        await process.reserve(ada, new_hold_id())
    await process.tick()
    office.later(seconds=FOUND_S)
    seen: list[Reached] = []
    async with office.world.db.transaction() as tx:
        while page := await store.list_expired(tx, seen[-1] if seen else None, upto=office.at, limit=2):
            seen += [each.reached for each in page]
    assert (len(seen), len(set(seen)), len({each.expires_at for each in seen})) == (5, 5, 1)
    await tell(office)
    # They are listed as long as their reservations are kept, which is 35 days from their end.
    office.later(days=36)
    async with office.world.db.transaction() as tx:
        await limits.sweep(tx, office.call())
    assert await office.world.count("limit_unsettled") == 0


async def test_only_staff_of_the_environment_see_what_is_unsettled(office: Office) -> None:
    ada, _ = await office.subscriber("pro")
    process = await office.process()
    await process.reserve(ada, new_hold_id())
    await process.tick()
    office.later(seconds=FOUND_S)
    await tell(office)
    granted = staff(office).principal
    async with office.world.db.transaction() as tx:
        other = office.call(replace(granted, environment=Environment.TEST))
        assert await unsettled.list_unsettled(tx, other) == []
        both = office.call(replace(granted, environment=None))
        [seen] = await unsettled.list_unsettled(tx, both)
        assert await unsettled.list_unsettled(tx, both, before=seen.id) == []
        assert seen.expired_at - seen.created_at == timedelta(seconds=600)
        for stranger in (replace(granted, customer_id=ada.id), replace(granted, permissions=frozenset())):
            with pytest.raises(Forbidden):
                await unsettled.list_unsettled(tx, office.call(stranger))


async def _staged(office: Office) -> int:
    """Return how many mails to staff are staged."""
    async with office.world.db.transaction() as tx:
        return int(await tx.value(sa.text("SELECT count(*) FROM outbox_job WHERE kind = 'mail_staff'")))
