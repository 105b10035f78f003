"""What happens when the gateway knows more than we do."""

import pytest
import sqlalchemy as sa

from domain.adapters.memory import MemoryGateway
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.invoice import InvoiceNotFound
from domain.kernel.ids import CustomerId
from domain.payments import service, store
from domain.payments.port import GatewayRefused, GatewayUnavailable, PayOutcome, PayState
from tests import make
from tests.domain.payments import quarrel
from tests.domain.payments.till import CONFIRMED, DEBIT, NO_FUNDS, VISA, Till, open_till, system

# As staff may do where no attempt of ours is known to be under way.
_VOIDED = "UPDATE invoice SET state = 'void', charging = false, voided_at = issued_at, void_reason = 'mistake'"


async def _lost(till: Till, gateway: MemoryGateway) -> None:
    """Leave an attempt whose outcome is unknown and which never reached the gateway."""
    await till.attach(gateway)
    gateway.lose("pay", "before")
    with pytest.raises(GatewayUnavailable):
        await till.collect(gateway)


async def test_an_invoice_paid_elsewhere_before_the_charge_is_not_charged(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, NO_FUNDS)
    await till.collect(memory_gateway)
    memory_gateway.pay_outside(await till.gateway_invoice_id())
    await till.attach(memory_gateway, VISA, when="2026-01-16T12:00")
    await till.collect(memory_gateway, when="2026-01-16T12:01")
    assert await till.state() == "paid"
    newest, _ = await till.attempt_rows()
    assert (newest.state, newest.method_id) == ("succeeded", None)
    assert len(memory_gateway.charges) == 1


async def test_a_refusal_to_pay_ends_the_attempt_where_the_invoice_is_not_paid(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    method = await till.attach(memory_gateway)
    # The method is gone at the gateway, and the news of it never came.
    memory_gateway.refusals["pay"] = GatewayRefused("payment_method_unexpected_state")
    await till.collect(memory_gateway)
    [attempt] = await till.attempt_rows()
    assert (attempt.state, attempt.method_id) == ("failed", method.id)
    assert attempt.decline is not None
    assert attempt.decline.code == "payment_method_unexpected_state"
    assert await till.state() == "open"


async def test_a_refusal_because_it_is_paid_already_is_a_success(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    await _lost(till, memory_gateway)
    # It is paid on the hosted page between our look and our second try.
    memory_gateway.before_pay = memory_gateway.pay_outside
    await till.collect(memory_gateway)
    assert await till.attempts() == ["succeeded"]
    assert await till.state() == "paid"
    assert len(memory_gateway.charges) == 1


async def test_a_payment_confirmed_before_the_new_method_is_not_superseded(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, CONFIRMED)
    await till.collect(memory_gateway)
    memory_gateway.settle(await till.gateway_invoice_id(), succeeds=True)
    await till.attach(memory_gateway, VISA, when="2026-01-16T12:00")
    await till.collect(memory_gateway, when="2026-01-16T12:01")
    assert await till.attempts() == ["succeeded"]
    assert len(memory_gateway.charges) == 1


async def test_money_for_a_void_invoice_is_booked_as_the_customers_and_pays_nothing(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, DEBIT)
    attempt = await till.collect(memory_gateway)
    assert attempt is not None
    async with db.transaction() as tx:
        await tx.execute(sa.text(_VOIDED))
    for _ in range(2):
        async with db.transaction() as tx:
            await service.settle_attempt(tx, system(), system().at, attempt, PayOutcome(PayState.PAID))
    assert (await till.state(), await till.attempts()) == ("void", ["succeeded"])
    booked = [await till.posted(each) for each in ("invoice_paid", "payment_unapplied")]
    assert (booked, await till.staged("payment_unapplied")) == ([0, 1], 1)


async def test_money_for_a_written_off_invoice_pays_it_and_takes_the_loss_back(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, NO_FUNDS)
    await till.collect(memory_gateway)
    async with db.transaction() as tx:
        await invoices.write_off_invoice(
            tx, system(), system().at, customer_id=till.customer.id, invoice_id=till.invoice.id
        )
    await till.collect(memory_gateway)
    assert await quarrel.books(till) == {"bad_debt": 2_900, "revenue": -2_900}
    # The gateway takes a payment also of what it has written off.
    copy_id = await till.gateway_invoice_id()
    memory_gateway.pay_outside(copy_id)
    for _ in range(2):
        await service.settle_from_gateway(db, memory_gateway, system(), copy_id)
    assert (await till.state(), await till.attempts()) == ("paid", ["failed", "succeeded"])
    assert await quarrel.books(till) == {"cash": 2_900, "revenue": -2_900}
    assert await till.posted("payment_unapplied") == 0


async def test_a_reconciler_goes_on_after_an_attempt_that_cannot_be_found_out(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    await _lost(till, memory_gateway)
    memory_gateway.lose("fetch_invoice", "before")
    later = system("2026-01-15T13:00")
    assert await service.reconcile_stale(db, memory_gateway, later, limit=10) == 0
    assert await till.attempts() == ["unknown"]
    # It is looked at again after a minute.
    assert await service.reconcile_stale(db, memory_gateway, later, limit=10) == 0
    assert await till.attempts() == ["unknown"]
    assert await service.reconcile_stale(db, memory_gateway, system("2026-01-15T13:01"), limit=10) == 1
    assert await till.attempts() == ["succeeded"]


async def test_an_invoice_that_is_not_the_customers_is_not_found(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    stranger = CustomerId(make.new_id())
    with pytest.raises(InvoiceNotFound):
        await service.collect(db, memory_gateway, system(), customer_id=stranger, invoice_id=till.invoice.id)
    async with db.transaction() as tx:
        assert await store.find_push(tx, stranger, till.invoice.id) is None
