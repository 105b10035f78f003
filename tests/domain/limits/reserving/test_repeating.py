"""A reservation that is asked for again, at whichever process, is answered as the first one of its id."""

import asyncio
from decimal import Decimal
from fractions import Fraction

import pytest
import sqlalchemy as sa

from domain.customers.customer import Customer
from domain.limits.request import Reserved
from domain.limits.reservation import ReservationClosed, ReservationConflict
from tests.domain.limits.office import Office, Process, call_of
from tests.domain.usage.world import event

CALLS = 4


async def _full(office: Office) -> tuple[Customer, list[Reserved], Process, Process]:
    """Let a process hold all that a customer may have, and write it; return both, the process and another one."""
    ada, _ = await office.subscriber("pro")
    await office.override(ada, "gemini_calls", CALLS)
    holder, other = await office.process(), await office.process()
    held = [await holder.reserve(ada, f"h{number}") for number in range(CALLS)]
    assert all(each.answer.is_allowed for each in held)
    await holder.tick()
    return ada, held, holder, other


async def _decisions(office: Office) -> list[tuple[bool, str]]:
    """Return whether each refusal that is kept is about a reservation that is stored, and what was asked."""
    statement = sa.text(
        "SELECT EXISTS (SELECT FROM limit_reservation r WHERE r.id = d.reservation_id), d.asked_by"
        " FROM limit_decision d WHERE NOT d.allowed"
    )
    async with office.world.db.transaction() as tx:
        return [tuple(row) for row in await tx.rows(statement)]


async def test_among_many_refusals_each_repeated_reservation_is_answered_as_the_first_one(office: Office) -> None:
    ada, held, holder, other = await _full(office)
    await holder.settle(held[2])
    await holder.release(held[3])
    # The fourth call is free again, and somebody takes it.
    assert (await holder.reserve(ada, "taken")).answer.is_allowed
    await holder.tick()
    # Three more calls come unasked: all four are used, so that one look refuses whoever waits for it.
    await office.world.record(*[event(ada, f"e{number}") for number in range(3)])
    office.later(seconds=5)
    asked = [f"r{number}" for number in range(10)]
    repeated = ["h0", "h1", "h2", "h3"]
    found = await asyncio.gather(*(other.reserve(ada, name) for name in (*asked, *repeated)), return_exceptions=True)
    assert [isinstance(each, Reserved) and each.reservation for each in found[:10]] == [None] * 10
    for first, again in zip(held[:2], found[10:12], strict=True):
        assert isinstance(again, Reserved)
        assert first.reservation is not None
        assert again.reservation is not None
        assert (again.answer.is_allowed, again.is_new, again.answer.decision) == (True, False, None)
        # What was answered first, though 11 seconds have passed since.
        assert again.reservation.name == first.reservation.name
        assert again.reservation.expires_at == first.reservation.expires_at
        calls = next(each for each in again.answer.standings if each.key == "gemini_calls")
        # Four are used; of the three that are held one is its own.
        assert [calls.used, calls.held, calls.asked] == [4, 2, 1]
    assert [type(each) for each in found[12:]] == [ReservationClosed] * 2
    # Ten were refused, and each of those decisions is kept; what was not refused has none, and holds nothing twice.
    assert await _decisions(office) == [(False, "reserve")] * 10
    assert other.reserver.count == 0
    assert await office.leased(ada, "gemini_calls") == 3


async def test_a_repeated_reservation_that_nobody_waits_with_is_answered_so_too(office: Office) -> None:
    ada, held, _, other = await _full(office)
    again = await other.reserve(ada, "h0")
    assert again.reservation is not None
    assert held[0].reservation is not None
    assert (again.is_new, again.reservation.expires_at) == (False, held[0].reservation.expires_at)
    assert await _decisions(office) == []
    # It can be settled there.
    settled = await other.settle(again)
    assert settled.overrun == {}
    with pytest.raises(ReservationClosed):
        await other.reserve(ada, "h0")


@pytest.mark.parametrize("seconds", [61, 601])
async def test_what_was_lost_or_has_expired_is_refused_like_a_new_one(office: Office, seconds: int) -> None:
    ada, _, _, other = await _full(office)
    # Whoever held it is gone: after a minute its leases have ended, and others have what there was.
    office.later(seconds=seconds)
    assert all([(await other.reserve(ada, f"n{number}")).answer.is_allowed for number in range(CALLS)])
    again = await asyncio.gather(*(other.reserve(ada, name) for name in ("h0", "h1", "h2")))
    assert [each.reservation for each in again] == [None] * 3
    assert await _decisions(office) == [(True, "reserve")] * 3


async def test_an_id_stands_for_what_it_was_first_asked_for_with(office: Office) -> None:
    ada, _ = await office.subscriber("pro")
    holder, other = await office.process(), await office.process()
    first = await holder.reserve(ada, input_tokens=1_000)
    same = await holder.reserve(ada, input_tokens=Decimal("1000.0"))
    assert same.reservation == first.reservation
    for process in (holder, other):
        await process.tick()
        for properties in ({"input_tokens": 1_001}, {"model": "gemini-2.5-flash"}, {"endpoint": "chat"}):
            with pytest.raises(ReservationConflict):
                await process.reserve(ada, **properties)
    memory = holder.reserver.memory
    await memory.questions.question(office.call(), call_of(ada))
    with pytest.raises(ReservationConflict):
        memory.reserve(office.call(), call_of(ada, input_tokens=1_001), "r1", expires_in_s=60)
    assert (holder.reserver.count, other.reserver.count) == (1, 0)
    # 1,000 in and 100 out are held as before, by whoever held them, and for as long.
    assert first.reservation is not None
    held = {"gemini_calls": 1, "tokens": 1_100, "monthly_cost": Fraction("0.00225")}
    assert (first.reservation.holds, await _decisions(office)) == (held, [])
    async with office.world.db.transaction() as tx:
        row = await tx.row(sa.text("SELECT holder, expires_at, cost FROM limit_reservation"))
    assert row is not None
    assert tuple(row) == (holder.reserver._leases.holder, first.reservation.expires_at, Decimal("0.00225"))
    # The same properties are the same reservation still, also after it was extended.
    larger = call_of(ada, input_tokens=2_000).properties
    await holder.reserver.extend(office.call(), first.reservation.name.text, expires_in_s=600, properties=larger)
    assert not (await holder.reserve(ada, input_tokens=1_000)).is_new
    with pytest.raises(ReservationConflict):
        await holder.reserve(ada, input_tokens=2_000)
    # Once it has expired nothing stands under its id, and another call may take it.
    office.later(seconds=601)
    await holder.tick()
    anew = await holder.reserve(ada, input_tokens=7)
    assert anew.reservation is not None
    assert anew.reservation.holds["tokens"] == 107


async def test_where_nothing_is_left_another_request_of_the_same_id_is_a_conflict_and_no_refusal(
    office: Office,
) -> None:
    ada, _, _, other = await _full(office)
    found = await asyncio.gather(
        *(other.reserve(ada, name, input_tokens=5) for name in ("r1", "h0", "r2", "h1")), return_exceptions=True
    )
    assert [type(each) for each in found] == [Reserved, ReservationConflict, Reserved, ReservationConflict]
    assert await _decisions(office) == [(False, "reserve")] * 2
