"""Table and statements of leases."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import sqlalchemy as sa

from domain import db
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.kernel.money import exact_text
from domain.limits.account import ALWAYS
from domain.limits.lease import LeaseKey
from domain.limits.reservation import Earlier, State

limit_lease = sa.Table(
    "limit_lease",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("subscription_id", db.Id, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("span_start_at", db.Instant, primary_key=True),
    sa.Column("holder", db.Id, primary_key=True),
    sa.Column("amount", sa.Numeric, nullable=False),
    sa.Column("expires_at", db.Instant, nullable=False, comment="real time"),
    sa.Column("recalled", sa.Boolean, nullable=False, comment="somebody needs what is idle"),
    sa.CheckConstraint("amount >= 0", name="amount"),
    sa.Index("limit_lease_recalled_idx", "holder", postgresql_where=sa.text("recalled")),
    sa.Index("limit_lease_expires_at_idx", "expires_at"),
    comment="what each process may divide among reservations of a limit in a usage period",
)

# Grants of one customer follow one another; a class of its own among the advisory locks.
_CUSTOMER_LOCK = 0x11A
# Whether the holder of a reservation `r` has, at an instant, a lease on each limit that it is held on.
_BACKED = """
NOT EXISTS (
  SELECT FROM jsonb_object_keys(r.holds) AS h (key)
  WHERE NOT EXISTS (
    SELECT FROM limit_lease l
    WHERE l.customer_id = r.customer_id AND l.subscription_id = r.subscription_id AND l.key = h.key
      AND l.span_start_at IN (r.period_start_at, {always}) AND l.holder = r.holder AND l.expires_at > {at}
  )
)
"""
# Through SQLAlchemy, which begins the transaction with it; what it reads of the reservation it reads before it waits.
_LOCK = sa.text(
    f"""
    SELECT pg_advisory_xact_lock(:kind, :customer), r.state, r.expires_at, r.holds::text, r.asked,
           {_BACKED.format(always=":always", at=":at")} AS is_backed
    FROM (SELECT 1) AS one
    LEFT JOIN limit_reservation r ON r.customer_id = :customer_id AND r.id = :reservation_id
    """  # noqa: S608 -- made of constants
).bindparams(
    sa.bindparam("customer_id", type_=db.Id),
    sa.bindparam("reservation_id", type_=db.Id),
    sa.bindparam("always", ALWAYS, type_=db.Instant),
    sa.bindparam("at", type_=db.Instant),
    sa.bindparam("kind", _CUSTOMER_LOCK, type_=sa.Integer),
    sa.bindparam("customer", type_=sa.Integer),
)
_EARLIER = f"""
SELECT r.customer_id, r.id, r.state, r.expires_at, r.holds::text, r.asked,
       {_BACKED.format(always="$4", at="k.at")} AS is_backed
FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS k (customer_id, id, at)
JOIN limit_reservation r ON r.customer_id = k.customer_id AND r.id = k.id
"""  # noqa: S608 -- made of constants

_LEASES = """
SELECT s.version, l.key, l.span_start_at, sum(l.amount) AS amount
FROM subscription s
LEFT JOIN limit_lease l
  ON l.customer_id = s.customer_id AND l.subscription_id = s.id AND l.holder <> $3 AND l.expires_at > $4
WHERE s.customer_id = $1 AND s.id = $2
GROUP BY s.version, l.key, l.span_start_at
"""
_GRANT = """
INSERT INTO limit_lease AS t (customer_id, subscription_id, key, span_start_at, holder, amount, expires_at, recalled)
SELECT $1, $2, k.key, k.span_start_at, $3, k.amount, $4, false
FROM unnest($5::text[], $6::timestamptz[], $7::numeric[]) AS k (key, span_start_at, amount)
ORDER BY k.key, k.span_start_at
ON CONFLICT (customer_id, subscription_id, key, span_start_at, holder) DO UPDATE
SET amount = excluded.amount, expires_at = excluded.expires_at, recalled = false
"""
# A lease that has ended is not renewed: others may have been granted what it held.
_RENEW = """
UPDATE limit_lease t SET amount = least(t.amount, k.amount), expires_at = $2, recalled = false
FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[], $7::numeric[])
     AS k (customer_id, subscription_id, key, span_start_at, amount)
WHERE t.customer_id = k.customer_id AND t.subscription_id = k.subscription_id AND t.key = k.key
  AND t.span_start_at = k.span_start_at AND t.holder = $1 AND t.expires_at > $8
RETURNING t.customer_id, t.subscription_id, t.key, t.span_start_at
"""
_RECALL = """
UPDATE limit_lease SET recalled = true
WHERE customer_id = $1 AND subscription_id = $2 AND key = ANY($3::text[]) AND holder <> $4 AND expires_at > $5
RETURNING 1
"""
_AWAITED = """
SELECT count(*) FROM limit_lease
WHERE customer_id = $1 AND subscription_id = $2 AND holder <> $3 AND expires_at > $4 AND recalled
"""
_RECALLED = "SELECT customer_id, subscription_id, key, span_start_at FROM limit_lease WHERE holder = $1 AND recalled"


async def lock_customer(
    tx: db.Tx, customer_id: CustomerId, reservation_id: UUID | None, *, at: datetime
) -> Earlier | None:
    """Hold a customer's leases until the transaction ends: whoever grants one reads after all before it.

    Return what has become of the reservation that is asked for; None where it is not stored.
    """
    customer = customer_id.int % 2**31
    given = {"customer_id": customer_id, "reservation_id": reservation_id, "customer": customer, "at": at}
    row = dict((await tx.execute(_LOCK, given)).mappings().one())
    return _earlier(row) if row["state"] is not None else None


async def list_earlier(
    tx: db.Tx, wanted: Sequence[tuple[CustomerId, UUID, datetime]]
) -> dict[tuple[CustomerId, UUID], Earlier]:
    """Return what is stored of reservations, by customer and key, as it stands at an instant for each."""
    if not wanted:
        return {}
    columns = [[each[place] for each in wanted] for place in range(3)]
    rows = await (await tx.raw()).fetch(_EARLIER, *columns, ALWAYS)
    return {(CustomerId(row["customer_id"]), row["id"]): _earlier(dict(row)) for row in rows}


def _earlier(row: Mapping[str, Any]) -> Earlier:
    holds = {key: Fraction(text) for key, text in msgspec.json.decode(row["holds"]).items()}
    return Earlier(State(row["state"]), row["expires_at"], holds, row["asked"] or b"", row["is_backed"])


async def list_leased(
    tx: db.Tx, customer_id: CustomerId, subscription_id: SubscriptionId, *, besides: UUID, at: datetime
) -> tuple[dict[tuple[str, datetime], Fraction], int | None]:
    """Return what other holders have leased of each limit and stretch, and which version the subscription has.

    Read it before usage, never after: what a lease loses became usage before, and whoever reads in the other order
    could miss it in both.
    """
    rows = await (await tx.raw()).fetch(_LEASES, customer_id, subscription_id, besides, at)
    leased = {(row["key"], row["span_start_at"]): Fraction(row["amount"]) for row in rows if row["key"] is not None}
    return leased, rows[0]["version"] if rows else None


async def save_leases(
    tx: db.Tx,
    customer_id: CustomerId,
    subscription_id: SubscriptionId,
    amounts: Mapping[tuple[str, datetime], Fraction],
    *,
    holder: UUID,
    expires_at: datetime,
) -> None:
    """Grant a holder these amounts, whatever it had before. The caller holds the customer's lock and has checked."""
    if amounts:
        keys = [key for key, _ in amounts]
        starts = [start for _, start in amounts]
        sums = [decimal_of(amount) for amount in amounts.values()]
        await (await tx.raw()).execute(_GRANT, customer_id, subscription_id, holder, expires_at, keys, starts, sums)


async def renew_leases(
    tx: db.Tx, amounts: Mapping[LeaseKey, Fraction], *, holder: UUID, expires_at: datetime, at: datetime
) -> set[LeaseKey]:
    """Renew leases that have not ended, and lower them to what their holder still counts; return which those were."""
    if not amounts:
        return set()
    wanted = sorted(amounts)
    columns = [[each[place] for each in wanted] for place in range(4)]
    sums = [decimal_of(amounts[each]) for each in wanted]
    rows = await (await tx.raw()).fetch(_RENEW, holder, expires_at, *columns, sums, at)
    return {LeaseKey(*row) for row in rows}


async def save_recalled(
    tx: db.Tx,
    customer_id: CustomerId,
    subscription_id: SubscriptionId,
    keys: Sequence[str],
    *,
    besides: UUID,
    at: datetime,
) -> int:
    """Ask other holders for what is idle of these limits; return how many were asked."""
    driver = await tx.raw()
    return len(await driver.fetch(_RECALL, customer_id, subscription_id, list(keys), besides, at))


async def count_awaited(
    tx: db.Tx, customer_id: CustomerId, subscription_id: SubscriptionId, *, besides: UUID, at: datetime
) -> int:
    """Return how many leases were recalled and not answered for yet."""
    return int(await (await tx.raw()).fetchval(_AWAITED, customer_id, subscription_id, besides, at))


async def list_recalled(driver: asyncpg.Connection, holder: UUID) -> list[LeaseKey]:
    """Return the leases of a holder that somebody needs."""
    return [LeaseKey(*row) for row in await driver.fetch(_RECALLED, holder)]


async def delete_leases(tx: db.Tx, before: datetime, *, limit: int) -> int:
    """Delete leases that have ended, a bounded number; return how many."""
    key = sa.tuple_(*limit_lease.primary_key.columns)
    old = sa.select(*limit_lease.primary_key.columns).where(limit_lease.c.expires_at < before).limit(limit)
    return (await tx.execute(sa.delete(limit_lease).where(key.in_(old)))).rowcount


def decimal_of(value: Fraction) -> Decimal:
    """Write an amount exactly: all that is asked of limits are decimals."""
    return Decimal(exact_text(value))
