"""Tables and statements of the catalogue and of the provider price list. No row here belongs to a customer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, get_args

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.ids import CustomerId, PlanId, ProductId, ProviderPriceId
from domain.kernel.money import exact_text
from domain.plans.meter import Aggregation, Meter
from domain.plans.plan import Entitlement, Plan, PlanVersion, Price, PriceModel, Product
from domain.plans.provider_price import ModelAlias, Provider, ProviderPrice
from domain.plans.start import read_start
from domain.statement import Statement

_Texts = pg.ARRAY(sa.Text)

product = sa.Table(
    "product",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("own", sa.Boolean, nullable=False, server_default=sa.false(), comment="the operator publishes it"),
)

plan = sa.Table(
    "plan",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("product_id", db.Id, sa.ForeignKey("product.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False, comment="a higher rank is an upgrade"),
    sa.Column("archived_at", db.Instant, comment="real time; since then nobody takes it"),
    sa.UniqueConstraint("product_id", "key"),
)

meter = sa.Table(
    "meter",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("product_id", db.Id, sa.ForeignKey("product.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("event_type", sa.Text, nullable=False, index=True),
    *(sa.Column(name, sa.Text, nullable=False) for name in ("key", "name", "aggregation", "when_missing", "unit")),
    sa.Column("value_properties", _Texts, nullable=False),
    sa.Column("dimensions", _Texts, nullable=False),
    sa.Column("event_filter", pg.JSONB(none_as_null=True)),
    sa.Column("dimension_combinations_max", sa.Integer, nullable=False),
    sa.Column("operation_property", sa.Text),
    sa.Column("percent", sa.Numeric(21, 18)),
    *(sa.Column(name, sa.Boolean, nullable=False) for name in ("carries_over", "by_days")),
    sa.UniqueConstraint("product_id", "key"),
    sa.CheckConstraint(f"aggregation IN {get_args(Aggregation)}", name="aggregation"),
    sa.CheckConstraint("when_missing IN ('refuse', 'skip', 'one')", name="when_missing"),
    sa.CheckConstraint("(aggregation IN ('count', 'cost')) = (cardinality(value_properties) = 0)", name="value"),
    sa.CheckConstraint("(aggregation = 'percentile') = (percent IS NOT NULL)", name="percent"),
    sa.CheckConstraint("cardinality(dimensions) <= 5", name="dimensions"),
    sa.CheckConstraint("dimension_combinations_max > 0", name="combinations"),
)

plan_version = sa.Table(
    "plan_version",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("plan_id", db.Id, sa.ForeignKey("plan.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("published_at", db.Instant, nullable=False),
    sa.Column("invoice_grace_s", sa.Integer, nullable=False),
    *(sa.Column(name, db.Json, nullable=False) for name in ("features", "start")),
    *(sa.Column(name, sa.Text, nullable=False) for name in ("support", "existing", "proration", "cancel_credit")),
    sa.Column("net_days", sa.Integer, comment="days from issue to due; null: at once"),
    sa.Column("digest", sa.LargeBinary, nullable=False, comment="SHA-256 of the definition"),
    sa.Column("tax_code", sa.Text, comment="what is sold, to taxes; null: nothing in particular"),
    sa.Column("customer_id", db.Id, comment="whose alone it is; null: everybody's"),
    sa.UniqueConstraint("plan_id", "number"),
    sa.CheckConstraint("number > 0", name="number"),
    sa.CheckConstraint("invoice_grace_s >= 0", name="grace"),
    sa.CheckConstraint("existing IN ('stay', 'move_at_renewal')", name="existing"),
    sa.CheckConstraint("proration IN ('second', 'day')", name="proration"),
    sa.CheckConstraint("cancel_credit IN ('none', 'prorate')", name="cancel_credit"),
    sa.CheckConstraint("net_days BETWEEN 0 AND 365", name="net_days"),
)

price = sa.Table(
    "price",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("plan_version_id", db.Id, sa.ForeignKey("plan_version.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("interval", sa.Text),
    sa.Column("meter_id", db.Id, sa.ForeignKey("meter.id", ondelete="RESTRICT")),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("definition", db.Json, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.UniqueConstraint("plan_version_id", "key"),
    sa.CheckConstraint("kind IN ('fee', 'usage')", name="kind"),
    sa.CheckConstraint("interval IN ('month', 'year')", name="interval"),
    sa.CheckConstraint("(kind = 'fee') = (interval IS NOT NULL)", name="fee"),
    sa.CheckConstraint("(kind = 'usage') = (meter_id IS NOT NULL)", name="usage"),
    sa.CheckConstraint(f"model IN {get_args(PriceModel)}", name="model"),
)

entitlement = sa.Table(
    "entitlement",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("plan_version_id", db.Id, sa.ForeignKey("plan_version.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("meter_id", db.Id, sa.ForeignKey("meter.id", ondelete="RESTRICT")),
    sa.Column("money", sa.Boolean, nullable=False),
    sa.Column("dimension_filter", pg.JSONB(none_as_null=True)),
    sa.Column("amount", db.Quantity, comment="null: unlimited; 0: nothing"),
    sa.Column("currency", sa.Text),
    sa.Column("policy", sa.Text),
    sa.Column("soft_percent", sa.Integer),
    sa.Column("grace_hours", sa.Integer),
    sa.Column("on_failure", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.UniqueConstraint("plan_version_id", "key"),
    sa.CheckConstraint("kind IN ('limit', 'feature')", name="kind"),
    sa.CheckConstraint(
        "(kind = 'limit') = (meter_id IS NOT NULL) AND (kind = 'limit') = (policy IS NOT NULL)", name="limit"
    ),
    sa.CheckConstraint("money = (currency IS NOT NULL)", name="money"),
    sa.CheckConstraint("amount >= 0", name="amount"),
    sa.CheckConstraint("policy IN ('hard', 'soft', 'observe')", name="policy"),
    sa.CheckConstraint(
        "(policy IS NOT DISTINCT FROM 'soft') = (soft_percent IS NOT NULL AND grace_hours IS NOT NULL)", name="soft"
    ),
    sa.CheckConstraint("on_failure IN ('open', 'closed')", name="on_failure"),
    sa.CheckConstraint("source IN ('requirements', 'ours')", name="source"),
)

provider = sa.Table(
    "provider",
    db.metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("aliases", _Texts, nullable=False),
)

model_alias = sa.Table(
    "model_alias",
    db.metadata,
    sa.Column("provider", sa.Text, sa.ForeignKey("provider.key", ondelete="RESTRICT"), primary_key=True),
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, nullable=False),
)

_NAME = "provider || ' ' || model || ' ' || pool || ' ' || above::text"
_SERIES = f"textrange({_NAME}, {_NAME}, '[]')"

provider_price = sa.Table(
    "provider_price",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("provider", sa.Text, sa.ForeignKey("provider.key", ondelete="RESTRICT"), nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("pool", sa.Text, nullable=False),
    sa.Column("amount", db.Quantity, nullable=False, comment="for every so many (per) units of the pool"),
    sa.Column("per", db.Quantity, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("valid_from", db.Instant, nullable=False),
    sa.Column("valid_to", db.Instant),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("above", sa.Integer, nullable=False, server_default="0", comment="input tokens of a call; it has more"),
    sa.UniqueConstraint("provider", "model", "pool", "valid_from", "above"),
    sa.CheckConstraint("amount >= 0", name="amount"),
    sa.CheckConstraint("per > 0", name="per"),
    sa.CheckConstraint("above >= 0", name="above"),
    sa.CheckConstraint("mod(extract(epoch FROM valid_from), 3600) = 0", name="hour"),
    sa.CheckConstraint("valid_from < valid_to", name="period"),
    pg.ExcludeConstraint(
        (sa.text(_SERIES), "&&"),
        (sa.text("tstzrange(valid_from, valid_to)"), "&&"),
        name="provider_price_overlap_excl",
        using="gist",
    ),
)

# Everyone who changes the catalogue or the price list takes its turn.
_WRITER_LOCK = 0xCA7A
# Bounds of a snapshot: what a process holds of the catalogue in memory.
VERSIONS_MAX, PROVIDER_PRICES_MAX = 10_000, 100_000


async def hold_catalogue(tx: db.Tx) -> None:
    """Wait until no other transaction writes the catalogue or the price list; held until this one ends."""
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITER_LOCK)))


@cache
def _fingerprint() -> Statement:
    counted = (product, meter, plan_version, provider, model_alias)
    names = sa.func.string_agg(
        sa.func.concat_ws("/", product.c.name, plan.c.key, plan.c.name, plan.c.rank, plan.c.archived_at),
        pg.aggregate_order_by(sa.text("','"), plan.c.id),
    )
    parts = (
        sa.select(sa.func.md5(names)).select_from(plan.join(product)).scalar_subquery(),
        *(sa.select(sa.func.max(sa.cast(table.c.id, sa.Text))).scalar_subquery() for table in (plan_version, meter)),
        *(sa.select(sa.func.count()).select_from(table).scalar_subquery() for table in counted),
        sa.select(sa.func.concat_ws("-", sa.func.count(), sa.func.count(provider_price.c.valid_to))).scalar_subquery(),
    )
    return Statement(sa.select(sa.func.concat_ws("-", *parts)))


async def find_fingerprint(tx: db.Tx) -> str:
    """Return a text that differs after every change: rows are only added, but for those parts that it is made of."""
    return str(await _fingerprint().value(tx))


async def list_products(tx: db.Tx) -> Sequence[Product]:
    """Return all products by key."""
    return [Product(**row._asdict()) for row in await tx.rows(sa.select(product).order_by(product.c.key))]


async def list_plans(tx: db.Tx) -> Sequence[Plan]:
    """Return all plans by rank."""
    rows = await tx.rows(sa.select(plan).order_by(plan.c.product_id, plan.c.rank))
    return [Plan(row.id, row.product_id, row.key, row.name, row.rank, row.archived_at) for row in rows]


async def list_meters(tx: db.Tx) -> Sequence[Meter]:
    """Return all meters by key."""
    return [_meter(row) for row in await tx.rows(sa.select(meter).order_by(meter.c.product_id, meter.c.key))]


async def list_versions(tx: db.Tx) -> Sequence[PlanVersion]:
    """Return all published versions with their prices and entitlements, oldest first."""
    versions = await tx.rows(sa.select(plan_version).order_by(plan_version.c.number).limit(VERSIONS_MAX))
    prices: dict[Any, list[Price]] = {row.id: [] for row in versions}
    entitlements: dict[Any, list[Entitlement]] = {row.id: [] for row in versions}
    for row in await tx.rows(sa.select(price).where(price.c.plan_version_id.in_(prices)).order_by(price.c.key)):
        prices[row.plan_version_id].append(Price(**row._asdict()))
    found = sa.select(entitlement).where(entitlement.c.plan_version_id.in_(prices)).order_by(entitlement.c.id)
    for row in await tx.rows(found):
        entitlements[row.plan_version_id].append(_entitlement(row))
    return [_version(row, prices[row.id], entitlements[row.id]) for row in versions]


async def upsert_product(tx: db.Tx, values: Mapping[str, Any]) -> ProductId:
    """Insert a product or rename it; return its id. What was its operator's once stays so."""
    new = (statement := pg.insert(product).values(values)).excluded
    changes = {"name": new.name, "own": product.c.own | new.own}
    known = statement.on_conflict_do_update(index_elements=["key"], set_=changes)
    return ProductId(await tx.value(known.returning(product.c.id)))


async def upsert_plan(tx: db.Tx, values: Mapping[str, Any]) -> PlanId:
    """Insert a plan or change its name and rank; return its id."""
    statement = pg.insert(plan).values(values)
    names = {"name": statement.excluded.name, "rank": statement.excluded.rank}
    statement = statement.on_conflict_do_update(index_elements=["product_id", "key"], set_=names)
    return PlanId(await tx.value(statement.returning(plan.c.id)))


async def insert_meters(tx: db.Tx, meters: Sequence[Meter]) -> None:
    """Insert meters."""
    if meters:
        await tx.execute(sa.insert(meter), [asdict(each) for each in meters])


async def find_newest_version(tx: db.Tx, plan_id: PlanId, customer_id: CustomerId | None) -> tuple[int, bytes | None]:
    """Return a plan's highest number, 0 for none, and the digest of the newest version of a customer, or everybody."""
    own = plan_version.c
    newest_first = sa.func.array_agg(pg.aggregate_order_by(own.digest, own.number.desc()))
    digests = newest_first.filter(own.customer_id.is_not_distinct_from(customer_id))
    found = sa.select(sa.func.max(own.number).label("number"), digests.label("digests")).where(own.plan_id == plan_id)
    [row] = await tx.rows(found)
    return row.number or 0, row.digests[0] if row.digests else None


async def insert_version(
    tx: db.Tx,
    values: Mapping[str, Any],
    prices: Sequence[Mapping[str, Any]],
    entitlements: Sequence[Mapping[str, Any]],
) -> None:
    """Insert a version with all it holds; the database refuses to add to it after this transaction."""
    await tx.execute(sa.insert(plan_version).values(values))
    if prices:
        await tx.execute(sa.insert(price), prices)
    if entitlements:
        await tx.execute(sa.insert(entitlement), entitlements)


async def list_providers(tx: db.Tx) -> Sequence[Provider]:
    """Return all providers by key."""
    rows = await tx.rows(sa.select(provider).order_by(provider.c.key))
    return [Provider(row.key, row.name, tuple(row.aliases)) for row in rows]


async def list_aliases(tx: db.Tx) -> Sequence[ModelAlias]:
    """Return all other names of models."""
    rows = await tx.rows(sa.select(model_alias).order_by(model_alias.c.provider, model_alias.c.alias))
    return [ModelAlias(row.provider, row.alias, row.model) for row in rows]


async def insert_providers(tx: db.Tx, providers: Sequence[Provider]) -> None:
    """Insert those providers that are not there yet."""
    values = [{"key": each.key, "name": each.name, "aliases": list(each.aliases)} for each in providers]
    await tx.execute(pg.insert(provider).on_conflict_do_nothing(), values)


async def insert_aliases(tx: db.Tx, aliases: Sequence[ModelAlias]) -> None:
    """Insert those names that are not there yet, in one statement."""
    connection = await tx.raw()
    await connection.execute(
        "INSERT INTO model_alias (provider, alias, model) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])"
        " ON CONFLICT DO NOTHING",
        [each.provider for each in aliases],
        [each.alias for each in aliases],
        [each.model for each in aliases],
    )


async def has_source(tx: db.Tx, source: str) -> bool:
    """Whether any row's source begins with this text."""
    statement = sa.exists().where(provider_price.c.source.startswith(source, autoescape=True))
    return bool(await tx.value(sa.select(statement)))


async def insert_provider_prices(tx: db.Tx, rows: Sequence[ProviderPrice]) -> None:
    """Insert rows of the list in one statement; the database refuses one that overlaps another of its series."""
    connection = await tx.raw()
    await connection.execute(
        "INSERT INTO provider_price"
        " (id, provider, model, pool, amount, per, currency, valid_from, valid_to, source, above)"
        " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::numeric[],"
        " $7::text[], $8::timestamptz[], $9::timestamptz[], $10::text[], $11::int[])",
        *([getattr(row, column.name) for row in rows] for column in provider_price.c),
    )


async def save_price_end(tx: db.Tx, ids: Sequence[ProviderPriceId], *, valid_to: datetime) -> None:
    """Close open rows of the list."""
    await tx.execute(sa.update(provider_price).where(provider_price.c.id.in_(ids)).values(valid_to=valid_to))


async def list_provider_prices(
    tx: db.Tx,
    *,
    provider_key: str | None = None,
    at: datetime | None = None,
    after: ProviderPriceId | None = None,
    limit: int = PROVIDER_PRICES_MAX,
) -> Sequence[ProviderPrice]:
    """Return rows by provider, model, pool, date and `above`: of one provider, in force at an instant, after a row."""
    rows = provider_price.c
    order = (rows.provider, rows.model, rows.pool, rows.valid_from, rows.above)
    statement = sa.select(provider_price).order_by(*order).limit(limit)
    if provider_key is not None:
        statement = statement.where(rows.provider == provider_key)
    if at is not None:
        statement = statement.where(rows.valid_from <= at, sa.or_(rows.valid_to.is_(None), rows.valid_to > at))
    if after is not None:
        last = await tx.row(sa.select(*order).where(rows.id == after))
        if last is None:
            return []
        statement = statement.where(sa.tuple_(*order) > sa.tuple_(*last))
    return [_provider_price(row) for row in await tx.rows(statement)]


def _meter(row: sa.Row[Any]) -> Meter:
    lists = {"value_properties": tuple(row.value_properties), "dimensions": tuple(row.dimensions)}
    return Meter(**{**row._asdict(), **lists, "percent": _trimmed(row.percent)})


def _version(row: sa.Row[Any], prices: Sequence[Price], entitlements: Sequence[Entitlement]) -> PlanVersion:
    parts = {"features": tuple(row.features), "prices": tuple(prices), "entitlements": tuple(entitlements)}
    return PlanVersion(**{**row._asdict(), **parts, "start": read_start(row.start)})


def _entitlement(row: sa.Row[Any]) -> Entitlement:
    return Entitlement(**{**row._asdict(), "amount": _trimmed(row.amount)})


def _provider_price(row: sa.Row[Any]) -> ProviderPrice:
    return ProviderPrice(**{**row._asdict(), "amount": _trimmed(row.amount), "per": _trimmed(row.per)})


def _trimmed(value: Decimal | None) -> Decimal | None:
    """Take off the zeros with which the column fills its 18 decimals."""
    return None if value is None else Decimal(exact_text(value))
