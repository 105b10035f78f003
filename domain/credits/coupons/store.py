"""Tables and statements of coupons, promotion codes, applied coupons and their uses."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.credits.coupon import AppliedCoupon, Coupon, CouponUse, Duration, PromotionCode
from domain.kernel.ids import CouponId, CustomerId, InvoiceId, PromotionCodeId
from domain.kernel.money import Money, exact_text
from domain.statement import Row, Statement, narrowed

V = TypeVar("V", Coupon, PromotionCode, AppliedCoupon)
_IDS = pg.ARRAY(db.Id)

coupon = sa.Table(
    "coupon",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("percent_off", sa.Numeric(7, 4)),
    sa.Column("amount_minor", sa.BigInteger),
    sa.Column("currency", sa.Text),
    sa.Column("duration", sa.Text, nullable=False),
    sa.Column("periods", sa.Integer, comment="months in which it is used, for a repeating one"),
    sa.Column("redemptions_max", sa.Integer),
    sa.Column("per_customer_max", sa.Integer),
    sa.Column(
        "redeem_by",
        db.Instant,
        comment="business time of who takes it up",
    ),
    sa.Column("product_ids", _IDS, nullable=False, comment="empty with plan_ids: every line"),
    sa.Column("plan_ids", _IDS, nullable=False),
    sa.Column("first_purchase", sa.Boolean, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("created_at", db.Instant, nullable=False),
    sa.Column("redeemed", sa.Integer, nullable=False),
    sa.UniqueConstraint("key", name="coupon_key_key"),
    sa.CheckConstraint("(percent_off IS NULL) <> (amount_minor IS NULL)", name="value"),
    sa.CheckConstraint("(amount_minor IS NULL) = (currency IS NULL)", name="currency"),
    sa.CheckConstraint("percent_off > 0 AND percent_off <= 100", name="percent_off"),
    sa.CheckConstraint("amount_minor > 0", name="amount"),
    sa.CheckConstraint("duration IN ('once', 'repeating', 'forever')", name="duration"),
    sa.CheckConstraint("(periods IS NOT NULL) = (duration = 'repeating') AND periods > 0", name="periods"),
    sa.CheckConstraint("redeemed >= 0 AND (redemptions_max IS NULL OR redeemed <= redemptions_max)", name="redeemed"),
)

promotion_code = sa.Table(
    "promotion_code",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("coupon_id", db.Id, sa.ForeignKey("coupon.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("code", sa.Text, nullable=False, comment="in capitals"),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column(
        "expires_at",
        db.Instant,
        comment="business time of who takes it up",
    ),
    sa.Column("redemptions_max", sa.Integer),
    sa.Column("customer_id", db.Id, comment="only this customer can use it"),
    sa.Column("created_at", db.Instant, nullable=False),
    sa.Column("redeemed", sa.Integer, nullable=False),
    sa.UniqueConstraint("code", name="promotion_code_code_key"),
    sa.CheckConstraint("code = upper(code)", name="code"),
    sa.CheckConstraint("redeemed >= 0 AND (redemptions_max IS NULL OR redeemed <= redemptions_max)", name="redeemed"),
    sa.Index("promotion_code_coupon_id_idx", "coupon_id"),
)

applied_coupon = sa.Table(
    "applied_coupon",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("coupon_id", db.Id, sa.ForeignKey("coupon.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("code", sa.Text, comment="the promotion code, where one was used"),
    sa.Column("subscription_id", db.Id, comment="null: all of the customer's"),
    sa.Column("number", sa.Integer, nullable=False, comment="1, 2, 3 … in the order of application"),
    sa.Column("zone", sa.Text, nullable=False, comment="in which its months are counted"),
    sa.Column("applied_at", db.Instant, nullable=False, comment="business time, as removed_at"),
    sa.Column("removed_at", db.Instant),
    sa.UniqueConstraint("customer_id", "number", name="applied_coupon_number_key"),
    sa.CheckConstraint("number > 0", name="number"),
    sa.Index("applied_coupon_coupon_id_idx", "coupon_id"),
)

coupon_use = sa.Table(
    "coupon_use",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("applied_id", db.Id, primary_key=True),
    sa.Column("invoice_id", db.Id, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, comment="sort key: the order of application"),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("month_at", db.Instant, nullable=False, comment="start of the coupon's own month"),
    sa.Column("used_at", db.Instant, nullable=False, comment="business time, as returned_at"),
    sa.Column("returned_at", db.Instant, comment="when its invoice was voided"),
    sa.ForeignKeyConstraint(
        ["customer_id", "applied_id"],
        ["applied_coupon.customer_id", "applied_coupon.id"],
        name="coupon_use_applied_fkey",
        ondelete="RESTRICT",
    ),
    sa.CheckConstraint("amount_minor <> 0", name="amount"),
)


async def insert_coupon(tx: db.Tx, new: Coupon) -> bool:
    """Insert a coupon. False where its key is taken."""
    statement = pg.insert(coupon).values(_coupon_row(new)).on_conflict_do_nothing(index_elements=["key"])
    return await tx.value(statement.returning(coupon.c.id)) is not None


async def find_coupon(tx: db.Tx, coupon_id: CouponId) -> Coupon | None:
    """Return a coupon, or None."""
    row = await tx.row(sa.select(coupon).where(coupon.c.id == coupon_id))
    return _coupon(row) if row else None


async def list_coupons(tx: db.Tx, *, before: CouponId | None, limit: int) -> Sequence[Coupon]:
    """Return coupons, newest first; `before` is the id of the last one seen."""
    statement = sa.select(coupon).order_by(coupon.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(coupon.c.id < before)
    return [_coupon(row) for row in await tx.rows(statement)]


async def save_activity(tx: db.Tx, coupon_id: CouponId, *, is_active: bool) -> Coupon | None:
    """Switch a coupon on or off and return it, or None where there is none."""
    statement = sa.update(coupon).where(coupon.c.id == coupon_id).values(is_active=is_active)
    row = await tx.row(statement.returning(*coupon.c))
    return _coupon(row) if row else None


async def insert_code(tx: db.Tx, new: PromotionCode) -> bool:
    """Insert a promotion code. False where there is one already."""
    statement = pg.insert(promotion_code).values(asdict(new)).on_conflict_do_nothing(index_elements=["code"])
    return await tx.value(statement.returning(promotion_code.c.id)) is not None


async def save_code_activity(tx: db.Tx, code_id: PromotionCodeId, *, is_active: bool) -> PromotionCode | None:
    """Switch a code on or off and return it, or None where there is none."""
    statement = sa.update(promotion_code).where(promotion_code.c.id == code_id).values(is_active=is_active)
    row = await tx.row(statement.returning(*promotion_code.c))
    return _code(row) if row else None


async def find_code(tx: db.Tx, code: str) -> PromotionCode | None:
    """Return a promotion code by its text in capitals, or None."""
    row = await tx.row(sa.select(promotion_code).where(promotion_code.c.code == code))
    return _code(row) if row else None


async def codes_by_coupon_ids(
    tx: db.Tx, ids: Collection[CouponId], *, limit: int
) -> dict[CouponId, list[PromotionCode]]:
    """Return the newest promotion codes of each coupon, at most `limit` of each."""
    own = promotion_code.c
    place = sa.func.row_number().over(partition_by=own.coupon_id, order_by=own.id.desc()).label("place")
    ranked = sa.select(promotion_code, place).where(own.coupon_id.in_(ids)).subquery()
    found: dict[CouponId, list[PromotionCode]] = {each: [] for each in ids}
    for row in await tx.rows(sa.select(ranked).where(ranked.c.place <= limit).order_by(ranked.c.id.desc())):
        found[row.coupon_id].append(_code(row))
    return found


async def count_redemption(tx: db.Tx, coupon_id: CouponId, code_id: PromotionCodeId | None) -> bool:
    """Count one redemption of a coupon, and of a code, where their limits leave one.

    False where none is left. The rows stay locked until the transaction ends: of two at once, the second sees the
    first.
    """
    for table, row_id in ((promotion_code, code_id), (coupon, coupon_id)):
        if row_id is not None:
            own = table.c
            is_left = sa.or_(own.redemptions_max.is_(None), own.redeemed < own.redemptions_max)
            statement = sa.update(table).where(own.id == row_id, own.is_active, is_left)
            if await tx.value(statement.values(redeemed=own.redeemed + 1).returning(own.id)) is None:
                return False
    return True


async def insert_applied(tx: db.Tx, new: AppliedCoupon) -> None:
    """Insert an application; the database refuses a number that stands already."""
    values = {
        "customer_id": new.customer_id,
        "id": new.id,
        "coupon_id": new.coupon.id,
        "code": new.code,
        "subscription_id": new.subscription_id,
        "number": new.number,
        "zone": new.zone,
        "applied_at": new.applied_at,
        "removed_at": new.removed_at,
    }
    await tx.execute(sa.insert(applied_coupon).values(values))


async def save_removal(tx: db.Tx, removed: AppliedCoupon) -> None:
    """Write when an application was removed."""
    own = applied_coupon.c
    statement = sa.update(applied_coupon).where(own.customer_id == removed.customer_id, own.id == removed.id)
    await tx.execute(statement.values(removed_at=removed.removed_at))


async def save_subscription_of(tx: db.Tx, moved: AppliedCoupon) -> None:
    """Write which subscription an application is for."""
    own = applied_coupon.c
    statement = sa.update(applied_coupon).where(own.customer_id == moved.customer_id, own.id == moved.id)
    await tx.execute(statement.values(subscription_id=moved.subscription_id))


_APPLICATION = sa.select(applied_coupon, *(column for column in coupon.c if column.name != "id")).join(
    coupon, coupon.c.id == applied_coupon.c.coupon_id
)


@cache
def _applications(*, only_present: bool) -> Statement:
    own = narrowed(applied_coupon, ("customer_id",))
    statement = _APPLICATION.where(*own).order_by(applied_coupon.c.number)
    return Statement(statement.where(applied_coupon.c.removed_at.is_(None)) if only_present else statement)


async def list_applied(tx: db.Tx, customer_id: CustomerId, *, only_present: bool = False) -> list[AppliedCoupon]:
    """Return a customer's applications in their order; bounded by how many a customer may ever have."""
    rows = await _applications(only_present=only_present).rows(tx, customer_id=customer_id)
    return [_applied(row) for row in rows]


async def lasting_of_customers(
    tx: db.Tx, customer_ids: Collection[CustomerId]
) -> dict[CustomerId, list[AppliedCoupon]]:
    """Return the applications of lasting coupons of many customers, removed ones too, in each customer's order."""
    statement = _APPLICATION.where(
        applied_coupon.c.customer_id.in_(customer_ids), coupon.c.duration == Duration.FOREVER
    ).order_by(applied_coupon.c.number)
    found: dict[CustomerId, list[AppliedCoupon]] = {}
    for row in await tx.rows(statement):
        found.setdefault(row.customer_id, []).append(_applied(row))
    return found


_USES = Statement(
    sa.select(coupon_use)
    .join(
        applied_coupon,
        sa.and_(
            applied_coupon.c.customer_id == coupon_use.c.customer_id, applied_coupon.c.id == coupon_use.c.applied_id
        ),
    )
    .where(*narrowed(coupon_use, ("customer_id",)), coupon_use.c.returned_at.is_(None))
    .order_by(coupon_use.c.used_at, coupon_use.c.number)
)


async def list_uses(tx: db.Tx, customer_id: CustomerId) -> list[CouponUse]:
    """Return what invoices that are not void took of a customer's coupons that are not removed, oldest first."""
    return [_use(row) for row in await _USES.rows(tx, customer_id=customer_id)]


async def insert_uses(
    tx: db.Tx, customer_id: CustomerId, used_at: datetime, uses: Sequence[tuple[int, CouponUse]]
) -> None:
    """Write what an opened invoice took, with each coupon's place in the order."""
    rows = [
        {
            "customer_id": customer_id,
            "applied_id": use.applied_id,
            "invoice_id": use.invoice_id,
            "number": number,
            "amount_minor": use.amount.minor,
            "currency": use.amount.currency,
            "month_at": use.month_at,
            "used_at": used_at,
            "returned_at": None,
        }
        for number, use in uses
    ]
    await tx.execute(sa.insert(coupon_use), rows)


async def return_uses(tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId, at: datetime) -> int:
    """Give back what an invoice took; return how many uses there were. Safe to repeat."""
    own = coupon_use.c
    statement = (
        sa.update(coupon_use)
        .where(own.customer_id == customer_id, own.invoice_id == invoice_id, own.returned_at.is_(None))
        .values(returned_at=at)
    )
    return (await tx.execute(statement)).rowcount


def _coupon_row(value: Coupon) -> dict[str, Any]:
    row = asdict(value)
    del row["amount_off"]
    return row | {
        "amount_minor": value.amount_off.minor if value.amount_off else None,
        "currency": value.amount_off.currency if value.amount_off else None,
        "product_ids": sorted(value.product_ids),
        "plan_ids": sorted(value.plan_ids),
    }


def _value(kind: type[V], row: Row, **different: Any) -> V:
    """Read a value whose fields are named as the columns, but for what is given."""
    same: dict[str, Any] = {each.name: getattr(row, each.name) for each in fields(kind) if each.name not in different}
    return kind(**same, **different)


def _coupon(row: Row, coupon_id: CouponId | None = None) -> Coupon:
    return _value(
        Coupon,
        row,
        id=coupon_id or row.id,
        percent_off=Decimal(exact_text(row.percent_off)) if row.percent_off is not None else None,
        amount_off=Money(row.amount_minor, row.currency) if row.amount_minor is not None else None,
        duration=Duration(row.duration),
        product_ids=frozenset(row.product_ids),
        plan_ids=frozenset(row.plan_ids),
    )


def _code(row: sa.Row[Any]) -> PromotionCode:
    return _value(PromotionCode, row)


def _applied(row: Row) -> AppliedCoupon:
    return _value(AppliedCoupon, row, coupon=_coupon(row, row.coupon_id))


def _use(row: Row) -> CouponUse:
    return CouponUse(row.applied_id, row.invoice_id, Money(row.amount_minor, row.currency), row.month_at)
