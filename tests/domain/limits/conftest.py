"""Fixtures of the tests of limits."""

from collections.abc import AsyncIterator

import pytest

from domain.db import Database
from tests.domain.limits.office import Office, open_office


@pytest.fixture
def origin(catalogued: str) -> str:
    """Begin with both products published."""
    return catalogued


@pytest.fixture
async def office(db: Database) -> AsyncIterator[Office]:
    """Stand in an office on a seeded database."""
    async with open_office(db) as opened:
        yield opened
