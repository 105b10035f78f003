"""An office for every test of this folder."""

from collections.abc import AsyncIterator

import pytest

from domain.db import Database
from tests.domain.contracts.changing.office import Office, open_office


@pytest.fixture
async def office(db: Database) -> AsyncIterator[Office]:
    """Open an office whose clock stands at 1 April 2026, 00:00."""
    async with open_office(db, on="2026-04-01") as opened:
        yield opened
