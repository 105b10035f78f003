"""The application, over a database in which both catalogues are published."""

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from api.local.throwaway import TemporaryServers
from domain.db import Database, Vault
from tests.api.graphql.site import Site, open_server, open_site
from tests.world import World, runtime_of

_numbers = itertools.count(1)


async def _administer(servers: TemporaryServers, statement: str) -> None:
    connection = await asyncpg.connect(**servers.postgres.asyncpg_arguments())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def fresh_database(servers: TemporaryServers, name: str, template: str) -> AsyncIterator[Database]:
    """Open a copy of a database, and drop it in the end."""
    name = f"{name}_{os.getpid()}_{next(_numbers)}"
    await _administer(servers, f"CREATE DATABASE {name} TEMPLATE {template}")
    database = Database(servers.postgres.dsn(name), Vault(b"\x01" * 32))
    yield database
    await database.close()
    await _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
async def seeded(servers: TemporaryServers, template: str) -> AsyncIterator[str]:
    """Publish both catalogues in a database that the others are copied from."""
    name = f"seeded_{os.getpid()}"
    await _administer(servers, f"CREATE DATABASE {name} TEMPLATE {template}")
    database = Database(servers.postgres.dsn(name), Vault(b"\x01" * 32))
    await World(runtime_of(database)).seed()
    await database.close()
    yield name
    await _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def published(servers: TemporaryServers, seeded: str) -> AsyncIterator[Database]:
    """Open a database of the test's own."""
    async with fresh_database(servers, "published", seeded) as database:
        yield database


@pytest.fixture
async def site(published: Database) -> AsyncIterator[Site]:
    """Serve the application without a network."""
    async with open_site(published) as served:
        yield served


@pytest.fixture
async def server(published: Database) -> AsyncIterator[Site]:
    """Serve the application on a port of this machine."""
    async with open_server(published) as served:
        yield served


@pytest.fixture(scope="session")
async def shared(servers: TemporaryServers, seeded: str) -> AsyncIterator[Site]:
    """Serve the application without a network once, for tests that change only what they have made themselves."""
    async with fresh_database(servers, "shared", seeded) as database, open_site(database) as served:
        yield served


@pytest.fixture(scope="session")
async def quiet_server(servers: TemporaryServers, seeded: str) -> AsyncIterator[Site]:
    """Serve the application on a port of this machine once, for tests that change only what they have made."""
    async with fresh_database(servers, "quiet", seeded) as database, open_server(database) as served:
        yield served
