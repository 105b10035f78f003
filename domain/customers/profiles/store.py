"""The table of billing profiles; seals and opens their personal values on the way."""

import json
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.customers.profiles.profile import Address, Profile, TaxStatus
from domain.customers.store import customer, data_key
from domain.kernel.ids import CustomerId
from domain.statement import Row, Statement, among
from domain.vault import DataKey, Vault

billing_profile = sa.Table(
    "billing_profile",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("address", db.Personal, nullable=False, comment="JSON: lines, city, postal code"),
    sa.Column("country", sa.Text, comment="ISO 3166"),
    sa.Column("region", sa.Text, comment="ISO 3166-2 without the country"),
    sa.Column("vat_number", db.Personal),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("certificate", db.Personal, comment="text of an exemption"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint("status IN ('taxable', 'exempt', 'reverse_charge')", name="status"),
    sa.CheckConstraint("(status = 'exempt') = (certificate IS NOT NULL)", name="certificate"),
    sa.CheckConstraint("status <> 'reverse_charge' OR vat_number IS NOT NULL", name="vat_number"),
    sa.CheckConstraint("region IS NULL OR country IS NOT NULL", name="region"),
)


def _by_id() -> Statement:
    joined = customer.join(data_key, data_key.c.customer_id == customer.c.customer_id).outerjoin(
        billing_profile, billing_profile.c.customer_id == customer.c.customer_id
    )
    own = [column for column in billing_profile.c if column.name != "customer_id"]
    statement = (
        sa.select(customer.c.customer_id, customer.c.country.label("customer_country"), data_key.c.wrapped, *own)
        .select_from(joined)
        .where(among(customer.c.customer_id, "ids"))
    )
    return Statement(statement)


_BY_ID = _by_id()


async def profiles_by_id(tx: db.Tx, ids: Collection[CustomerId]) -> dict[CustomerId, Profile]:
    """Return the profiles of customers; one that gave nothing has its customer's country, if that is known."""
    return {row.customer_id: _profile(tx.vault, row) for row in await _BY_ID.rows(tx, ids=list(ids))}


async def save_profile(tx: db.Tx, key: DataKey, before: Profile, after: Profile) -> Profile | None:
    """Write a profile over the version it was read in, or None where another change was first."""
    saved = {"version": before.version + 1, **_values(tx.vault, key, after)}
    inserted = pg.insert(billing_profile).values(customer_id=after.customer_id, **saved)
    statement = inserted.on_conflict_do_update(
        index_elements=["customer_id"], set_=saved, where=billing_profile.c.version == before.version
    ).returning(billing_profile.c.version)
    version = await tx.value(statement)
    if version is None:
        return None
    return Profile(after.customer_id, after.address, after.vat_number, after.status, after.certificate, version)


def _where(column: str, customer_id: CustomerId) -> str:
    return f"billing_profile:{column}:{customer_id}"


def _values(vault: Vault, key: DataKey, profile: Profile) -> dict[str, Any]:
    def sealed(column: str, value: str | None) -> bytes | None:
        return None if value is None else vault.seal(key, _where(column, profile.customer_id), value)

    return {
        "address": sealed("address", json.dumps(profile.address.parts)),
        "country": profile.address.country,
        "region": profile.address.region,
        "vat_number": sealed("vat_number", profile.vat_number),
        "status": profile.status,
        "certificate": sealed("certificate", profile.certificate),
    }


def _profile(vault: Vault, row: Row) -> Profile:
    if row.version is None:
        return Profile(row.customer_id, Address(country=row.customer_country))
    key = vault.unwrap(str(row.customer_id), row.wrapped)

    def opened(column: str, value: bytes | None) -> str | None:
        return None if value is None else vault.open(key, _where(column, row.customer_id), value).decode()

    line1, line2, city, postal_code = json.loads(opened("address", row.address) or "[]")
    return Profile(
        customer_id=row.customer_id,
        # A customer cannot lose its country by leaving it out of its address.
        address=Address(line1, line2, city, postal_code, row.region, row.country or row.customer_country),
        vat_number=opened("vat_number", row.vat_number),
        status=TaxStatus(row.status),
        certificate=opened("certificate", row.certificate),
        version=row.version,
    )
