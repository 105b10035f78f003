"""Which statements reach Postgres."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
from sqlalchemy import event

from domain.db import Database

# What a unit of work begins and ends with, and how the driver asks about types that a connection meets first.
_FRAME = ("BEGIN", "COMMIT", "ROLLBACK")
_TYPES = ("WITH RECURSIVE typeinfo_tree", "SELECT current_setting('jit')", "SELECT set_config('jit'")


@contextmanager
def counted(db: Database) -> Iterator[list[str]]:
    """Collect the statements that reach Postgres through a database: SQLAlchemy's, and those sent by the driver."""
    statements: list[str] = []
    listened: set[asyncpg.Connection] = set()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    def note_of_driver(sent: Any) -> None:
        # SQLAlchemy prepares what it sends, which the driver does not log.
        if not " ".join(sent.query.split()).startswith(_FRAME + _TYPES):
            statements.append(sent.query)

    def listen(lent: Any, *_: Any) -> None:
        driver = lent.driver_connection
        if driver not in listened:
            listened.add(driver)
            driver.add_query_logger(note_of_driver)

    engine = db._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "checkout", listen)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)
        event.remove(engine, "checkout", listen)
        for driver in listened:
            driver.remove_query_logger(note_of_driver)
