"""What stays unanswered is put off, and holds up nobody who comes after it."""

import dataclasses
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.adapters.memory import MemoryGateway
from domain.db import Database
from domain.kernel.ids import RefundId
from domain.payments.overdue import service as overdue
from domain.payments.overdue.back_off import next_after
from domain.payments.overdue.store import overdue_look
from domain.payments.refund import Refund, RefundState
from domain.payments.refunding import service, store
from tests import make
from tests.domain.payments.paying_back import order, owing, refunds
from tests.domain.payments.till import Till, system

STUCK = 50
NOON = make.at("2026-01-15T12:00")


@pytest.mark.parametrize(("looks", "minutes"), [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (7, 30), (1_000, 30)])
def test_looks_become_rarer_up_to_one_in_half_an_hour(looks: int, minutes: int) -> None:
    assert next_after(looks) == timedelta(minutes=minutes)


async def _sent(db: Database, gateway: MemoryGateway, count: int) -> tuple[Till, list[Refund]]:
    """Have some refunds of ten cents sent, a second after one another, of which nobody knows what became."""
    till, note = await owing(db, gateway)
    first = await order(till, note, 10)
    made = []
    async with db.transaction() as tx:
        for number in range(count):
            sent_at = NOON + timedelta(seconds=number)
            refund_id = RefundId(make.new_id())
            each = dataclasses.replace(
                first, id=refund_id, key=f"key {number}", state=RefundState.SENT, sent_at=sent_at
            )
            await store.insert_refund(tx, each)
            made.append(each)
    return till, made


async def _states(till: Till, of: list[Refund]) -> list[str]:
    known = {each.id: str(each.state) for each in await refunds(till)}
    return [known[each.id] for each in of]


async def test_the_next_one_is_reached_behind_fifty_that_stay_unknown(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till, sent = await _sent(db, memory_gateway, STUCK + 1)
    memory_gateway.lose("create_refund", "before", times=STUCK)
    # Ten times five are asked for in vain, half a minute after one another.
    at = make.at("2026-01-15T12:10")
    for number in range(STUCK // overdue.FAILURES_MAX):
        call = dataclasses.replace(system(), at=at + number * timedelta(seconds=30))
        assert await service.reconcile_stale(db, memory_gateway, call, limit=STUCK) == 0
    assert await _states(till, sent) == ["unknown"] * STUCK + ["sent"]
    # Many are due again by now; the one that nobody has looked at comes first.
    assert await service.reconcile_stale(db, memory_gateway, system("2026-01-15T12:15"), limit=1) == 1
    assert await _states(till, sent) == ["unknown"] * STUCK + ["succeeded"]


async def test_whatever_ends_a_look_the_row_comes_last_from_then_on(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    _, [poisonous, other] = await _sent(db, memory_gateway, 2)
    call = system("2026-01-15T12:10")

    async def look(refund: Refund) -> None:
        if refund.id == poisonous.id:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await overdue.look_at(db, call, [poisonous, other], look)
    async with db.transaction() as tx:
        due = await store.list_stale(tx, sent_before=call.at, at=call.at, limit=9)
    assert [each.id for each in due] == [other.id]
    async with db.transaction() as tx:
        later = await store.list_stale(tx, sent_before=call.at, at=call.at + timedelta(minutes=1), limit=9)
    assert [each.id for each in later] == [other.id, poisonous.id]


async def test_looks_are_forgotten_with_the_answer_and_after_a_day(db: Database, memory_gateway: MemoryGateway) -> None:
    _, [one, two] = await _sent(db, memory_gateway, 2)
    memory_gateway.lose("create_refund", "before")
    call = system("2026-01-15T12:10")
    assert await service.reconcile_stale(db, memory_gateway, call, limit=9) == 1
    looks = sa.select(overdue_look.c.id, overdue_look.c.looks)
    async with db.transaction() as tx:
        assert [tuple(each) for each in await tx.rows(looks)] == [(one.id, 1)]
        assert await overdue.forget(tx, call) == 0
        assert await overdue.forget(tx, system("2026-01-16T12:12")) == 1
        assert await tx.rows(looks) == []
    assert two.id != one.id
