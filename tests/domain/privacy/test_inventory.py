"""The inventory names every column of the database, and says of each whether it tells of a person."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from domain.db import Database, Personal, metadata
from domain.privacy.inventory import Fate, described, inventory
from tests.test_migrations import import_stores

_COLUMNS = """SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace
    AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> 'alembic_version'"""


@pytest.fixture(autouse=True, scope="module")
def tables() -> None:
    """Know every table."""
    import_stores()


async def columns_of(db: Database) -> set[tuple[str, str]]:
    """Read the database's own catalogue."""
    async with db.transaction() as tx:
        return {(row.relname, row.attname) for row in await tx.rows(sa.text(_COLUMNS))}


async def test_every_column_of_the_database_is_declared_once(db: Database) -> None:
    declared = [(name, column) for name, holding in inventory().items() for column in holding.columns]
    assert len(declared) == len(set(declared))
    found = await columns_of(db)
    assert len(found) > 900
    assert found - set(declared) == set(), "declare these in domain/privacy/inventory.toml: free, hidden or personal"
    assert set(declared) - found == set(), "these are gone from the database: take them out of the inventory"


async def test_a_column_that_nobody_declared_would_be_found(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(sa.text("ALTER TABLE customer ADD COLUMN phone text"))
    declared = {(name, column) for name, holding in inventory().items() for column in holding.columns}
    assert await columns_of(db) - declared == {("customer", "phone")}


def sealed_columns() -> Iterator[tuple[str, str]]:
    """Give the columns that are sealed."""
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, Personal):
                yield table.name, column.name


def test_every_sealed_column_is_personal_and_says_for_which_place_it_is_sealed() -> None:
    declared = {(name, each.column): each for name, holding in inventory().items() for each in holding.personal}
    sealed = set(sealed_columns())
    assert len(sealed) > 8
    assert sealed <= set(declared)
    # The secrets of the merchant's endpoints are nobody's personal data: nothing here opens them.
    told = {where for where, each in declared.items() if each.sealed}
    assert told == sealed - {("webhook_secret", "sealed")}


def test_a_table_of_customers_has_a_fate_and_what_is_cleared_with_its_rows_has_a_customer() -> None:
    for name, holding in inventory().items():
        columns = set(metadata.tables[name].columns.keys())
        if holding.fate in {Fate.DELETED, Fate.BLANKED, Fate.KEPT, Fate.KEPT_ROWS}:
            assert "customer_id" in columns, name
        if holding.fate is Fate.STAYS:
            assert all(each.stays for each in holding.personal), f"{name} says why it keeps what is personal"
        if holding.is_exported:
            assert "customer_id" in columns, name


def test_what_is_written_over_a_column_fits_it() -> None:
    for name, holding in inventory().items():
        for each in holding.personal:
            column = metadata.tables[name].columns[each.column]
            if holding.fate in {Fate.BLANKED, Fate.KEPT} and not each.stays:
                assert each.blank is not None or column.nullable, f"{name}.{each.column} needs a blank"
            if each.sealed and each.column != "address" and not each.is_system:
                assert each.sealed.startswith(f"{name}:{each.column}:"), each.sealed


def test_what_becomes_of_each_personal_column_is_told_in_words() -> None:
    told = {where: fate for where, _, fate in described(inventory())}
    assert told["customer.email"] == "cleared"
    assert told["billing_profile.address"] == "deleted"
    assert told["gateway_invoice.hosted_url"] == "overwritten"
    assert told["invoice.memo"] == "restricted until the retention ends, then overwritten"
    assert told["document.sealed"] == "restricted until the retention ends, then deleted"
    assert told["audit_entry.principal_id"].startswith("stays: the audit log")
