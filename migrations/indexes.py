"""Build an index while its table is written to, for a table that is large by the time of its migration.

A migration that uses this does nothing else. Each step is committed by itself: one that was interrupted is run again
from its beginning, and goes on where it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

_IS_VALID = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
_KIND = sa.text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(:table)")
_PARTS = sa.text("""SELECT c.relname FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
    WHERE h.inhparent = to_regclass(:table) AND NOT EXISTS (
        SELECT FROM pg_index i JOIN pg_inherits own ON own.inhrelid = i.indexrelid
        WHERE i.indrelid = c.oid AND own.inhparent = to_regclass(:name))
    ORDER BY c.relname""")


def build_index(name: str, table: str, columns: str, *, is_unique: bool = False) -> None:
    """Build an index on columns, as they stand in SQL, of a table or of each part of a partitioned one.

    Safe to repeat: an index that is there is left as it is, and one that was not finished is built anew. A part that is
    made meanwhile gets its own with the table's.
    """
    with op.get_context().autocommit_block():
        if op.get_bind().scalar(_KIND, {"table": table}) != "p":
            _build(name, table, columns, is_unique=is_unique)
            return
        unique = "UNIQUE " * is_unique
        op.execute(f"CREATE {unique}INDEX IF NOT EXISTS {name} ON ONLY {table} ({columns})")
        for part in op.get_bind().scalars(_PARTS, {"table": table, "name": name}).all():
            own = f"{name}_{part.removeprefix(f'{table}_')}"
            _build(own, part, columns, is_unique=is_unique)
            op.execute(f"ALTER INDEX {name} ATTACH PARTITION {own}")


def _build(name: str, table: str, columns: str, *, is_unique: bool) -> None:
    is_valid = op.get_bind().scalar(_IS_VALID, {"name": name})
    if is_valid:
        return
    with _waiting():
        if is_valid is not None:
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        op.execute(f"CREATE {'UNIQUE ' * is_unique}INDEX CONCURRENTLY {name} ON {table} ({columns})")


@contextmanager
def _waiting() -> Iterator[None]:
    """Wait for whoever has written before, however long: nobody who comes after waits for this."""
    connection = op.get_bind()
    before = connection.scalar(sa.text("SHOW lock_timeout"))
    op.execute("SET lock_timeout = 0")
    try:
        yield
    finally:
        op.execute(f"SET lock_timeout = '{before}'")
