"""Credit notes on real Postgres: numbers of their own, what is due, and what the derivation makes of a correction."""

import asyncio
from decimal import Decimal

import pytest
import sqlalchemy as sa

from domain.access.roles import Permission
from domain.db import Database
from domain.invoices import service
from domain.invoices.credit_note import CreditKind, CreditNote, CreditPart, CreditReason, CreditTooLarge
from domain.invoices.crediting import service as crediting
from domain.invoices.crediting.store import credit_note
from domain.invoices.invoice import Invoice, InvoiceNotFound, Line, PaymentUnderWay, State
from domain.journal.store import outbox_job
from domain.kernel.ids import CustomerId
from domain.kernel.money import Money
from domain.ledger import service as ledger
from tests import make
from tests.domain.invoices.world import STARTED, World, found_world, system_call


async def _line(world: World, invoice: Invoice) -> Line:
    async with world.db.transaction() as tx:
        [line] = (await service.lines_by_invoice_ids(tx, [invoice.id], scope=world.customer.id))[invoice.id]
    return line


async def _credit(
    world: World,
    invoice: Invoice,
    minor: int | None,
    *,
    reason: CreditReason = CreditReason.GOODWILL,
    kind: CreditKind = CreditKind.OFFSET,
) -> CreditNote:
    line = await _line(world, invoice)
    async with world.db.transaction() as tx:
        return await crediting.credit_lines(
            tx,
            system_call(),
            STARTED,
            customer_id=world.customer.id,
            invoice_id=invoice.id,
            parts=[CreditPart(line.id, minor)] if minor else [],
            reason=reason,
            kind=kind,
        )


async def _now(world: World, invoice: Invoice) -> Invoice:
    async with world.db.transaction() as tx:
        return (await service.invoices_by_id(tx, [invoice.id], scope=None))[invoice.id]


async def _books(world: World) -> dict[str, int]:
    async with world.db.transaction() as tx:
        return {str(account): amount.minor for account, amount in await ledger.balances(tx, world.customer.id)}


async def test_a_note_on_an_open_invoice_lowers_what_is_due(world: World) -> None:
    opened = await world.open_first()
    note = await _credit(world, opened, 900)
    assert (note.number, note.total, note.offset_minor) == ("TEST-CN-2026-000001", Money(900, "USD"), 900)
    after = await _now(world, opened)
    assert (after.state, after.total.minor, after.amount_due.minor) == (State.OPEN, 7_900, 7_000)
    assert await _books(world) == {"receivable": 7_000, "revenue": -7_000}
    assert (await _credit(world, opened, 100)).number == "TEST-CN-2026-000002"


async def test_a_note_over_all_that_is_due_settles_the_invoice(world: World) -> None:
    opened = await world.open_first()
    await _credit(world, opened, None)
    after = await _now(world, opened)
    assert (after.state, after.amount_paid.minor) == (State.PAID, 0)
    assert await _books(world) == {"receivable": 0, "revenue": 0}
    async with world.db.transaction() as tx:
        kinds = [row.kind for row in await tx.rows(sa.select(outbox_job.c.kind).order_by(outbox_job.c.kind))]
    assert kinds == ["collect_invoice", "invoice_settled", "render_credit_note", "render_invoice", "send_notice"]


async def test_a_rest_that_is_too_little_to_collect_is_written_off(world: World) -> None:
    # 79.00 - 78.60 = 0.40, under the minimum of 0.50.
    opened = await world.open_first()
    await _credit(world, opened, 7_860)
    assert (await _now(world, opened)).state is State.UNCOLLECTIBLE
    assert await _books(world) == {"bad_debt": 40, "receivable": 0, "revenue": -40}


async def test_a_refund_is_owed_until_it_is_paid_back(world: World) -> None:
    opened = await world.open_first()
    async with world.db.transaction() as tx:
        await service.mark_paid(
            tx,
            system_call(),
            STARTED,
            customer_id=world.customer.id,
            invoice_id=opened.id,
            amount=opened.total,
            about="att_1",
        )
    note = await _credit(world, opened, 900, kind=CreditKind.REFUND)
    assert (note.refund_minor, note.offset_minor, note.credit_minor) == (900, 0, 0)
    assert await _books(world) == {"cash": 7_900, "receivable": -900, "revenue": -7_000}
    assert (await _now(world, opened)).state is State.PAID


async def test_notes_never_exceed_the_invoice_and_a_refusal_writes_nothing(world: World) -> None:
    opened = await world.open_first()
    await _credit(world, opened, 7_000)
    before = await world.written()
    with pytest.raises(CreditTooLarge):
        await _credit(world, opened, 901)
    async with world.db.transaction() as tx:
        await service.hold_for_payment(tx, await _now(world, opened))
    with pytest.raises(PaymentUnderWay):
        await _credit(world, opened, 1)
    stranger = CustomerId(make.new_id())
    async with world.db.transaction() as tx:
        with pytest.raises(InvoiceNotFound):
            await crediting.credit_lines(
                tx,
                system_call(),
                STARTED,
                customer_id=stranger,
                invoice_id=opened.id,
                parts=[],
                reason=CreditReason.GOODWILL,
                kind=CreditKind.OFFSET,
            )
    assert await world.written() == before
    # No number was used up.
    async with world.db.transaction() as tx:
        await service.release_from_payment(tx, system_call(), customer_id=world.customer.id, invoice_id=opened.id)
    assert (await _credit(world, opened, 1)).number == "TEST-CN-2026-000002"


@pytest.mark.parametrize(("reason", "amounts"), [(CreditReason.CORRECTION, [900]), (CreditReason.GOODWILL, [])])
async def test_only_a_correction_is_derived_again(world: World, reason: CreditReason, amounts: list[int]) -> None:
    # The fee of 79.00 should exist; 9.00 of it was taken back. As a correction it is missing, as goodwill it is not.
    opened = await world.open_first()
    await _credit(world, opened, 900, reason=reason)
    draft = await world.draft(STARTED)
    found = [amount for _, _, amount in await world.lines(draft)] if draft else []
    assert found == amounts


async def test_a_correction_of_a_whole_line_is_derived_as_if_it_had_not_been_billed(world: World) -> None:
    opened = await world.open_first()
    await _credit(world, opened, None, reason=CreditReason.CORRECTION)
    draft = await world.draft(STARTED)
    assert draft is not None
    [(_, revision, amount)] = await world.lines(draft)
    assert (revision, amount) == (1, 7_900)
    assert (await _line(world, draft)).quantity == 1


async def test_notes_are_read_by_those_who_may_see_the_invoice(world: World) -> None:
    opened = await world.open_first()
    note = await _credit(world, opened, 900)
    own = make.call(by=make.principal(Permission.INVOICE_READ, customer_id=world.customer.id))
    strange = make.call(by=make.principal(Permission.INVOICE_READ, customer_id=CustomerId(make.new_id())))
    async with world.db.transaction() as tx:
        assert await crediting.find_note(tx, own, note.id) == note
        assert await crediting.find_note(tx, strange, note.id) is None
        ids = [world.customer.id]
        assert await crediting.notes_by_customer_ids(tx, own, ids) == {world.customer.id: [note]}
        assert await crediting.notes_by_customer_ids(tx, strange, ids) == {world.customer.id: []}
        assert await crediting.notes_by_invoice_ids(tx, [opened.id], scope=None) == {opened.id: [note]}
        [line] = (await crediting.lines_by_note_ids(tx, [note.id], scope=world.customer.id))[note.id]
        assert (line.amount.minor, line.tax.minor, line.quantity) == (900, 0, Decimal(1))
        assert await crediting.lines_by_note_ids(tx, [note.id], scope=CustomerId(make.new_id())) == {note.id: []}


async def test_numbers_of_notes_have_no_gap_when_many_are_issued_at_once_and_one_rolls_back(db: Database) -> None:
    worlds = [await found_world(db) for _ in range(12)]
    opened = [await each.open_first() for each in worlds]

    async def credit_one(index: int) -> None:
        async with db.transaction() as tx:
            await crediting.credit_lines(
                tx,
                system_call(),
                STARTED,
                customer_id=worlds[index].customer.id,
                invoice_id=opened[index].id,
                parts=[],
                reason=CreditReason.GOODWILL,
                kind=CreditKind.OFFSET,
            )
            if index == 7:
                raise RuntimeError("the seventh is rolled back after it took its number")

    ends = await asyncio.gather(*(credit_one(index) for index in range(12)), return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [RuntimeError]
    async with db.transaction() as tx:
        numbers = [row.number for row in await tx.rows(sa.select(credit_note.c.number))]
    assert sorted(numbers) == [f"TEST-CN-2026-{number:06d}" for number in range(1, 12)]
    # The one that was rolled back is issued again under the next number.
    assert (await _credit(worlds[7], opened[7], None)).number == "TEST-CN-2026-000012"


async def test_two_notes_on_one_invoice_at_once_never_give_back_more_than_it(db: Database) -> None:
    world = await found_world(db)
    opened = await world.open_first()
    # 50.00 of 79.00 twice: the second one is refused, whichever it is.
    ends = await asyncio.gather(*(_credit(world, opened, 5_000) for _ in range(2)), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["CreditNote", "CreditTooLarge"]
    assert (await _now(world, opened)).amount_due.minor == 2_900
