"""The application, over a database in which both catalogues are published."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from api.local.throwaway import TemporaryServers
from domain.db import Database
from tests.api.graphql.site import Site, open_server, open_site
from tests.databases import fresh_database
from tests.world import World


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
async def shared_site(servers: TemporaryServers, seeded: str) -> AsyncIterator[Site]:
    """Serve the application without a network once."""
    async with fresh_database(servers, "shared", seeded) as database, open_site(database) as served:
        yield served


@pytest.fixture
async def shared(shared_site: Site) -> AsyncIterator[Site]:
    """Give the application that is served once to a test that changes only what it has made itself."""
    async with _own_world(shared_site) as site:
        yield site


@pytest.fixture(scope="session")
async def quiet_site(servers: TemporaryServers, seeded: str) -> AsyncIterator[Site]:
    """Serve the application on a port of this machine once."""
    async with fresh_database(servers, "quiet", seeded) as database, open_server(database) as served:
        yield served


@pytest.fixture
async def quiet_server(quiet_site: Site) -> AsyncIterator[Site]:
    """Give the application that is served on a port once to a test that changes only what it has made itself."""
    async with _own_world(quiet_site) as site:
        yield site


@asynccontextmanager
async def _own_world(site: Site) -> AsyncIterator[Site]:
    """Give each test a clock of its own, or the first one in a process would set the time of all."""
    world = World(site.runtime, _numbers=site.world._numbers)
    yield replace(site, world=world)
    await world.close()
