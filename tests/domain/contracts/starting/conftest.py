"""A shop for every test of this folder."""

from collections.abc import AsyncIterator

import pytest

from domain.db import Database
from tests.domain.contracts.examples import Shop, open_shop
from tests.domain.subscriptions import examples


@pytest.fixture
async def shop(db: Database) -> AsyncIterator[Shop]:
    """Open a shop at 31 January 2026, 10:00, whose plan basic waits for its first payment."""
    async with open_shop(db, on="2026-01-31T10:00") as opened:
        async with db.transaction() as tx:
            await examples.publish(tx, start={"when_paid": True})
        yield opened
