"""What staff do to invoices, on real Postgres, with the subscriptions on them.

The plan costs 10.00 a month in advance, and 0.05 a page in arrears; drafts wait for an hour. A subscription of 31
January 10:00 has its first boundary on 28 February.
"""

import pytest

from domain.access.roles import Permission
from domain.contracts import service as contracts
from domain.contracts.invoicing import service as invoicing
from domain.contracts.invoicing.service import DraftWaits
from domain.invoices import service as invoices
from domain.invoices.conservation import service as conservation
from domain.invoices.credit_note import CreditKind, CreditPart, CreditReason
from domain.invoices.invoice import Invoice, InvoiceNotFound, InvoiceStateRefused, State, VoidReason
from domain.invoices.verification import Outcome
from domain.invoices.verifying import service as verifying
from domain.kernel.call import Forbidden
from domain.kernel.ids import CustomerId
from domain.subscriptions.subscription import Subscription
from tests import make
from tests.domain.contracts.examples import Bill, Shop

_FEE = ("fee", 0, 1, 1_000)
_FIRST = Bill(State.OPEN, 1_000, [_FEE])
_BOUNDARY = "2026-02-28T10:00"


async def _void(shop: Shop, invoice: Invoice, *, regenerate: bool = False) -> tuple[Invoice, Invoice | None]:
    async with shop.db.transaction() as tx:
        return await invoicing.void(
            tx, shop.call, invoice_id=invoice.id, reason=VoidReason.MISTAKE, regenerate=regenerate
        )


async def _drafted(shop: Shop) -> tuple[Subscription, Invoice]:
    """Print 100 pages and close the first period: a draft over 10.00 and 5.00 waits for its grace."""
    subscription = await shop.subscribe()
    await shop.print_pages(100, "2026-02-10")
    await shop.move(_BOUNDARY)
    await shop.close(subscription)
    [_, draft] = await shop.invoices()
    return subscription, draft


async def _verified(shop: Shop) -> list[Outcome]:
    async with shop.db.transaction() as tx:
        return [(await verifying.verify_invoice(tx, shop.call, each.id)).outcome for each in await shop.invoices()]


async def _is_conserved(shop: Shop, subscription: Subscription) -> bool:
    async with shop.db.transaction() as tx:
        proof = await conservation.conserve(
            tx,
            shop.call,
            customer_id=shop.customer.id,
            subscription_id=subscription.id,
            period_start=make.at("2026-01-31T10:00"),
        )
    return proof.holds


async def test_a_draft_is_opened_before_its_grace_is_over_and_what_comes_later_follows(shop: Shop) -> None:
    subscription, draft = await _drafted(shop)
    async with shop.db.transaction() as tx:
        opened = await invoicing.finalise_now(tx, shop.call, invoice_id=draft.id)
    assert (opened.state, opened.number, opened.total.minor) == (State.OPEN, "TEST-2026-000002", 1_500)
    assert [each.final for each in await shop.segments(subscription)] == [True, False]
    async with shop.db.transaction() as tx:
        with pytest.raises(InvoiceStateRefused):
            await invoicing.finalise_now(tx, shop.call, invoice_id=draft.id)
        with pytest.raises(InvoiceStateRefused):
            await invoicing.recompute_draft(tx, shop.call, invoice_id=draft.id)


async def test_recomputing_a_draft_brings_what_was_counted_since(shop: Shop) -> None:
    _, draft = await _drafted(shop)
    await shop.print_pages(20, "2026-02-27")
    async with shop.db.transaction() as tx:
        again = await invoicing.recompute_draft(tx, shop.call, invoice_id=draft.id)
    # 10.00 and 120 pages at 0.05.
    assert (again.id, again.total.minor) == (draft.id, 1_600)
    before = await shop.rows()
    async with shop.db.transaction() as tx:
        assert await invoicing.recompute_draft(tx, shop.call, invoice_id=draft.id) == again
    assert await shop.rows() == before


async def test_a_regenerated_invoice_says_the_same_under_the_next_number(shop: Shop) -> None:
    subscription, draft = await _drafted(shop)
    await shop.move("2026-02-28T11:00")
    await shop.finalise(draft.id)
    void, drafted = await _void(shop, draft, regenerate=True)
    assert (void.state, void.number) == (State.VOID, "TEST-2026-000002")
    assert drafted is not None
    async with shop.db.transaction() as tx:
        opened = await invoicing.finalise_now(tx, shop.call, invoice_id=drafted.id)
    assert opened.number == "TEST-2026-000003"
    lines = [_FEE, ("usage", 0, 100, 500)]
    assert await shop.bills() == [_FIRST, Bill(State.VOID, 1_500, lines), Bill(State.OPEN, 1_500, lines)]
    assert await _verified(shop) == [Outcome.EQUAL] * 3
    assert await _is_conserved(shop, subscription)


async def test_what_was_settled_for_good_is_derived_again_only_where_asked(shop: Shop) -> None:
    subscription, draft = await _drafted(shop)
    await shop.move("2026-02-28T11:00")
    await shop.finalise(draft.id)
    async with shop.db.transaction() as tx:
        await contracts.cancel(tx, shop.call, subscription_id=subscription.id, at_period_end=False)
    await shop.move("2026-06-01")
    await shop.close(subscription)
    second = (await shop.invoices())[1]
    _, nothing = await _void(shop, second)
    assert nothing is None
    _, again = await _void(shop, second, regenerate=True)
    assert again is not None
    assert again.total.minor == 1_500


async def test_what_a_correction_took_back_is_billed_again_and_verified(shop: Shop) -> None:
    subscription, draft = await _drafted(shop)
    await shop.move("2026-02-28T11:00")
    await shop.finalise(draft.id)
    async with shop.db.transaction() as tx:
        [usage] = [
            line
            for line in (await invoices.lines_by_invoice_ids(tx, [draft.id], scope=None))[draft.id]
            if line.identity.kind == "usage"
        ]
        note = await invoicing.credit(
            tx,
            shop.call,
            invoice_id=draft.id,
            parts=[CreditPart(usage.id, 200)],
            reason=CreditReason.CORRECTION,
            kind=CreditKind.OFFSET,
        )
    assert note.offset_minor == 200
    # 100 pages are 5.00, of which 3.00 stand: 2.00 are missing, and come with the next invoice.
    await shop.move_and_close("2026-03-31T11:00", subscription)
    assert (await shop.bills())[-1].lines == [_FEE, ("usage", 1, 0, 200)]
    assert await _verified(shop) == [Outcome.EQUAL] * 3
    assert await _is_conserved(shop, subscription)


async def test_too_little_is_not_opened_by_hand_and_is_written_off_when_nothing_follows(shop: Shop) -> None:
    subscription = await shop.subscribe()
    async with shop.db.transaction() as tx:
        await contracts.cancel(tx, shop.call, subscription_id=subscription.id)
    await shop.print_pages(3, "2026-02-10")
    await shop.move_and_close("2026-02-28T11:00", subscription)
    # 3 pages at 0.05 are 0.15, under the least amount of 0.50.
    [_, draft] = await shop.invoices()
    assert (draft.state, draft.total.minor) == (State.DRAFT, 15)
    before = await shop.rows()
    with pytest.raises(DraftWaits):
        async with shop.db.transaction() as tx:
            await invoicing.finalise_now(tx, shop.call, invoice_id=draft.id)
    assert await shop.rows() == before
    # Late events may still come until the subscription is settled; then nothing follows.
    await shop.move("2026-06-01")
    await shop.close(subscription)
    [_, last] = await shop.invoices()
    assert (last.state, last.number) == (State.UNCOLLECTIBLE, "TEST-2026-000002")


async def test_only_who_may_change_invoices_does_and_another_customers_is_not_there(shop: Shop) -> None:
    _, draft = await _drafted(shop)
    before = await shop.rows()
    reader = make.call(by=make.principal(Permission.INVOICE_READ))
    stranger = make.call(
        by=make.principal(Permission.INVOICE_READ, Permission.INVOICE_WRITE, customer_id=CustomerId(make.new_id()))
    )
    async with shop.db.transaction() as tx:
        for call, refusal in ((reader, Forbidden), (stranger, InvoiceNotFound)):
            with pytest.raises(refusal):
                await invoicing.recompute_draft(tx, call, invoice_id=draft.id)
            with pytest.raises(refusal):
                await invoicing.void(tx, call, invoice_id=draft.id, reason=VoidReason.OTHER)
            with pytest.raises(refusal):
                await invoicing.write_off(tx, call, invoice_id=draft.id)
    assert await shop.rows() == before
