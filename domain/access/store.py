"""Table and statements of API keys."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.access.credentials import ApiKey
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, KeyId

api_key = sa.Table(
    "api_key",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("prefix", sa.Text, nullable=False, comment="the visible start of the secret"),
    sa.Column("hash", sa.LargeBinary, nullable=False, unique=True, comment="SHA-256 of the secret keyed with a pepper"),
    sa.Column("scopes", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("product_key", sa.Text),
    sa.Column("customer_id", db.Id, comment="null: the merchant's own, for every customer of the environment"),
    sa.Column("source", sa.Text, nullable=False, comment="identity's source of the events sent with it"),
    sa.Column("created_at", db.Instant, nullable=False),
    sa.Column("expires_at", db.Instant),
    sa.Column("revoked_at", db.Instant),
    sa.Column("created_by", sa.Text, nullable=False, comment="the principal's id"),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("octet_length(hash) = 32", name="hash"),
    sa.CheckConstraint("cardinality(scopes) > 0", name="scopes"),
    sa.CheckConstraint("product_key IS NOT NULL OR NOT scopes @> ARRAY['usage:write']", name="product"),
)

_HASHES = pg.ARRAY(sa.LargeBinary)


async def insert_key(tx: db.Tx, new: ApiKey, secret_hash: bytes) -> bool:
    """Insert a key. False where one with this secret exists."""
    values = {
        "id": new.id,
        "environment": new.environment,
        "name": new.name,
        "prefix": new.prefix,
        "hash": secret_hash,
        "scopes": sorted(new.scopes),
        "product_key": new.product,
        "customer_id": new.customer_id,
        "source": new.source,
        "created_at": new.created_at,
        "expires_at": new.expires_at,
        "revoked_at": new.revoked_at,
        "created_by": new.created_by,
    }
    statement = (
        pg.insert(api_key).values(values).on_conflict_do_nothing(index_elements=["hash"]).returning(api_key.c.id)
    )
    return await tx.value(statement) is not None


async def find_key_by_hash(tx: db.Tx, secret_hash: bytes) -> ApiKey | None:
    """Return the key whose secret has this keyed hash, or None."""
    row = await tx.row(sa.select(api_key).where(api_key.c.hash == secret_hash))
    return _key(row) if row else None


async def keys_by_hash(tx: db.Tx, hashes: Collection[bytes]) -> dict[bytes, ApiKey]:
    """Return the keys whose secrets have these keyed hashes, by hash."""
    rows = await tx.rows(sa.select(api_key).where(api_key.c.hash == sa.any_(sa.literal(list(hashes), _HASHES))))
    return {row.hash: _key(row) for row in rows}


async def lock_key(tx: db.Tx, key_id: KeyId, *, environment: Environment | None) -> ApiKey | None:
    """Lock one key, of one environment or of both, until the transaction ends; or return None."""
    statement = sa.select(api_key).where(api_key.c.id == key_id, *_of(environment)).with_for_update()
    row = await tx.row(statement)
    return _key(row) if row else None


async def save_revocation(tx: db.Tx, key_id: KeyId, *, at: datetime) -> None:
    """Set from when on a key is refused."""
    await tx.execute(sa.update(api_key).where(api_key.c.id == key_id).values(revoked_at=at))


async def revoke_keys_of(tx: db.Tx, customer_id: CustomerId, *, at: datetime, name: str) -> None:
    """Refuse every key of a customer from an instant on, and write over what people called them and who made them."""
    own = api_key.c
    values = {"revoked_at": sa.func.least(own.revoked_at, at), "name": name, "source": name, "created_by": name}
    await tx.execute(sa.update(api_key).where(own.customer_id == customer_id).values(values))


async def list_keys(tx: db.Tx, *, environment: Environment | None, after: KeyId | None, limit: int) -> Sequence[ApiKey]:
    """Return keys newest first; `after` is the id of the last one seen."""
    statement = sa.select(api_key).where(*_of(environment)).order_by(api_key.c.id.desc()).limit(limit)
    if after is not None:
        statement = statement.where(api_key.c.id < after)
    return [_key(row) for row in await tx.rows(statement)]


def _of(environment: Environment | None) -> list[sa.ColumnElement[bool]]:
    return [] if environment is None else [api_key.c.environment == environment]


def _key(row: sa.Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        environment=Environment(row.environment),
        name=row.name,
        prefix=row.prefix,
        scopes=frozenset(row.scopes),
        product=row.product_key,
        customer_id=row.customer_id,
        source=row.source,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        created_by=row.created_by,
    )
