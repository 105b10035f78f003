"""Subscribing to several units of a fee at once. "large" costs 30.00 a month and unit."""

from typing import Any

import pytest

from domain.contracts import service as contracts
from domain.contracts.previewing import service as previewing
from domain.contracts.starting.wish import Wish
from domain.db import Database
from domain.subscriptions.change import QUANTITY_MAX, QuantityOutOfBounds
from domain.subscriptions.schedule import Interval
from tests.domain.contracts.changing.office import Office, open_office


def _of(office: Office, quantity: int) -> dict[str, Any]:
    own = {"customer_id": office.customer.id, "product_key": "desk", "plan_key": "large", "interval": Interval.MONTH}
    return {**own, "wish": Wish(quantity=quantity)}


async def test_the_first_invoice_and_its_preview_hold_every_unit(db: Database) -> None:
    async with open_office(db, on="2026-04-01") as office:
        async with office.db.transaction() as tx:
            shown = await previewing.preview_subscribe(tx, office.call, **_of(office, 3))
        async with office.db.transaction() as tx:
            own = await contracts.subscribe(tx, office.call, **_of(office, 3))
        [invoice] = await office.invoices()
        # 3 x 30.00.
        assert shown.invoice is not None
        assert (own.quantity, shown.invoice.total.minor, invoice.total.minor) == (3, 9_000, 9_000)
        assert [(int(line.quantity), line.amount.minor) for line in shown.lines] == [(3, 9_000)]


@pytest.mark.parametrize("quantity", [0, -1, QUANTITY_MAX + 1])
async def test_a_number_of_units_out_of_bounds_starts_nothing(db: Database, quantity: int) -> None:
    async with open_office(db, on="2026-04-01") as office:
        before = await office.rows()
        with pytest.raises(QuantityOutOfBounds):
            async with office.db.transaction() as tx:
                await contracts.subscribe(tx, office.call, **_of(office, quantity))
        assert await office.rows() == before
