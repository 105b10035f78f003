"""Reservations that are extended while something else moves: a usage period ends, or they are settled."""

import asyncio

import pytest
import sqlalchemy as sa

from domain.customers.customer import Customer
from domain.limits.request import Reserved
from domain.limits.reservation import ReservationClosed
from tests import make
from tests.domain.limits.office import Office, Process, call_of
from tests.waiting import until


async def extend(process: Process, held: Reserved, ada: Customer, tokens: int) -> Reserved:
    """Ask to hold so many tokens in all."""
    assert held.reservation is not None
    properties = call_of(ada, input_tokens=tokens, output_tokens=0).properties
    name = held.reservation.name.text
    return await process.reserver.extend(process.office.call(), name, expires_in_s=600, properties=properties)


async def test_what_is_extended_in_the_next_period_is_held_whole_of_that_one(office: Office) -> None:
    ada, _ = await office.subscriber("free")
    process, other = await office.process(), await office.process()
    office.at = make.at("2026-01-31T23:59")
    held = await process.reserve(ada, input_tokens=300_000, output_tokens=0)
    office.at = make.at("2026-02-01T00:01")
    assert (await extend(process, held, ada, 400_000)).answer.is_allowed
    # 500,000 tokens in the plan, of which 400,000 are held of February now.
    assert not await process.allows(ada, input_tokens=100_001, output_tokens=0)
    assert not (await other.reserve(ada, "o", input_tokens=100_001, output_tokens=0)).answer.is_allowed
    beside = await process.reserve(ada, "b", input_tokens=100_000, output_tokens=0)
    assert beside.answer.is_allowed
    # Once it ends nothing but its own is free again: 100,000 are held and 50,000 used.
    settled = await process.settle(held, input_tokens=50_000, output_tokens=0)
    assert not settled.overrun
    assert not await process.allows(ada, input_tokens=350_001, output_tokens=0)
    assert await process.allows(ada, input_tokens=350_000, output_tokens=0)
    # What is idle for five seconds is given back: the hold beside it alone stays leased.
    office.later(seconds=5)
    await process.tick()
    assert await office.leased(ada, "tokens") == 100_000


async def test_the_next_period_refuses_to_extend_what_it_has_no_room_for(office: Office) -> None:
    ada, _ = await office.subscriber("free")
    process = await office.process()
    office.at = make.at("2026-01-31T23:59")
    held = await process.reserve(ada, input_tokens=300_000, output_tokens=0)
    office.at = make.at("2026-02-01T00:01")
    await process.reserve(ada, "b", input_tokens=200_000, output_tokens=0)
    assert not (await extend(process, held, ada, 300_001)).answer.is_allowed
    assert (await extend(process, held, ada, 300_000)).answer.is_allowed


async def test_what_is_settled_while_it_is_extended_lets_go_of_its_own_hold_alone(office: Office) -> None:
    ada, _ = await office.subscriber("free")
    process = await office.process()
    held = await process.reserve(ada, input_tokens=200_000, output_tokens=0)
    await process.reserve(ada, "b", input_tokens=200_000, output_tokens=0)
    async with office.world.db.transaction() as tx:
        # Grants of a customer wait for this lock, and settlements do not.
        lock = sa.text("SELECT pg_advisory_xact_lock(:kind, :customer)")
        await tx.execute(lock.bindparams(kind=0x11A, customer=ada.id.int % 2**31))
        extending = asyncio.create_task(extend(process, held, ada, 250_000))
        await until(lambda: _waits(office), "the extension waits for the lock")
        await process.settle(held, input_tokens=100_000, output_tokens=0)
    with pytest.raises(ReservationClosed):
        await extending
    await process.tick()
    # 500,000 tokens in the plan, 100,000 used and 200,000 held.
    assert not await process.allows(ada, input_tokens=200_001, output_tokens=0)
    assert await process.allows(ada, input_tokens=200_000, output_tokens=0)
    assert process.reserver.count == 1


async def _waits(office: Office) -> bool:
    waiting = sa.text(
        "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
        " WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted"
    )
    async with office.world.db.transaction() as tx:
        return bool(await tx.value(waiting))
