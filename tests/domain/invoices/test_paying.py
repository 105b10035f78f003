"""Invoices on real Postgres: paid once, seen by the right ones only."""

import asyncio

import pytest
import sqlalchemy as sa

from domain.access.roles import Permission
from domain.invoices import service
from domain.invoices.invoice import (
    Invoice,
    InvoiceNotFound,
    InvoiceStateRefused,
    LineKind,
    PaymentDiffers,
    State,
)
from domain.journal.store import billing_event
from domain.kernel.call import Call, Environment, Forbidden
from domain.kernel.ids import CustomerId, InvoiceId, encode
from domain.kernel.money import Money
from domain.ledger import service as ledger
from domain.ledger.account import Account
from tests import make
from tests.domain.invoices.world import STARTED, World, system_call

_FEBRUARY = make.at("2026-02-01")


async def _pay(world: World, invoice: Invoice, amount: Money | None = None, call: Call | None = None) -> Invoice:
    async with world.db.transaction() as tx:
        return await service.mark_paid(
            tx,
            call or system_call(_FEBRUARY),
            _FEBRUARY,
            customer_id=invoice.customer_id,
            invoice_id=invoice.id,
            amount=amount or invoice.total,
            about="att_1",
        )


async def test_a_payment_is_posted_once_however_often_it_is_told(world: World) -> None:
    opened = await world.open_first()
    paid = await _pay(world, opened)
    before = await world.written()
    assert (paid.state, paid.paid_at, paid.amount_due) == (State.PAID, _FEBRUARY, Money(0, "USD"))
    assert await _pay(world, opened) == paid
    assert await world.written() == before
    async with world.db.transaction() as tx:
        assert await ledger.balances(tx, world.customer.id) == [
            (Account.CASH, Money(7900, "USD")),
            (Account.RECEIVABLE, Money(0, "USD")),
            (Account.REVENUE, Money(-7900, "USD")),
        ]
        told = await tx.rows(sa.select(billing_event.c.type).order_by(billing_event.c.id))
    assert [row.type for row in told] == ["invoice_opened", "invoice_paid"]


async def test_two_payments_at_once_are_posted_once(world: World) -> None:
    opened = await world.open_first()
    first, second = await asyncio.gather(_pay(world, opened), _pay(world, opened))
    assert first == second
    assert (await world.written())["posted"] == 2


async def test_a_payment_of_another_amount_changes_nothing(world: World) -> None:
    opened = await world.open_first()
    before = await world.written()
    with pytest.raises(PaymentDiffers):
        await _pay(world, opened, Money(7899, "USD"))
    assert await world.written() == before
    assert (await world.open(opened, STARTED)).state is State.OPEN


async def test_a_void_invoice_can_not_be_paid_and_its_lines_come_back(world: World) -> None:
    opened = await world.open_first()
    async with world.db.transaction() as tx:
        await tx.execute(sa.text("UPDATE invoice SET state = 'void', void_reason = 'mistake', voided_at = issued_at"))
        await tx.execute(sa.text("UPDATE invoice_line SET void = true"))
    before = await world.written()
    with pytest.raises(InvoiceStateRefused):
        await _pay(world, opened)
    assert await world.written() == before
    again = await world.draft(STARTED)
    assert again is not None
    assert (again.id != opened.id, again.total) == (True, opened.total)
    assert await world.lines(again) == [(LineKind.FEE, 0, 7900)]


async def test_a_payment_of_a_written_off_invoice_takes_the_loss_back(world: World) -> None:
    opened = await world.open_first()
    async with world.db.transaction() as tx:
        await tx.execute(sa.text("UPDATE invoice SET state = 'uncollectible', written_off_at = issued_at"))
    assert (await _pay(world, opened)).state is State.PAID
    async with world.db.transaction() as tx:
        assert (Account.BAD_DEBT, Money(-7900, "USD")) in await ledger.balances(tx, world.customer.id)


async def test_a_foreign_invoice_is_not_found_and_not_changed(world: World) -> None:
    opened = await world.open_first()
    stranger = CustomerId(make.new_id())
    member = make.call(by=make.principal(Permission.INVOICE_READ, customer_id=stranger))
    before = await world.written()
    async with world.db.transaction() as tx:
        assert await service.find_invoice(tx, member, opened.id) is None
        assert await service.list_invoices(tx, member, customer_id=world.customer.id) == []
        assert await service.invoices_by_id(tx, [opened.id], scope=stranger) == {}
        assert await service.lines_by_invoice_ids(tx, [opened.id], scope=stranger) == {opened.id: []}
        for call, customer_id in ((member, world.customer.id), (system_call(), stranger)):
            with pytest.raises(InvoiceNotFound):
                await service.open_invoice(tx, call, STARTED, customer_id=customer_id, invoice_id=opened.id)
    with pytest.raises(InvoiceNotFound):
        await _pay(world, opened, call=member)
    assert await world.written() == before


async def test_the_customers_own_member_reads_its_invoices_and_a_live_key_does_not(world: World) -> None:
    opened = await world.open_first()
    member = make.call(by=make.principal(Permission.INVOICE_READ, customer_id=world.customer.id))
    live = make.call(by=make.principal(Permission.INVOICE_READ, environment=Environment.LIVE))
    async with world.db.transaction() as tx:
        assert await service.find_invoice(tx, member, opened.id) == opened
        assert await service.list_invoices(tx, member, customer_id=world.customer.id) == [opened]
        assert await service.invoices_by_id(tx, [opened.id], scope=None) == {opened.id: opened}
        assert await service.find_invoice(tx, live, opened.id) is None
        nobody = make.call(by=make.principal(customer_id=world.customer.id))
        with pytest.raises(Forbidden):
            await service.find_invoice(tx, nobody, opened.id)
        with pytest.raises(Forbidden):
            await service.list_invoices(tx, nobody, customer_id=world.customer.id)


async def test_invoices_are_listed_newest_first_page_by_page(world: World) -> None:
    first = await world.open_first()
    second = await world.open(await world.draft(_FEBRUARY), _FEBRUARY)
    async with world.db.transaction() as tx:
        call = system_call()
        listed = await service.list_invoices(tx, call, customer_id=world.customer.id, limit=1)
        assert [each.id for each in listed] == [second.id]
        rest = await service.list_invoices(tx, call, customer_id=world.customer.id, before=second.id)
        assert [each.id for each in rest] == [first.id]
        assert encode("invoice", first.id).startswith("inv_")
        assert await service.find_invoice(tx, call, InvoiceId(make.new_id())) is None
