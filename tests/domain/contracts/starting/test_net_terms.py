"""Net terms of a plan version, and starts that would else wait for their first payment. Basic costs 10.00 a month."""

from collections.abc import AsyncIterator

import pytest

from domain.db import Database
from domain.invoices.heading import Heading
from domain.invoices.headings import service as headings
from domain.invoices.invoice import State
from domain.subscriptions.subscription import Status
from tests.domain.contracts.changing.office import Office, open_office
from tests.domain.contracts.examples import Shop
from tests.make import at


@pytest.fixture
async def office(db: Database) -> AsyncIterator[Office]:
    """Open an office whose clock stands at 1 April 2026, 00:00."""
    async with open_office(db, on="2026-04-01") as opened:
        yield opened


async def _set(shop: Shop, net_days: int | None) -> None:
    async with shop.db.transaction() as tx:
        await headings.set_heading(tx, shop.call, shop.customer.id, Heading(net_days=net_days))


async def test_on_net_terms_of_the_customer_it_runs_at_once(shop: Shop) -> None:
    await _set(shop, 14)
    started = await shop.subscribe()
    [invoice] = await shop.invoices()
    assert (started.status, started.expires_at) == (Status.ACTIVE, None)
    assert (invoice.state, invoice.due_at) == (State.OPEN, at("2026-02-14T10:00"))


async def test_invoices_are_due_by_the_plan_unless_the_customer_has_other_terms(office: Office) -> None:
    await office.offer(net_days=30)
    own = await office.start("large")
    [first] = await office.invoices()
    # 30 days after 1 April.
    assert first.due_at == at("2026-05-01")
    # An upgrade on terms is not held back until it is paid.
    changed = await office.change(own, quantity=2, pays_at_once=True)
    assert (changed.subscription.quantity, (await office.invoices())[-1].due_at) == (2, at("2026-05-01"))
    await _set(office, 0)
    await office.change(own, quantity=3)
    assert (await office.invoices())[-1].due_at == at("2026-04-01")
