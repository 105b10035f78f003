"""Seal personal values that an earlier version has kept plain, now."""

from api.seed import operator_database
from domain.config import Settings
from domain.payments.pages import service as pages
from domain.usage.sealing import service as events


async def seal_plain(settings: Settings) -> int:
    """Seal what is plain, in transactions of a bounded size; return how many values. Safe to repeat."""
    sealed = 0
    async with operator_database(settings) as database:
        for seal, batch in ((events.seal_plain, events.SEAL_BATCH), (pages.seal_plain, pages.SEAL_BATCH)):
            done = batch
            while done == batch:
                async with database.transaction() as tx:
                    done = await seal(tx)
                sealed += done
    return sealed
