"""A check at the process that recorded usage shows it at once, and looks for it once a second at most."""

from datetime import timedelta

from domain.customers.customer import Customer
from domain.db import Database
from domain.kernel.ids import CustomerId
from domain.limits.drawer import BOOKS_MAX, CATCH_UP_EVERY, Drawer
from domain.vault import Vault
from tests import make
from tests.domain.limits.office import NOON, Office, Process, call_of
from tests.domain.usage.world import event
from tests.statements import counted


async def _used(process: Process, ada: Customer) -> int:
    """Return how many calls a check says were used."""
    answer = await process.reserver.check(process.office.call(), call_of(ada))
    return int(next(each.used for each in answer.standings if each.key == "gemini_calls"))


async def _record(process: Process, ada: Customer, *names: str) -> None:
    await process.recorder.record(process.office.call(), [event(ada, name) for name in names])


async def test_what_a_process_recorded_shows_in_its_next_check_though_limits_are_leased(office: Office) -> None:
    ada, _ = await office.subscriber("pro")
    process, other = await office.process(), await office.process()
    for each in (process, other):
        assert (await each.reserve(ada, f"{id(each)}")).answer.is_allowed
    await _record(process, ada, "a", "b")
    assert [await _used(each, ada) for each in (process, other)] == [2, 0]
    # Nothing was recorded since, so memory answers for as long as before.
    with counted(office.world.db) as statements:
        assert await _used(process, ada) == 2
        await _record(process, ada, "c")
        recorded = len(statements)
        # Within a second of the look no other one is made.
        assert await _used(process, ada) == 2
        assert len(statements) == recorded
        office.at += CATCH_UP_EVERY
        assert await _used(process, ada) == 3
        assert len(statements) > recorded
    # What was counted before says nothing new.
    office.at += CATCH_UP_EVERY
    await _record(process, ada, "c")
    with counted(office.world.db) as statements:
        assert await _used(process, ada) == 3
    assert not any("usage_total" in each for each in statements)


async def test_where_the_database_does_not_answer_then_what_is_leased_still_does(office: Office, vault: Vault) -> None:
    ada, _ = await office.subscriber("pro")
    process = await office.process()
    assert (await process.reserve(ada)).answer.is_allowed
    await _record(process, ada, "a")
    broken = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", vault, pool_size=2, wait_s=1)
    process.reserver._leases._db = broken
    # Money fails closed; what is leased is divided all the same.
    assert [await _used(process, ada), await _used(process, ada)] == [0, 0]
    process.reserver._leases._db = office.world.db
    office.at += CATCH_UP_EVERY
    assert await _used(process, ada) == 1
    await broken.close()


def test_a_look_is_due_where_more_was_committed_than_counted_and_none_began_within_a_second() -> None:
    drawer = Drawer()
    assert not drawer.is_behind(0, NOON)
    assert drawer.is_behind(1, NOON)
    drawer.catch_up(1, NOON)
    assert not drawer.is_behind(1, NOON + timedelta(microseconds=999_999))
    assert drawer.is_behind(1, NOON + timedelta(seconds=1))
    drawer.counted = 1
    assert not drawer.is_behind(1, NOON + timedelta(seconds=1))
    # A look that had nothing to count is none: the next commit is looked for at once.
    drawer.catch_up(1, NOON + timedelta(seconds=2))
    assert drawer.is_behind(2, NOON + timedelta(seconds=2))


async def test_of_how_many_customers_commits_are_remembered_is_bounded(office: Office) -> None:
    ada, _ = await office.subscriber("pro")
    process = await office.process()
    leases = process.reserver._leases
    assert (await process.reserve(ada)).answer.is_allowed
    leases.note_moved({CustomerId(make.new_id()) for _ in range(BOOKS_MAX)})
    assert len(leases._moved) == BOOKS_MAX
    await _record(process, ada, "a")
    assert len(leases._moved) == 1
    assert await _used(process, ada) == 1
