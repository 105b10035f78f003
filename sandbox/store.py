"""Durable data of the sandbox: one SQLite file, one writer, every answer committed before it is sent."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

Document = dict[str, Any]

FILE_NAME = "sandbox.sqlite3"
CURSOR_PAGE_MAX = 100
TABLES = """
CREATE TABLE IF NOT EXISTS document (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL UNIQUE, created INTEGER NOT NULL,
    customer TEXT, filed_under TEXT, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS document_by_kind ON document (kind, seq);
CREATE INDEX IF NOT EXISTS document_by_customer ON document (kind, customer, seq);
CREATE INDEX IF NOT EXISTS document_by_file ON document (kind, filed_under, seq);
CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL,
    request_id TEXT NOT NULL, created INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS delivery (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL, tries INTEGER NOT NULL,
    due_at REAL NOT NULL, state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed', 'dropped')));
CREATE INDEX IF NOT EXISTS delivery_by_due ON delivery (state, due_at);
CREATE INDEX IF NOT EXISTS delivery_by_event ON delivery (event);
CREATE TABLE IF NOT EXISTS timer (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, action TEXT NOT NULL, target TEXT NOT NULL, due_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, body BLOB NOT NULL);
"""

FILED_UNDER = {
    "invoice": "number",
    "line_item": "invoice",
    "invoice_payment": "invoice",
    "invoiceitem": "invoice",
    "charge": "payment_intent",
    "refund": "charge",
    "dispute": "charge",
    "event": "type",
    "price": "product",
    "mandate": "payment_method",
}
"""The field by which documents of a kind are looked up besides their customer; it has an index."""

UNDELIVERED = "SELECT 1 FROM delivery WHERE event = document.id AND state IN ('pending', 'failed')"
COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "="}


@dataclass(frozen=True, slots=True)
class Query:
    """Which documents of one kind are wanted.

    `fields` compares top-level fields, `absent` names one that must be null; `types` and `delivered` (whether every
    delivery has succeeded) restrict events; `created` holds gt, gte, lt, lte or eq in whole seconds; `below` and
    `above` are sequence numbers of cursors.
    """

    kind: str
    fields: Mapping[str, str | int | bool] = field(default_factory=dict)
    types: tuple[str, ...] = ()
    created: Mapping[str, int] = field(default_factory=dict)
    absent: str | None = None
    delivered: bool | None = None
    below: int | None = None
    above: int | None = None
    oldest_first: bool = False
    limit: int = CURSOR_PAGE_MAX


@dataclass(frozen=True, slots=True)
class Saved:
    """The first answer under an idempotency key."""

    fingerprint: str
    status: int
    body: bytes
    request_id: str


class Store:
    """The open database. Writing happens inside `transaction()` only; reading may happen anywhere."""

    def __init__(self, place: Path) -> None:
        """Open or create the data in a directory, or in the file `place` when it has a suffix."""
        path = place if place.suffix else place / FILE_NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        self.sql = sqlite3.connect(path, isolation_level=None)
        self.sql.execute("PRAGMA journal_mode = WAL")
        self.sql.execute("PRAGMA synchronous = FULL")
        self.sql.executescript(TABLES)

    def close(self) -> None:
        """Close the database; it needs no repair after a crash either."""
        self.sql.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything written inside, or nothing when an exception leaves the block."""
        self.sql.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.sql.execute("ROLLBACK")
            raise
        self.sql.execute("COMMIT")

    def put(self, document: Document) -> Document:
        """Insert a document or replace the one with its id; its place in lists is that of the first insert.

        What is left of a deleted document can be read by its id and is in no list.
        """
        kind = document["object"]
        filed_under = document.get(FILED_UNDER.get(kind, ""))
        if document.get("deleted"):
            kind = f"deleted {kind}"
        self.sql.execute(
            "INSERT INTO document (kind, id, created, customer, filed_under, body) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, customer = excluded.customer, "
            "filed_under = excluded.filed_under, body = excluded.body",
            (
                kind,
                document["id"],
                document.get("created") or document.get("date") or 0,
                document.get("customer"),
                filed_under,
                msgspec.json.encode(document).decode(),
            ),
        )
        return document

    def find(self, identifier: str) -> Document | None:
        """Read a document of any kind by its id, or None."""
        row = self.sql.execute("SELECT body FROM document WHERE id = ?", (identifier,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0])

    def sequence(self, kind: str, identifier: str) -> int | None:
        """Give a document's place in lists, or None when the id names no document of that kind."""
        row = self.sql.execute("SELECT seq FROM document WHERE id = ? AND kind = ?", (identifier, kind)).fetchone()
        return None if row is None else int(row[0])

    def select(self, query: Query) -> list[Document]:
        """Read documents, newest first unless asked otherwise, `query.limit` at most."""
        where, values = _where(query)
        order = "ASC" if query.oldest_first else "DESC"
        rows = self.sql.execute(
            f"SELECT body FROM document WHERE {where} ORDER BY seq {order} LIMIT ?",  # noqa: S608 -- constants only.
            (*values, query.limit),
        )
        return [msgspec.json.decode(row[0]) for row in rows]

    def count(self, query: Query) -> int:
        """Count documents, whatever the limit."""
        where, values = _where(query)
        row = self.sql.execute(f"SELECT count(*) FROM document WHERE {where}", values).fetchone()  # noqa: S608 -- constants only.
        return int(row[0])

    def delete(self, identifier: str) -> None:
        """Remove a document."""
        self.sql.execute("DELETE FROM document WHERE id = ?", (identifier,))

    def saved(self, key: str) -> Saved | None:
        """Read the first answer under an idempotency key, or None."""
        row = self.sql.execute(
            "SELECT fingerprint, status, body, request_id FROM idempotency WHERE key = ?",
            (key,),
        ).fetchone()
        return None if row is None else Saved(*row)

    def save(self, key: str, saved: Saved, now: int) -> None:
        """Keep the first answer under an idempotency key; a second save of the same key is an error."""
        self.sql.execute(
            "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?, ?)",
            (key, saved.fingerprint, saved.status, saved.body, saved.request_id, now),
        )

    def forget_keys(self, before: int) -> None:
        """Forget the idempotency keys used before a moment: their requests would run again."""
        self.sql.execute("DELETE FROM idempotency WHERE created < ?", (before,))

    def setting(self, name: str, default: Any) -> Any:
        """Read a setting of the control endpoints."""
        row = self.sql.execute("SELECT body FROM setting WHERE name = ?", (name,)).fetchone()
        return default if row is None else msgspec.json.decode(row[0])

    def set_setting(self, name: str, value: Any) -> None:
        """Write a setting of the control endpoints."""
        self.sql.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, msgspec.json.encode(value)))

    def reset(self) -> None:
        """Empty every table."""
        for table in ("document", "idempotency", "delivery", "timer", "setting"):
            self.sql.execute(f"DELETE FROM {table}")  # noqa: S608 -- constants only.


def _where(query: Query) -> tuple[str, list[str | int]]:
    clauses = ["kind = ?"]
    parameters: list[str | int] = [query.kind]
    filed = FILED_UNDER.get(query.kind)
    for name, value in query.fields.items():
        column = {"customer": "customer", filed: "filed_under"}.get(name)
        clauses.append(f"{column} = ?" if column else f"json_extract(body, '$.{name}') = ?")
        parameters.append(value)
    if query.types:
        clauses.append(f"filed_under IN ({', '.join('?' * len(query.types))})")
        parameters += query.types
    for name, bound in query.created.items():
        clauses.append(f"created {COMPARISONS[name]} ?")
        parameters.append(bound)
    if query.absent is not None:
        clauses.append(f"json_extract(body, '$.{query.absent}') IS NULL")
    if query.delivered is not None:
        clauses.append(f"{'NOT ' if query.delivered else ''}EXISTS ({UNDELIVERED})")
    for sign, place in (("<", query.below), (">", query.above)):
        if place is not None:
            clauses.append(f"seq {sign} ?")
            parameters.append(place)
    return " AND ".join(clauses), parameters
