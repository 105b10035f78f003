"""Tables and statements of taxes: how the merchant is taxed, rates, and what each invoice states."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.invoices.invoice import LineKind
from domain.invoices.store import invoice_line
from domain.invoices.tax import NoTax, Rate
from domain.invoices.taxing.statement import TaxStatement
from domain.invoices.taxing.treatment import Merchant, Registration, TaxRate, TaxSource
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, InvoiceId, LineId
from domain.plans.store import plan_version, price
from domain.statement import Row, Statement, among, given, narrowed, present
from domain.subscriptions.store import segment

# The rates and registrations of a merchant in all places that it ever sold to.
ROWS_MAX = 10_000
_KEY = "country || '/' || coalesce(region, '') || '/' || coalesce(tax_code, '') || '/' || name"

merchant_tax = sa.Table(
    "merchant_tax",
    db.metadata,
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("country", sa.Text, nullable=False, comment="where the merchant sits; ISO 3166"),
    sa.Column("source", sa.Text, nullable=False, comment="what computes taxes"),
    sa.Column("updated_at", db.Instant, nullable=False, comment="real time"),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("source IN ('table', 'stripe')", name="source"),
)

tax_registration = sa.Table(
    "tax_registration",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("country", sa.Text, nullable=False),
    sa.Column("region", sa.Text, comment="null: the whole country"),
    sa.Column("number", sa.Text, comment="the merchant's own number there"),
    sa.Column("valid_from", db.Instant, nullable=False),
    sa.Column("valid_to", db.Instant, comment="null: open"),
    sa.CheckConstraint("valid_from < valid_to", name="valid"),
    sa.Index(
        "tax_registration_key", "country", "region", "valid_from", unique=True, postgresql_nulls_not_distinct=True
    ),
)

tax_rate = sa.Table(
    "tax_rate",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("country", sa.Text, nullable=False),
    sa.Column("region", sa.Text, comment="null: the whole country"),
    sa.Column("tax_code", sa.Text, comment="null: whatever has no rate of its own"),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("percent", sa.Numeric(7, 4), nullable=False),
    sa.Column("inclusive", sa.Boolean, nullable=False, comment="whether prices contain it"),
    sa.Column("valid_from", db.Instant, nullable=False),
    sa.Column("valid_to", db.Instant, comment="null: open"),
    sa.CheckConstraint("percent BETWEEN 0 AND 100", name="percent"),
    sa.CheckConstraint("valid_from < valid_to", name="valid"),
    pg.ExcludeConstraint(
        (sa.text(f"tax_rate_key_range({_KEY}, {_KEY}, '[]')"), "&&"),
        (sa.text("tstzrange(valid_from, valid_to)"), "&&"),
        name="tax_rate_overlap_excl",
        using="gist",
    ),
    sa.Index(
        "tax_rate_key",
        "country",
        "region",
        "tax_code",
        "name",
        "valid_from",
        unique=True,
        postgresql_nulls_not_distinct=True,
    ),
)

invoice_tax = sa.Table(
    "invoice_tax",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("invoice_id", db.Id, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, comment="of the rate; null: no tax is taken"),
    sa.Column("percent", sa.Numeric(7, 4)),
    sa.Column("inclusive", sa.Boolean, nullable=False),
    sa.Column("country", sa.Text),
    sa.Column("region", sa.Text),
    sa.Column("reason", sa.Text, comment="why no tax is taken"),
    sa.Column("base_minor", sa.BigInteger, nullable=False, comment="net that it applies to"),
    sa.Column("tax_minor", sa.BigInteger, nullable=False),
    sa.Column("source", sa.Text, nullable=False, comment="what computed it"),
    sa.ForeignKeyConstraint(
        ["customer_id", "invoice_id"],
        ["invoice.customer_id", "invoice.id"],
        name="invoice_tax_invoice_fkey",
        ondelete="RESTRICT",
    ),
    sa.CheckConstraint(
        "(reason IS NULL) = (name IS NOT NULL AND percent IS NOT NULL) AND (reason IS NULL OR tax_minor = 0)",
        name="reason",
    ),
    sa.CheckConstraint(
        "reason IN ('exempt', 'reverse_charge', 'not_registered', 'no_rate', 'location_unknown')", name="known_reason"
    ),
    sa.Index("invoice_tax_invoice_id_idx", "invoice_id"),
)

invoice_line_tax = sa.Table(
    "invoice_line_tax",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("invoice_id", db.Id, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("line_id", db.Id, primary_key=True),
    sa.Column("tax_minor", sa.BigInteger, nullable=False, comment="this line's part"),
    sa.ForeignKeyConstraint(
        ["customer_id", "invoice_id", "position"],
        ["invoice_tax.customer_id", "invoice_tax.invoice_id", "invoice_tax.position"],
        name="invoice_line_tax_tax_fkey",
        ondelete="CASCADE",
    ),
)


_MERCHANT = Statement(
    sa.select(merchant_tax.c.country.label("seat"), merchant_tax.c.source, tax_registration)
    .select_from(merchant_tax.outerjoin(tax_registration, sa.true()))
    .where(*narrowed(merchant_tax, ("environment",)))
    .order_by(tax_registration.c.country, tax_registration.c.region, tax_registration.c.valid_from)
    .limit(ROWS_MAX)
)


async def find_merchant(tx: db.Tx, environment: Environment) -> Merchant | None:
    """Return how the merchant is taxed, with all its registrations, or None where it was never set up."""
    rows = await _MERCHANT.rows(tx, environment=environment)
    if not rows:
        return None
    registrations = tuple(_registration(row) for row in rows if row.id is not None)
    return Merchant(rows[0].seat, TaxSource(rows[0].source), registrations)


async def save_merchant(tx: db.Tx, environment: Environment, merchant: Merchant, at: datetime) -> None:
    """Write where the merchant sits and what computes taxes."""
    values = {"country": merchant.country, "source": merchant.source, "updated_at": at}
    statement = pg.insert(merchant_tax).values(environment=environment, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["environment"], set_=values))


async def list_registrations(tx: db.Tx) -> list[Registration]:
    """Return the registrations by place and time."""
    own = tax_registration.c
    statement = sa.select(tax_registration).order_by(own.country, own.region, own.valid_from).limit(ROWS_MAX)
    return [_registration(row) for row in await tx.rows(statement)]


async def save_registration(tx: db.Tx, new: Registration) -> Registration:
    """Write a registration; one of the same place and start gets the new number and end."""
    values = {name: getattr(new, name) for name in ("id", "country", "region", "number", "valid_from", "valid_to")}
    statement = (
        pg.insert(tax_registration)
        .values(values)
        .on_conflict_do_update(
            index_elements=["country", "region", "valid_from"], set_={"number": new.number, "valid_to": new.valid_to}
        )
        .returning(tax_registration)
    )
    row = await tx.row(statement)
    assert row is not None, "it was written"
    return _registration(row)


async def hold_rates(tx: db.Tx) -> None:
    """Change rates alone until the transaction ends; readers go on."""
    await tx.execute(sa.text("LOCK TABLE tax_rate IN SHARE ROW EXCLUSIVE MODE"))


@cache
def _rates(*names: str) -> Statement:
    own = tax_rate.c
    order = (own.country, own.region, own.tax_code, own.name, own.valid_from)
    return Statement(sa.select(tax_rate).where(*narrowed(tax_rate, names)).order_by(*order).limit(ROWS_MAX))


async def list_rates(tx: db.Tx, *, country: str | None = None) -> list[TaxRate]:
    """Return the rates, of one country or all, by place, code, name and time."""
    known = present(country=country)
    rows = await _rates(*known).rows(tx, **known)
    return [TaxRate(**{each.name: getattr(row, each.name) for each in fields(TaxRate)}) for row in rows]


async def insert_rate(tx: db.Tx, new: TaxRate) -> None:
    """Insert a row; the database refuses one that overlaps another of its key."""
    await tx.execute(sa.insert(tax_rate).values({column.name: getattr(new, column.name) for column in tax_rate.c}))


async def end_rate(tx: db.Tx, rate: TaxRate, at: datetime) -> None:
    """End a row that is open."""
    await tx.execute(sa.update(tax_rate).where(tax_rate.c.id == rate.id).values(valid_to=at))


@cache
def _tax_codes() -> Statement:
    of_price, of_segment = plan_version.alias("of_price"), plan_version.alias("of_segment")
    own = invoice_line.c
    joined = (
        invoice_line.outerjoin(price, price.c.id == own.price_id)
        .outerjoin(of_price, of_price.c.id == price.c.plan_version_id)
        .outerjoin(segment, sa.and_(segment.c.customer_id == own.customer_id, segment.c.id == own.segment_id))
        .outerjoin(of_segment, of_segment.c.id == segment.c.plan_version_id)
    )
    code = sa.case(
        (own.price_id.is_not(None), of_price.c.tax_code),
        (own.kind == LineKind.ONE_OFF, own.derivation["tax_code"].astext),
        else_=of_segment.c.tax_code,
    )
    found = sa.select(own.id, code.label("tax_code")).select_from(joined)
    return Statement(found.where(*narrowed(invoice_line, ("customer_id", "invoice_id"))))


async def tax_codes_of_lines(tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> dict[LineId, str | None]:
    """Return the tax code of the plan version that each line charges: its price's, or for a cap its segment's.

    A one-off charge has a code of its own.
    """
    rows = await _tax_codes().rows(tx, customer_id=customer_id, invoice_id=invoice_id)
    return {row.id: row.tax_code for row in rows}


@cache
def _statements(*names: str) -> Statement:
    own, part = invoice_tax.c, invoice_line_tax.c
    joined = invoice_tax.outerjoin(
        invoice_line_tax,
        sa.and_(part.customer_id == own.customer_id, part.invoice_id == own.invoice_id, part.position == own.position),
    )
    statement = (
        sa.select(invoice_tax, part.line_id, part.tax_minor.label("part_minor"))
        .select_from(joined)
        .where(among(own.invoice_id, "ids"), *narrowed(invoice_tax, names))
        .order_by(own.invoice_id, own.position, part.line_id)
    )
    return Statement(statement)


async def statements_by_invoice_ids(
    tx: db.Tx, ids: Collection[InvoiceId], *, scope: CustomerId | None
) -> dict[InvoiceId, list[TaxStatement]]:
    """Return what invoices state of taxes, in order; an invoice outside of the scope, or without any, has none."""
    known = present(customer_id=scope)
    rows: dict[InvoiceId, dict[int, list[Row]]] = {each: defaultdict(list) for each in ids}
    for row in await _statements(*known).rows(tx, ids=list(ids), **known):
        rows[row.invoice_id][row.position].append(row)
    return {each: [_statement(found) for found in by_position.values()] for each, by_position in rows.items()}


_DELETE = Statement(sa.delete(invoice_tax).where(*narrowed(invoice_tax, ("customer_id", "invoice_id"))))
_INSERT = Statement(sa.insert(invoice_tax).values(given(invoice_tax)))
_INSERT_PART = Statement(sa.insert(invoice_line_tax).values(given(invoice_line_tax)))


def _tax_lines() -> Statement:
    kinds: dict[str, sa.types.TypeEngine[Any]] = {"id": db.Id, "minor": sa.BigInteger(), "inclusive": sa.Boolean()}
    lists = (sa.bindparam(name, type_=pg.ARRAY(kind)) for name, kind in kinds.items())
    columns = (sa.column(name, kind) for name, kind in kinds.items())
    new = sa.func.unnest(*lists).table_valued(*columns).render_derived("new")
    statement = sa.update(invoice_line).where(
        invoice_line.c.customer_id == sa.bindparam("customer_id"), invoice_line.c.id == new.c.id
    )
    return Statement(statement.values(tax_minor=new.c.minor, tax_inclusive=new.c.inclusive))


_TAX_LINES = _tax_lines()


async def replace_statements(
    tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId, new: Sequence[TaxStatement]
) -> None:
    """Write what a draft states of taxes; the database refuses it once the invoice is opened."""
    own = {"customer_id": customer_id, "invoice_id": invoice_id}
    await _DELETE.run(tx, **own)
    if new:
        await _INSERT.run_each(tx, [{**own, **_values(each, at)} for at, each in enumerate(new)])
    parts = [
        {**own, "position": at, "line_id": line_id, "tax_minor": minor}
        for at, each in enumerate(new)
        for line_id, minor in each.lines.items()
    ]
    if parts:
        await _INSERT_PART.run_each(tx, parts)


async def save_line_taxes(tx: db.Tx, customer_id: CustomerId, taxes: Mapping[LineId, tuple[int, bool]]) -> None:
    """Write the tax of lines of a draft, and whether their amounts contain it."""
    minor, inclusive = ([each[place] for each in taxes.values()] for place in (0, 1))
    await _TAX_LINES.run(tx, customer_id=customer_id, id=list(taxes), minor=minor, inclusive=inclusive)


def _registration(row: Row) -> Registration:
    return Registration(row.id, row.country, row.region, row.number, row.valid_from, row.valid_to)


def _values(statement: TaxStatement, position: int) -> dict[str, Any]:
    stated = statement.stated
    rate = stated if isinstance(stated, Rate) else None
    return {
        "position": position,
        "name": rate.name if rate else None,
        "percent": rate.percent if rate else None,
        "inclusive": rate.inclusive if rate else False,
        "country": rate.country if rate else None,
        "region": rate.region if rate else None,
        "reason": stated if isinstance(stated, NoTax) else None,
        "base_minor": statement.base_minor,
        "tax_minor": statement.tax_minor,
        "source": statement.source,
    }


def _statement(rows: Sequence[Row]) -> TaxStatement:
    first = rows[0]
    stated = (
        NoTax(first.reason)
        if first.reason
        else Rate(first.name, first.percent.normalize(), first.inclusive, first.country, first.region)
    )
    lines = {row.line_id: row.part_minor for row in rows if row.line_id is not None}
    return TaxStatement(stated, first.base_minor, first.tax_minor, TaxSource(first.source), lines)
