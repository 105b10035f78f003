"""Fixtures for everyone: throw-away servers once per run, a fresh database per test."""

import gc
import os
import re
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from api.local.throwaway import TemporaryServers, temporary_servers
from domain.db import Database
from domain.vault import Vault
from migrations.run import upgrade
from tests.databases import administer, copied, fresh_database, opened
from tests.domain.usage.world import load_catalogue
from tests.world import World, runtime_of

# The folders and files that take longest.
LONG = frozenset(("stories", "test_permissions.py", "test_running.py", "test_flood.py", "test_kinds.py"))
# Logs are written as lines: the default draws a trace with all local values, which takes half a minute for some.
structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])

# What the machine has set for other programs: settings of Tollgate, PostgreSQL's, Stripe's and the providers' own
# variables, proxies, and how a terminal is written to. No test sees them, whatever they are.
_FOREIGN = re.compile(
    r"TOLLGATE_|PG|DATABASE_URL|(LIVE_)?REDIS_URL|STRIPE_(SECRET|WEBHOOK|API)|SMTP_URL|OPENAI_|ANTHROPIC_|GEMINI_|GOOGLE_"
    r"|.*_PROXY$|FORCE_COLOR|NO_COLOR|PY_COLORS|CLICOLOR|COLUMNS$|LINES$|GITHUB_ACTIONS|TTY_|TYPER_|_TYPER_",
    re.IGNORECASE,
)
for _name in [name for name in os.environ if _FOREIGN.match(name)]:  # noqa: TID251 -- it is emptied, not read
    del os.environ[_name]  # noqa: TID251 -- the same

# The same examples in every run, on a machine however slow, and none kept of an earlier run: a run that fails fails
# again. `make search` looks among others.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", _PATIENT, derandomize=True, database=None)
settings.register_profile("search", _PATIENT, print_blob=True)
settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: a file begun last would keep the other processes waiting for it."""
    items.sort(key=lambda item: LONG.isdisjoint(item.path.parts))


def pytest_collection_finish() -> None:
    """Leave out of each later search for garbage what stays until the end: modules, the schema and the tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporaryServers]:
    """Run throw-away Postgres and Valkey."""
    with temporary_servers(tmp_path_factory.mktemp("logs")) as running:
        yield running


@pytest.fixture(scope="session")
async def template(servers: TemporaryServers) -> AsyncIterator[str]:
    """Migrate the empty database that every test's own is copied from."""
    name = f"template_{os.getpid()}"
    await administer(servers, f"CREATE DATABASE {name}")
    await upgrade(servers.postgres.dsn(name))
    yield name
    await administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
async def seeded(servers: TemporaryServers, template: str) -> AsyncIterator[str]:
    """Publish both catalogues in a database that others are copied from."""
    async with copied(servers, "seeded", template) as name:
        database = await opened(servers.postgres.dsn(name))
        await World(runtime_of(database)).seed()
        await database.close()
        yield name


@pytest.fixture(scope="session")
async def catalogued(servers: TemporaryServers, template: str) -> AsyncIterator[str]:
    """Publish both products, as of January 2026, in a database that others are copied from."""
    async with copied(servers, "catalogued", template) as name:
        database = await opened(servers.postgres.dsn(name))
        await load_catalogue(database)
        await database.close()
        yield name


@pytest.fixture
def origin(template: str) -> str:
    """Name the database that a test's own is a copy of. Where each test would begin alike, it is a prepared one."""
    return template


@pytest.fixture
async def database_url(servers: TemporaryServers, origin: str) -> AsyncIterator[str]:
    """Give the URL of a migrated database of the test's own."""
    async with copied(servers, "test", origin) as name:
        yield servers.postgres.dsn(name)


@pytest.fixture
def vault() -> Vault:
    """Make a vault with a fixed master key."""
    return Vault(b"\x01" * 32)


@pytest.fixture
async def db(database_url: str, vault: Vault) -> AsyncIterator[Database]:
    """Open the test's own database."""
    database = await opened(database_url, vault)
    yield database
    await database.close()


@pytest.fixture
async def published(servers: TemporaryServers, seeded: str) -> AsyncIterator[Database]:
    """Open a database of the test's own in which both catalogues are published."""
    async with fresh_database(servers, "published", seeded) as database:
        yield database
