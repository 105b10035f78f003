"""Read a customer's rows of any table in the order of its key, and open what is sealed."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from domain import db
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass
from domain.privacy.inventory import Holding
from domain.privacy.tables.store import table_of
from domain.vault import DataKey, Vault


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, each as values by column, and where the next page begins after: None, when these were the last."""

    rows: Sequence[Mapping[str, Any]]
    after: tuple[str, ...] | None


async def read_page(
    tx: db.Tx, key: DataKey, holding: Holding, customer_id: CustomerId, *, after: tuple[str, ...] | None, limit: int
) -> Page:
    """Return at most `limit` rows that a customer has in a table, what is exported of them.

    `key` is the customer's own. A row that is sealed under another key raises InvalidTag: nothing is passed over.
    """
    table = table_of(holding.table)
    keys = [column for column in table.primary_key.columns if column.name != "customer_id"]
    marks = [sa.cast(column, sa.Text).label(f"mark_{number}") for number, column in enumerate(keys)]
    needed = {*holding.exported, *(column.name for column in keys)}
    columns = [table.c[name] for name in table.c.keys() if name in needed]  # noqa: SIM118 -- names, not columns
    statement = sa.select(*columns, *marks).where(table.c.customer_id == customer_id).order_by(*keys).limit(limit)
    if after is not None:
        seen = [sa.cast(sa.literal(mark, sa.Text()), column.type) for mark, column in zip(after, keys, strict=True)]
        statement = statement.where(sa.tuple_(*keys) > sa.tuple_(*seen))
    found = await tx.rows(statement)
    rows = [_opened(tx.vault, key, holding, dict(row._mapping)) for row in found]  # noqa: SLF001 -- a row as a mapping
    if len(found) < limit or not keys:
        return Page(rows, None)
    return Page(rows, tuple(getattr(found[-1], mark.name) for mark in marks))


def _opened(vault: Vault, key: DataKey, holding: Holding, row: dict[str, Any]) -> Mapping[str, Any]:
    values = {name: row[name] for name in holding.exported}
    for each in holding.personal:
        sealed = row.get(each.column)
        if each.sealed and sealed is not None:
            used = vault.system if each.is_system else key
            values[each.column] = vault.open(used, each.sealed.format(**row), sealed)
    return values
