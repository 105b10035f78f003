"""The vault: sealed values open only where they were sealed. The pool: a lost connection is said to be one."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag

from domain.db import DATABASE_ERRORS, ConnectionLost, Database, Tx, unreachable_reason
from domain.vault import DataKey, Vault
from tests.databases import opened

_END_ITSELF = "SELECT pg_terminate_backend(pg_backend_pid())"
_END_OTHERS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


def _key(vault: Vault) -> DataKey:
    return vault.unwrap("cus", vault.new_wrapped_key("cus"))


def test_a_sealed_value_opens_in_its_place_only(vault: Vault) -> None:
    key = _key(vault)
    sealed = vault.seal(key, "customer:name:1", "Ada")
    assert b"Ada" not in sealed
    assert vault.open(key, "customer:name:1", sealed) == b"Ada"
    for other_key, place in ((key, "customer:name:2"), (_key(vault), "customer:name:1")):
        with pytest.raises(InvalidTag):
            vault.open(other_key, place, sealed)


def test_a_data_key_opens_under_its_id_and_master_key_only(vault: Vault) -> None:
    wrapped = vault.new_wrapped_key("cus")
    with pytest.raises(InvalidTag):
        vault.unwrap("another", wrapped)
    with pytest.raises(InvalidTag):
        Vault(b"\x02" * 32).unwrap("cus", wrapped)


def test_equal_values_of_one_kind_have_equal_hashes(vault: Vault) -> None:
    assert vault.lookup_hash("email", "a@b.c") == vault.lookup_hash("email", "a@b.c")
    assert vault.lookup_hash("email", "a@b.c") != vault.lookup_hash("name", "a@b.c")
    assert vault.lookup_hash("email", "a@b.c") != Vault(b"\x02" * 32).lookup_hash("email", "a@b.c")


async def _by_statement(db: Database, tx: Tx) -> None:
    """Die in a statement of SQLAlchemy."""
    del db
    await tx.execute(sa.text(_END_ITSELF))


async def _by_raw_statement(db: Database, tx: Tx) -> None:
    """Die in a statement of the driver."""
    del db
    await (await tx.raw()).fetch(_END_ITSELF)


async def _within_savepoint(db: Database, tx: Tx) -> None:
    """Die where a savepoint is still to be rolled back."""
    del db
    async with tx.undone():
        await tx.execute(sa.text(_END_ITSELF))


async def _between_statements(db: Database, tx: Tx) -> None:
    """Die by another's hand between two statements."""
    await tx.ping()
    async with db.transaction() as other:
        await other.execute(sa.text(_END_OTHERS))
    await tx.ping()


async def _at_the_commit(db: Database, tx: Tx) -> None:
    """Die by another's hand after the last statement."""
    await tx.ping()
    async with db.transaction() as other:
        await other.execute(sa.text(_END_OTHERS))


@pytest.mark.parametrize(
    "die", [_by_statement, _by_raw_statement, _within_savepoint, _between_statements, _at_the_commit]
)
async def test_a_connection_that_the_server_ends_is_lost_and_the_next_unit_of_work_gets_another(
    db: Database, die: Callable[[Database, Tx], Awaitable[None]]
) -> None:
    async with db.transaction() as tx:
        await tx.execute(sa.text("CREATE TABLE note (word text PRIMARY KEY)"))

    async def work() -> None:
        async with db.transaction() as tx:
            await tx.execute(sa.text("INSERT INTO note VALUES ('gone')"))
            await die(db, tx)

    with pytest.raises(ConnectionLost) as lost:
        await work()
    assert isinstance(lost.value, DATABASE_ERRORS)
    async with db.transaction() as tx:
        assert await tx.value(sa.text("SELECT count(*) FROM note")) == 0


async def test_a_connection_that_is_lent_is_lost_as_well(db: Database) -> None:
    with pytest.raises(ConnectionLost):
        async with db.driver() as driver:
            await driver.fetch(_END_ITSELF)
    async with db.driver() as driver:
        assert await driver.fetchval("SELECT 1") == 1


async def test_a_connection_that_is_ending_while_it_is_lent_is_lost_and_not_lent_again(db: Database) -> None:
    # As the driver says it when the server's last message came, and the end of the connection has not.
    ending = asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")
    seen = []

    async def look(*, ends: bool) -> None:
        async with db.driver() as driver:
            seen.append(await driver.fetchval("SELECT pg_backend_pid()"))
            if ends:
                raise ending

    async def work() -> None:
        async with db.transaction() as tx:
            await tx.ping()
            raise ending

    with pytest.raises(ConnectionLost):
        await look(ends=True)
    await look(ends=False)
    assert seen[0] != seen[1]
    with pytest.raises(ConnectionLost):
        await work()


@pytest.mark.parametrize("dies", ["before", "within"])
async def test_a_connection_that_died_in_the_pool_is_told_once_at_most_and_not_lent_again(
    database_url: str, vault: Vault, dies: str
) -> None:
    db = Database(database_url, vault, pool_size=1)
    async with db.transaction() as tx:
        dead = await tx.raw()
    if dies == "before":
        dead.terminate()

    async def work() -> None:
        async with db.transaction() as tx:
            dead.terminate()
            await tx.raw()

    if dies == "within":
        with pytest.raises(ConnectionLost):
            await work()
    async with db.transaction() as tx:
        assert await tx.raw() is not dead
        assert await (await tx.raw()).fetchval("SELECT 1") == 1
    await db.close()


async def test_a_driver_s_connection_that_died_or_whose_work_was_cancelled_leaves_its_place_to_another(
    database_url: str, vault: Vault
) -> None:
    db = Database(database_url, vault, pool_size=1)
    seen, lent = [], asyncio.Event()

    async def look() -> None:
        async with db.driver() as driver:
            assert driver not in seen
            seen.append(driver)
            lent.set()
            assert await driver.fetchval("SELECT 1") == 1

    await look()
    seen[0].terminate()
    lent.clear()
    cancelled = asyncio.create_task(look())
    await lent.wait()
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    assert cancelled.cancelled()
    await look()
    await db.close()


@pytest.mark.parametrize("is_raw", [False, True])
async def test_what_comes_after_a_cancelled_unit_of_work_is_committed(
    database_url: str, vault: Vault, *, is_raw: bool
) -> None:
    """Wherever it is cancelled: while it begins, between its statements, or while it commits."""
    db = Database(database_url, vault, pool_size=1)

    async def work() -> None:
        async with db.transaction() as tx:
            if is_raw:
                await (await tx.raw()).execute("SELECT 1")
            else:
                await tx.ping()

    try:
        await work()
        rounds, was_cancelled = 0, True
        while was_cancelled:
            task = asyncio.create_task(work())
            for _ in range(rounds):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            was_cancelled, rounds = task.cancelled(), rounds + 1
            async with db.transaction() as tx:
                before = await _transaction_id(tx)
            # Were the first one still running, this one would be part of it.
            async with db.transaction() as tx:
                assert await _transaction_id(tx) > before, f"after {rounds} steps"
    finally:
        await db.close()


async def _transaction_id(tx: Tx) -> int:
    number: int = await (await tx.raw()).fetchval("SELECT pg_current_xact_id()::text::bigint")
    return number


async def test_a_wrong_statement_is_no_lost_connection(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(sa.text("CREATE TABLE note (word text PRIMARY KEY)"))
        await tx.execute(sa.text("INSERT INTO note VALUES ('a')"))
    for wrong, kind in (
        ("INSERT INTO note VALUES ('a')", sa.exc.IntegrityError),
        ("SELECT nothing FROM note", sa.exc.ProgrammingError),
    ):
        with pytest.raises(kind):
            async with db.transaction() as tx:
                await tx.execute(sa.text(wrong))
        with pytest.raises(asyncpg.PostgresError):
            async with db.driver() as driver:
                await driver.execute(wrong)


async def test_a_server_without_room_for_another_connection_is_out_of_reach(db: Database, database_url: str) -> None:
    name = sa.make_url(database_url).database
    async with db.transaction() as tx:
        await tx.execute(sa.text(f"CREATE ROLE narrow_{name} LOGIN PASSWORD 'narrow' CONNECTION LIMIT 0"))
    narrow = sa.make_url(database_url).set(username=f"narrow_{name}", password="narrow")
    refused = Database(narrow.render_as_string(hide_password=False), db.vault, pool_size=1, wait_s=1)
    try:
        with pytest.raises(ConnectionLost):
            async with refused.transaction() as tx:
                await tx.ping()
        with pytest.raises(ConnectionLost):
            async with refused.driver() as driver:
                await driver.fetchval("SELECT 1")
    finally:
        await refused.close()
        async with db.transaction() as tx:
            await tx.execute(sa.text(f"DROP ROLE narrow_{name}"))


async def test_a_reading_begins_no_transaction_and_its_statements_see_what_is_committed_by_then(db: Database) -> None:
    async with db.reading() as tx:
        driver = await tx.raw()
        before = await driver.fetchval("SELECT xid(pg_snapshot_xmax(pg_current_snapshot()))::text::bigint")
        async with db.transaction() as other:
            written = await _transaction_id(other)
        after = await driver.fetchval("SELECT xid(pg_snapshot_xmax(pg_current_snapshot()))::text::bigint")
        assert not (await tx.raw()).is_in_transaction()
    assert before <= written < after


async def test_a_connection_that_ends_while_it_reads_is_lost(db: Database) -> None:
    with pytest.raises(ConnectionLost):
        async with db.reading() as tx:
            await (await tx.raw()).fetch(_END_ITSELF)
    async with db.reading() as tx:
        assert await (await tx.raw()).fetchval("SELECT 1") == 1


async def test_a_server_that_only_reads_is_left_for_the_one_that_took_its_place(database_url: str) -> None:
    """As after a fail-over: the server of before answers on, and its sessions cannot write."""
    database = await opened(database_url, pool_size=1)
    async with database.transaction() as tx:
        await tx.execute(sa.text("SET SESSION default_transaction_read_only = on"))
    for write in (_write, _write_by_driver):
        with pytest.raises(ConnectionLost):
            await write(database)
        await write(database)
        async with database.transaction() as tx:
            await tx.execute(sa.text("SET SESSION default_transaction_read_only = on"))
    await database.close()


async def _write(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute(sa.text("CREATE TABLE IF NOT EXISTS written (a int)"))


async def _write_by_driver(database: Database) -> None:
    async with database.driver() as driver:
        await driver.execute("CREATE TABLE IF NOT EXISTS written (a int)")


async def test_a_server_without_disk_or_memory_to_spare_is_out_of_reach_for_now(db: Database) -> None:
    for state in ("53100", "53200"):
        with pytest.raises(ConnectionLost):
            async with db.transaction() as tx:
                await tx.execute(sa.text(f"DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '{state}'; END $$"))


def test_only_a_connection_that_postgres_or_the_way_to_it_refused_is_told_as_that() -> None:
    refused = ConnectionRefusedError(111, "Connect call failed")
    other = RuntimeError("the API does not answer")
    other.__cause__ = refused
    lost = ConnectionLost()
    lost.__cause__ = asyncpg.AdminShutdownError("terminating connection due to administrator command")
    assert unreachable_reason(lost) == "terminating connection due to administrator command"
    assert unreachable_reason(refused) == "[Errno 111] Connect call failed"
    assert unreachable_reason(other) is None
    assert unreachable_reason(TimeoutError()) == "TimeoutError"
    assert unreachable_reason(asyncpg.UndefinedTableError("no such table")) is None
    assert unreachable_reason(asyncpg.InvalidPasswordError("password authentication failed\nmore")) == (
        "password authentication failed"
    )
