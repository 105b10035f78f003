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
from domain.db import metadata
from domain.privacy.inventory import inventory
from migrations.run import newest_revision, present_revision, upgrade
from tests.databases import fresh_database

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
