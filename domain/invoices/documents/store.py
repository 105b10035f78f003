"""The table of documents; each is sealed whole under its customer's key."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.customers.store import data_key
from domain.kernel.ids import CustomerId, DocumentId
from domain.kernel.values import dataclass
from domain.vault import DataKey

document = sa.Table(
    "document",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("about", db.Id, nullable=False, comment="the invoice, or the credit note"),
    sa.Column("name", sa.Text, nullable=False, comment="of the file: the number of what it is about"),
    sa.Column("digest", sa.LargeBinary, nullable=False, comment="SHA-256 of the file"),
    sa.Column("bytes", sa.Integer, nullable=False, comment="of the file"),
    sa.Column("sealed", db.Personal, nullable=False, comment="the file, encrypted whole"),
    sa.Column("created_at", db.Instant, nullable=False, comment="real time"),
    sa.UniqueConstraint("customer_id", "kind", "about", name="document_once"),
    sa.CheckConstraint("kind IN ('invoice', 'credit_note')", name="kind"),
    sa.CheckConstraint("bytes > 0 AND octet_length(digest) = 32", name="digest"),
    sa.Index("document_id_idx", "id"),
    sa.Index("document_about_idx", "about"),
)


@dataclass(frozen=True, slots=True)
class Document:
    """What is known of a document without its file."""

    customer_id: CustomerId
    id: DocumentId
    kind: str
    about: UUID
    name: str
    digest: bytes
    created_at: datetime


_FACTS = [document.c[name] for name in ("customer_id", "id", "kind", "about", "name", "digest", "created_at")]


async def insert_document(tx: db.Tx, key: DataKey, new: Document, file: bytes) -> bool:
    """Keep a file, sealed. False where there is one already, which stays."""
    values = {
        **{column.name: getattr(new, column.name) for column in _FACTS},
        "bytes": len(file),
        "sealed": tx.vault.seal(key, _where(new.id), file),
    }
    statement = pg.insert(document).values(values).on_conflict_do_nothing(constraint="document_once")
    return (await tx.value(statement.returning(document.c.id))) is not None


async def documents_about(
    tx: db.Tx, kind: str, ids: Collection[UUID], *, scope: CustomerId | None
) -> dict[UUID, Document]:
    """Return the documents about these rows that exist in the scope."""
    statement = sa.select(*_FACTS).where(document.c.kind == kind, document.c.about.in_(ids))
    if scope is not None:
        statement = statement.where(document.c.customer_id == scope)
    return {row.about: _document(row) for row in await tx.rows(statement)}


async def find_file(
    tx: db.Tx, document_id: DocumentId, *, is_restricted: bool = False
) -> tuple[Document, bytes] | None:
    """Return a document with its file, whosever it is, or None: also where its customer was erased.

    `is_restricted` asks for one of an erased customer, which is kept as the law wants; None where it is no more.
    """
    sealing = data_key.c.retained if is_restricted else data_key.c.wrapped
    is_open = sealing.is_not(None) if is_restricted else data_key.c.erased_at.is_(None)
    joined = document.join(data_key, data_key.c.customer_id == document.c.customer_id)
    statement = (
        sa.select(*_FACTS, document.c.sealed, sealing.label("wrapped"))
        .select_from(joined)
        .where(document.c.id == document_id, is_open)
    )
    row = await tx.row(statement)
    if row is None:
        return None
    key = tx.vault.unwrap(str(row.customer_id), row.wrapped)
    return _document(row), tx.vault.open(key, _where(row.id), row.sealed)


def _where(document_id: DocumentId) -> str:
    return f"document:sealed:{document_id}"


def _document(row: sa.Row[Any]) -> Document:
    return Document(**{column.name: getattr(row, column.name) for column in _FACTS})
