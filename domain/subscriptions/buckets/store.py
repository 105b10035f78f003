"""The bucket locks: counting shares them, and whoever moves a border holds one alone."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.ids import SubscriptionId
from domain.statement import Statement
from domain.subscriptions.subscription import bucket_of

# The first number of the advisory locks of buckets.
BUCKET_LOCK = 0x5E6
_BUCKETS = sa.func.unnest(sa.bindparam("buckets", type_=pg.ARRAY(sa.Integer))).column_valued("bucket")
_SHARE_BUCKETS = Statement(sa.select(sa.func.pg_advisory_xact_lock_shared(BUCKET_LOCK, _BUCKETS)))
_HOLD_BUCKETS = Statement(sa.select(sa.func.pg_advisory_xact_lock(BUCKET_LOCK, _BUCKETS)))


async def share_buckets(tx: db.Tx, subscription_ids: Collection[SubscriptionId]) -> None:
    """Take buckets together with other flushes until the transaction ends: meanwhile no border moves.

    In ascending order, so that two never wait in a ring.
    """
    await _lock_buckets(tx, subscription_ids, _SHARE_BUCKETS)


async def hold_buckets(tx: db.Tx, subscription_ids: Collection[SubscriptionId]) -> None:
    """Take buckets alone, all at once and before any other lock: waits for flushes, and keeps new ones out."""
    await _lock_buckets(tx, subscription_ids, _HOLD_BUCKETS)


async def _lock_buckets(tx: db.Tx, subscription_ids: Collection[SubscriptionId], lock: Statement) -> None:
    await lock.rows(tx, buckets=sorted({bucket_of(each) for each in subscription_ids}))
