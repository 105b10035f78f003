"""A customer on the LLM catalogue."""

import pytest

from domain.db import Database
from tests.domain.invoices.world import World, found_world


@pytest.fixture
async def world(db: Database) -> World:
    """Make the customer, on Pro since 1 January 2026."""
    return await found_world(db)
