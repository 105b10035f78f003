"""The migrations make exactly the tables that the stores write to, one after another and only once."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

from api.local.throwaway import TemporaryServers
from domain.db import DATABASE_ERRORS, Database, metadata
from domain.privacy.inventory import inventory
from domain.vault import Vault
from migrations.expecting import DatabaseOlder, check_revision, check_start, needed_revision
from migrations.run import MigrationBlocked, newest_revision, present_revision, upgrade
from tests.databases import fresh_database, opened

ROOT = Path(__file__).resolve().parents[1]


def import_stores() -> None:
    """Import every store, so that the metadata holds every table."""
    for file in sorted(ROOT.glob("domain/**/store.py")):
        importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))


def differences(connection: sa.Connection) -> list[Any]:
    """Compare the database with the metadata. The parts of partitioned tables are left out; the whole is compared."""
    parts = {row.relname for row in connection.execute(sa.text("SELECT relname FROM pg_class WHERE relispartition"))}
    parts.add("alembic_version")

    def is_compared(_thing: Any, name: str | None, *_: Any) -> bool:
        return name not in parts

    context = MigrationContext.configure(connection, opts={"include_object": is_compared, "compare_type": True})
    return list(compare_metadata(context, metadata))


@pytest.fixture
async def url(servers: TemporaryServers) -> AsyncIterator[str]:
    """Give the URL of a database without any table."""
    async with fresh_database(servers, "bare", "template1") as database:
        yield database._engine.url.render_as_string(hide_password=False)


async def run(url: str, act: Any) -> Any:
    """Run a function of a synchronous connection."""
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(act)
    finally:
        await engine.dispose()


async def test_the_migrated_tables_are_those_of_the_stores(url: str) -> None:
    await upgrade(url)
    import_stores()
    assert len(metadata.tables) > 30
    assert await run(url, differences) == []


def test_every_column_says_whether_it_tells_of_a_person() -> None:
    import_stores()
    columns = {(table.name, column.name) for table in metadata.tables.values() for column in table.columns}
    declared = {(name, column) for name, holding in inventory().items() for column in holding.columns}
    assert columns - declared == set(), "declare these in domain/privacy/inventory.toml: free, hidden or personal"


async def test_a_forgotten_column_would_be_found(url: str) -> None:
    await upgrade(url)
    import_stores()
    await run(url, lambda connection: connection.execute(sa.text("ALTER TABLE customer DROP COLUMN locale")))
    [found] = await run(url, differences)
    assert (found[0], found[2], found[3].name) == ("add_column", "customer", "locale")


async def test_migrating_again_changes_nothing(url: str) -> None:
    assert await present_revision(url) is None
    await upgrade(url)
    before = await run(url, catalogue_of)
    await upgrade(url)
    assert await run(url, catalogue_of) == before
    assert await present_revision(url) == newest_revision()


async def test_two_processes_may_migrate_at_once(url: str) -> None:
    await asyncio.gather(upgrade(url), upgrade(url))
    assert await present_revision(url) == newest_revision()


async def to(url: str, revision: str) -> None:
    """Bring a database to an older revision."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.set_main_option("path_separator", "os")

    def step(connection: sa.Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    await run(url, step)


async def test_a_migration_lets_others_pass_and_goes_on_once_its_table_is_free(url: str) -> None:
    await to(url, "0055")
    engine = create_async_engine(url)
    async with engine.connect() as reader:
        await reader.execute(sa.text("SELECT 1 FROM quarantined_event"))
        with pytest.raises(MigrationBlocked):
            await upgrade(url, tries=1, wait_ms=20)
        assert await present_revision(url) == "0055"
        waiting = asyncio.create_task(upgrade(url, wait_ms=20))
        await asyncio.sleep(0.1)
        await reader.rollback()
        await waiting
    await engine.dispose()
    assert await present_revision(url) == newest_revision()


async def test_an_older_database_is_refused_and_a_newer_one_is_served(url: str) -> None:
    db = await opened(url)
    try:
        with pytest.raises(DatabaseOlder, match="at revision none, and this version needs"):
            await check_start(db)
        await to(url, "0055")
        with pytest.raises(DatabaseOlder, match=f"at revision 0055, and this version needs {newest_revision()}"):
            await check_revision(db)
        await run(
            url, lambda connection: connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        )
        assert await check_revision(db) == "9999"
    finally:
        await db.close()


async def test_a_database_out_of_reach_is_waited_for(tmp_path: Path) -> None:
    db = Database(f"postgresql+asyncpg://u@/d?host={tmp_path}", Vault(b"\x01" * 32))
    await check_start(db)
    with pytest.raises(DATABASE_ERRORS):
        await check_revision(db)
    await db.close()


async def test_a_database_that_never_answers_does_not_hold_up_a_start() -> None:
    ended = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1")
    port = silent.sockets[0].getsockname()[1]
    db = Database(f"postgresql+asyncpg://u@127.0.0.1:{port}/d", Vault(b"\x01" * 32))
    await check_start(db, 0.05)
    await db.close()
    ended.set()
    silent.close()


def test_the_revision_that_is_needed_is_the_newest_there_is() -> None:
    assert needed_revision() == newest_revision()


def catalogue_of(connection: sa.Connection) -> list[Any]:
    """Give every column, constraint, index and trigger that there is."""
    statements = (
        """SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
        WHERE table_schema = 'public' ORDER BY 1, 2""",
        """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2""",
        """SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1""",
        """SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger
        WHERE NOT tgisinternal ORDER BY 1, 2""",
    )
    return [tuple(row) for statement in statements for row in connection.execute(sa.text(statement))]


async def test_the_migrations_are_one_chain_and_run_one_by_one(url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.set_main_option("path_separator", "os")
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())[::-1]
    assert [script.revision[:4] for script in scripts] == [f"{number:04}" for number in range(1, len(scripts) + 1)]

    def step(connection: sa.Connection, revision: str) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    for script in scripts:
        await run(url, lambda connection, revision=script.revision: step(connection, revision))
        assert await present_revision(url) == script.revision
