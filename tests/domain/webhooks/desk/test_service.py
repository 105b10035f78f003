"""What staff see of the inbox, and what they have processed again, on real Postgres."""

import pytest

from domain.access.roles import Permission
from domain.adapters.memory import MemoryGateway
from domain.db import Database
from domain.journal.store import audit_entry, outbox_job
from domain.kernel.call import Call, Environment, Forbidden
from domain.kernel.period import Period
from domain.webhooks import service as inbox
from domain.webhooks import store
from domain.webhooks.desk import service
from domain.webhooks.inbox import InboxEvent, InboxState
from tests import make
from tests.domain.payments.till import open_till, system
from tests.domain.webhooks.examples import event, subscription

_DAY = Period(make.at("2026-01-15"), make.at("2026-01-16"))


async def _arrive(db: Database, gateway: MemoryGateway, count: int, when: str = "2026-01-15T12:00") -> None:
    """Have events about subscriptions of nobody arrive and be quarantined."""
    for number in range(count):
        name = f"evt_{when}_{number}"
        gateway.subscriptions["sub_1"] = subscription()
        async with db.transaction() as tx:
            await inbox.receive(tx, system(when), event("customer.subscription.created", "sub_1", name))
        await inbox.process(db, gateway, system(when), "stripe", name)


async def _list(db: Database, state: InboxState | None = None) -> list[InboxEvent]:
    async with db.transaction() as tx:
        found = await service.list_events(tx, system(), state=state, event_type=None, before=None, limit=20)
    return list(found)


async def _rows(db: Database) -> tuple[int, int]:
    """Count the audit entries of replays, and the jobs that wait."""
    async with db.transaction() as tx:
        told = await tx.rows(audit_entry.select().where(audit_entry.c.action == "replay_inbox_event"))
        jobs = await tx.rows(outbox_job.select().where(outbox_job.c.state == "pending"))
    return len(told), len(jobs)


async def test_an_event_is_placed_by_a_replay_once_what_it_lacked_is_there(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    await _arrive(db, memory_gateway, 1)
    [waits] = await _list(db, InboxState.QUARANTINED)
    assert waits.note == "customer_unknown"
    memory_gateway.subscriptions["sub_1"] = subscription(
        customer_id=till.customer.id, plan="llm:pro:month", status="canceled"
    )
    async with db.transaction() as tx:
        assert await service.replay(tx, system(), [waits.key]) == service.Replayed(1, None)
    [again] = await _list(db)
    assert (again.state, again.note, again.processed_at) == ("received", None, None)
    await inbox.process(db, memory_gateway, system(), "stripe", again.id)
    [done] = await _list(db)
    # The plan is of a product that is not sold here: it is looked at anew, and waits for another reason.
    assert (done.state, done.note, done.attempts) == ("quarantined", "product_not_found", 2)
    assert (await _rows(db))[0] == 1


async def test_a_stretch_of_time_is_replayed_in_parts_that_join(db: Database, memory_gateway: MemoryGateway) -> None:
    await _arrive(db, memory_gateway, 3)
    await _arrive(db, memory_gateway, 1, when="2026-01-16T00:00")
    oldest = list(reversed(await _list(db)))
    async with db.transaction() as tx:
        first = await service.replay_range(tx, system(), _DAY, state=InboxState.QUARANTINED, limit=2)
    assert first == service.Replayed(2, oldest[1].key)
    async with db.transaction() as tx:
        rest = await service.replay_range(tx, system(), _DAY, state=None, after=first.last)
        none = await service.replay_range(tx, system(), _DAY, state=InboxState.PROCESSED)
    assert (rest, none) == (service.Replayed(1, None), service.Replayed(0, None))
    # The one of the next day is left alone.
    assert [each.state for each in await _list(db)] == ["quarantined", "received", "received", "received"]


async def test_the_standing_tells_what_waits_and_which_versions_came(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    await _arrive(db, memory_gateway, 2)
    async with db.transaction() as tx:
        await inbox.receive(tx, system(), event("invoice.paid", "in_1", "evt_new"))
        await store.insert_alarm(tx, store.Alarm("stripe", "2019-01-01", make.at("2026-01-15").date(), "evt_9"))
        found = await service.standing(tx, system())
    assert (found.waiting, found.quarantined, found.swept_to) == (1, 2, None)
    assert [each.api_version for each in found.alarms] == ["2019-01-01"]


@pytest.mark.parametrize("count", [0, service.REPLAY_MAX + 1])
async def test_too_few_and_too_many_are_refused(db: Database, count: int) -> None:
    async with db.transaction() as tx:
        with pytest.raises(service.ReplayOutOfBounds):
            await service.replay(tx, system(), [make.new_id() for _ in range(count)])
    assert await _rows(db) == (0, 0)


_IN_TEST = make.call(by=make.principal(Permission.JOB_READ, Permission.JOB_WRITE, environment=Environment.TEST))


@pytest.mark.parametrize("call", [make.call(by=make.principal()), _IN_TEST])
async def test_only_staff_of_both_environments_see_and_replay_events(
    db: Database, memory_gateway: MemoryGateway, call: Call
) -> None:
    await _arrive(db, memory_gateway, 1)
    before = await _rows(db)
    [waits] = await _list(db)
    async with db.transaction() as tx:
        with pytest.raises(Forbidden):
            await service.list_events(tx, call, state=None, event_type=None, before=None, limit=1)
        with pytest.raises(Forbidden):
            await service.standing(tx, call)
        with pytest.raises(Forbidden):
            await service.replay(tx, call, [waits.key])
        with pytest.raises(Forbidden):
            await service.replay_range(tx, call, _DAY, state=None)
    assert await _rows(db) == before
