"""Tables and statements of wallets, their grants, and every move of a balance."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.credits.purse import Draw, Move
from domain.credits.unit_grant import Refill
from domain.credits.wallet import GrantSource, MoveKind, PayableKind, Wallet, WalletGrant
from domain.customers.store import Sight
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, InvoiceId, WalletGrantId, WalletId
from domain.kernel.values import dataclass
from domain.statement import Row, Statement, narrowed, present

wallet = sa.Table(
    "wallet",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("priority", sa.SmallInteger, nullable=False, comment="invoices draw on a smaller one first"),
    sa.Column("product_ids", pg.ARRAY(db.Id), nullable=False, comment="pays only lines of these; empty: any"),
    sa.Column("kinds", pg.ARRAY(sa.Text), nullable=False, comment="pays only lines of these; empty: any"),
    sa.Column("zone", sa.Text, nullable=False),
    sa.Column("created_at", db.Instant, nullable=False, comment="business time, as all instants here"),
    sa.Column("carried_to", db.Instant, nullable=False, comment="boundaries of grants are booked up to it"),
    sa.Column("valid_days", sa.SmallInteger, comment="for so long a top-up can be used; null: for ever"),
    sa.Column("warn_below_minor", sa.BigInteger, comment="the customer is warned once no more is left; null: never"),
    sa.Column("warned_at", db.Instant, comment="when it fell so low; null while it is above"),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    sa.CheckConstraint("valid_days BETWEEN 1 AND 3650", name="valid_days"),
    sa.CheckConstraint("warn_below_minor >= 0", name="warn_below_minor"),
    sa.CheckConstraint("warned_at IS NULL OR warn_below_minor IS NOT NULL", name="warned_at"),
    sa.Index("wallet_id_idx", "id"),
)

wallet_grant = sa.Table(
    "wallet_grant",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("wallet_id", db.Id, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("balance_minor", sa.BigInteger, nullable=False, comment="the sum of its moves"),
    sa.Column("priority", sa.SmallInteger, nullable=False, comment="a smaller one burns first"),
    sa.Column("effective_at", db.Instant, nullable=False),
    sa.Column("expires_at", db.Instant),
    sa.Column("voided_at", db.Instant),
    sa.Column("rollover_max_minor", sa.BigInteger, comment="null: all of it"),
    sa.Column("rollover_min_minor", sa.BigInteger, nullable=False),
    sa.Column("refill", sa.Text, comment="null: never"),
    sa.Column("invoice_id", db.Id, comment="the top-up invoice that paid for it"),
    sa.Column("created_at", db.Instant, nullable=False),
    sa.ForeignKeyConstraint(
        ["customer_id", "wallet_id"],
        ["wallet.customer_id", "wallet.id"],
        name="wallet_grant_wallet_fkey",
        ondelete="RESTRICT",
    ),
    sa.UniqueConstraint("customer_id", "invoice_id", name="wallet_grant_invoice_key"),
    sa.CheckConstraint("source IN ('purchased', 'promotional')", name="source"),
    sa.CheckConstraint("(source = 'purchased') = (invoice_id IS NOT NULL)", name="invoice_id"),
    sa.CheckConstraint("amount_minor > 0", name="amount_minor"),
    sa.CheckConstraint("balance_minor >= 0", name="balance_minor"),
    sa.CheckConstraint("expires_at > effective_at", name="expires_at"),
    sa.CheckConstraint("rollover_min_minor >= 0 AND rollover_max_minor >= rollover_min_minor", name="rollover"),
    sa.CheckConstraint("refill IN ('day', 'week', 'month')", name="refill"),
    sa.Index("wallet_grant_wallet_idx", "customer_id", "wallet_id"),
)

wallet_move = sa.Table(
    "wallet_move",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("wallet_id", db.Id, nullable=False),
    sa.Column("grant_id", db.Id, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False, comment="above zero adds to the balance"),
    sa.Column("at", db.Instant, nullable=False, comment="business time"),
    sa.Column("about", sa.Text, nullable=False, comment="what caused it: an invoice, a credit note, or an instant"),
    sa.Column("invoice_id", db.Id, comment="the invoice that drew on it, or gave back"),
    sa.Column("wallet_priority", sa.SmallInteger, comment="sort key of a use, with what follows"),
    sa.Column("wallet_created_at", db.Instant),
    sa.Column("priority", sa.SmallInteger),
    sa.Column("expires_at", db.Instant),
    sa.Column("granted_at", db.Instant),
    sa.ForeignKeyConstraint(
        ["customer_id", "grant_id"],
        ["wallet_grant.customer_id", "wallet_grant.id"],
        name="wallet_move_grant_fkey",
        ondelete="RESTRICT",
    ),
    sa.UniqueConstraint("customer_id", "grant_id", "kind", "about", name="wallet_move_about_key"),
    sa.CheckConstraint(
        "kind IN ('granted', 'refilled', 'used', 'returned', 'rolled_over', 'expired', 'voided', 'refunded',"
        " 'withheld', 'released')",
        name="kind",
    ),
    sa.CheckConstraint(
        "CASE WHEN kind IN ('used', 'expired', 'voided', 'refunded', 'withheld') THEN amount_minor < 0"
        " WHEN kind = 'rolled_over' THEN amount_minor <> 0 ELSE amount_minor > 0 END",
        name="amount_minor",
    ),
    sa.CheckConstraint("(kind = 'used') = (wallet_priority IS NOT NULL)", name="sort_key"),
    sa.Index("wallet_move_wallet_idx", "customer_id", "wallet_id", "id"),
    sa.Index(
        "wallet_move_invoice_idx", "customer_id", "invoice_id", postgresql_where=sa.text("invoice_id IS NOT NULL")
    ),
    comment="append-only; what moves money has its ledger entry",
)


@dataclass(frozen=True, slots=True)
class StoredMove:
    """One move of a balance, as it is shown."""

    id: UUID
    wallet_id: WalletId
    grant_id: WalletGrantId
    kind: MoveKind
    amount_minor: int
    at: datetime
    invoice_id: InvoiceId | None


async def insert_wallet(tx: db.Tx, new: Wallet) -> None:
    """Insert a wallet."""
    values = asdict(new) | {"product_ids": sorted(new.product_ids), "kinds": sorted(new.kinds)}
    await tx.execute(sa.insert(wallet).values(values))


@cache
def _locked(*names: str) -> Statement:
    statement = sa.select(wallet).where(*narrowed(wallet, names)).order_by(wallet.c.id)
    return Statement(statement.with_for_update(key_share=True))


async def lock_wallets(
    tx: db.Tx, customer_id: CustomerId, *, currency: str | None = None, wallet_id: WalletId | None = None
) -> list[Wallet]:
    """Return a customer's wallets, all, of a currency, or one, in the order of ids, locked until the end."""
    known = present(customer_id=customer_id, currency=currency, id=wallet_id)
    return [_wallet(row) for row in await _locked(*known).rows(tx, **known)]


async def find_wallet(tx: db.Tx, wallet_id: WalletId, *, sight: Sight) -> Wallet | None:
    """Return a wallet in sight, or None."""
    own = wallet.c
    statement = sa.select(wallet).where(own.id == wallet_id)
    wanted = ((own.customer_id, sight.scope), (own.environment, sight.environment))
    row = await tx.row(statement.where(*(column == value for column, value in wanted if value is not None)))
    return _wallet(row) if row else None


async def list_wallets(tx: db.Tx, customer_id: CustomerId) -> list[Wallet]:
    """Return a customer's wallets in the order in which invoices draw on them."""
    own = wallet.c
    statement = sa.select(wallet).where(own.customer_id == customer_id).order_by(own.priority, own.created_at, own.id)
    return [_wallet(row) for row in await tx.rows(statement)]


async def count_wallets(tx: db.Tx, customer_id: CustomerId, currency: str) -> int:
    """Count a customer's wallets of a currency."""
    own = wallet.c
    statement = sa.select(sa.func.count()).where(own.customer_id == customer_id, own.currency == currency)
    return int(await tx.value(statement))


async def save_carried(tx: db.Tx, after: Wallet) -> None:
    """Write up to when a wallet's boundaries are booked; the caller holds it."""
    own = wallet.c
    statement = sa.update(wallet).where(own.customer_id == after.customer_id, own.id == after.id)
    await tx.execute(statement.values(carried_to=after.carried_to))


async def save_warning(tx: db.Tx, after: Wallet) -> None:
    """Write from which balance on a wallet's customer is warned, and whether it was; the caller holds it."""
    own = wallet.c
    statement = sa.update(wallet).where(own.customer_id == after.customer_id, own.id == after.id)
    await tx.execute(statement.values(warn_below_minor=after.warn_below_minor, warned_at=after.warned_at))


async def insert_grant(tx: db.Tx, new: WalletGrant) -> None:
    """Insert a grant; the database refuses a second one of the same top-up invoice."""
    await tx.execute(sa.insert(wallet_grant).values(asdict(new)))


async def list_grants(
    tx: db.Tx, customer_id: CustomerId, wallet_ids: Collection[WalletId], *, living_at: datetime | None = None
) -> list[WalletGrant]:
    """Return the grants of wallets, oldest first: all, or those that had not ended at an instant or still hold some."""
    own = wallet_grant.c
    statement = sa.select(wallet_grant).where(own.customer_id == customer_id, own.wallet_id.in_(wallet_ids))
    if living_at is not None:
        is_living = sa.and_(own.voided_at.is_(None), own.expires_at.is_(None) | (own.expires_at > living_at))
        statement = statement.where(sa.or_(is_living, own.balance_minor > 0))
    return [_grant(row) for row in await tx.rows(statement.order_by(own.id))]


async def grants_by_id(
    tx: db.Tx, customer_id: CustomerId, ids: Collection[WalletGrantId]
) -> dict[WalletGrantId, WalletGrant]:
    """Return a customer's grants by id, whatever became of them."""
    own = wallet_grant.c
    statement = sa.select(wallet_grant).where(own.customer_id == customer_id, own.id.in_(ids))
    return {row.id: _grant(row) for row in await tx.rows(statement)}


async def find_grant_of_invoice(tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> WalletGrant | None:
    """Return the grant that a top-up invoice has paid for, or None."""
    own = wallet_grant.c
    row = await tx.row(sa.select(wallet_grant).where(own.customer_id == customer_id, own.invoice_id == invoice_id))
    return _grant(row) if row else None


async def newest_grants_of(
    tx: db.Tx, customer_id: CustomerId, wallet_ids: Collection[WalletId], *, limit: int
) -> dict[WalletId, list[WalletGrant]]:
    """Return the newest grants of each wallet of a customer, at most `limit` of each: one statement."""
    own = wallet_grant.c
    place = sa.func.row_number().over(partition_by=own.wallet_id, order_by=own.id.desc()).label("place")
    ranked = (
        sa.select(wallet_grant, place).where(own.customer_id == customer_id, own.wallet_id.in_(wallet_ids)).subquery()
    )
    statement = sa.select(ranked).where(ranked.c.place <= limit).order_by(ranked.c.id.desc())
    found: dict[WalletId, list[WalletGrant]] = {wallet_id: [] for wallet_id in wallet_ids}
    for row in await tx.rows(statement):
        found[row.wallet_id].append(_grant(row))
    return found


async def save_voiding(tx: db.Tx, grant: WalletGrant) -> None:
    """Write when a grant was voided; the caller holds its wallet."""
    own = wallet_grant.c
    statement = sa.update(wallet_grant).where(own.customer_id == grant.customer_id, own.id == grant.id)
    await tx.execute(statement.values(voided_at=grant.voided_at))


async def insert_moves(
    tx: db.Tx,
    owner: Wallet,
    rows: Sequence[tuple[UUID, Move, str]],
    *,
    invoice_id: InvoiceId | None = None,
    draws: Sequence[Draw] = (),
) -> None:
    """Append moves (id, move, what caused it) and move the balances with them; the caller holds the wallet.

    The database refuses a second move of the same grant, kind and cause, and a balance below zero. `draws` are given
    for uses, in the same order: their sort keys are stored.
    """
    keys: Sequence[dict[str, Any]] = [_sort_key(each) for each in draws] or [_NO_KEY] * len(rows)
    values = [
        {
            "customer_id": owner.customer_id,
            "id": move_id,
            "wallet_id": owner.id,
            "grant_id": move.grant_id,
            "kind": move.kind,
            "amount_minor": move.amount_minor,
            "at": move.at,
            "about": about,
            "invoice_id": invoice_id,
            **key,
        }
        for (move_id, move, about), key in zip(rows, keys, strict=True)
    ]
    await tx.execute(sa.insert(wallet_move), values)
    own = wallet_grant.c
    for _, move, _ in rows:
        statement = sa.update(wallet_grant).where(own.customer_id == owner.customer_id, own.id == move.grant_id)
        await tx.execute(statement.values(balance_minor=own.balance_minor + move.amount_minor))


_NO_KEY: dict[str, Any] = dict.fromkeys(
    ("wallet_priority", "wallet_created_at", "priority", "expires_at", "granted_at")
)


def _sort_key(draw: Draw) -> dict[str, Any]:
    return {
        "wallet_priority": draw.wallet.priority,
        "wallet_created_at": draw.wallet.created_at,
        "priority": draw.grant.priority,
        "expires_at": draw.grant.expires_at,
        "granted_at": draw.grant.created_at,
    }


@cache
def _used() -> Statement:
    own = wallet_move.c
    return Statement(
        sa.select(own.wallet_id, own.grant_id, (-sa.func.sum(own.amount_minor)).label("minor"))
        .where(*narrowed(wallet_move, ("customer_id", "invoice_id")))
        .group_by(own.wallet_id, own.grant_id)
        .having(sa.func.sum(own.amount_minor) < 0)
        .order_by(
            sa.func.min(own.wallet_priority),
            sa.func.min(own.wallet_created_at),
            own.wallet_id,
            sa.func.min(own.priority),
            sa.func.min(own.expires_at).asc().nulls_last(),
            sa.func.min(own.granted_at),
            own.grant_id,
        )
    )


async def list_used(
    tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId
) -> list[tuple[WalletId, WalletGrantId, int]]:
    """Return (wallet, grant, minor units) that an invoice took and still has, in the order of burning."""
    rows = await _used().rows(tx, customer_id=customer_id, invoice_id=invoice_id)
    return [(row.wallet_id, row.grant_id, int(row.minor)) for row in rows]


async def moves_of(
    tx: db.Tx, customer_id: CustomerId, wallet_id: WalletId, *, before: UUID | None, limit: int
) -> list[StoredMove]:
    """Return a wallet's moves, newest first; `before` is the id of the last one seen."""
    own = wallet_move.c
    statement = (
        sa.select(own.id, own.wallet_id, own.grant_id, own.kind, own.amount_minor, own.at, own.invoice_id)
        .where(own.customer_id == customer_id, own.wallet_id == wallet_id)
        .order_by(own.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(own.id < before)
    return [StoredMove(**{**row._asdict(), "kind": MoveKind(row.kind)}) for row in await tx.rows(statement)]


async def sum_prepaid(tx: db.Tx, environment: Environment) -> dict[str, int]:
    """Return what is left of all that was paid for, by currency, to compare it with the books."""
    statement = (
        sa.select(wallet.c.currency, sa.func.sum(wallet_grant.c.balance_minor).label("minor"))
        .join(
            wallet_grant,
            sa.and_(wallet_grant.c.customer_id == wallet.c.customer_id, wallet_grant.c.wallet_id == wallet.c.id),
        )
        .where(wallet.c.environment == environment, wallet_grant.c.source == GrantSource.PURCHASED)
        .group_by(wallet.c.currency)
    )
    return {row.currency: int(row.minor) for row in await tx.rows(statement)}


def _wallet(row: Row) -> Wallet:
    values = row._asdict() | {
        "environment": Environment(row.environment),
        "product_ids": frozenset(row.product_ids),
        "kinds": frozenset(PayableKind(each) for each in row.kinds),
    }
    return Wallet(**values)


def _grant(row: sa.Row[Any]) -> WalletGrant:
    names = WalletGrant.__dataclass_fields__
    values = {name: value for name, value in row._asdict().items() if name in names}
    refill = Refill(row.refill) if row.refill else None
    return WalletGrant(**{**values, "source": GrantSource(row.source), "refill": refill})
