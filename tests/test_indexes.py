"""An index is built while its table is written to, and after it was interrupted."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy.ext.asyncio import create_async_engine

from domain.db import Database
from migrations.indexes import build_index
from tests.waiting import until

_VALID = """SELECT i.indexrelid::regclass::text, i.indisvalid, i.indexrelid::bigint FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname LIKE :name ORDER BY 1"""
_BUILDING = """SELECT count(*) FROM pg_stat_activity
    WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'"""


@pytest.fixture
async def tables(db: Database) -> Database:
    """Make a table, and a partitioned one of two parts."""
    async with db.transaction() as tx:
        for statement in (
            "CREATE TABLE plain (a int)",
            "INSERT INTO plain VALUES (1), (1), (2)",
            "CREATE TABLE whole (a int, at int) PARTITION BY RANGE (at)",
            "CREATE TABLE whole_default PARTITION OF whole DEFAULT",
            "CREATE TABLE whole_2026 PARTITION OF whole FOR VALUES FROM (0) TO (10)",
        ):
            await tx.execute(sa.text(statement))
    return db


async def _migrate(db: Database, *wanted: Any, **how: Any) -> None:
    """Build an index as a migration does."""

    def act(connection: sa.Connection) -> None:
        connection.execute(sa.text("SET lock_timeout = 2000"))
        connection.commit()
        context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
        with Operations.context(context), context.begin_transaction(_per_migration=True):
            build_index(*wanted, **how)
        assert connection.scalar(sa.text("SHOW lock_timeout")) == "2s"

    engine = create_async_engine(db._engine.url)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(act)
    finally:
        await engine.dispose()


async def _indexes(db: Database, name: str) -> Sequence[Any]:
    async with db.transaction() as tx:
        return (await tx.execute(sa.text(_VALID), {"name": name})).all()


async def test_an_index_that_was_not_finished_is_built_anew_and_one_that_is_there_stays(tables: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        await _migrate(tables, "plain_a_key", "plain", "a", is_unique=True)
    [(_, is_valid, unfinished)] = await _indexes(tables, "plain_a%")
    assert not is_valid
    async with tables.transaction() as tx:
        await tx.execute(sa.text("DELETE FROM plain WHERE a = 1"))
    await _migrate(tables, "plain_a_key", "plain", "a", is_unique=True)
    [(name, is_valid, built)] = await _indexes(tables, "plain_a%")
    assert (name, is_valid, built != unfinished) == ("plain_a_key", True, True)
    await _migrate(tables, "plain_a_key", "plain", "a", is_unique=True)
    assert await _indexes(tables, "plain_a%") == [(name, True, built)]


async def test_the_table_is_written_to_while_its_index_waits_for_who_was_there_before(tables: Database) -> None:
    async def is_waiting() -> bool:
        async with tables.transaction() as tx:
            return bool(await tx.value(sa.text(_BUILDING)))

    async with tables.transaction() as before:
        await before.execute(sa.text("INSERT INTO plain VALUES (3)"))
        building = asyncio.create_task(_migrate(tables, "plain_a_idx", "plain", "a"))
        await until(lambda: building.done() or is_waiting(), "the index waits")
        assert not building.done()
        async with tables.transaction() as after:
            await after.execute(sa.text("SET LOCAL lock_timeout = 1000"))
            await after.execute(sa.text("INSERT INTO plain VALUES (4)"))
    await building
    assert [each[:2] for each in await _indexes(tables, "plain_a%")] == [("plain_a_idx", True)]


async def test_each_part_of_a_partitioned_table_gets_its_own_and_a_later_one_by_itself(tables: Database) -> None:
    async with tables.transaction() as tx:
        # Interrupted after the first part was begun.
        await tx.execute(sa.text("CREATE INDEX whole_a_idx ON ONLY whole (a)"))
        await tx.execute(sa.text("CREATE TABLE whole_2027 PARTITION OF whole FOR VALUES FROM (10) TO (20)"))
        await tx.execute(sa.text("CREATE INDEX whole_a_idx_2026 ON whole_2026 (a)"))
    for _ in range(2):
        await _migrate(tables, "whole_a_idx", "whole", "a")
        assert [each[:2] for each in await _indexes(tables, "whole%")] == [
            ("whole_2027_a_idx", True),
            ("whole_a_idx", True),
            ("whole_a_idx_2026", True),
            ("whole_a_idx_default", True),
        ]
