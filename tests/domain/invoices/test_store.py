"""What the database itself refuses."""

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests.domain.invoices.world import STARTED, World

_COPY_OF_LINES = """
    INSERT INTO invoice_line SELECT customer_id, gen_random_uuid(), invoice_id, origin, subscription_id, price_id,
        segment_id, service_start_at, service_end_at, kind, dimension_key, {revision}, description, quantity, unit,
        amount_minor, tax_minor, derivation, void, discount_minor, discounts, tax_inclusive FROM invoice_line
"""


@pytest.mark.parametrize(
    "fault",
    [
        "UPDATE invoice SET subtotal_minor = 1",
        "UPDATE invoice SET number = 'TEST-2026-000009'",
        "UPDATE invoice SET due_at = due_at - interval '1 day'",
        "UPDATE invoice SET due_at = due_at + interval '1 day', memo = 'later'",
        "DELETE FROM invoice",
        "UPDATE invoice_line SET amount_minor = 1",
        "UPDATE invoice_line SET void = true",
        "UPDATE invoice_line SET discount_minor = 1",
        "DELETE FROM invoice_line",
        _COPY_OF_LINES.format(revision="1"),
    ],
)
async def test_the_database_refuses_any_change_of_an_opened_invoice(world: World, fault: str) -> None:
    await world.open_first()
    with pytest.raises(DBAPIError, match="immutable"):
        async with world.db.transaction() as tx:
            await tx.execute(sa.text(fault))


async def test_the_database_refuses_a_second_line_of_the_same_identity_and_revision(world: World) -> None:
    await world.draft(STARTED)
    with pytest.raises(DBAPIError, match="invoice_line_identity_key"):
        async with world.db.transaction() as tx:
            await tx.execute(sa.text(_COPY_OF_LINES.format(revision="revision")))


@pytest.mark.parametrize("minor", [-1, 7901])
async def test_the_database_refuses_a_discount_beyond_the_amount_or_against_its_sign(world: World, minor: int) -> None:
    await world.draft(STARTED)
    with pytest.raises(DBAPIError, match="invoice_line_discount_check"):
        async with world.db.transaction() as tx:
            await tx.execute(sa.text("UPDATE invoice_line SET discount_minor = :minor"), {"minor": minor})
