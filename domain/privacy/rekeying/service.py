"""Go through everything that hangs on the master key."""

from collections.abc import AsyncGenerator

from domain.db import Database
from domain.kernel.values import dataclass
from domain.privacy.rekeying.store import HANGING, Hanging, rekey_page

# Rows of one transaction: it holds them, and others wait for it.
BATCH = 200


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """What became of a column: rows looked at, values sealed anew, left under another key, and opened by none."""

    name: str
    seen: int = 0
    anew: int = 0
    left: int = 0
    lost: int = 0


async def rekey(db: Database, *, is_looked_at: bool = False) -> AsyncGenerator[Rekeyed, None]:
    """Put everything under the present master key, in transactions of BATCH rows; give what became of each column.

    Safe to repeat and to break off: what is done stays, and the rest is done the next time. `is_looked_at`: change
    nothing, and tell what is left to do.
    """
    for each in HANGING:
        yield await _rekey(db, each, is_looked_at=is_looked_at)


async def _rekey(db: Database, of: Hanging, *, is_looked_at: bool) -> Rekeyed:
    seen = anew = left = lost = 0
    after = None
    while True:
        async with db.transaction() as tx:
            page = await rekey_page(tx, of, after=after, limit=BATCH, is_looked_at=is_looked_at)
        seen, anew, left, lost = seen + page.seen, anew + page.anew, left + page.left, lost + page.lost
        after = page.after
        if after is None:
            return Rekeyed(of.name, seen, anew, left, lost)
