"""Databases of the tests' own: copied from one that is prepared once, and opened by engines that share what they know.

What SQLAlchemy compiles a statement to depends on the server, not on the database. An engine for each test would
compile all its statements anew, which takes longer than to run them.
"""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

from api.local.throwaway import TemporaryServers
from domain.db import Database
from domain.vault import Vault

# More statements than the tests have.
STATEMENTS_KEPT_MAX = 10_000
_numbers = itertools.count(1)
_first: list[Engine] = []
_beginning = asyncio.Lock()


async def administer(servers: TemporaryServers, statement: str) -> None:
    """Carry out a statement outside of any test's database, on a connection of its own: a story may end Postgres."""
    connection = await asyncpg.connect(**servers.postgres.asyncpg_arguments())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def copied(servers: TemporaryServers, name: str, origin: str) -> AsyncIterator[str]:
    """Copy a database that nobody is connected to, give the name of the copy, and drop it in the end."""
    name = f"{name}_{os.getpid()}_{next(_numbers)}"
    await administer(servers, f"CREATE DATABASE {name} TEMPLATE {origin} STRATEGY FILE_COPY")
    try:
        yield name
    finally:
        await administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


async def opened(url: str, vault: Vault | None = None, *, pool_size: int = 10) -> Database:
    """Open a database of the run's server; close it in the end."""
    database = Database(url, vault or Vault(b"\x01" * 32), pool_size=pool_size)
    engine = database._engine.sync_engine
    async with _beginning:
        if not _first:
            # The first connection tells the dialect what the server can do.
            async with database.transaction() as tx:
                await tx.ping()
            engine._compiled_cache = LRUCache(STATEMENTS_KEPT_MAX)
            _first.append(engine)
    engine.dialect, engine._compiled_cache = _first[0].dialect, _first[0]._compiled_cache
    return database


@asynccontextmanager
async def fresh_database(servers: TemporaryServers, name: str, origin: str) -> AsyncIterator[Database]:
    """Open a copy of a database, and drop it in the end."""
    async with copied(servers, name, origin) as copy:
        database = await opened(servers.postgres.dsn(copy))
        try:
            yield database
        finally:
            await database.close()
