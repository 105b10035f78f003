"""The customer whose invoices the tests derive, open and pay."""

import pytest

from domain.db import Database
from tests.domain.invoices.world import World, found_world


@pytest.fixture
async def world(db: Database) -> World:
    """Subscribe a test customer to Pro on 1 January 2026: 79 USD a month, with a cost cap of 150."""
    return await found_world(db)
