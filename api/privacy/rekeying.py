"""`tollgate privacy rekey`: put under the present master key what is sealed under others."""

from collections.abc import Callable

from api.seed import operator_database
from domain.config import Settings
from domain.privacy.rekeying.service import Rekeyed, rekey

_NAME_WIDTH = 24


async def rekey_all(settings: Settings, *, is_looked_at: bool, tell: Callable[[str], None]) -> bool:
    """Seal anew, or only look, and tell what became of each column; return whether nothing is left."""
    is_done = True
    async with operator_database(settings) as database:
        async for each in rekey(database, is_looked_at=is_looked_at):
            tell(_line(each))
            is_done = is_done and not (each.left or each.lost)
    return is_done


def _line(of: Rekeyed) -> str:
    lost = f", {of.lost} that no key opens" if of.lost else ""
    return f"{of.name:<{_NAME_WIDTH}}  {of.seen} looked at, {of.anew} sealed anew, {of.left} left{lost}"
