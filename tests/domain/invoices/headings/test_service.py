"""Setting what invoices carry, on real Postgres."""

import pytest
import sqlalchemy as sa

from domain.access.roles import Permission
from domain.db import Database
from domain.invoices.heading import NOTHING, Heading, HeadingMalformed
from domain.invoices.headings import service
from domain.invoices.invoice import Invoice, InvoiceNotFound, InvoiceStateRefused
from domain.journal.store import audit_entry
from domain.kernel.call import Call, Forbidden
from domain.kernel.ids import CustomerId, InvoiceId, SubscriptionId
from domain.subscriptions.service import SubscriptionNotFound
from tests import make
from tests.domain.invoices.world import STARTED, World, found_world, system_call


def _member(customer_id: CustomerId) -> Call:
    return make.call(by=make.principal(Permission.PROFILE_WRITE, Permission.INVOICE_WRITE, customer_id=customer_id))


async def _opened(world: World) -> Invoice:
    return await world.open(await world.draft(STARTED), STARTED)


async def test_an_invoice_carries_what_is_set_for_its_subscription_and_its_customer(db: Database) -> None:
    world = await found_world(db)
    for _ in range(2):
        async with db.transaction() as tx:
            await service.set_heading(tx, system_call(), world.customer.id, Heading(30, "Thank you", "PO 1"))
            await service.set_heading(
                tx, system_call(), world.customer.id, Heading(14), subscription_id=world.subscription.id
            )
    found = await _opened(world)
    assert (found.due_at, found.memo, found.purchase_order) == (make.at("2026-01-15"), "Thank you", "PO 1")
    # Set twice, it is audited once; and what was issued stays as it is.
    async with db.transaction() as tx:
        await service.set_heading(tx, system_call(), world.customer.id, NOTHING)
    async with db.transaction() as tx:
        own = audit_entry.c
        statement = sa.select(own.facts).where(own.action == "set_invoice_heading").order_by(own.id)
        audited = [row.facts for row in await tx.rows(statement)]
    assert [facts["net_days"] for facts in audited] == [30, 14, None]
    assert not any("PO 1" in str(facts) for facts in audited)


async def test_a_draft_carries_what_is_set_for_itself(db: Database) -> None:
    world = await found_world(db)
    draft = await world.draft(STARTED)
    assert draft is not None
    async with db.transaction() as tx:
        await service.set_heading(tx, system_call(), world.customer.id, Heading(30, "all", "PO 1"))
        await service.set_draft_heading(tx, system_call(), draft.id, Heading(7, None, "PO 2"))
    found = await world.open(draft, STARTED)
    assert (found.due_at, found.memo, found.purchase_order) == (make.at("2026-01-08"), "all", "PO 2")
    async with db.transaction() as tx:
        with pytest.raises(InvoiceStateRefused):
            await service.set_draft_heading(tx, system_call(), draft.id, NOTHING)
        with pytest.raises(InvoiceNotFound):
            await service.set_draft_heading(tx, system_call(), InvoiceId(make.new_id()), NOTHING)


async def test_a_member_sets_the_order_of_its_own_customer_and_nothing_else(db: Database) -> None:
    world, other = await found_world(db), await found_world(db)
    member = _member(world.customer.id)
    async with db.transaction() as tx:
        await service.set_heading(tx, system_call(), world.customer.id, Heading(30))
        assert await service.set_purchase_order(tx, member, world.customer.id, "PO 7") == Heading(30, None, "PO 7")
        with pytest.raises(HeadingMalformed):
            await service.set_purchase_order(tx, member, world.customer.id, "")
        with pytest.raises(Forbidden):
            await service.set_heading(tx, member, world.customer.id, NOTHING)
        with pytest.raises(SubscriptionNotFound):
            await service.set_purchase_order(
                tx, member, world.customer.id, "PO 8", subscription_id=other.subscription.id
            )
        with pytest.raises(SubscriptionNotFound):
            await service.set_purchase_order(
                tx, member, world.customer.id, "PO 8", subscription_id=SubscriptionId(make.new_id())
            )
        found = await service.headings_by_id(tx, [world.customer.id, other.customer.id, other.subscription.id])
        assert found == {world.customer.id: Heading(30, None, "PO 7")}
