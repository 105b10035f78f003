"""The gateway's copy follows what became of our invoice, at both gateways, whatever reply is lost."""

from collections.abc import Sequence

import pytest

from domain.adapters.memory import MemoryGateway, When
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.credit_note import CreditKind, CreditPart, CreditReason
from domain.invoices.crediting import service as crediting
from domain.invoices.invoice import PaymentUnderWay, VoidReason
from domain.kernel.money import Money
from domain.payments import service
from domain.payments.port import GatewayInvoiceState, GatewayUnavailable, PaymentGateway
from tests.domain.payments.gateways import Probe
from tests.domain.payments.till import DEBIT, NO_FUNDS, VISA, Till, open_till, system


async def _void(till: Till) -> None:
    async with till.db.transaction() as tx:
        await invoices.void_invoice(
            tx,
            system(),
            system().at,
            customer_id=till.customer.id,
            invoice_id=till.invoice.id,
            reason=VoidReason.DUPLICATE,
        )


async def _credit(till: Till, minor: int | None) -> None:
    """Take a part of the fee, or all of it, back by a credit note."""
    async with till.db.transaction() as tx:
        [line] = (await invoices.lines_by_invoice_ids(tx, [till.invoice.id], scope=None))[till.invoice.id]
        await crediting.credit_lines(
            tx,
            system(),
            system().at,
            customer_id=till.customer.id,
            invoice_id=till.invoice.id,
            parts=[CreditPart(line.id, minor)],
            reason=CreditReason.GOODWILL,
            kind=CreditKind.OFFSET,
        )


async def _remaining(till: Till, gateway: PaymentGateway) -> tuple[GatewayInvoiceState, int]:
    seen = await gateway.fetch_invoice(await till.gateway_invoice_id())
    assert seen is not None
    return seen.state, seen.remaining_minor


async def _declined(db: Database, gateway: PaymentGateway) -> Till:
    """Push the copy and have its first charge declined: it stays open here and there."""
    till = await open_till(db)
    await till.attach(gateway, NO_FUNDS)
    await till.collect(gateway)
    assert await till.attempts() == ["failed"]
    return till


async def test_voiding_voids_the_copy_once(db: Database, gateway: PaymentGateway, probe: Probe) -> None:
    till = await _declined(db, gateway)
    await _void(till)
    await till.collect(gateway)
    await till.collect(gateway)
    assert await probe.invoices() == ["void"]
    assert await probe.charges() == []
    assert await till.state() == "void"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_reply_to_the_void_is_answered_by_the_next_look(
    db: Database, memory_gateway: MemoryGateway, when: When
) -> None:
    till = await _declined(db, memory_gateway)
    await _void(till)
    memory_gateway.lose("void_invoice", when)
    with pytest.raises(GatewayUnavailable):
        await till.collect(memory_gateway)
    await till.collect(memory_gateway)
    assert [copy.state for copy in memory_gateway.copies.values()] == ["void"]


@pytest.mark.parametrize("operation", ["create_invoice", "add_lines"])
async def test_a_draft_that_was_begun_is_deleted_with_its_invoice(
    db: Database, memory_gateway: MemoryGateway, operation: str
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, VISA)
    memory_gateway.lose(operation, "after")
    with pytest.raises(GatewayUnavailable):
        await till.collect(memory_gateway)
    await _void(till)
    await till.collect(memory_gateway)
    assert memory_gateway.copies == {}


async def test_what_was_never_pushed_needs_no_end(db: Database, gateway: PaymentGateway, probe: Probe) -> None:
    till = await open_till(db)
    await _void(till)
    await till.attach(gateway, VISA)
    await till.collect(gateway)
    assert await probe.invoices() == []


async def test_a_void_is_refused_while_a_bank_debit_is_on_its_way(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await open_till(db)
    await till.attach(gateway, DEBIT)
    await till.collect(gateway)
    assert await till.attempts() == ["processing"]
    with pytest.raises(PaymentUnderWay):
        await _void(till)
    with pytest.raises(PaymentUnderWay):
        await _credit(till, 100)
    await probe.settle(await till.gateway_invoice_id(), succeeds=False)
    await service.settle_from_gateway(till.db, gateway, system(), await till.gateway_invoice_id())
    await _void(till)
    await till.collect(gateway)
    assert await probe.invoices() == ["void"]


async def test_writing_off_writes_the_copy_off(db: Database, gateway: PaymentGateway, probe: Probe) -> None:
    till = await _declined(db, gateway)
    async with db.transaction() as tx:
        await invoices.write_off_invoice(
            tx, system(), system().at, customer_id=till.customer.id, invoice_id=till.invoice.id
        )
    await till.collect(gateway)
    await till.collect(gateway)
    assert await probe.invoices() == ["uncollectible"]
    # A void after that ends it here; there the copy is closed already and is never charged.
    await _void(till)
    await till.collect(gateway)
    assert await probe.charges() == []


async def test_a_credit_note_lowers_the_copy_before_the_next_charge(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    # 29.00 - 9.00 - 1.00 = 19.00 is what the next method is charged.
    till = await _declined(db, gateway)
    await _credit(till, 900)
    await _credit(till, 100)
    await till.attach(gateway, VISA, "2026-01-15T13:00")
    await till.collect(gateway, "2026-01-15T13:00")
    assert await probe.charges() == [1_900]
    assert await till.state() == "paid"
    rows = await till.attempt_rows()
    assert [attempt.amount for attempt in rows] == [Money(1_900, "USD"), Money(2_900, "USD")]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_reply_to_a_credit_note_takes_it_off_once(
    db: Database, memory_gateway: MemoryGateway, when: When
) -> None:
    till = await _declined(db, memory_gateway)
    await _credit(till, 900)
    memory_gateway.lose("credit_invoice", when)
    with pytest.raises(GatewayUnavailable):
        await till.collect(memory_gateway)
    await till.collect(memory_gateway)
    assert await _remaining(till, memory_gateway) == (GatewayInvoiceState.OPEN, 2_000)


async def test_a_credit_note_before_the_push_follows_it(db: Database, gateway: PaymentGateway, probe: Probe) -> None:
    till = await open_till(db)
    await _credit(till, 900)
    await till.attach(gateway, VISA)
    await till.collect(gateway)
    assert await probe.charges() == [2_000]
    assert await till.state() == "paid"


async def test_what_is_credited_whole_is_settled_there_too_and_is_no_payment(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await _declined(db, gateway)
    await _credit(till, None)
    await till.collect(gateway)
    copy_id = await till.gateway_invoice_id()
    assert await _remaining(till, gateway) == (GatewayInvoiceState.PAID, 0)
    # The news of it reaches us and brings no attempt, no entry and no mail.
    told: Sequence[str] = await till.told()
    await service.settle_from_gateway(db, gateway, system(), copy_id)
    assert await till.attempts() == ["failed"]
    assert await till.told() == told
    assert await till.posted("invoice_paid") == 0
    assert await probe.charges() == []
