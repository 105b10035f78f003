"""The application, over a database in which both catalogues are published."""

from collections.abc import AsyncIterator

import pytest

from api.local.throwaway import TemporaryServers
from domain.db import Database
from tests.api.graphql.site import Site, open_server, open_site
from tests.databases import fresh_database


@pytest.fixture
async def site(published: Database) -> AsyncIterator[Site]:
    """Serve the application without a network."""
    async with open_site(published) as served:
        yield served


@pytest.fixture
async def server(published: Database) -> AsyncIterator[Site]:
    """Serve the application on a port of this machine."""
    async with open_server(published) as served:
        yield served


@pytest.fixture(scope="session")
async def shared(servers: TemporaryServers, seeded: str) -> AsyncIterator[Site]:
    """Serve the application without a network once, for tests that change only what they have made themselves."""
    async with fresh_database(servers, "shared", seeded) as database, open_site(database) as served:
        yield served


@pytest.fixture(scope="session")
async def quiet_server(servers: TemporaryServers, seeded: str) -> AsyncIterator[Site]:
    """Serve the application on a port of this machine once, for tests that change only what they have made."""
    async with fresh_database(servers, "quiet", seeded) as database, open_server(database) as served:
        yield served
