"""Tables and statements of invoices and their lines."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import sqlalchemy as sa

from domain import db
from domain.credits import discount
from domain.customers.customer import CollectionMethod
from domain.customers.store import Sight
from domain.invoices.derivation import NewLine
from domain.invoices.invoice import Identity, Invoice, InvoiceKind, Line, LineKind, State, VoidReason
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, InvoiceId, LineId
from domain.kernel.money import Money
from domain.kernel.period import Period
from domain.statement import Row, Statement, among, given, narrowed, present

# An invoice's lines are read whole; a meter has at most a thousand combinations in a period.
LINES_MAX = 20_000

invoice = sa.Table(
    "invoice",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False, comment="a statement shows lines that are all zero"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("number", sa.Text, comment="gap-free by environment, kind and year; given when it is opened"),
    sa.Column("created_at", db.Instant, nullable=False, comment="business time, as all instants here"),
    sa.Column("grace_ends_at", db.Instant, nullable=False, comment="when a draft may be opened"),
    sa.Column("issued_at", db.Instant),
    sa.Column("due_at", db.Instant),
    sa.Column("paid_at", db.Instant),
    sa.Column("subtotal_minor", sa.BigInteger, nullable=False, comment="sum of the lines"),
    sa.Column("discount_minor", sa.BigInteger, nullable=False, comment="what coupons take off the lines"),
    sa.Column("tax_minor", sa.BigInteger, nullable=False),
    sa.Column("tax_included_minor", sa.BigInteger, nullable=False, comment="what of the tax the lines contain"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("applied_minor", sa.BigInteger, nullable=False, comment="paid by the customer's balances at opening"),
    sa.Column("offset_minor", sa.BigInteger, nullable=False, comment="what credit notes took off before it was paid"),
    sa.Column("charging", sa.Boolean, nullable=False, comment="while an attempt is under way, what is due stays"),
    sa.Column("voided_at", db.Instant),
    sa.Column("void_reason", sa.Text),
    sa.Column("written_off_at", db.Instant),
    sa.Column("top_up_id", db.Id, comment="it asks for prepaid credit and nothing else"),
    sa.Column("memo", sa.Text, comment="text on the document; set when it is opened"),
    sa.Column("purchase_order", sa.Text, comment="the customer's own numbers of its orders"),
    sa.Column("disputed_minor", sa.BigInteger, nullable=False, comment="paid, and held by banks until it is decided"),
    sa.Column("kept_minor", sa.BigInteger, nullable=False, comment="paid, and still here after banks took the rest"),
    sa.Column("reopened", sa.SmallInteger, nullable=False, comment="how often it was asked for again"),
    sa.Column("collection", sa.Text, nullable=False, comment="how it is paid; set when it is opened"),
    sa.CheckConstraint("collection IN ('charge_automatically', 'send_invoice')", name="collection"),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    sa.CheckConstraint("kind IN ('invoice', 'statement')", name="kind"),
    sa.CheckConstraint("state IN ('draft', 'open', 'paid', 'void', 'uncollectible', 'charged_back')", name="state"),
    sa.CheckConstraint("(number IS NOT NULL) = (kind = 'invoice' AND state <> 'draft')", name="number"),
    sa.CheckConstraint("(issued_at IS NULL) = (state = 'draft')", name="issued_at"),
    sa.CheckConstraint("(paid_at IS NOT NULL) = (state IN ('paid', 'charged_back'))", name="paid_at"),
    sa.CheckConstraint("kind = 'invoice' OR (state = 'paid' AND subtotal_minor = discount_minor)", name="statement"),
    sa.CheckConstraint(
        "applied_minor BETWEEN 0 AND greatest(subtotal_minor - discount_minor + tax_minor - tax_included_minor, 0)",
        name="applied_minor",
    ),
    sa.CheckConstraint(
        "offset_minor BETWEEN 0 AND greatest(subtotal_minor - discount_minor + tax_minor - tax_included_minor, 0)"
        " - applied_minor",
        name="offset_minor",
    ),
    sa.CheckConstraint("NOT charging OR state = 'open'", name="charging"),
    sa.CheckConstraint(
        "disputed_minor >= 0 AND kept_minor >= 0 AND reopened >= 0"
        " AND (kept_minor = 0 OR state IN ('open', 'uncollectible', 'charged_back'))",
        name="reversed",
    ),
    sa.CheckConstraint("(voided_at IS NOT NULL) = (state = 'void')", name="voided_at"),
    sa.CheckConstraint("(void_reason IS NOT NULL) = (state = 'void')", name="void_reason"),
    sa.CheckConstraint("written_off_at IS NOT NULL OR state <> 'uncollectible'", name="written_off_at"),
    sa.UniqueConstraint("customer_id", "number", name="invoice_number_key"),
    sa.Index(
        "invoice_draft_key",
        *("customer_id", "environment", "currency"),
        unique=True,
        postgresql_where=sa.text("state = 'draft' AND top_up_id IS NULL"),
    ),
    sa.Index("invoice_id_idx", "id"),
    sa.Index("invoice_number_idx", "number", postgresql_where=sa.text("number IS NOT NULL")),
    sa.Index("invoice_issued_idx", "environment", "issued_at", postgresql_where=sa.text("issued_at IS NOT NULL")),
    sa.Index("invoice_open_idx", "customer_id", "id", postgresql_where=sa.text("state = 'open'")),
)

invoice_line = sa.Table(
    "invoice_line",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("invoice_id", db.Id, nullable=False),
    sa.Column("origin", sa.Text, nullable=False, comment="derived, or the id of a one-off charge or a top-up"),
    sa.Column("subscription_id", db.Id, comment="null: not of a subscription"),
    sa.Column("price_id", db.Id, sa.ForeignKey("price.id", ondelete="RESTRICT"), comment="null: a cap"),
    sa.Column("segment_id", db.Id, comment="null: a fee"),
    sa.Column("service_start_at", db.Instant, nullable=False),
    sa.Column("service_end_at", db.Instant, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("dimension_key", sa.Text, nullable=False, comment="digest of the dimensions, or a cap's key"),
    sa.Column("revision", sa.Integer, nullable=False, comment="0: the first; each later difference takes the next"),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("quantity", sa.Numeric, nullable=False, comment="exact, however many digits a kept cost has"),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column(
        "discount_minor", sa.BigInteger, nullable=False, comment="has the sign of the amount and never passes it"
    ),
    sa.Column("discounts", db.Json, nullable=False, comment="each coupon and what it takes off, in order"),
    sa.Column("tax_minor", sa.BigInteger, nullable=False),
    sa.Column("tax_inclusive", sa.Boolean, nullable=False, comment="whether the amount contains the tax"),
    sa.Column("derivation", db.Json, nullable=False, comment="how the amount came about"),
    sa.Column("void", sa.Boolean, nullable=False, comment="its invoice is void: the identity is free again"),
    sa.ForeignKeyConstraint(
        ["customer_id", "invoice_id"],
        ["invoice.customer_id", "invoice.id"],
        name="invoice_line_invoice_fkey",
        ondelete="RESTRICT",
    ),
    sa.ForeignKeyConstraint(
        ["customer_id", "subscription_id"],
        ["subscription.customer_id", "subscription.id"],
        name="invoice_line_subscription_fkey",
        ondelete="RESTRICT",
    ),
    sa.CheckConstraint("kind IN ('fee', 'proration', 'usage', 'cap', 'one_off', 'top_up')", name="kind"),
    sa.CheckConstraint("kind = 'one_off' OR (subscription_id IS NULL) = (kind = 'top_up')", name="subscription"),
    sa.CheckConstraint("(origin = 'derived') = (kind NOT IN ('one_off', 'top_up'))", name="origin"),
    sa.CheckConstraint("service_start_at < service_end_at", name="service"),
    sa.CheckConstraint("revision >= 0", name="revision"),
    sa.CheckConstraint("discount_minor BETWEEN least(amount_minor, 0) AND greatest(amount_minor, 0)", name="discount"),
    sa.Index(
        "invoice_line_identity_key",
        *("customer_id", "subscription_id", "segment_id", "kind", "price_id", "service_start_at", "service_end_at"),
        *("dimension_key", "origin", "revision"),
        unique=True,
        postgresql_where=sa.text("NOT void"),
        postgresql_nulls_not_distinct=True,
    ),
    sa.Index("invoice_line_invoice_id_idx", "invoice_id"),
)


_INSERT = Statement(sa.insert(invoice).values(given(invoice)))
_SAVE = Statement(
    sa.update(invoice)
    .where(*narrowed(invoice, ("customer_id", "id")), invoice.c.version == sa.bindparam("version_before"))
    .values(given(invoice, but=("customer_id", "id")))
)
_DRAFT = Statement(
    sa.select(invoice)
    .where(
        *narrowed(invoice, ("customer_id", "environment", "currency")),
        invoice.c.state == State.DRAFT,
        invoice.c.top_up_id.is_(None),
    )
    .with_for_update(key_share=True)
)


async def insert_invoice(tx: db.Tx, new: Invoice) -> None:
    """Insert a draft; the database refuses a second one of the customer, environment and currency."""
    await _INSERT.run(tx, **_invoice_row(new))


async def save_invoice(tx: db.Tx, before: Invoice, after: Invoice) -> Invoice:
    """Write a changed invoice and return it with its new version. The caller holds its lock."""
    saved = replace(after, version=before.version + 1)
    written = await _SAVE.run(tx, **_invoice_row(saved), version_before=before.version)
    assert written == 1, "invoices are changed under their lock"
    return saved


async def lock_draft(tx: db.Tx, *, customer_id: CustomerId, environment: Environment, currency: str) -> Invoice | None:
    """Return the draft of a customer, environment and currency, locked, or None."""
    row = await _DRAFT.row(tx, customer_id=customer_id, environment=environment, currency=currency)
    return invoice_of_row(row) if row else None


@cache
def _one(*names: str, lock: bool) -> Statement:
    statement = sa.select(invoice).where(*narrowed(invoice, (each for each in names if each != "scope")))
    if "scope" in names:
        statement = statement.where(invoice.c.customer_id == sa.bindparam("scope"))
    return Statement(statement.with_for_update(key_share=True) if lock else statement)


async def find_invoice(
    tx: db.Tx, invoice_id: InvoiceId, *, sight: Sight, customer_id: CustomerId | None = None, lock: bool = False
) -> Invoice | None:
    """Return an invoice, or None where there is none in sight. `lock` keeps other changes out until the end."""
    known = present(id=invoice_id, customer_id=customer_id, scope=sight.scope, environment=sight.environment)
    row = await _one(*known, lock=lock).row(tx, **known)
    return invoice_of_row(row) if row else None


async def invoices_by_customer_ids(
    tx: db.Tx, ids: Collection[CustomerId], *, sight: Sight, before: InvoiceId | None, limit: int
) -> dict[CustomerId, list[Invoice]]:
    """Return the newest invoices of each customer, at most `limit`; `before` is the id of the last one seen."""
    found: dict[CustomerId, list[Invoice]] = {each: [] for each in ids}
    statement = db.newest_of_each(invoice, ids, before=before, limit=limit, where=_in_sight(sight))
    for row in await tx.rows(statement):
        found[row.customer_id].append(invoice_of_row(row))
    return found


async def invoices_by_id(tx: db.Tx, ids: Collection[InvoiceId], *, sight: Sight) -> dict[InvoiceId, Invoice]:
    """Return those of the invoices that are in sight."""
    statement = _seen(sa.select(invoice).where(invoice.c.id.in_(ids)), sight)
    found = (invoice_of_row(row) for row in await tx.rows(statement))
    return {each.id: each for each in found}


_INSERT_LINE = Statement(sa.insert(invoice_line).values(given(invoice_line)))


async def insert_lines(tx: db.Tx, draft: Invoice, new: Sequence[tuple[LineId, NewLine]]) -> None:
    """Put lines on a draft; the database refuses an identity and revision that stand already."""
    await _INSERT_LINE.run_each(tx, [_line_row(draft, line_id, line) for line_id, line in new])


async def delete_lines(tx: db.Tx, draft: Invoice, ids: Collection[LineId]) -> None:
    """Take lines off a draft; the database refuses it once the invoice is opened."""
    own = invoice_line.c
    statement = sa.delete(invoice_line).where(
        own.customer_id == draft.customer_id, own.invoice_id == draft.id, own.id.in_(ids)
    )
    assert (await tx.execute(statement)).rowcount == len(ids), "lines of a draft are changed under its lock"


@cache
def _lines_of(*names: str) -> Statement:
    return Statement(bounded(LINES.where(among(invoice_line.c.invoice_id, "ids"), *narrowed(invoice, names))))


async def lines_by_invoice_ids(tx: db.Tx, ids: Collection[InvoiceId], *, sight: Sight) -> dict[InvoiceId, list[Line]]:
    """Return the lines of invoices in sight, in no order; at most LINES_MAX."""
    known = present(customer_id=sight.scope, environment=sight.environment)
    found: dict[InvoiceId, list[Line]] = {invoice_id: [] for invoice_id in ids}
    for line in lines_of(await _lines_of(*known).rows(tx, ids=list(ids), **known)):
        found[line.invoice_id].append(line)
    return found


SAME_INVOICE = sa.and_(invoice.c.customer_id == invoice_line.c.customer_id, invoice.c.id == invoice_line.c.invoice_id)
LINES = sa.select(invoice_line, invoice.c.currency).join(invoice, SAME_INVOICE)


def _in_sight(sight: Sight) -> list[sa.ColumnElement[bool]]:
    wanted = ((invoice.c.customer_id, sight.scope), (invoice.c.environment, sight.environment))
    return [column == value for column, value in wanted if value is not None]


def _seen(statement: sa.Select[Any], sight: Sight) -> sa.Select[Any]:
    return statement.where(*_in_sight(sight))


def bounded(lines: sa.Select[Any] | sa.CompoundSelect[Any]) -> sa.Executable:
    """Select at most one line more than there may be."""
    return lines.limit(LINES_MAX + 1)


def lines_of(rows: Sequence[Row]) -> list[Line]:
    """Read the rows of a statement that is `bounded`."""
    assert len(rows) <= LINES_MAX, "an invoice's lines are bounded by its meters' combinations"
    return [line_of(row) for row in rows]


# Columns that hold what the attribute of their name does.
_PLAIN = (
    *("customer_id", "id", "environment", "currency", "kind", "state", "number", "created_at", "grace_ends_at"),
    *("issued_at", "due_at", "paid_at", "tax_included_minor", "version", "applied_minor", "offset_minor", "charging"),
    *("voided_at", "void_reason", "written_off_at", "memo", "purchase_order", "top_up_id", "disputed_minor"),
    *("kept_minor", "reopened", "collection"),
)


def _invoice_row(value: Invoice) -> dict[str, Any]:
    sums = {"subtotal_minor": value.subtotal, "discount_minor": value.discount, "tax_minor": value.tax}
    return {name: getattr(value, name) for name in _PLAIN} | {name: each.minor for name, each in sums.items()}


def invoice_of_row(row: Row) -> Invoice:
    """Read an invoice."""
    return Invoice(
        customer_id=row.customer_id,
        id=row.id,
        environment=Environment(row.environment),
        currency=row.currency,
        kind=InvoiceKind(row.kind),
        state=State(row.state),
        number=row.number,
        created_at=row.created_at,
        grace_ends_at=row.grace_ends_at,
        issued_at=row.issued_at,
        due_at=row.due_at,
        paid_at=row.paid_at,
        subtotal=Money(row.subtotal_minor, row.currency),
        discount=Money(row.discount_minor, row.currency),
        tax=Money(row.tax_minor, row.currency),
        version=row.version,
        tax_included_minor=row.tax_included_minor,
        applied_minor=row.applied_minor,
        offset_minor=row.offset_minor,
        charging=row.charging,
        voided_at=row.voided_at,
        void_reason=VoidReason(row.void_reason) if row.void_reason else None,
        written_off_at=row.written_off_at,
        top_up_id=row.top_up_id,
        memo=row.memo,
        purchase_order=row.purchase_order,
        disputed_minor=row.disputed_minor,
        kept_minor=row.kept_minor,
        reopened=row.reopened,
        collection=CollectionMethod(row.collection),
    )


def _line_row(draft: Invoice, line_id: LineId, line: NewLine) -> dict[str, Any]:
    identity = line.identity
    return {
        "customer_id": draft.customer_id,
        "id": line_id,
        "invoice_id": draft.id,
        "origin": identity.origin,
        "subscription_id": identity.subscription_id,
        "price_id": identity.price_id,
        "segment_id": identity.segment_id,
        "service_start_at": identity.period.start,
        "service_end_at": identity.period.end,
        "kind": identity.kind,
        "dimension_key": identity.dimension_key,
        "revision": line.revision,
        "description": line.description,
        "quantity": line.quantity,
        "unit": line.unit,
        "amount_minor": line.amount_minor,
        "discount_minor": 0,
        "discounts": [],
        "tax_minor": 0,
        "tax_inclusive": False,
        "derivation": line.derivation,
        "void": False,
    }


def line_of(row: Row) -> Line:
    """Read a row of LINES."""
    return Line(
        id=row.id,
        invoice_id=row.invoice_id,
        customer_id=row.customer_id,
        identity=Identity(
            kind=LineKind(row.kind),
            subscription_id=row.subscription_id,
            price_id=row.price_id,
            segment_id=row.segment_id,
            period=Period(row.service_start_at, row.service_end_at),
            dimension_key=row.dimension_key,
            origin=row.origin,
        ),
        revision=row.revision,
        description=row.description,
        quantity=row.quantity,
        unit=row.unit,
        amount=Money(row.amount_minor, row.currency),
        tax=Money(row.tax_minor, row.currency),
        tax_inclusive=row.tax_inclusive,
        derivation=row.derivation,
        discounts=discount.from_json(row.discounts, row.currency),
    )
