"""Bring a database to the newest revision, one process at a time."""

import time
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass

# Two processes that start at once migrate one after the other.
_MIGRATION_LOCK = 0x701190
# A migration that waits for a table holds up whoever comes after it for that table: it waits no longer than this, lets
# them pass, and is tried again.
LOCK_WAIT_MS = 2_000
TRIES = 30
PAUSE_S = 1.0
_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(eq=False)
class MigrationBlocked(DomainError):
    """Other transactions use a table that a migration changes. What was applied stays: run tollgate migrate again."""

    code = "migration_blocked"
    kind = Kind.UNAVAILABLE


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


def _upgrade(connection: sa.Connection, tries: int, wait_ms: int) -> None:
    connection.execute(sa.select(sa.func.pg_advisory_lock(_MIGRATION_LOCK)))
    connection.execute(sa.text(f"SET lock_timeout = {wait_ms:d}"))
    # The lock belongs to the session; each migration then has a transaction of its own, which the rollback spares.
    connection.commit()
    try:
        config = _config()
        config.attributes["connection"] = connection
        for left in reversed(range(tries)):
            if _is_done(config, connection):
                return
            if left:
                time.sleep(PAUSE_S)
        raise MigrationBlocked
    finally:
        connection.rollback()
        connection.execute(sa.select(sa.func.pg_advisory_unlock(_MIGRATION_LOCK)))
        connection.commit()


def _is_done(config: Config, connection: sa.Connection) -> bool:
    """Apply what is missing, one migration a transaction; False where one did not get its table in time."""
    try:
        command.upgrade(config, "head")
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        connection.rollback()
        return False
    return True


async def upgrade(url: str, *, tries: int = TRIES, wait_ms: int = LOCK_WAIT_MS) -> None:
    """Apply what is missing; safe to repeat, while others use the database, and after it was interrupted.

    `url` is an SQLAlchemy URL for asyncpg. Raises MigrationBlocked.
    """
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(lambda inner: _upgrade(inner, tries, wait_ms))
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
