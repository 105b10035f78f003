"""Bring a database to the newest revision, one process at a time."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

# Two processes that start at once migrate one after the other.
_MIGRATION_LOCK = 0x701190


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


def newest_revision() -> str:
    """Return the revision that this code expects."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "there is at least one migration"
    return head


def _upgrade(connection: sa.Connection) -> None:
    connection.execute(sa.select(sa.func.pg_advisory_lock(_MIGRATION_LOCK)))
    # The lock belongs to the session; each migration then has a transaction of its own, which the rollback spares.
    connection.commit()
    try:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    finally:
        connection.rollback()
        connection.execute(sa.select(sa.func.pg_advisory_unlock(_MIGRATION_LOCK)))
        connection.commit()


async def upgrade(url: str) -> None:
    """Apply what is missing; safe to repeat. `url` is an SQLAlchemy URL for asyncpg."""
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def present_revision(url: str) -> str | None:
    """Return the revision that a database is at, or None where it was never migrated."""
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(lambda inner: MigrationContext.configure(inner).get_current_revision())
    finally:
        await engine.dispose()
