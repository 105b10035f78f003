"""Delete an erased customer's rows of a table, or write over what is personal in them.

This is the one place that writes to any slice's table.
"""

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.customers.store import data_key
from domain.kernel.ids import NOBODY, CustomerId
from domain.privacy.inventory import Fate, Holding, Personal
from domain.privacy.tables.store import table_of
from domain.usage.store import quarantined_event

_DELETED = frozenset((Fate.DELETED, Fate.KEPT_ROWS))


async def clear_rows(tx: db.Tx, holding: Holding, customer_id: CustomerId, *, limit: int) -> int:
    """Clear at most `limit` rows that a customer has in a table; return how many. Cleared ones are not counted again.

    It must be an erased customer: nobody else's rows can be cleared.
    """
    table = table_of(holding.table)
    is_erased = sa.exists().where(data_key.c.customer_id == customer_id, data_key.c.erased_at.is_not(None))
    where = [table.c.customer_id == customer_id, is_erased]
    keys = list(table.primary_key.columns)
    if holding.fate in _DELETED:
        some = sa.select(*keys).where(*where).limit(limit)
        return (await tx.execute(sa.delete(table).where(sa.tuple_(*keys).in_(some)))).rowcount
    blanks = {each.column: _blank(table, each) for each in holding.personal if not each.stays}
    is_left = sa.or_(*(table.c[name].is_distinct_from(blank) for name, blank in blanks.items()))
    some = sa.select(*keys).where(*where, is_left).limit(limit)
    return (await tx.execute(sa.update(table).where(sa.tuple_(*keys).in_(some)).values(blanks))).rowcount


async def clear_all(tx: db.Tx, holding: Holding, customer_id: CustomerId, *, batch: int) -> None:
    """Clear every row that a customer has in a table, in the caller's unit of work."""
    while await clear_rows(tx, holding, customer_id, limit=batch) == batch:
        pass


async def delete_unowned_events(tx: db.Tx, environment: str, names: list[str], *, limit: int) -> int:
    """Delete events in quarantine that name a customer and were kept for nobody, as their sender may not see it."""
    own = quarantined_event.c
    named = (own.customer_id == NOBODY, own.environment == environment, own.customer.in_(names))
    some = sa.select(own.id).where(*named).limit(limit)
    statement = sa.delete(quarantined_event).where(own.customer_id == NOBODY, own.id.in_(some))
    return (await tx.execute(statement)).rowcount


def _blank(table: sa.Table, personal: Personal) -> Any:
    column = table.c[personal.column]
    if personal.blank is None:
        return sa.null()
    value = json.loads(personal.blank) if isinstance(column.type, pg.JSONB) else personal.blank
    return sa.literal(value, column.type)
