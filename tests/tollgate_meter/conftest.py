"""A provider and a Tollgate for the tests of this folder."""

from collections.abc import AsyncIterator

import pytest

from tests.tollgate_meter.tollbooth import Tollbooth
from tests.tollgate_meter.upstream import Upstream, open_upstream


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """Serve a provider on a loopback port."""
    async with open_upstream() as serving:
        yield serving


@pytest.fixture
def tollbooth() -> Tollbooth:
    """Make a Tollgate that allows everything."""
    return Tollbooth()
