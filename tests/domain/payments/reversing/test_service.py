"""A recorded payment that is taken back: its invoice is due again, once, and exactly one copy there asks for it."""

import asyncio

import pytest
import sqlalchemy as sa

from domain.access.roles import Permission
from domain.adapters.memory import MemoryGateway
from domain.customers.customer import CollectionMethod
from domain.db import Database
from domain.invoices.credit_note import CreditKind
from domain.invoices.invoice import InvoiceStateRefused
from domain.journal.store import outbox_job
from domain.kernel.call import Call, Forbidden, PrincipalKind
from domain.kernel.ids import AttemptId
from domain.kernel.money import Money
from domain.payments import service as collection
from domain.payments import store as payments
from domain.payments.port import GatewayInvoiceState, GatewayUnavailable, PaymentGateway
from domain.payments.receiving import service as receiving
from domain.payments.receiving import store as receipts
from domain.payments.receiving.receipt import (
    PaymentAlreadyReversed,
    PaymentGivenBack,
    ReceiptMethod,
    Received,
    RecordedPaymentNotFound,
    ReversalReason,
)
from domain.payments.reversing import service
from tests import make
from tests.domain.payments import quarrel
from tests.domain.payments.gateways import Probe
from tests.domain.payments.till import NO_FUNDS, VISA, Till, open_till, system

_OWED = {"receivable": 2_900, "revenue": -2_900}
_PAID = {"cash": 2_900, "revenue": -2_900}
LATER = "2026-01-15T13:00"


async def _record(till: Till) -> Received:
    """Record a cheque over 29.00 that came an hour ago."""
    async with till.db.transaction() as tx:
        return await receiving.record_payment(
            tx,
            system(),
            invoice_id=till.invoice.id,
            amount=Money(2_900, "USD"),
            method=ReceiptMethod.CHEQUE,
            reference="Cheque 17",
            received_at=make.at("2026-01-15T11:00"),
        )


async def _reverse(till: Till, gateway: PaymentGateway, attempt_id: AttemptId, call: Call | None = None) -> None:
    """Take it back, as the mutation does."""
    call = call or system(LATER)
    await service.look_first(till.db, gateway, call, attempt_id)
    async with till.db.transaction() as tx:
        await service.reverse(tx, call, attempt_id, reason=ReversalReason.BOUNCED)


async def _failed(db: Database, gateway: PaymentGateway) -> Till:
    till = await open_till(db)
    await till.attach(gateway, NO_FUNDS)
    await till.collect(gateway)
    return till


async def _numbers(gateway: MemoryGateway) -> list[tuple[str, str, int]]:
    return [(copy.pushed.number, copy.state.value, copy.paid_minor) for copy in gateway.copies.values()]


async def test_a_bounced_cheque_is_due_again_and_collected_by_another_copy(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await _failed(db, gateway)
    received = await _record(till)
    # The job that closes the copy has not run yet: taking it back does that first.
    await _reverse(till, gateway, received.attempt_id)
    assert await probe.invoices() == ["paid"]
    first_copy = await _past_copy(till)
    assert (await till.state(), await till.attempts()) == ("open", ["failed", "returned"])
    assert await quarrel.books(till) == _OWED
    assert [await till.posted(each) for each in ("invoice_paid", "payment_reversed")] == [1, 1]
    assert [await till.audited("reverse_payment"), await till.staged("payment_settled")] == [1, 3]
    async with db.transaction() as tx:
        [kept] = (await receipts.list_received_of(tx, [(till.customer.id, till.invoice.id)]))[till.invoice.id]
    assert (kept.reversed_at, kept.reversal) == (make.at(LATER), ReversalReason.BOUNCED)
    # The first copy is paid out of band for ever; the news of it prove nothing any more.
    await collection.settle_from_gateway(db, gateway, system(LATER), first_copy)
    assert await till.state() == "open"
    await till.attach(gateway, VISA, "2026-01-15T14:00")
    await till.collect(gateway, "2026-01-15T14:00")
    assert (await till.state(), await till.attempts()) == ("paid", ["failed", "returned", "succeeded"])
    assert (await quarrel.books(till), await probe.charges()) == (_PAID, [2_900])
    assert await probe.invoices() == ["paid", "paid"]


async def _past_copy(till: Till) -> str:
    async with till.db.transaction() as tx:
        found: str | None = await tx.value(sa.text("SELECT gateway_invoice_id FROM past_gateway_invoice"))
    assert found is not None
    return found


async def test_it_is_taken_back_once_and_another_payment_can_be_recorded(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await _failed(db, memory_gateway)
    first = await _record(till)
    await _reverse(till, memory_gateway, first.attempt_id)
    with pytest.raises(PaymentAlreadyReversed):
        await _reverse(till, memory_gateway, first.attempt_id)
    second = await _record(till)
    assert (await till.state(), await quarrel.books(till)) == ("paid", _PAID)
    await _reverse(till, memory_gateway, second.attempt_id)
    assert await till.attempts() == ["failed", "returned", "returned"]
    assert (await quarrel.books(till), await till.posted("payment_reversed")) == (_OWED, 2)


async def test_while_the_copy_cannot_be_closed_nothing_is_taken_back(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await _failed(db, memory_gateway)
    received = await _record(till)
    memory_gateway.lose("mark_paid_outside", "after")
    with pytest.raises(GatewayUnavailable):
        await _reverse(till, memory_gateway, received.attempt_id)
    assert (await till.state(), await till.posted("payment_reversed")) == ("paid", 0)
    await _reverse(till, memory_gateway, received.attempt_id)
    assert await till.state() == "open"
    assert await _numbers(memory_gateway) == [("TEST-2026-000001", "paid", 0)]


async def test_a_worker_that_closes_the_old_copy_meanwhile_pays_nothing_by_it(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await _failed(db, memory_gateway)
    received = await _record(till)
    async with db.transaction() as tx:
        before = await payments.find_push(tx, till.customer.id, till.invoice.id)
    await asyncio.gather(
        till.collect(memory_gateway), till.collect(memory_gateway), _reverse(till, memory_gateway, received.attempt_id)
    )
    # Whatever was looked at before: the news that come last are of the copy that another one follows.
    assert before is not None
    assert before.gateway_invoice_id is not None
    await collection.settle_from_gateway(db, memory_gateway, system(LATER), before.gateway_invoice_id)
    assert (await till.state(), await quarrel.books(till)) == ("open", _OWED)
    assert await till.attempts() == ["failed", "returned"]


async def test_of_two_who_take_it_back_one_is_refused(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await _failed(db, memory_gateway)
    received = await _record(till)
    both = [_reverse(till, memory_gateway, received.attempt_id) for _ in range(2)]
    [refused] = [each for each in await asyncio.gather(*both, return_exceptions=True) if each is not None]
    assert isinstance(refused, PaymentAlreadyReversed)
    assert (await till.posted("payment_reversed"), memory_gateway.charges) == (1, [])


async def test_what_cannot_be_taken_back_is_refused_and_nothing_is_written(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await _failed(db, memory_gateway)
    received = await _record(till)
    rights = (Permission.INVOICE_READ, Permission.INVOICE_WRITE)
    own = make.call(by=make.principal(*rights, kind=PrincipalKind.MEMBER, customer_id=till.customer.id))
    with pytest.raises(Forbidden):
        await _reverse(till, memory_gateway, received.attempt_id, own)
    with pytest.raises(RecordedPaymentNotFound):
        await _reverse(till, memory_gateway, AttemptId(make.new_id()))
    async with db.transaction() as tx:
        await tx.execute(sa.text("UPDATE invoice SET state = 'charged_back'"))
    with pytest.raises(InvoiceStateRefused):
        await _reverse(till, memory_gateway, received.attempt_id)
    async with db.transaction() as tx:
        await tx.execute(sa.text("UPDATE invoice SET state = 'paid'"))
    await quarrel.note(till, 900)
    with pytest.raises(PaymentGivenBack):
        await _reverse(till, memory_gateway, received.attempt_id)
    assert [await till.posted("payment_reversed"), await till.audited("reverse_payment")] == [0, 0]
    assert await till.attempts() == ["failed", "succeeded"]


async def test_what_was_credited_before_is_not_asked_for_again(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await _failed(db, memory_gateway)
    await quarrel.note(till, 900, CreditKind.OFFSET)
    async with db.transaction() as tx:
        received = await receiving.record_payment(
            tx,
            system(),
            invoice_id=till.invoice.id,
            amount=Money(2_000, "USD"),
            method=ReceiptMethod.CASH,
            reference="Till",
            received_at=make.at("2026-01-15T11:00"),
        )
    await _reverse(till, memory_gateway, received.attempt_id)
    await till.attach(memory_gateway, VISA, "2026-01-15T14:00")
    await till.collect(memory_gateway, "2026-01-15T14:00")
    # 29.00 - 9.00.
    assert [minor for _, minor in memory_gateway.charges] == [2_000]
    assert await quarrel.books(till) == {"cash": 2_000, "revenue": -2_000}


async def test_a_sent_invoice_that_is_not_due_is_sent_again_and_nobody_is_dunned(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db, collection=CollectionMethod.SEND)
    await till.collect(memory_gateway)
    received = await _record(till)
    async with db.transaction() as tx:
        await tx.execute(sa.update(outbox_job).values(state="done"))
    await _reverse(till, memory_gateway, received.attempt_id)
    assert [await till.staged(each) for each in ("payment_settled", "collect_invoice", "follow_sent_invoice")] == [
        0,
        1,
        1,
    ]
    await till.collect(memory_gateway)
    assert await _numbers(memory_gateway) == [
        ("TEST-2026-000001", GatewayInvoiceState.PAID.value, 0),
        ("TEST-2026-000001-R1", GatewayInvoiceState.OPEN.value, 0),
    ]
    assert (await till.state(), await till.attempts()) == ("open", ["returned"])
