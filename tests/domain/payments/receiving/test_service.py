"""Money that came another way pays an invoice once, and the gateway's copy follows, whatever reply is lost."""

import pytest

from domain.access.roles import Permission
from domain.adapters.memory import MemoryGateway, When
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.invoice import InvoiceStateRefused, PaymentDiffers, PaymentUnderWay
from domain.kernel.call import Call, Environment, Forbidden, PrincipalKind
from domain.kernel.money import Money
from domain.ledger import service as ledger
from domain.payments import service as payments
from domain.payments.port import GatewayInvoiceState, GatewayUnavailable, PaymentGateway
from domain.payments.receiving import service
from domain.payments.receiving import store as receipts
from domain.payments.receiving.receipt import ReceiptMethod
from tests import make
from tests.domain.payments.gateways import Probe
from tests.domain.payments.till import CONFIRMED, DEBIT, NO_FUNDS, VISA, Till, open_till, system

_DUE = Money(2_900, "USD")


async def _record(till: Till, gateway: PaymentGateway, *, amount: Money = _DUE, call: Call | None = None) -> None:
    """Record a cheque that came an hour ago, as the mutation does."""
    call = call or system()
    await service.look_first(till.db, gateway, call, till.invoice.id)
    async with till.db.transaction() as tx:
        await service.record_payment(
            tx,
            call,
            invoice_id=till.invoice.id,
            amount=amount,
            method=ReceiptMethod.CHEQUE,
            reference="Cheque 17",
            received_at=make.at("2026-01-15T11:00"),
        )


async def _copy_state(till: Till, gateway: PaymentGateway) -> tuple[GatewayInvoiceState, int]:
    """Return the copy's state, and what came for it through the gateway."""
    seen = await gateway.fetch_invoice(await till.gateway_invoice_id())
    assert seen is not None
    return seen.state, seen.paid_minor


async def _failed(db: Database, gateway: PaymentGateway) -> Till:
    till = await open_till(db)
    await till.attach(gateway, NO_FUNDS)
    await till.collect(gateway)
    assert await till.attempts() == ["failed"]
    return till


async def test_a_recorded_payment_pays_the_invoice_and_closes_the_copy_without_a_charge(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await _failed(db, gateway)
    await _record(till, gateway)
    assert await till.state() == "paid"
    assert await till.attempts() == ["failed", "succeeded"]
    assert (await till.posted("invoice_paid"), await till.audited("record_payment")) == (1, 1)
    await till.collect(gateway)
    await till.collect(gateway)
    assert await _copy_state(till, gateway) == (GatewayInvoiceState.PAID, 0)
    # The news of the closed copy reaches us and brings no second payment.
    await payments.settle_from_gateway(db, gateway, system(), await till.gateway_invoice_id())
    assert await till.attempts() == ["failed", "succeeded"]
    assert await probe.charges() == []
    assert await till.audited("book_unapplied_payment") == 0
    async with db.transaction() as tx:
        balances = dict(await ledger.trial_balance(tx, Environment.TEST))
        [received] = (await receipts.list_received_of(tx, [(till.customer.id, till.invoice.id)]))[till.invoice.id]
    # Debit cash 29.00, credit receivable 29.00: nothing is owed, and the sum of all is zero.
    assert {str(name): money.minor for name, money in balances.items() if money.minor} == {
        "cash": 2_900,
        "revenue": -2_900,
    }
    assert (received.amount, received.method, received.reference) == (_DUE, ReceiptMethod.CHEQUE, "Cheque 17")
    assert received.received_at == make.at("2026-01-15T11:00")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_reply_to_the_closing_is_answered_by_the_next_look(
    db: Database, memory_gateway: MemoryGateway, when: When
) -> None:
    till = await _failed(db, memory_gateway)
    await _record(till, memory_gateway)
    memory_gateway.lose("mark_paid_outside", when)
    with pytest.raises(GatewayUnavailable):
        await till.collect(memory_gateway)
    await till.collect(memory_gateway)
    assert await _copy_state(till, memory_gateway) == (GatewayInvoiceState.PAID, 0)
    assert await till.audited("book_unapplied_payment") == 0


async def test_what_was_written_off_there_is_paid_there_too(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await _failed(db, gateway)
    async with db.transaction() as tx:
        await invoices.write_off_invoice(
            tx, system(), system().at, customer_id=till.customer.id, invoice_id=till.invoice.id
        )
    await till.collect(gateway)
    assert await probe.invoices() == ["uncollectible"]
    await _record(till, gateway)
    await till.collect(gateway)
    assert (await till.state(), await probe.invoices()) == ("paid", ["paid"])
    async with db.transaction() as tx:
        balances = dict(await ledger.trial_balance(tx, Environment.TEST))
    # The bad debt of 29.00 is taken back by the cash.
    assert {str(name): money.minor for name, money in balances.items() if money.minor} == {
        "cash": 2_900,
        "revenue": -2_900,
    }


async def test_what_was_never_pushed_needs_no_copy(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    await _record(till, memory_gateway)
    await till.collect(memory_gateway)
    assert (await till.state(), memory_gateway.copies) == ("paid", {})


@pytest.mark.parametrize("operation", ["create_invoice", "finalise_invoice"])
async def test_a_copy_under_way_is_ended_with_it(db: Database, memory_gateway: MemoryGateway, operation: str) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, VISA)
    memory_gateway.lose(operation, "after")
    with pytest.raises(GatewayUnavailable):
        await till.collect(memory_gateway)
    await _record(till, memory_gateway)
    await till.collect(memory_gateway)
    assert memory_gateway.charges == []
    # A draft is deleted; what was opened already is paid another way.
    assert {copy.state for copy in memory_gateway.copies.values()} <= {GatewayInvoiceState.PAID}


async def test_a_charge_on_its_way_or_unknown_comes_first(db: Database, gateway: PaymentGateway, probe: Probe) -> None:
    till = await open_till(db)
    await till.attach(gateway, DEBIT)
    await till.collect(gateway)
    assert await till.attempts() == ["processing"]
    with pytest.raises(PaymentUnderWay):
        await _record(till, gateway)
    assert (await till.attempts(), await till.posted("invoice_paid")) == (["processing"], 0)
    await probe.settle(await till.gateway_invoice_id(), succeeds=False)
    await payments.settle_from_gateway(db, gateway, system(), await till.gateway_invoice_id())
    await _record(till, gateway)
    await till.collect(gateway)
    assert await till.attempts() == ["failed", "succeeded"]
    assert await _copy_state(till, gateway) == (GatewayInvoiceState.PAID, 0)


async def test_an_unknown_charge_blocks_until_it_is_found_out(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, VISA)
    memory_gateway.lose("pay", "after")
    with pytest.raises(GatewayUnavailable):
        await till.collect(memory_gateway)
    with pytest.raises(PaymentUnderWay):
        await _record(till, memory_gateway)
    await till.collect(memory_gateway)
    with pytest.raises(InvoiceStateRefused):
        await _record(till, memory_gateway)
    assert await till.attempts() == ["succeeded"]
    assert await till.posted("invoice_paid") == 1


async def test_a_payment_that_waits_for_its_customer_gives_way_unless_it_was_confirmed(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, CONFIRMED)
    await till.collect(memory_gateway)
    assert await till.attempts() == ["action_required"]
    await _record(till, memory_gateway)
    await till.collect(memory_gateway)
    assert await till.attempts() == ["superseded", "succeeded"]
    assert await _copy_state(till, memory_gateway) == (GatewayInvoiceState.PAID, 0)


async def test_what_was_confirmed_meanwhile_is_found_by_the_look_before(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, CONFIRMED)
    await till.collect(memory_gateway)
    memory_gateway.settle(await till.gateway_invoice_id(), succeeds=True)
    with pytest.raises(InvoiceStateRefused):
        await _record(till, memory_gateway)
    assert await till.attempts() == ["succeeded"]


@pytest.mark.parametrize("first", ["job", "news"])
async def test_money_that_came_both_ways_is_kept_for_the_customer_once(
    db: Database, memory_gateway: MemoryGateway, first: str
) -> None:
    till = await _failed(db, memory_gateway)
    await _record(till, memory_gateway)
    copy_id = await till.gateway_invoice_id()
    memory_gateway.pay_outside(copy_id)
    for who in (first, "job", "news", "job"):
        if who == "job":
            await till.collect(memory_gateway)
        else:
            await payments.settle_from_gateway(db, memory_gateway, system(), copy_id)
    assert (await till.attempts(), await till.posted("invoice_paid")) == (["failed", "succeeded", "succeeded"], 1)
    assert [await till.posted("payment_unapplied"), await till.staged("payment_unapplied")] == [1, 1]
    # 29.00 by cheque paid the invoice; 29.00 that came there are the customer's.
    async with db.transaction() as tx:
        balances = dict(await ledger.trial_balance(tx, Environment.TEST))
    assert {str(name): money.minor for name, money in balances.items() if money.minor} == {
        "cash": 5_800,
        "revenue": -2_900,
        "unapplied_cash": -2_900,
    }


async def test_what_differs_or_is_asked_by_a_customer_is_refused_and_leaves_nothing(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    with pytest.raises(PaymentDiffers):
        await _record(till, memory_gateway, amount=Money(2_899, "USD"))
    rights = (Permission.INVOICE_WRITE, Permission.INVOICE_READ)
    own = make.principal(*rights, kind=PrincipalKind.KEY, customer_id=till.customer.id)
    for by in (own, make.principal(Permission.INVOICE_READ)):
        with pytest.raises(Forbidden):
            await _record(till, memory_gateway, call=make.call("2026-01-15T12:00", by=by))
    assert (await till.state(), await till.attempts()) == ("open", [])
    assert (await till.audited("record_payment"), await till.posted("invoice_paid")) == (0, 0)
