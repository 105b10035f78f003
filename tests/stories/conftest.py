"""Stories have a world: in one process, or in as many as there are."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from api.local.throwaway import TemporaryServers, temporary_servers
from domain.db import Database
from migrations.run import upgrade
from tests.databases import administer
from tests.stories.processes import Processes, running
from tests.world import World, runtime_of

DURABLE = "durable"


@pytest.fixture
def origin(seeded: str) -> str:
    """Begin with both catalogues published."""
    return seeded


@pytest.fixture
async def world(db: Database) -> AsyncIterator[World]:
    """Make a whole system with both catalogues published."""
    made = World(runtime_of(db))
    yield made
    await made.close()


@pytest.fixture
async def processes(servers: TemporaryServers, template: str, tmp_path: Path) -> AsyncIterator[Processes]:
    """Run a whole system as processes of its own."""
    async with running(servers, template, tmp_path / "home") as started:
        yield started


@pytest.fixture(scope="session")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporaryServers]:
    """Run servers of which Postgres keeps its word when it is killed."""
    with temporary_servers(tmp_path_factory.mktemp(DURABLE), durable=True) as servers:
        yield servers


@pytest.fixture
async def durable_processes(durable: TemporaryServers, tmp_path: Path) -> AsyncIterator[Processes]:
    """Run a whole system on them."""
    await administer(durable, f"CREATE DATABASE {DURABLE}")
    await upgrade(durable.postgres.dsn(DURABLE))
    async with running(durable, DURABLE, tmp_path / "home") as started:
        yield started
    await administer(durable, f"DROP DATABASE {DURABLE}")
