"""Whoever dies at whatever step of following money that crossed, or of taking a cheque back: it is booked once.

Each life is a customer of its own. What a death leaves is brought to its end by another process, twice.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

import pytest

from domain.adapters.memory import MemoryGateway
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.invoice import VoidReason
from domain.kernel.ids import AttemptId
from domain.kernel.money import Money
from domain.payments.applying import service as applying
from domain.payments.port import PaymentGateway
from domain.payments.receiving import service as receiving
from domain.payments.receiving.receipt import PaymentAlreadyReversed, ReceiptMethod, ReversalReason
from domain.payments.refund import RefundReason
from domain.payments.refunding import service as refunding
from domain.payments.reversing import service as reversing
from domain.payments.unapplied import service as unapplied
from tests import make
from tests.domain.payments import quarrel
from tests.domain.payments.paying_back import refunds
from tests.domain.payments.till import NO_FUNDS, Till, open_till, system
from tests.stories.mortal import Death, Fate, MortalDatabase, MortalPort

LIVES_MAX = 40
Act = Callable[[Till, Database, PaymentGateway], Awaitable[None]]


async def _owing(db: Database, gateway: MemoryGateway) -> Till:
    till = await open_till(db)
    await till.attach(gateway, NO_FUNDS)
    await till.collect(gateway)
    return till


async def _crossed(db: Database, gateway: MemoryGateway) -> Till:
    """Have an invoice voided in the moment in which its customer pays it."""
    till = await _owing(db, gateway)
    async with db.transaction() as tx:
        await invoices.void_invoice(
            tx,
            system(),
            system().at,
            customer_id=till.customer.id,
            invoice_id=till.invoice.id,
            reason=VoidReason.MISTAKE,
        )
    gateway.pay_outside(await till.gateway_invoice_id())
    return till


async def _send_back(till: Till, db: Database, gateway: PaymentGateway) -> None:
    """Close the copy, book the money that it shows, and send what is left of it back."""
    await Till(db, till.customer, till.invoice).collect(gateway)
    async with db.transaction() as tx:
        [held] = await unapplied.list_payments(tx, system(), customer_id=till.customer.id)
        if held.left.minor:
            await applying.refund(tx, system(), held.id, amount=None, reason=RefundReason.DUPLICATE)
    for each in await refunds(Till(db, till.customer, till.invoice)):
        await refunding.carry_out(db, gateway, system(), customer_id=each.customer_id, refund_id=each.id)


async def _recorded(db: Database, gateway: MemoryGateway) -> Till:
    """Have a cheque recorded whose copy is open still."""
    till = await _owing(db, gateway)
    async with db.transaction() as tx:
        await receiving.record_payment(
            tx,
            system(),
            invoice_id=till.invoice.id,
            amount=Money(2_900, "USD"),
            method=ReceiptMethod.CHEQUE,
            reference="Cheque 17",
            received_at=make.at("2026-01-15T11:00"),
        )
    return till


async def _take_back(till: Till, db: Database, gateway: PaymentGateway) -> None:
    """Close the copy, and take the cheque back; once it is, that is refused."""
    attempt_id = AttemptId((await till.attempt_rows())[0].id)
    await reversing.look_first(db, gateway, system(), attempt_id)
    with suppress(PaymentAlreadyReversed):
        async with db.transaction() as tx:
            await reversing.reverse(tx, system(), attempt_id, reason=ReversalReason.BOUNCED)


@pytest.mark.parametrize(
    ("begin", "act", "books", "attempts", "deaths_min"),
    [
        (_crossed, _send_back, {}, ["failed", "succeeded"], 12),
        (_recorded, _take_back, {"receivable": 2_900, "revenue": -2_900}, ["failed", "returned"], 10),
    ],
    ids=["sent back", "taken back"],
)
async def test_death_at_any_step_books_it_once(
    db: Database,
    *,
    begin: Callable[[Database, MemoryGateway], Awaitable[Till]],
    act: Act,
    books: dict[str, int],
    attempts: list[str],
    deaths_min: int,
) -> None:
    gateway, died = MemoryGateway(), list[str]()
    for number in range(1, LIVES_MAX):
        till = await begin(db, gateway)
        fate = Fate(number)
        with suppress(Death):
            await act(till, MortalDatabase(db, fate), cast("PaymentGateway", MortalPort(gateway, fate)))
        for _ in range(2):
            await act(till, db, gateway)
        where = f"death {number}, at {fate.steps}"
        assert (await quarrel.books(till), await till.attempts()) == (books, attempts), where
        if not fate.is_met:
            break
        died.append(fate.steps[-1])
    assert len(died) >= deaths_min
    assert {"before a commit", "after a commit", "after fetch_invoice"} <= set(died)
    gone = [each.amount_minor for each in gateway.listing.refunds]
    assert gone == ([2_900] * (len(died) + 1) if act is _send_back else [])
