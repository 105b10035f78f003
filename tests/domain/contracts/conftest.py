"""A shop for every test of this folder."""

from collections.abc import AsyncIterator

import pytest

from domain.db import Database
from tests.domain.contracts.examples import Shop, open_shop


@pytest.fixture
async def shop(db: Database) -> AsyncIterator[Shop]:
    """Open a shop whose clock stands at 31 January 2026, 10:00."""
    async with open_shop(db, on="2026-01-31T10:00") as opened:
        yield opened
