"""One-off charges on real Postgres, with the next invoice and at once.

The plan costs 10.00 a month in advance; drafts wait for an hour. A subscription of 31 January 10:00 has its first
boundary on 28 February.
"""

from decimal import Decimal
from typing import Any

import pytest

from domain.access.roles import Permission
from domain.contracts import service as contracts
from domain.contracts.charging import service as charging
from domain.contracts.invoicing import service as invoicing
from domain.contracts.previewing import service as previewing
from domain.invoices.billdiff import service as billdiff
from domain.invoices.credit_note import CreditKind, CreditPart, CreditReason
from domain.invoices.invoice import Invoice, InvoiceKind, State, VoidReason
from domain.invoices.one_off import service as charges
from domain.invoices.one_off_charge import (
    PENDING_MAX,
    ChargeInvoiced,
    ChargeMalformed,
    ChargeNotFound,
    ChargeState,
    ChargeWish,
    OneOffCharge,
    TooManyCharges,
)
from domain.invoices.opening import service as opening
from domain.invoices.verification import Outcome
from domain.invoices.verifying import service as verifying
from domain.kernel.call import Environment, Forbidden
from domain.kernel.ids import OneOffChargeId, SubscriptionId
from domain.kernel.money import CurrencyMismatch
from domain.ledger import service as ledger
from domain.subscriptions.schedule import Interval
from domain.subscriptions.service import SubscriptionNotFound
from tests import make
from tests.domain.contracts.examples import Bill, Shop
from tests.domain.subscriptions import examples

_FEE = ("fee", 0, 1, 1_000)
_FIRST = Bill(State.OPEN, 1_000, [_FEE])
# 3 x 12.345 = 37.035, half up to 37.04.
_WISH = ChargeWish("USD", "Training", Decimal("12.345"), Decimal(3), "hour")
_CHARGED = ("one_off", 0, 3, 3_704)


async def _charge(shop: Shop, wish: ChargeWish, *, at_once: bool = False) -> tuple[OneOffCharge, Invoice | None]:
    async with shop.db.transaction() as tx:
        return await charging.charge(tx, shop.call, customer_id=shop.customer.id, wish=wish, at_once=at_once)


async def _cancel(shop: Shop, charge: OneOffCharge) -> OneOffCharge:
    async with shop.db.transaction() as tx:
        return (await charging.cancel_charge(tx, shop.call, customer_id=shop.customer.id, charge_id=charge.id))[0]


async def _listed(shop: Shop, **given: Any) -> list[tuple[ChargeState, Any]]:
    async with shop.db.transaction() as tx:
        found = await charges.list_charges(tx, shop.call, shop.customer.id, **given)
    return [(each.state, each.invoice_id) for each in found]


async def _verified(shop: Shop) -> list[Outcome]:
    async with shop.db.transaction() as tx:
        assert (await ledger.check_books(tx, Environment.TEST)).hold
        return [(await verifying.verify_invoice(tx, shop.call, each.id)).outcome for each in await shop.invoices()]


async def test_a_charge_is_previewed_comes_with_the_next_invoice_once_and_is_verified(shop: Shop) -> None:
    subscription = await shop.subscribe()
    charge, nothing = await _charge(shop, _WISH)
    assert (charge.state, nothing) == (ChargeState.PENDING, None)
    assert await shop.bills() == [_FIRST]
    async with shop.db.transaction() as tx:
        shown = await previewing.preview_invoice(tx, shop.call, subscription_id=subscription.id)
    assert [(line.identity.kind, line.amount.minor) for line in shown.lines] == [("fee", 1_000), ("one_off", 3_704)]
    await shop.move_and_close("2026-02-28T11:00", subscription)
    second = Bill(State.OPEN, 4_704, [_FEE, _CHARGED])
    assert await shop.bills() == [_FIRST, second]
    [_, invoice] = await shop.invoices()
    assert await _listed(shop) == [(ChargeState.INVOICED, invoice.id)]
    before = await shop.rows()
    with pytest.raises(ChargeInvoiced):
        await _cancel(shop, charge)
    assert await shop.rows() == before
    async with shop.db.transaction() as tx:
        diff = await billdiff.compared(tx, invoice)
    assert diff is not None
    assert [(part.cause, part.amount.minor) for part in diff.parts] == [("one-off charges", 3_704)]
    await shop.move_and_close("2026-03-31T11:00", subscription)
    assert await shop.bills() == [_FIRST, second, _FIRST]
    assert await _verified(shop) == [Outcome.EQUAL] * 3


async def test_voiding_brings_a_charge_back_once_and_a_credit_note_does_not(shop: Shop) -> None:
    charge, first = await _charge(shop, _WISH, at_once=True)
    assert first is not None
    assert (charge.state, charge.invoice_id, first.number) == (ChargeState.INVOICED, first.id, "TEST-2026-000001")
    async with shop.db.transaction() as tx:
        _, draft = await invoicing.void(tx, shop.call, invoice_id=first.id, reason=VoidReason.MISTAKE, regenerate=True)
    assert draft is not None
    assert await _listed(shop) == [(ChargeState.PENDING, None)]
    async with shop.db.transaction() as tx:
        again = await invoicing.finalise_now(tx, shop.call, invoice_id=draft.id)
        [line] = await opening.lines_of(tx, again)
        note = await invoicing.credit(
            tx,
            shop.call,
            invoice_id=again.id,
            parts=[CreditPart(line.id, 1_000)],
            reason=CreditReason.CORRECTION,
            kind=CreditKind.OFFSET,
        )
    assert note.offset_minor == 1_000
    assert await shop.bills() == [Bill(State.VOID, 3_704, [_CHARGED]), Bill(State.OPEN, 3_704, [_CHARGED])]
    # The part that was credited is not charged again: another charge comes alone.
    await _charge(shop, ChargeWish("USD", "Visit", Decimal(5)), at_once=True)
    assert (await shop.bills())[2:] == [Bill(State.OPEN, 500, [("one_off", 0, 1, 500)])]
    assert await _verified(shop) == [Outcome.EQUAL] * 3


async def test_too_little_waits_on_the_draft_and_can_be_taken_off_it(shop: Shop) -> None:
    # 0.30 is under the least amount of 0.50.
    small, draft = await _charge(shop, ChargeWish("EUR", "Copy", Decimal("0.30")), at_once=True)
    assert draft is not None
    assert (draft.state, small.state) == (State.DRAFT, ChargeState.PENDING)
    canceled = await _cancel(shop, small)
    assert (canceled.state, await _cancel(shop, small)) == (ChargeState.CANCELED, canceled)
    assert await shop.bills() == [Bill(State.DRAFT, 0, [])]
    await _charge(shop, ChargeWish("EUR", "Copy", Decimal("0.30")))
    _, opened = await _charge(shop, ChargeWish("EUR", "Visit", Decimal(2)), at_once=True)
    assert opened is not None
    assert await shop.bills() == [Bill(State.OPEN, 230, [("one_off", 0, 1, 30), ("one_off", 0, 1, 200)])]
    assert await _listed(shop, state=ChargeState.CANCELED) == [(ChargeState.CANCELED, None)]
    # 1 x 0.4 yen is none: what is all zero is a statement.
    free, statement = await _charge(shop, ChargeWish("JPY", "Gift", Decimal("0.4")), at_once=True)
    assert statement is not None
    assert (free.state, statement.kind, statement.number) == (ChargeState.INVOICED, InvoiceKind.STATEMENT, None)
    assert await _verified(shop) == [Outcome.EQUAL] * 2


async def test_what_cannot_be_charged_writes_nothing(shop: Shop) -> None:
    subscription = await shop.subscribe()
    before = await shop.rows()
    wishes = [
        (ChargeWish("EUR", "x", Decimal(1), subscription_id=subscription.id), CurrencyMismatch),
        (ChargeWish("USD", "x", Decimal(1), subscription_id=SubscriptionId(make.new_id())), SubscriptionNotFound),
        (ChargeWish("USD", "", Decimal(1)), ChargeMalformed),
    ]
    for wish, refusal in wishes:
        with pytest.raises(refusal):
            await _charge(shop, wish)
    reader = make.call(by=make.principal(Permission.CHARGE_READ, Permission.INVOICE_WRITE))
    async with shop.db.transaction() as tx:
        with pytest.raises(Forbidden):
            await charging.charge(tx, reader, customer_id=shop.customer.id, wish=_WISH)
        with pytest.raises(ChargeNotFound):
            await charging.cancel_charge(
                tx, shop.call, customer_id=shop.customer.id, charge_id=OneOffChargeId(make.new_id())
            )
    assert await shop.rows() == before


async def test_a_charge_of_a_subscription_has_its_tax_code_and_so_many_wait_at_most(shop: Shop) -> None:
    async with shop.db.transaction() as tx:
        await examples.publish_other(tx, tax_code="saas")
        subscription = await contracts.subscribe(
            tx,
            shop.call,
            customer_id=shop.customer.id,
            product_key="scan",
            plan_key="basic",
            interval=Interval.MONTH,
        )
    charge, _ = await _charge(shop, ChargeWish("USD", "x", Decimal(1), subscription_id=subscription.id))
    assert charge.wish.tax_code == "saas"
    async with shop.db.transaction() as tx:
        raw = await tx.raw()
        await raw.execute(
            "INSERT INTO one_off_charge SELECT customer_id, gen_random_uuid(), currency, description, quantity, unit,"
            " unit_price, tax_code, discountable, subscription_id, service_start_at, service_end_at, created_at, state"
            " FROM one_off_charge, generate_series(2, $1)",
            PENDING_MAX,
        )
    with pytest.raises(TooManyCharges):
        await _charge(shop, _WISH)
    assert (await _charge(shop, ChargeWish("EUR", "x", Decimal(1))))[0].state is ChargeState.PENDING
