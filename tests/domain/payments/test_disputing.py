"""Disputes and returned debits on real Postgres: the books, the invoice, refunds beside them, and another copy."""

import asyncio
import dataclasses
from collections.abc import Sequence

import pytest

from domain.adapters.memory import MemoryGateway
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.credit_note import CreditKind
from domain.invoices.invoice import Invoice, InvoiceStateRefused, VoidReason
from domain.invoices.reversal import InvoiceDisputed
from domain.kernel.money import Money
from domain.kernel.period import Period
from domain.payments import service as collection
from domain.payments import store as payments
from domain.payments.dispute import DisputeCurrencyDiffers, DisputeStatusUnknown, Stance
from domain.payments.disputing import service
from domain.payments.listed import GatewayDispute
from domain.payments.port import PaymentGateway
from domain.payments.refund import RefundReason, RefundUnsupported
from domain.payments.refunding import service as refunding
from domain.payments.unapplied import service as unapplied
from domain.payments.unapplied.payment import Cause
from tests import make
from tests.domain.payments import quarrel
from tests.domain.payments.gateways import MemoryProbe, Probe
from tests.domain.payments.till import DEBIT, NO_FUNDS, NOON, VISA, Till, open_till, system

_WHOLE = {"disputed": 2_900, "revenue": -2_900}
_PAID = {"cash": 2_900, "revenue": -2_900}
_LOST = {"bad_debt": 2_900, "revenue": -2_900}
_OWED = {"receivable": 2_900, "revenue": -2_900}


@pytest.fixture
def memory_probe(memory_gateway: MemoryGateway) -> MemoryProbe:
    """Give the probe of the gateway in memory."""
    return MemoryProbe(memory_gateway)


async def _ask_again(till: Till) -> Invoice:
    async with till.db.transaction() as tx:
        return await service.ask_again(tx, system(), till.invoice.id)


async def _numbers(gateway: MemoryGateway) -> Sequence[str]:
    return [copy.pushed.number for copy in gateway.copies.values()]


async def test_a_dispute_that_is_won_leaves_everything_as_it_was(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till, payment_id = await quarrel.paid(db, gateway, probe)
    before = await quarrel.invoice(till)
    dispute_id = await probe.dispute(payment_id, "fraudulent")
    for _ in range(2):
        await quarrel.follow(till, gateway, dispute_id)
    [opened] = await quarrel.disputes(till)
    assert (opened.stance, opened.amount, opened.is_open) == (Stance.HELD, Money(2_900, "USD"), True)
    assert opened.evidence_due_at is not None
    assert (await till.state(), (await quarrel.invoice(till)).disputed_minor) == ("paid", 2_900)
    assert await quarrel.books(till) == _WHOLE
    await probe.decide(dispute_id, "won")
    for _ in range(2):
        await quarrel.follow(till, gateway, dispute_id)
    [won] = await quarrel.disputes(till)
    assert (won.stance, won.is_open) == (Stance.WON, False)
    after = await quarrel.invoice(till)
    assert (after.state, after.disputed_minor, after.paid_at) == (before.state, 0, before.paid_at)
    assert await quarrel.books(till) == _PAID
    assert await quarrel.told(till) == ["dispute_opened", "dispute_won"]
    # The list shows it too.
    ever = Period(make.at("2020-01-01"), make.at("2100-01-01"))
    [listed] = (await gateway.listing.list_disputes(ever, after=None)).items
    assert (listed.id, listed.status, listed.gateway_payment_id) == (dispute_id, "won", payment_id)


async def test_a_dispute_that_is_lost_charges_the_invoice_back_and_nobody_asks_for_it(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till, payment_id = await quarrel.paid(db, gateway, probe)
    dispute_id = await probe.dispute(payment_id, "product_not_received")
    await probe.decide(dispute_id, "lost")
    # Of both events the second came first, and each came twice.
    for _ in range(3):
        await quarrel.follow(till, gateway, dispute_id)
    assert await till.state() == "charged_back"
    assert await quarrel.books(till) == _LOST
    assert await quarrel.told(till) == ["dispute_opened", "invoice_charged_back", "dispute_lost"]
    assert [await till.posted(each) for each in ("dispute_withdrawn", "dispute_lost")] == [1, 1]
    await till.collect(gateway)
    assert await till.attempts() == ["succeeded"]
    assert await probe.charges() == [2_900]


async def test_a_returned_debit_opens_the_invoice_and_another_copy_collects_it(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till, payment_id = await quarrel.paid(db, gateway, probe, DEBIT)
    first_copy = await till.gateway_invoice_id()
    dispute_id = await probe.dispute(payment_id, "insufficient_funds")
    for _ in range(2):
        await quarrel.follow(till, gateway, dispute_id)
    [returned] = await till.attempt_rows()
    assert (returned.state, returned.decline and returned.decline.code) == ("returned", "insufficient_funds")
    assert await till.state() == "open"
    assert await quarrel.books(till) == _OWED
    assert await till.staged("payment_settled") == 2  # of the success, and of the return
    # News of the first copy, which is paid there for ever, prove nothing any more.
    await collection.settle_from_gateway(db, gateway, system(), first_copy)
    await till.collect(gateway)
    assert (await till.state(), await till.attempts()) == ("open", ["returned"])
    # Another method is charged at once, by another copy with another number.
    await till.attach(gateway, VISA, "2026-01-15T13:00")
    await till.collect(gateway, "2026-01-15T13:00")
    assert (await till.state(), await till.attempts()) == ("paid", ["returned", "succeeded"])
    assert await quarrel.books(till) == _PAID
    assert await till.gateway_invoice_id() != first_copy
    assert await probe.invoices() == ["paid", "paid"]
    assert await quarrel.told(till) == ["invoice_reopened", "payment_returned"]


async def test_a_returned_debit_has_no_second_entry_swallowed(
    db: Database, memory_gateway: MemoryGateway, memory_probe: MemoryProbe
) -> None:
    till, payment_id = await quarrel.paid(db, memory_gateway, memory_probe, DEBIT)
    await quarrel.follow(till, memory_gateway, await memory_probe.dispute(payment_id, "bank_cannot_process"))
    await till.attach(memory_gateway, VISA, "2026-01-15T13:00")
    await till.collect(memory_gateway, "2026-01-15T13:00")
    assert await _numbers(memory_gateway) == ["TEST-2026-000001", "TEST-2026-000001-R1"]
    assert await till.posted("invoice_paid") == 2
    # The second payment can be disputed as the first.
    [newest, _] = await till.attempt_rows()
    assert newest.gateway_payment_id is not None
    await quarrel.follow(till, memory_gateway, await memory_probe.dispute(newest.gateway_payment_id, "fraudulent"))
    assert await quarrel.books(till) == _WHOLE


async def test_several_partial_disputes_add_up(
    db: Database, memory_gateway: MemoryGateway, memory_probe: MemoryProbe
) -> None:
    till, payment_id = await quarrel.paid(db, memory_gateway, memory_probe)
    first = await memory_probe.dispute(payment_id, "duplicate", 1_000)
    second = await memory_probe.dispute(payment_id, "general", 500)
    for each in (first, second):
        await quarrel.follow(till, memory_gateway, each)
    assert (await quarrel.invoice(till)).disputed_minor == 1_500
    await memory_probe.decide(first, "lost")
    await memory_probe.decide(second, "won")
    for each in (second, first):
        await quarrel.follow(till, memory_gateway, each)
    invoice = await quarrel.invoice(till)
    # 29.00 - 10.00 stay paid.
    assert (invoice.state, invoice.amount_paid.minor, invoice.disputed_minor) == ("charged_back", 1_900, 0)
    assert await quarrel.books(till) == {"cash": 1_900, "bad_debt": 1_000, "revenue": -2_900}


async def test_staff_have_what_was_lost_collected_again_and_no_more(
    db: Database, memory_gateway: MemoryGateway, memory_probe: MemoryProbe
) -> None:
    till, payment_id = await quarrel.paid(db, memory_gateway, memory_probe)
    with pytest.raises(InvoiceStateRefused):
        await _ask_again(till)
    dispute_id = await memory_probe.dispute(payment_id, "general", 1_000)
    await memory_probe.decide(dispute_id, "lost")
    await quarrel.follow(till, memory_gateway, dispute_id)
    opened = await _ask_again(till)
    assert (opened.state, opened.amount_due.minor, opened.amount_paid.minor) == ("open", 1_000, 1_900)
    # A part of it is paid, so it cannot be taken back as a whole.
    with pytest.raises(InvoiceStateRefused):
        async with db.transaction() as tx:
            await invoices.void_invoice(
                tx,
                system(),
                system().at,
                customer_id=till.customer.id,
                invoice_id=till.invoice.id,
                reason=VoidReason.OTHER,
            )
    await quarrel.note(till, 200, CreditKind.OFFSET)
    await till.collect(memory_gateway)
    assert (await till.state(), await till.attempts()) == ("paid", ["succeeded", "succeeded"])
    # 10.00 less the note of 2.00.
    assert [minor for _, minor in memory_gateway.charges] == [2_900, 800]
    assert await quarrel.books(till) == {"cash": 2_700, "revenue": -2_700}
    assert await _numbers(memory_gateway) == ["TEST-2026-000001", "TEST-2026-000001-R1"]


async def test_money_that_comes_back_after_all_pays_the_invoice(
    db: Database, memory_gateway: MemoryGateway, memory_probe: MemoryProbe
) -> None:
    till, payment_id = await quarrel.paid(db, memory_gateway, memory_probe)
    dispute_id = await memory_probe.dispute(payment_id, "fraudulent")
    for status in ("lost", "appeal_under_review", "won", "won"):
        await memory_probe.decide(dispute_id, status)
        await quarrel.follow(till, memory_gateway, dispute_id)
    assert (await till.state(), await quarrel.books(till)) == ("paid", _PAID)


async def test_what_was_paid_again_meanwhile_is_owed_to_the_customer(
    db: Database, memory_gateway: MemoryGateway, memory_probe: MemoryProbe
) -> None:
    till, payment_id = await quarrel.paid(db, memory_gateway, memory_probe)
    dispute_id = await memory_probe.dispute(payment_id, "fraudulent")
    await memory_probe.decide(dispute_id, "lost")
    await quarrel.follow(till, memory_gateway, dispute_id)
    await _ask_again(till)
    await till.collect(memory_gateway)
    await memory_probe.decide(dispute_id, "won")
    await quarrel.follow(till, memory_gateway, dispute_id)
    assert await till.state() == "paid"
    # It was paid twice: 29.00 are the customer's, and nothing is receivable. Staff are told once.
    assert await quarrel.books(till) == {"cash": 5_800, "revenue": -2_900, "unapplied_cash": -2_900}
    await quarrel.follow(till, memory_gateway, dispute_id)
    assert [await till.staged("payment_unapplied"), await till.posted("dispute_reinstated")] == [1, 1]
    async with db.transaction() as tx:
        [held] = await unapplied.list_payments(tx, system(), customer_id=till.customer.id)
    assert (held.cause, held.left, held.gateway_payment_id) == (Cause.REINSTATED, Money(2_900, "USD"), payment_id)


async def test_what_is_disputed_is_neither_refunded_nor_credited(
    db: Database, memory_gateway: MemoryGateway, memory_probe: MemoryProbe
) -> None:
    till, payment_id = await quarrel.paid(db, memory_gateway, memory_probe)
    note = await quarrel.note(till, 900)
    await quarrel.follow(till, memory_gateway, await memory_probe.dispute(payment_id, "fraudulent", 2_500))
    # 29.00 - 25.00 are left of the payment.
    with pytest.raises(RefundUnsupported):
        async with db.transaction() as tx:
            await refunding.order(tx, system(), note.id, amount=None, reason=RefundReason.REQUESTED_BY_CUSTOMER)
    assert await till.staged("carry_refund") == 0
    # 29.00 - 25.00 - 9.00 of the note before: nothing more.
    with pytest.raises(InvoiceDisputed):
        await quarrel.note(till, 1)
    async with db.transaction() as tx:
        [part] = await refunding.order(
            tx, system(), note.id, amount=Money(400, "USD"), reason=RefundReason.REQUESTED_BY_CUSTOMER
        )
    assert part.amount.minor == 400


async def test_a_dispute_after_a_refund_gives_it_back_twice_and_the_books_say_so(
    db: Database, memory_gateway: MemoryGateway, memory_probe: MemoryProbe
) -> None:
    till, payment_id = await quarrel.paid(db, memory_gateway, memory_probe)
    note = await quarrel.note(till, 900)
    async with db.transaction() as tx:
        [ordered] = await refunding.order(tx, system(), note.id, amount=None, reason=RefundReason.REQUESTED_BY_CUSTOMER)
    await refunding.carry_out(db, memory_gateway, system(), customer_id=till.customer.id, refund_id=ordered.id)
    dispute_id = await memory_probe.dispute(payment_id, "credit_not_processed")
    await memory_probe.decide(dispute_id, "lost")
    await quarrel.follow(till, memory_gateway, dispute_id)
    # 29.00 came, 9.00 and 29.00 went; 20.00 were earned.
    assert await quarrel.books(till) == {"cash": -900, "revenue": -2_000, "bad_debt": 2_900}


async def test_a_note_on_a_charged_back_invoice_lowers_what_was_lost(
    db: Database, memory_gateway: MemoryGateway, memory_probe: MemoryProbe
) -> None:
    till, payment_id = await quarrel.paid(db, memory_gateway, memory_probe)
    dispute_id = await memory_probe.dispute(payment_id, "fraudulent")
    await memory_probe.decide(dispute_id, "lost")
    await quarrel.follow(till, memory_gateway, dispute_id)
    note = await quarrel.note(till, 2_900)
    assert (note.offset_minor, note.refund_minor) == (2_900, 0)
    assert (await till.state(), await quarrel.books(till)) == ("paid", {})


async def test_a_dispute_that_is_heard_of_before_its_payment_settles_that_first(
    db: Database, memory_gateway: MemoryGateway, memory_probe: MemoryProbe
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, DEBIT)
    await till.collect(memory_gateway)
    copy_id = await till.gateway_invoice_id()
    memory_gateway.settle(copy_id, succeeds=True)
    copy = memory_gateway.copies[copy_id]
    assert copy.outcome is not None
    assert copy.outcome.gateway_payment_id is not None
    payment_id = copy.outcome.gateway_payment_id
    [processing] = await till.attempt_rows()
    async with db.transaction() as tx:
        await payments.save_attempt(tx, processing, dataclasses.replace(processing, gateway_payment_id=payment_id))
    await quarrel.follow(till, memory_gateway, await memory_probe.dispute(payment_id, "insufficient_funds"))
    assert (await till.state(), await till.attempts(), await quarrel.books(till)) == ("open", ["returned"], _OWED)


async def test_what_cannot_be_followed_moves_nothing(
    db: Database, memory_gateway: MemoryGateway, memory_probe: MemoryProbe
) -> None:
    till, payment_id = await quarrel.paid(db, memory_gateway, memory_probe)
    strange = GatewayDispute("dp_1", "a_status_of_next_year", "general", "USD", 1, payment_id, make.at(NOON))
    foreign = GatewayDispute("dp_2", "lost", "general", "EUR", 1, payment_id, make.at(NOON))
    another = GatewayDispute("dp_3", "lost", "general", "USD", 1, "pi_of_another", make.at(NOON))
    memory_gateway.listing.disputes |= {each.id: each for each in (strange, foreign, another)}
    with pytest.raises(DisputeStatusUnknown):
        await service.settle_from_gateway(db, memory_gateway, system(), "dp_1")
    with pytest.raises(DisputeCurrencyDiffers):
        await service.settle_from_gateway(db, memory_gateway, system(), "dp_2")
    for unknown in ("dp_3", "dp_4"):
        assert await service.settle_from_gateway(db, memory_gateway, system(), unknown) is None
    assert (await quarrel.disputes(till), await quarrel.books(till)) == ([], _PAID)


async def test_two_workers_book_a_dispute_once(
    db: Database, memory_gateway: MemoryGateway, memory_probe: MemoryProbe
) -> None:
    till, payment_id = await quarrel.paid(db, memory_gateway, memory_probe)
    dispute_id = await memory_probe.dispute(payment_id, "fraudulent")
    await asyncio.gather(*(quarrel.follow(till, memory_gateway, dispute_id) for _ in range(3)))
    assert (len(await quarrel.disputes(till)), await till.posted("dispute_withdrawn")) == (1, 1)
    assert await quarrel.books(till) == _WHOLE


async def test_an_inquiry_takes_nothing(db: Database, memory_gateway: MemoryGateway, memory_probe: MemoryProbe) -> None:
    till, payment_id = await quarrel.paid(db, memory_gateway, memory_probe)
    dispute_id = await memory_probe.dispute(payment_id, "fraudulent")
    await memory_probe.decide(dispute_id, "warning_needs_response")
    await quarrel.follow(till, memory_gateway, dispute_id)
    assert ((await quarrel.invoice(till)).disputed_minor, await quarrel.books(till)) == (0, _PAID)
    [asked] = await quarrel.disputes(till)
    assert asked.is_open


@pytest.mark.parametrize(
    ("end", "books"),
    [(Stance.WON, {"cash": 2_900, "unapplied_cash": -2_900}), (Stance.LOST, {})],
)
async def test_of_money_that_came_for_a_void_invoice_a_bank_takes_the_customers_own(
    db: Database, memory_gateway: MemoryGateway, memory_probe: MemoryProbe, end: Stance, books: dict[str, int]
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, NO_FUNDS)
    await till.collect(memory_gateway)
    copy_id = await till.gateway_invoice_id()
    memory_gateway.pay_outside(copy_id)
    async with db.transaction() as tx:
        await invoices.void_invoice(
            tx,
            system(),
            system().at,
            customer_id=till.customer.id,
            invoice_id=till.invoice.id,
            reason=VoidReason.DUPLICATE,
        )
    await collection.settle_from_gateway(db, memory_gateway, system(), copy_id)
    [paid, _] = await till.attempt_rows()
    assert (await till.audited("book_unapplied_payment"), paid.gateway_payment_id is None) == (1, False)
    dispute_id = await memory_probe.dispute(paid.gateway_payment_id or "", "fraudulent")
    await quarrel.follow(till, memory_gateway, dispute_id)
    await memory_probe.decide(dispute_id, end.value)
    await quarrel.follow(till, memory_gateway, dispute_id)
    assert ([each.stance for each in await quarrel.disputes(till)], await quarrel.books(till)) == ([end], books)
    await memory_probe.decide(dispute_id, "won")
    await quarrel.follow(till, memory_gateway, dispute_id)
    # It is as it was before: the customer's.
    assert (await till.state(), await quarrel.books(till)) == ("void", {"cash": 2_900, "unapplied_cash": -2_900})
    async with db.transaction() as tx:
        [held] = await unapplied.list_payments(tx, system(), open_only=True)
    assert (held.left.minor, held.withheld_minor) == (2_900, 0)
