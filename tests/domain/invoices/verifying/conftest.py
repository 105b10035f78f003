"""A whole system whose events, totals and lines the tests tamper with."""

from collections.abc import AsyncIterator

import pytest

from domain.db import Database
from tests.world import World, runtime_of


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
