"""Money that no invoice could take pays another one, or goes back once, whatever reply is lost; the books say which."""

import asyncio
import contextlib
import dataclasses
from decimal import Decimal

import pytest

from domain.access.roles import Permission
from domain.adapters.memory import MemoryGateway, When
from domain.contracts.charging import service as charging
from domain.customers import service as customers
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.balances import store as balances
from domain.invoices.invoice import Invoice, InvoiceNotFound, InvoiceStateRefused, PaymentDiffers, VoidReason
from domain.invoices.one_off_charge import ChargeWish
from domain.kernel.call import Environment, Forbidden, PrincipalKind
from domain.kernel.ids import UnappliedPaymentId
from domain.kernel.money import Money
from domain.ledger import service as ledger
from domain.payments import service as collection
from domain.payments import store as payments
from domain.payments.applying import service
from domain.payments.port import GatewayInvoiceState, GatewayRefused, GatewayUnavailable, PaymentGateway
from domain.payments.reconciling import service as reconciling
from domain.payments.refund import Refund, RefundReason, RefundState, RefundUnsupported
from domain.payments.refunding import service as refunding
from domain.payments.unapplied import service as unapplied
from domain.payments.unapplied import store
from domain.payments.unapplied.payment import (
    UnappliedCredit,
    UnappliedPayment,
    UnappliedPaymentNotFound,
    UnappliedPaymentSpent,
)
from tests import make
from tests.domain.payments import quarrel
from tests.domain.payments.gateways import MemoryProbe, Probe
from tests.domain.payments.paying_back import carry, refunds
from tests.domain.payments.till import NO_FUNDS, Till, open_till, system

NIGHT = "2026-01-16T03:00"
_HELD = {"cash": 2_900, "unapplied_cash": -2_900}


async def _crossed(db: Database, gateway: PaymentGateway, pay: Probe) -> tuple[Till, UnappliedPayment]:
    """Have an invoice voided in the moment in which its customer pays 29.00 for it on the gateway's page."""
    till = await open_till(db)
    await till.attach(gateway, NO_FUNDS)
    await till.collect(gateway)
    await _void(till, till.invoice)
    if isinstance(pay, MemoryProbe):
        await pay.pay_outside(await till.gateway_invoice_id())
    else:
        await _pay_there(till, gateway)
    # The job that is to void the copy finds the money, and so do the news of it.
    await till.collect(gateway)
    await quarrel.look(till, gateway)
    return till, await _only(till)


async def _pay_there(till: Till, gateway: PaymentGateway) -> None:
    """Pay the copy by another card, past us."""
    async with till.db.transaction() as tx:
        owner = await payments.find_gateway_customer(tx, till.customer.id)
    assert owner is not None
    assert owner.gateway_customer_id is not None
    card = await gateway.attach_method(owner.gateway_customer_id, "pm_card_visa", key="test:there")
    await gateway.pay(await till.gateway_invoice_id(), card.id, key="test:pay:there")


async def _void(till: Till, invoice: Invoice) -> None:
    async with till.db.transaction() as tx:
        await invoices.void_invoice(
            tx,
            system(),
            system().at,
            customer_id=till.customer.id,
            invoice_id=invoice.id,
            reason=VoidReason.MISTAKE,
        )


async def _only(till: Till) -> UnappliedPayment:
    async with till.db.transaction() as tx:
        [found] = await unapplied.list_payments(tx, system(), customer_id=till.customer.id)
    return found


async def _another(till: Till, amount: str) -> Invoice:
    """Have the customer owe another invoice."""
    async with till.db.transaction() as tx:
        wish = ChargeWish("USD", "Set-up", Decimal(amount))
        _, opened = await charging.charge(tx, system(), customer_id=till.customer.id, wish=wish, at_once=True)
    assert opened is not None
    assert opened.state == "open"
    return opened


async def _apply(till: Till, held: UnappliedPayment, invoice: Invoice) -> UnappliedPayment:
    async with till.db.transaction() as tx:
        return await service.apply(tx, system(), held.id, invoice.id)


async def _refund(till: Till, held: UnappliedPayment, minor: int | None = None) -> Refund:
    async with till.db.transaction() as tx:
        amount = Money(minor, "USD") if minor is not None else None
        return await service.refund(tx, system(), held.id, amount=amount, reason=RefundReason.DUPLICATE)


async def test_money_that_crosses_a_void_is_booked_once_and_sent_back_to_where_it_came_from(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till, held = await _crossed(db, gateway, probe)
    assert (held.left, held.invoice_id) == (Money(2_900, "USD"), till.invoice.id)
    assert held.gateway_payment_id is not None
    # The void took back 29.00 of revenue; 29.00 of cash are the customer's.
    assert await quarrel.books(till) == _HELD
    assert [await till.posted("payment_unapplied"), await till.audited("book_unapplied_payment")] == [1, 1]
    ordered = await _refund(till, held)
    assert (await quarrel.books(till), (await _only(till)).left.minor) == (_HELD, 0)
    done = await carry(till, gateway, ordered)
    assert (done.state, await quarrel.books(till)) == (RefundState.SUCCEEDED, {})
    assert await carry(till, gateway, ordered) == done
    assert await till.audited("refund_succeeded") == 1


async def test_it_pays_another_invoice_of_the_customer_and_the_rest_stays(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till, held = await _crossed(db, memory_gateway, MemoryProbe(memory_gateway))
    due = await _another(till, "20.00")
    await collection.collect(db, memory_gateway, system(), customer_id=till.customer.id, invoice_id=due.id)
    after = await _apply(till, held, due)
    assert (after.applied_minor, after.left.minor) == (2_000, 900)
    await collection.collect(db, memory_gateway, system(), customer_id=till.customer.id, invoice_id=due.id)
    async with db.transaction() as tx:
        paid = await payments.lock_invoice(tx, till.customer.id, due.id)
        key = (till.customer.id, held.id)
        [applied] = (await store.list_applications_of(tx, [key]))[key]
    assert (paid.state, applied.invoice_id, applied.amount.minor) == ("paid", due.id, 2_000)
    # 29.00 came, 20.00 were earned by the charge and paid with them, 9.00 are left.
    assert await quarrel.books(till) == {"cash": 2_900, "revenue": -2_000, "unapplied_cash": -900}
    assert (await till.audited("apply_unapplied_payment"), len(memory_gateway.charges)) == (1, 1)
    assert [copy.state for copy in memory_gateway.copies.values()][1:] == [GatewayInvoiceState.PAID]
    with pytest.raises(UnappliedPaymentSpent):
        await _refund(till, held, 901)
    rest = await carry(till, memory_gateway, await _refund(till, held))
    assert (rest.amount.minor, await quarrel.books(till)) == (900, {"cash": 2_000, "revenue": -2_000})


async def _credit(till: Till, held: UnappliedPayment, minor: int | None = None) -> UnappliedCredit:
    async with till.db.transaction() as tx:
        amount = Money(minor, "USD") if minor is not None else None
        return await service.credit(tx, system(), held.id, amount=amount)


async def _credit_left(till: Till) -> int:
    async with till.db.transaction() as tx:
        return await balances.sum_credit(tx, customer_id=till.customer.id, currency="USD")


async def test_it_becomes_credit_that_pays_the_next_invoices_by_itself(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till, held = await _crossed(db, memory_gateway, MemoryProbe(memory_gateway))
    first, rest = await _credit(till, held, 1_000), await _credit(till, held)
    async with db.transaction() as tx:
        key = (till.customer.id, held.id)
        kept = (await store.list_credits_of(tx, [key]))[key]
    assert (kept, [each.amount.minor for each in kept]) == ([first, rest], [1_000, 1_900])
    assert ((await _only(till)).left.minor, await _credit_left(till)) == (0, 2_900)
    assert await quarrel.books(till) == {"cash": 2_900, "customer_credit": -2_900}
    assert (await till.audited("credit_unapplied_payment"), await till.posted("unapplied_credited")) == (2, 2)
    due = await _another(till, "50.00")
    assert (due.applied_minor, due.outstanding.minor, await _credit_left(till)) == (2_900, 2_100, 0)
    # 50.00 were earned, of which 29.00 are paid with the credit.
    assert await quarrel.books(till) == {"cash": 2_900, "receivable": 2_100, "revenue": -5_000}
    async with db.transaction() as tx:
        assert (await ledger.check_books(tx, Environment.TEST)).hold
    with pytest.raises(UnappliedPaymentSpent):
        await _refund(till, held)


async def test_what_cannot_become_credit_is_refused_and_nothing_is_written(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till, held = await _crossed(db, memory_gateway, MemoryProbe(memory_gateway))
    permissions = (Permission.INVOICE_READ, Permission.INVOICE_WRITE, Permission.PAYMENT_READ)
    own = make.call(by=make.principal(*permissions, kind=PrincipalKind.MEMBER, customer_id=till.customer.id))
    reader = make.call(by=make.principal(Permission.PAYMENT_READ))
    for by in (own, reader):
        with pytest.raises(Forbidden):
            async with db.transaction() as tx:
                await service.credit(tx, by, held.id, amount=None)
    with pytest.raises(UnappliedPaymentSpent):
        await _credit(till, held, 2_901)
    assert (await _only(till), await _credit_left(till), await quarrel.books(till)) == (held, 0, _HELD)
    assert await till.audited("credit_unapplied_payment") == 0


async def test_of_two_who_credit_it_at_once_one_is_refused(db: Database, memory_gateway: MemoryGateway) -> None:
    till, held = await _crossed(db, memory_gateway, MemoryProbe(memory_gateway))
    both = await asyncio.gather(_credit(till, held), _credit(till, held, 2_000), return_exceptions=True)
    assert [type(each) for each in both if isinstance(each, BaseException)] == [UnappliedPaymentSpent]
    assert await _credit_left(till) in {2_900, 2_000}


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_reply_sends_it_back_once(db: Database, memory_gateway: MemoryGateway, when: When) -> None:
    till, held = await _crossed(db, memory_gateway, MemoryProbe(memory_gateway))
    ordered = await _refund(till, held, 1_000)
    memory_gateway.lose("create_refund", when)
    with pytest.raises(GatewayUnavailable):
        await carry(till, memory_gateway, ordered)
    # Unknown is not failed: it counts as gone.
    assert ((await _only(till)).left.minor, await quarrel.books(till)) == (1_900, _HELD)
    assert await refunding.reconcile_stale(db, memory_gateway, system("2026-01-15T12:03"), limit=10) == 1
    assert [each.amount_minor for each in memory_gateway.listing.refunds] == [1_000]
    assert await quarrel.books(till) == {"cash": 1_900, "unapplied_cash": -1_900}


async def test_what_did_not_go_or_came_back_is_left_again_once(db: Database, memory_gateway: MemoryGateway) -> None:
    till, held = await _crossed(db, memory_gateway, MemoryProbe(memory_gateway))
    memory_gateway.refusals["create_refund"] = GatewayRefused("charge_disputed")
    assert (await carry(till, memory_gateway, await _refund(till, held))).state is RefundState.FAILED
    assert ((await _only(till)).left.minor, await quarrel.books(till)) == (2_900, _HELD)
    memory_gateway.refusals.clear()
    gone = await carry(till, memory_gateway, await _refund(till, held))
    assert gone.gateway_refund_id is not None
    memory_gateway.refunds.end(gone.gateway_refund_id, "failed", "lost_or_stolen_card")
    for _ in range(2):
        await refunding.settle_from_gateway(db, memory_gateway, system(), gone.gateway_refund_id)
    assert ((await _only(till)).left.minor, await quarrel.books(till)) == (2_900, _HELD)


async def test_of_two_who_decide_at_once_one_is_refused(db: Database, memory_gateway: MemoryGateway) -> None:
    till, held = await _crossed(db, memory_gateway, MemoryProbe(memory_gateway))
    due = await _another(till, "20.00")
    both = await asyncio.gather(_apply(till, held, due), _refund(till, held, 1_500), return_exceptions=True)
    [refused] = [each for each in both if isinstance(each, BaseException)]
    assert isinstance(refused, PaymentDiffers | UnappliedPaymentSpent)
    assert (await _only(till)).left.minor in {900, 1_400}


async def test_what_cannot_be_is_refused_and_nothing_is_written(db: Database, memory_gateway: MemoryGateway) -> None:
    till, held = await _crossed(db, memory_gateway, MemoryProbe(memory_gateway))
    dear = await _another(till, "29.01")
    with pytest.raises(PaymentDiffers):
        await _apply(till, held, dear)
    with pytest.raises(InvoiceStateRefused):
        await _apply(till, held, till.invoice)
    async with db.transaction() as tx:
        bob = await customers.create_customer(
            tx, system(), environment=Environment.TEST, name="Bob", email="b@example.com", zone="UTC"
        )
    others = await _another(Till(db, bob, till.invoice), "20.00")
    with pytest.raises(InvoiceNotFound):
        await _apply(till, held, others)
    with pytest.raises(InvoiceNotFound):
        await service.look_first(db, memory_gateway, system(), held.id, others.id)
    with pytest.raises(UnappliedPaymentNotFound):
        async with db.transaction() as tx:
            await service.find_payment(tx, system(), UnappliedPaymentId(make.new_id()))
    own = make.call(
        by=make.principal(
            Permission.INVOICE_READ, Permission.INVOICE_WRITE, kind=PrincipalKind.MEMBER, customer_id=till.customer.id
        )
    )
    with pytest.raises(Forbidden):
        async with db.transaction() as tx:
            await service.apply(tx, own, held.id, dear.id)
    assert (await _only(till), await refunds(till), await till.audited("apply_unapplied_payment")) == (held, [], 0)


async def test_what_came_without_the_gateway_does_not_go_back_through_it(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till, held = await _crossed(db, memory_gateway, MemoryProbe(memory_gateway))
    async with db.transaction() as tx:
        before = await store.lock_payment(tx, held.customer_id, held.id)
        await store.save_payment(tx, before, dataclasses.replace(before, gateway_payment_id=None))
    with pytest.raises(RefundUnsupported):
        await _refund(till, held)


async def test_the_comparison_finds_nothing_once_it_is_booked_and_books_what_was_lost(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, NO_FUNDS)
    await till.collect(memory_gateway)
    await _void(till, till.invoice)
    await MemoryProbe(memory_gateway).pay_outside(await till.gateway_invoice_id())
    assert await _compared(db, memory_gateway, NIGHT) == ["invoice_state open", "payment_unknown healed"]
    assert await quarrel.books(till) == _HELD
    assert await _compared(db, memory_gateway, "2026-01-17T03:00") == []
    # The void copy needs nothing more, whoever looks.
    with contextlib.suppress(GatewayRefused):
        await till.collect(memory_gateway)
    assert await till.posted("payment_unapplied") == 1


async def _compared(db: Database, gateway: PaymentGateway, when: str) -> list[str]:
    async with db.transaction() as tx:
        run = await reconciling.start(tx, system(when), gateway, trigger="schedule")
    await reconciling.go_on(db, gateway, system(when), run.id, steps=50)
    async with db.transaction() as tx:
        found = await reconciling.list_findings(tx, system(), outcome=None, run_id=run.id, before=None, limit=100)
    return sorted(f"{each.kind.value} {each.outcome.value}" for each in found)
