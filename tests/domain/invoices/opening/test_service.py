"""What becomes of an opened invoice, on real Postgres: void, written off, paid from the customer's credit."""

import pytest
import sqlalchemy as sa

from domain.invoices import service, store
from domain.invoices.balances import service as balances
from domain.invoices.credit_note import CreditKind, CreditPart, CreditReason
from domain.invoices.crediting import service as crediting
from domain.invoices.invoice import Invoice, InvoiceStateRefused, PaymentUnderWay, State, VoidReason
from domain.journal.store import outbox_job
from domain.kernel.ids import InvoiceId
from domain.kernel.money import Money
from domain.ledger import service as ledger
from tests import make
from tests.domain.invoices.world import STARTED, World, system_call

_FEBRUARY = make.at("2026-02-01")


async def _void(world: World, invoice_id: InvoiceId) -> Invoice:
    async with world.db.transaction() as tx:
        return await service.void_invoice(
            tx,
            system_call(),
            STARTED,
            customer_id=world.customer.id,
            invoice_id=invoice_id,
            reason=VoidReason.MISTAKE,
        )


async def _books(world: World) -> dict[str, int]:
    async with world.db.transaction() as tx:
        found = await ledger.balances(tx, world.customer.id)
    return {str(account): amount.minor for account, amount in found if amount.minor}


async def _jobs(world: World) -> list[str]:
    async with world.db.transaction() as tx:
        return sorted(row.kind for row in await tx.rows(sa.select(outbox_job.c.kind)))


async def _credit(world: World, minor: int) -> Invoice:
    """Open and pay the first fee, and give a part of it back as customer credit."""
    opened = await world.open_first()
    async with world.db.transaction() as tx:
        paid = await service.mark_paid(
            tx,
            system_call(),
            STARTED,
            customer_id=world.customer.id,
            invoice_id=opened.id,
            amount=opened.total,
            about="att_1",
        )
        [line] = (await service.lines_by_invoice_ids(tx, [opened.id], scope=None))[opened.id]
        await crediting.credit_lines(
            tx,
            system_call(),
            STARTED,
            customer_id=world.customer.id,
            invoice_id=opened.id,
            parts=[CreditPart(line.id, minor)],
            reason=CreditReason.GOODWILL,
            kind=CreditKind.CUSTOMER_CREDIT,
        )
    return paid


async def test_voiding_takes_back_the_entries_keeps_the_number_and_frees_the_lines(world: World) -> None:
    opened = await world.open_first()
    assert await _books(world) == {"receivable": 7_900, "revenue": -7_900}
    void = await _void(world, opened.id)
    assert (void.state, void.number, void.void_reason) == (State.VOID, opened.number, VoidReason.MISTAKE)
    assert await _books(world) == {}
    assert await _jobs(world) == ["collect_invoice", "invoice_settled", "render_invoice", "send_notice"]
    # The next derivation brings the fee back, under the same identity and revision, and the next number follows.
    again = await world.open(await world.draft(STARTED), STARTED)
    assert await world.lines(again) == await world.lines(void)
    assert (opened.number, again.number) == ("TEST-2026-000001", "TEST-2026-000002")
    before = await world.written()
    assert await _void(world, opened.id) == void
    assert await world.written() == before


async def test_what_is_being_paid_is_not_voided_and_nothing_is_written(world: World) -> None:
    opened = await world.open_first()
    async with world.db.transaction() as tx:
        held = await service.hold_for_payment(tx, opened)
    before = await world.written()
    with pytest.raises(PaymentUnderWay):
        await _void(world, held.id)
    assert await world.written() == before
    async with world.db.transaction() as tx:
        for _ in range(2):
            await service.release_from_payment(tx, system_call(), customer_id=world.customer.id, invoice_id=opened.id)
    assert (await _void(world, opened.id)).state is State.VOID


async def test_a_draft_is_not_voided(world: World) -> None:
    draft = await world.draft(STARTED)
    assert draft is not None
    before = await world.written()
    with pytest.raises(InvoiceStateRefused):
        await _void(world, draft.id)
    assert await world.written() == before


async def test_writing_off_moves_what_is_due_to_bad_debt_and_a_late_payment_moves_it_on(world: World) -> None:
    opened = await world.open_first()
    for _ in range(2):
        async with world.db.transaction() as tx:
            given_up = await service.write_off_invoice(
                tx, system_call(), STARTED, customer_id=world.customer.id, invoice_id=opened.id
            )
    assert (given_up.state, given_up.written_off_at) == (State.UNCOLLECTIBLE, STARTED)
    assert await _books(world) == {"bad_debt": 7_900, "revenue": -7_900}
    void = await _void(world, opened.id)
    assert void.state is State.VOID
    assert await _books(world) == {}


async def test_credit_pays_a_part_of_the_next_invoice(world: World) -> None:
    # 20.00 of the first fee came back as credit; the second fee is 79.00, of which 59.00 are left.
    await _credit(world, 2_000)
    second = await world.open(await world.draft(_FEBRUARY), _FEBRUARY)
    assert (second.total.minor, second.applied_minor, second.amount_due.minor) == (7_900, 2_000, 5_900)
    # Cash 79.00; revenue 79 - 20 + 79 = 138.00; receivable 59.00; no credit is left.
    assert await _books(world) == {"cash": 7_900, "receivable": 5_900, "revenue": -13_800}
    async with world.db.transaction() as tx:
        assert await balances.credit_by_customer_ids(tx, [world.customer.id]) == {world.customer.id: []}
    # A void gives the credit back.
    await _void(world, second.id)
    assert await _books(world) == {"cash": 7_900, "customer_credit": -2_000, "revenue": -5_900}
    async with world.db.transaction() as tx:
        assert await balances.credit_by_customer_ids(tx, [world.customer.id]) == {
            world.customer.id: [Money(2_000, "USD")]
        }


async def test_credit_that_pays_an_invoice_whole_leaves_nothing_to_collect(world: World) -> None:
    await _credit(world, 7_900)
    second = await world.open(await world.draft(_FEBRUARY), _FEBRUARY)
    assert (second.state, second.number, second.paid_at) == (State.PAID, "TEST-2026-000002", _FEBRUARY)
    assert (second.amount_paid.minor, second.applied_minor) == (0, 7_900)
    # One collection is staged, for the first invoice.
    rendered = ["render_credit_note", "render_invoice", "render_invoice"]
    assert await _jobs(world) == ["collect_invoice", "invoice_settled", *rendered, "send_notice", "send_notice"]


async def test_too_little_with_nothing_to_follow_is_opened_and_written_off(world: World) -> None:
    draft = await world.draft(STARTED)
    assert draft is not None
    async with world.db.transaction() as tx:
        await tx.execute(sa.update(store.invoice_line).values(amount_minor=49))
    waiting = await world.open(draft, STARTED)
    assert waiting.state is State.DRAFT
    async with world.db.transaction() as tx:
        last = await service.open_invoice(
            tx, system_call(), STARTED, customer_id=world.customer.id, invoice_id=draft.id, is_last=True
        )
    assert (last.state, last.number, last.collectable.minor) == (State.UNCOLLECTIBLE, "TEST-2026-000001", 49)
    assert await _books(world) == {"bad_debt": 49, "revenue": -49}
    assert "collect_invoice" not in await _jobs(world)


async def test_less_than_nothing_with_nothing_to_follow_becomes_credit(world: World) -> None:
    draft = await world.draft(STARTED)
    assert draft is not None
    async with world.db.transaction() as tx:
        await tx.execute(sa.update(store.invoice_line).values(amount_minor=-300))
        last = await service.open_invoice(
            tx, system_call(), STARTED, customer_id=world.customer.id, invoice_id=draft.id, is_last=True
        )
        assert await balances.credit_by_customer_ids(tx, [world.customer.id]) == {
            world.customer.id: [Money(300, "USD")]
        }
    assert (last.state, last.amount_paid.minor) == (State.PAID, 0)
    assert await _books(world) == {"customer_credit": -300, "revenue": 300}
