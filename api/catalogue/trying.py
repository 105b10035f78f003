"""Publish a product, or only try it, for the terminal and for GraphQL: what would have done it is then undone.

The whole transaction is, not a part of it as by `Tx.undone`: the database lets prices be added to a version only by the
very transaction that made it, and a part of one has an id of its own.
"""

from contextlib import suppress

from domain.db import Database
from domain.kernel.call import Call
from domain.plans.definition import ProductDefinition
from domain.plans.publishing import service
from domain.plans.publishing.changes import Publication


class _Undo(Exception):
    """Ends a transaction without keeping anything of it."""


async def publish(database: Database, call: Call, product: ProductDefinition, *, keep: bool) -> Publication:
    """Publish in a transaction of its own; whatever would be refused then is refused too where it is only tried."""
    with suppress(_Undo):
        async with database.transaction() as tx:
            found = await service.publish_product(tx, call, product)
            if not keep:
                raise _Undo
    return found
