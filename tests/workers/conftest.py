"""Workers have a world, and a queue on real Valkey."""

from collections.abc import AsyncIterator

import pytest
from arq.connections import ArqRedis

from api.local.throwaway import TemporaryServers
from domain.db import Database
from tests.world import World, runtime_of
from workers.settings import connect


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
async def queue(servers: TemporaryServers) -> AsyncIterator[ArqRedis]:
    """Open an empty queue."""
    connection = await connect(servers.valkey.url())
    await connection.flushdb()
    yield connection
    await connection.aclose()
