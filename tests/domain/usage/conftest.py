"""Fixtures of the tests of usage."""

from collections.abc import AsyncIterator

import pytest

from domain.db import Database
from tests.domain.usage.world import World, open_world


@pytest.fixture
def origin(catalogued: str) -> str:
    """Begin with both products published."""
    return catalogued


@pytest.fixture
async def world(db: Database) -> AsyncIterator[World]:
    """Stand on a seeded database with a running recorder."""
    async with open_world(db) as opened:
        yield opened
