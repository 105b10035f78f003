"""Fixtures for everyone: throw-away servers once per run, a fresh database per test."""

import itertools
import os
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
import structlog

from api.local.throwaway import TemporaryServers, temporary_servers
from domain.db import Database, Vault
from migrations.run import upgrade

_numbers = itertools.count(1)
# Logs are written as lines: the default draws a trace with all local values, which takes half a minute for some.
structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the stories: they take longest, and one begun last would keep the other processes waiting for it."""
    items.sort(key=lambda item: "stories" not in item.path.parts)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporaryServers]:
    """Run throw-away Postgres and Valkey."""
    with temporary_servers(tmp_path_factory.mktemp("logs")) as running:
        yield running


async def _administer(servers: TemporaryServers, statement: str) -> None:
    connection = await asyncpg.connect(**servers.postgres.asyncpg_arguments())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
async def template(servers: TemporaryServers) -> AsyncIterator[str]:
    """Migrate the empty database that every test's own is copied from."""
    name = f"template_{os.getpid()}"
    await _administer(servers, f"CREATE DATABASE {name}")
    await upgrade(servers.postgres.dsn(name))
    yield name
    await _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database_url(servers: TemporaryServers, template: str) -> AsyncIterator[str]:
    """Give the URL of an empty, migrated database of the test's own."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    await _administer(servers, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield servers.postgres.dsn(name)
    await _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def vault() -> Vault:
    """Make a vault with a fixed master key."""
    return Vault(b"\x01" * 32)


@pytest.fixture
async def db(database_url: str, vault: Vault) -> AsyncIterator[Database]:
    """Open the test's own database."""
    database = Database(database_url, vault, pool_size=10)
    yield database
    await database.close()
