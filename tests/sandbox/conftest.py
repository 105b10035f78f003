"""A sandbox of its own for every test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sandbox.world import Server, World

SDK_WARNING = "ignore:Use 'content=<...>' to upload raw bytes/text content.:DeprecationWarning"
"""The stripe package passes forms to httpx in a way that httpx deprecates; the sandbox cannot change that."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests below this folder bear the package's warning."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(SDK_WARNING))


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """One running sandbox for the whole run."""
    started = await Server.start(tmp_path_factory.mktemp("sandbox"))
    yield started
    await started.stop()


@pytest.fixture
async def world(server: Server) -> AsyncIterator[World]:
    """Give the running sandbox without data; at the end, all that it answered and emitted must conform."""
    begun = await World.begin(server)
    yield begun
    await begun.end()
    assert sorted(set(begun.faults)) == []


@pytest.fixture
async def lasting(tmp_path: Path) -> AsyncIterator[World]:
    """Give a sandbox of the test's own, which may be restarted."""
    begun = await World.begin(await Server.start(tmp_path))
    yield begun
    await begun.end()
    await begun.server.stop()
    assert sorted(set(begun.faults)) == []
