"""Fill an empty database with what every deployment needs: both products' catalogues and the provider price list."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from domain.access.roles import system_principal
from domain.adapters import clock
from domain.config import SettingMissing, Settings
from domain.db import Database, Tx
from domain.kernel.call import Call
from domain.plans import service as plans
from domain.plans.service import Seeded
from domain.vault import Vault


def operator_call() -> Call:
    """Start a call, now, of the operator at the terminal: every permission, every customer."""
    return Call(clock.new_id(), clock.now(), system_principal("cli"), clock.new_id)


@asynccontextmanager
async def operator_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the database for a command that needs several units of work, one after another. Raises SettingMissing."""
    if not settings.database_url:
        raise SettingMissing("DATABASE_URL", "Give the address of the database")
    database = Database(settings.database_url, Vault(*settings.master_keys()), pool_size=1, pooled=settings.pooled)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def operator(settings: Settings) -> AsyncIterator[tuple[Tx, Call]]:
    """Open one unit of work as the operator at the terminal; it commits when the block ends."""
    async with operator_database(settings) as database, database.transaction() as tx:
        yield tx, operator_call()


async def seed(settings: Settings) -> Seeded:
    """Publish the default catalogues and fill the price list. Safe to repeat: what is there stays."""
    async with operator(settings) as (tx, call):
        return await plans.seed_catalogue(tx, call)
