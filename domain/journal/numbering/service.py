"""Number billing events once they are committed: among all, and among their customer's."""

from domain.db import Tx
from domain.journal.numbering import store
from domain.journal.numbering.store import Numbered

BATCH = 1_000


async def number_events(tx: Tx) -> list[Numbered]:
    """Give numbers to the oldest events without one, at most BATCH; return them in order.

    The numbers of a transaction are committed together and in order, one transaction after another: whoever has read
    up to a number never finds a smaller one later. Returns nothing while another process numbers.
    """
    if not await store.try_numbering(tx):
        return []
    return await store.save_numbers(tx, limit=BATCH)
