"""Refunds are compared both ways: lost news is followed, and what only one side holds is left to a person."""

import dataclasses

from domain.adapters.memory import MemoryGateway
from domain.db import Database
from domain.ledger import service as ledger
from domain.payments.reconciling import service
from domain.payments.refund import Refund, RefundState
from domain.payments.refunding import store
from tests.domain.payments.paying_back import carry, order, owing, refunds
from tests.domain.payments.till import Till, system

_NIGHT, _NEXT_NIGHT, _WEEKS_LATER = "2026-01-16T03:00", "2026-01-17T03:00", "2026-03-20T03:00"
_STEPS = 50


async def _compare(db: Database, gateway: MemoryGateway, when: str = _NIGHT) -> list[tuple[str, str, str, str]]:
    """Carry a whole comparison out and return the findings about refunds that it saw: kind, ours, theirs, outcome."""
    async with db.transaction() as tx:
        run = await service.start(tx, system(when), gateway, trigger="schedule")
    await service.go_on(db, gateway, system(when), run.id, steps=_STEPS)
    async with db.transaction() as tx:
        found = await service.list_findings(tx, system(), outcome=None, run_id=run.id, before=None, limit=100)
    assert all(each.kind.value.startswith("refund_") for each in found)
    return sorted((each.kind.value, each.ours, each.theirs, each.outcome.value) for each in found)


async def _sent(db: Database, gateway: MemoryGateway) -> tuple[Till, Refund]:
    """Have 9.00 of 29.00 paid back."""
    till, note = await owing(db, gateway)
    return till, await carry(till, gateway, await order(till, note))


async def _cash(till: Till) -> int:
    async with till.db.transaction() as tx:
        found = await ledger.balances(tx, till.customer.id)
    return {str(account): amount.minor for account, amount in found}["cash"]


async def test_a_refund_that_agrees_is_no_finding_and_one_that_came_back_is_followed(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till, sent = await _sent(db, memory_gateway)
    assert (await _compare(db, memory_gateway), await _cash(till)) == ([], 2_000)
    assert sent.gateway_refund_id is not None
    memory_gateway.refunds.end(sent.gateway_refund_id, "failed", "lost_or_stolen_card")
    assert await _compare(db, memory_gateway, _NEXT_NIGHT) == [("refund_state", "succeeded", "failed", "healed")]
    [after] = await refunds(till)
    # It is owed again, as its webhook would have said.
    assert (after.state, after.failure, await _cash(till)) == ("failed", "lost_or_stolen_card", 2_900)


async def test_a_refund_on_its_way_is_followed_however_long_ago_it_was_sent(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    memory_gateway.refunds.next_status = "pending"
    till, sent = await _sent(db, memory_gateway)
    assert sent.gateway_refund_id is not None
    assert await _compare(db, memory_gateway) == []
    memory_gateway.refunds.end(sent.gateway_refund_id, "succeeded")
    assert await _compare(db, memory_gateway, _WEEKS_LATER) == [("refund_state", "pending", "succeeded", "healed")]
    assert await _cash(till) == 2_000


async def test_a_refund_whose_reply_was_lost_is_found_by_its_name(db: Database, memory_gateway: MemoryGateway) -> None:
    till, sent = await _sent(db, memory_gateway)
    lost = dataclasses.replace(sent, gateway_refund_id=None)
    async with db.transaction() as tx:
        await store.save_refund(tx, sent, lost)
    assert await _compare(db, memory_gateway) == []
    # What we took for failed has gone: a person decides.
    [before] = await refunds(till)
    async with db.transaction() as tx:
        given_up = dataclasses.replace(before, state=RefundState.FAILED, failure="outcome_lost")
        await store.save_refund(tx, before, given_up)
    assert await _compare(db, memory_gateway, _NEXT_NIGHT) == [("refund_state", "failed", "succeeded", "open")]
    assert [each.state for each in await refunds(till)] == ["failed"]


async def test_a_refund_that_is_gone_or_another_there_is_left_to_a_person_until_it_is_right(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till, _ = await _sent(db, memory_gateway)
    [there] = memory_gateway.listing.refunds
    memory_gateway.listing.refunds.clear()
    assert await _compare(db, memory_gateway) == [("refund_missing", "succeeded 9.00 USD", "none", "open")]
    memory_gateway.listing.refunds.append(dataclasses.replace(there, amount_minor=800))
    assert await _compare(db, memory_gateway, _NEXT_NIGHT) == [("refund_amount", "9.00 USD", "8.00 USD", "open")]
    memory_gateway.listing.refunds[:] = [there]
    # Weeks later both are outside of what is compared, and are looked at once more for the report.
    assert await _compare(db, memory_gateway, _WEEKS_LATER) == []
    async with db.transaction() as tx:
        found = await service.list_findings(tx, system(), outcome=None, run_id=None, before=None, limit=9)
    assert [each.outcome for each in found] == ["gone", "gone"]
    assert await _cash(till) == 2_000
