"""Stories have a world: in one process, or in as many as there are."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.local.throwaway import TemporaryServers
from domain.db import Database
from tests.stories.processes import Processes, running
from tests.world import World, runtime_of


@pytest.fixture
async def world(db: Database) -> AsyncIterator[World]:
    """Make a whole system with both catalogues published."""
    made = World(runtime_of(db))
    await made.seed()
    yield made
    await made.close()


@pytest.fixture
async def processes(servers: TemporaryServers, template: str, tmp_path: Path) -> AsyncIterator[Processes]:
    """Run a whole system as processes of its own."""
    async with running(servers, template, tmp_path / "home") as started:
        yield started
