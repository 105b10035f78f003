"""Which revision this program needs, and whether a database has it. Light: asked at every start, and by /readyz."""

import asyncio
from pathlib import Path

import asyncpg

from domain.db import DATABASE_ERRORS, Database
from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass

# A process starts without its database, and says at /readyz that it waits.
START_WITHIN_S = 5.0
_VERSIONS = Path(__file__).parent / "versions"


@dataclass(eq=False)
class DatabaseOlder(DomainError):
    """The database is at revision {present}, and this version needs {needed}: run tollgate migrate first."""

    code = "database_older"
    kind = Kind.UNAVAILABLE
    present: str
    needed: str


def needed_revision() -> str:
    """Return the newest revision that this program knows, by the numbers that files of migrations begin with."""
    return max(file.name[:4] for file in _VERSIONS.glob("[0-9]*.py"))


async def check_revision(db: Database) -> str:
    """Return the revision that a database is at. Raises DatabaseOlder, and what a database out of reach raises.

    One that is newer is served: whoever upgrades migrates first, and goes on with the processes there are meanwhile.
    """
    needed = needed_revision()
    async with db.driver() as driver:
        try:
            present = await driver.fetchval("SELECT max(version_num) FROM alembic_version")
        except asyncpg.UndefinedTableError:
            present = None
    if present is None or present < needed:
        raise DatabaseOlder(present or "none", needed)
    return str(present)


async def check_start(db: Database, within_s: float = START_WITHIN_S) -> None:
    """Refuse to start on a database that is older. One that does not answer is none. Raises DatabaseOlder."""
    try:
        async with asyncio.timeout(within_s):
            await check_revision(db)
    except DATABASE_ERRORS:
        return
