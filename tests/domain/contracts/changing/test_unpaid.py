"""What a change takes back of an unpaid invoice lowers that invoice, on real Postgres.

Small costs 10.00 a month for each unit, large 30.00. On 16 April half of the month is left.
"""

import asyncio
from typing import Any

import pytest

from domain.contracts.changing.service import Changed
from domain.contracts.changing.wish import Wish
from domain.contracts.invoicing import service as invoicing
from domain.contracts.owing import service as owing
from domain.contracts.previewing import service as previewing
from domain.contracts.previewing.service import ChangePreview
from domain.customers import service as customers
from domain.invoices import service as invoices
from domain.invoices.credit_note import CreditKind, CreditNote, CreditPart, CreditReason
from domain.invoices.crediting import service as crediting
from domain.invoices.invoice import Invoice, State, VoidReason
from domain.invoices.verification import Outcome
from domain.invoices.verifying import service as verifying
from domain.ledger.account import Account
from domain.subscriptions.change import ChangeAt
from domain.subscriptions.subscription import Subscription
from tests.domain.contracts.changing.office import Office

_DOWN: dict[str, Any] = {"plan_key": "small", "at": ChangeAt.NOW}


def _parts(notes: tuple[CreditNote, ...]) -> list[tuple[int, int, int]]:
    """Return what each note comes to: in all, off what was due, and as customer credit."""
    return [(note.total.minor, note.offset_minor, note.credit_minor) for note in notes]


async def _due(office: Office) -> list[int]:
    return [each.amount_due.minor for each in await office.invoices()]


async def _preview(office: Office, own: Subscription, **wish: Any) -> ChangePreview:
    async with office.db.transaction() as tx:
        return await previewing.preview_change(tx, office.call, subscription_id=own.id, wish=Wish(**wish))


async def _hold(office: Office, invoice: Invoice) -> None:
    """Have an attempt to collect an invoice be under way."""
    async with office.db.transaction() as tx:
        await invoices.hold_for_payment(tx, invoice)


async def _credit(office: Office, invoice: Invoice, amount_minor: int) -> None:
    """Give back a part of an invoice's first line out of goodwill."""
    async with office.db.transaction() as tx:
        [line] = (await invoices.lines_by_invoice_ids(tx, [invoice.id], scope=None))[invoice.id]
        await invoicing.credit(
            tx,
            office.call,
            invoice_id=invoice.id,
            parts=[CreditPart(line.id, amount_minor)],
            reason=CreditReason.GOODWILL,
            kind=CreditKind.CUSTOMER_CREDIT,
        )


async def test_a_downgrade_now_lowers_the_unpaid_invoice_and_gives_no_customer_credit(office: Office) -> None:
    own = await office.start("large")
    await office.move("2026-04-16")
    done = await office.change(own, **_DOWN)
    # Half of 30.00 is off the invoice that is not paid; half of 10.00 is invoiced for the rest.
    assert _parts(done.notes) == [(1_500, 1_500, 0)]
    assert done.notes[0].number == "TEST-CN-2026-000001"
    assert done.notes[0].reason is CreditReason.ORDER_CHANGE
    assert await _due(office) == [1_500, 500]
    book = await office.book()
    assert (book[Account.RECEIVABLE], book.get(Account.CUSTOMER_CREDIT, 0)) == (2_000, 0)
    await office.move_and_close("2026-05-01T02:00", own)
    assert await _due(office) == [1_500, 500, 1_000]
    rows = await office.rows()
    await office.close(own)
    assert await office.rows() == rows


async def test_a_preview_shows_the_note_and_keeps_nothing_of_it(office: Office) -> None:
    own = await office.start("large")
    await office.move("2026-04-16")
    rows = await office.rows()
    shown = await _preview(office, own, **_DOWN)
    assert await office.rows() == rows
    done = await office.change(own, **_DOWN)
    [note], [preview] = done.notes, shown.notes
    assert (preview.note.total, preview.note.offset_minor) == (note.total, note.offset_minor)
    async with office.db.transaction() as tx:
        lines = await crediting.lines_by_note_ids(tx, [note.id], scope=None)
    assert list(preview.lines) == lines[note.id]
    assert [line.amount.minor for line in shown.preview.lines] == [500]


async def test_what_customer_credit_had_paid_of_the_invoice_comes_back_to_it(office: Office) -> None:
    own = await office.start("large")
    [first] = await office.invoices()
    await office.pay(first)
    await _credit(office, first, 2_000)  # 20.00 of customer credit
    await office.move_and_close("2026-05-01T02:00", own)
    assert await _due(office) == [0, 1_000]  # 30.00, of which the credit paid 20.00
    await office.move("2026-05-16T12:00")
    done = await office.change(own, **_DOWN)
    # Half of May is left: of the 15.00 that are unused, 10.00 were due and 5.00 had been paid from credit.
    assert _parts(done.notes) == [(1_500, 1_000, 500)]
    found = await office.invoices()
    assert [each.state for each in found[:2]] == [State.PAID, State.PAID]
    # The new fee of 5.00 is paid from what came back.
    assert (found[2].total.minor, found[2].state, await _due(office)) == (500, State.PAID, [0, 0, 0])


async def test_the_unit_that_was_added_last_and_is_not_paid_goes_first(office: Office) -> None:
    own = await office.start("large")
    await office.pay((await office.invoices())[0])
    await office.move("2026-04-16")
    await office.change(own, quantity=2)
    assert await _due(office) == [0, 1_500]
    done = await office.change(await office.again(own), quantity=1, at=ChangeAt.NOW)
    assert _parts(done.notes) == [(1_500, 1_500, 0)]
    assert await _due(office) == [0, 0]
    assert all(balance == 0 for account, balance in (await office.book()).items() if account is Account.RECEIVABLE)


async def test_of_a_fee_that_is_paid_in_part_only_the_paid_part_becomes_customer_credit(office: Office) -> None:
    own = await office.start("large")
    await office.pay((await office.invoices())[0])
    await office.move("2026-04-11")
    await office.change(own, quantity=2)  # 2/3 of 30.00: 20.00, which stays unpaid
    await office.move("2026-04-16")
    done = await office.change(await office.again(own), **_DOWN)
    # Unused at half: 30.00 for two units, of which 15.00 are on the unpaid invoice and 15.00 were paid.
    assert _parts(done.notes) == [(1_500, 1_500, 0)]
    assert await _due(office) == [0, 500, 0]
    last = (await office.invoices())[-1]
    # 15.00 of credit less 10.00 for two small units.
    assert last.total.minor == -500
    assert (await office.book())[Account.CUSTOMER_CREDIT] == -500


async def test_while_a_payment_is_under_way_it_counts_as_paid(office: Office) -> None:
    own = await office.start("large")
    [first] = await office.invoices()
    await _hold(office, first)
    await office.move("2026-04-16")
    done = await office.change(own, **_DOWN)
    assert done.notes == ()
    assert (done.invoice and done.invoice.total.minor) == -1_000
    assert (await office.invoices())[0].amount_due.minor == 3_000


async def test_an_upgrade_that_waits_for_its_payment_lowers_nothing_else(office: Office) -> None:
    own = await office.start()
    await office.move("2026-04-16")
    shown = await _preview(office, own, plan_key="large", pays_at_once=True)
    done = await office.change(own, plan_key="large", pays_at_once=True)
    assert (done.notes, shown.notes) == ((), ())
    assert await _due(office) == [1_000, 1_000]


async def test_what_goodwill_has_given_back_already_is_not_given_back_again(office: Office) -> None:
    own = await office.start("large")
    [first] = await office.invoices()
    await _credit(office, first, 2_000)
    await office.move("2026-04-16")
    done = await office.change(own, **_DOWN)
    # 10.00 were left of the line; the other 5.00 of what is unused pay the rest of the new fee.
    assert _parts(done.notes) == [(1_000, 1_000, 0)]
    assert [each.total.minor for each in await office.invoices()] == [3_000, 0]
    assert await _due(office) == [0, 0]


async def test_voiding_the_lowered_invoice_brings_back_its_lines_and_the_credit(office: Office) -> None:
    own = await office.start("large")
    await office.move("2026-04-16")
    await office.change(own, **_DOWN)
    [first, second] = await office.invoices()
    async with office.db.transaction() as tx:
        _, draft = await invoicing.void(
            tx, office.call, invoice_id=first.id, reason=VoidReason.MISTAKE, regenerate=True
        )
    # 30.00 again and 15.00 of it back, beside the 5.00 that stand.
    assert (draft and draft.total.minor) == 1_500
    assert (await office.book())[Account.RECEIVABLE] == second.total.minor


async def test_several_changes_lower_the_same_invoice_and_switching_back_earns_nothing(office: Office) -> None:
    own = await office.start("large")
    await office.move("2026-04-16")
    await office.change(own, **_DOWN)
    await office.move("2026-04-21")
    await office.change(await office.again(own), plan_key="large")
    # 15.00 of April used on large, 1/6 of 10.00 on small, and 1/3 of 30.00 again: 15.00 + 1.67 + 10.00.
    assert sum(await _due(office)) == 2_667
    for invoice in await office.invoices():
        async with office.db.transaction() as tx:
            found = await verifying.verify_invoice(tx, office.call, invoice.id)
        assert {each.outcome for each in found.lines} == {Outcome.EQUAL}


@pytest.mark.parametrize("attempt", range(3))
async def test_a_payment_and_a_downgrade_at_once_leave_one_of_two_states(office: Office, attempt: int) -> None:
    own = await office.start("large")
    [first] = await office.invoices()
    await office.move("2026-04-16")

    async def pay() -> None:
        await asyncio.sleep(attempt * 0.01)
        async with office.db.transaction() as tx:
            now = await customers.business_now(tx, office.call, office.customer.id)
            own_invoice = await invoices.find_invoice(tx, office.call, first.id)
            assert own_invoice is not None, "invoices are never deleted"
            await invoices.mark_paid(
                tx,
                office.call,
                now,
                customer_id=office.customer.id,
                invoice_id=first.id,
                amount=first.amount_due,
                about="att_test",
            )

    outcomes = await asyncio.gather(pay(), office.change(own, **_DOWN), return_exceptions=True)
    [paid, done] = outcomes
    assert isinstance(done, Changed), done
    book = await office.book()
    if paid is None:  # the payment was first: its unused part is the customer's, less the new fee
        assert (done.notes, book[Account.CUSTOMER_CREDIT]) == ((), -1_000)
    else:  # the note was first: the amount is not what is due any more
        assert (_parts(done.notes), await _due(office)) == ([(1_500, 1_500, 0)], [1_500, 500])


async def test_a_change_at_the_start_of_a_period_takes_its_whole_unpaid_fee_back(office: Office) -> None:
    own = await office.start()
    done = await office.change(own, plan_key="large")
    assert _parts(done.notes) == [(1_000, 1_000, 0)]
    found = await office.invoices()
    assert [(each.state, each.amount_due.minor) for each in found] == [(State.PAID, 0), (State.OPEN, 3_000)]


async def test_an_end_for_not_paying_gives_no_credit_for_the_fee_that_was_not_paid(office: Office) -> None:
    own = await office.start("large")
    await office.pay((await office.invoices())[0])
    await office.move_and_close("2026-05-01T02:00", own)
    unpaid = (await office.invoices())[1]
    await office.move("2026-05-20")
    async with office.db.transaction() as tx:
        desk = await owing.hold(tx, office.call, office.customer.id)
        await owing.end_unpaid(tx, office.call, desk, own.id, unpaid.id)
    await office.move_and_close("2026-07-20T02:00", own)
    # The fee of May stays owed, or becomes a bad debt: it is not given back.
    assert await _due(office) == [0, 3_000]
    assert (await office.book()).get(Account.CUSTOMER_CREDIT, 0) == 0
