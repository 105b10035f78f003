"""A whole system whose books are proved."""

from collections.abc import AsyncIterator

import pytest

from domain.db import Database
from tests.world import World, runtime_of


@pytest.fixture
async def world(db: Database) -> AsyncIterator[World]:
    """Make a whole system with both catalogues published."""
    made = World(runtime_of(db))
    await made.seed()
    yield made
    await made.close()
