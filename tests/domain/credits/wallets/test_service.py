"""Wallets on real Postgres: what invoices draw, what comes back, and what the books say."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from domain.credits.purse import Payable, draws
from domain.credits.unit_grant import Refill
from domain.credits.wallet import (
    WALLETS_MAX,
    TooManyWallets,
    Wallet,
    WalletGrant,
    WalletGrantMalformed,
    WalletGrantNotFound,
    WalletNotFound,
)
from domain.credits.wallets import service
from domain.credits.wallets.drawing import service as drawing
from domain.credits.wallets.keeping import service as keeping
from domain.credits.wallets.reading import service as reading
from domain.credits.wallets.service import GrantTerms
from domain.credits.wallets.store import wallet_grant, wallet_move
from domain.invoices.credit_note import CreditKind, CreditReason
from domain.invoices.crediting import service as crediting
from domain.invoices.invoice import Invoice, State, VoidReason
from domain.invoices.voiding.service import void_invoice
from domain.journal.store import outbox_job
from domain.kernel.call import Environment, Forbidden
from domain.kernel.errors import DomainError
from domain.kernel.ids import InvoiceId, WalletGrantId, WalletId
from domain.kernel.money import CurrencyMismatch, Money
from domain.ledger import service as ledger
from tests import make
from tests.domain.invoices.world import STARTED, World, system_call

_LATER = make.at("2026-01-10")


def _usd(minor: int) -> Money:
    return Money(minor, "USD")


def _terms(minor: int, **changed: Any) -> GrantTerms:
    return replace(GrantTerms("Credit", _usd(minor), 50), **changed)


async def _wallet(world: World, **chosen: Any) -> Wallet:
    async with world.db.transaction() as tx:
        return await service.create_wallet(
            tx, system_call(), world.customer.id, **{"name": "Wallet", "currency": "USD", **chosen}
        )


async def _given(world: World, into: Wallet, minor: int, **changed: Any) -> WalletGrant:
    async with world.db.transaction() as tx:
        return await service.grant(tx, system_call(), world.customer.id, into.id, _terms(minor, **changed))


async def _bought(world: World, into: Wallet, minor: int, **changed: Any) -> WalletGrant:
    async with world.db.transaction() as tx:
        return await service.fund(
            tx,
            system_call(),
            world.customer.id,
            into.id,
            _terms(minor, **changed),
            invoice_id=InvoiceId(make.new_id()),
        )


async def _left(world: World, *, at: datetime = STARTED) -> list[int]:
    async with world.db.transaction() as tx:
        found = await reading.list_wallets(tx, system_call(at), world.customer.id)
    return [each.purse.balance_minor for each in found]


async def _moves(world: World) -> list[tuple[str, int]]:
    async with world.db.transaction() as tx:
        rows = await tx.rows(sa.select(wallet_move).order_by(wallet_move.c.id))
        assert all((row.kind == "used") == (row.granted_at is not None) for row in rows)  # the sort key of each use
        kept = await tx.rows(sa.select(wallet_grant.c.id, wallet_grant.c.balance_minor))
    for row in kept:  # a balance is the sum of its moves
        assert row.balance_minor == sum(each.amount_minor for each in rows if each.grant_id == row.id)
    return [(row.kind, row.amount_minor) for row in rows]


async def _books(world: World) -> dict[str, int]:
    """Return what is not zero of the customer's books, and see that they hold."""
    async with world.db.transaction() as tx:
        books = await ledger.check_books(tx, Environment.TEST)
        found = await ledger.balances(tx, world.customer.id)
        prepaid = await reading.prepaid_total(tx, Environment.TEST)
    assert books.hold
    kept = {str(account): amount.minor for account, amount in found if amount.minor}
    assert sum(each.minor for each in prepaid) == -kept.get("prepaid", 0)
    return kept


async def _void(world: World, invoice: Invoice, at: datetime) -> Invoice:
    async with world.db.transaction() as tx:
        return await void_invoice(
            tx,
            system_call(at),
            at,
            customer_id=world.customer.id,
            invoice_id=invoice.id,
            reason=VoidReason.MISTAKE,
        )


async def test_an_invoice_draws_on_what_was_given_and_then_on_what_was_paid_for(world: World) -> None:
    own = await _wallet(world)
    await _bought(world, own, 5_000)
    await _given(world, own, 2_000, priority=40)
    invoice = await world.open_first()  # 79.00: 20.00 given, 50.00 paid for, 9.00 left to collect
    assert (invoice.state, invoice.applied_minor, invoice.amount_due) == (State.OPEN, 7_000, _usd(900))
    assert await _moves(world) == [("granted", 5_000), ("granted", 2_000), ("used", -2_000), ("used", -5_000)]
    # The 50.00 were posted as paid for by a top-up that this test left out: they are pending at the other side.
    assert await _books(world) == {"receivable": 900, "revenue": -7_900, "promotion": 2_000, "prepaid_pending": 5_000}
    assert await _left(world) == [0]


async def test_what_wallets_pay_whole_is_paid_at_once(world: World) -> None:
    await _given(world, await _wallet(world), 10_000)
    invoice = await world.open_first()
    assert (invoice.state, invoice.applied_minor) == (State.PAID, 7_900)
    assert await _left(world) == [2_100]
    assert await _books(world) == {"revenue": -7_900, "promotion": 7_900}


async def test_a_void_invoice_gives_back_what_it_drew(world: World) -> None:
    own = await _wallet(world)
    await _bought(world, own, 5_000)
    await _given(world, own, 2_000, priority=40)
    invoice = await world.open_first()
    await _void(world, invoice, _LATER)
    assert await _left(world) == [7_000]
    assert (await _moves(world))[4:] == [("returned", 5_000), ("returned", 2_000)]
    assert await _books(world) == {"prepaid": -5_000, "prepaid_pending": 5_000}
    again = await world.open(await world.draft(_LATER), _LATER)  # the lines come back, and draw anew
    assert again.applied_minor == 7_000
    assert await _books(world) == {"receivable": 900, "revenue": -7_900, "promotion": 2_000, "prepaid_pending": 5_000}


async def test_what_comes_back_after_its_grant_expired_is_credit_where_it_was_paid_for(world: World) -> None:
    own = await _wallet(world)
    await _bought(world, own, 5_000, expires_at=make.at("2026-01-05"))
    await _given(world, own, 2_000, priority=40, expires_at=make.at("2026-01-05"))
    await _void(world, await world.open_first(), _LATER)
    assert await _left(world, at=_LATER) == [0]
    assert await _books(world) == {"customer_credit": -5_000, "prepaid_pending": 5_000}


async def test_a_credit_note_gives_wallets_back_what_they_had_paid(world: World) -> None:
    await _given(world, await _wallet(world), 10_000)
    invoice = await world.open_first()
    async with world.db.transaction() as tx:
        note = await crediting.credit_lines(
            tx,
            system_call(),
            STARTED,
            customer_id=world.customer.id,
            invoice_id=invoice.id,
            parts=(),
            reason=CreditReason.GOODWILL,
            kind=CreditKind.REFUND,
        )
    assert (note.wallet_minor, note.refund_minor) == (7_900, 0)  # nobody is paid back what was given
    assert await _left(world) == [10_000]
    assert await _books(world) == {}


async def test_a_restricted_wallet_does_not_pay_other_lines(world: World) -> None:
    product = world.catalogue.product("edge" if "edge" in str(world.catalogue.products) else "llm").id
    await _given(world, await _wallet(world, kinds=["usage"]), 10_000)
    llm = await _wallet(world, product_ids=[product])
    await _given(world, llm, 1_000)
    invoice = await world.open_first()
    assert invoice.applied_minor == 1_000
    assert await _left(world) == [10_000, 0]


async def test_expiry_is_booked_by_a_job_at_its_instant_as_breakage(world: World) -> None:
    expires_at = make.at("2026-01-05")
    own = await _wallet(world)
    await _bought(world, own, 5_000, expires_at=expires_at)
    await _given(world, own, 300, expires_at=expires_at)
    async with world.db.transaction() as tx:
        kind, run_at = outbox_job.c.kind, outbox_job.c.run_at
        [job] = await tx.rows(sa.select(run_at, outbox_job.c.payload).where(kind == "carry_wallet"))
    assert job.run_at == expires_at
    for _ in range(2):  # twice is once
        async with world.db.transaction() as tx:
            await keeping.carry(tx, system_call(expires_at), world.customer.id, own.id)
    assert (await _moves(world))[2:] == [("expired", -5_000), ("expired", -300)]
    assert await _books(world) == {"breakage": -5_000, "prepaid_pending": 5_000}


async def test_what_has_expired_is_not_drawn_however_late_a_worker_is(world: World) -> None:
    own = await _wallet(world)
    await _given(world, own, 5_000, expires_at=make.at("2026-01-05"))
    await _given(world, own, 700, refill=Refill.WEEK, effective_at=make.at("2026-01-03"))
    assert await _left(world, at=_LATER) == [700]
    invoice = await world.open(await world.draft(_LATER), _LATER)
    assert invoice.applied_minor == 700
    assert (await _moves(world))[1:] == [("granted", 700), ("expired", -5_000), ("used", -700)]


async def test_two_invoices_that_race_for_a_wallet_never_draw_more_than_there_is(world: World) -> None:
    own = await _wallet(world)
    await _given(world, own, 10_000)

    async def drawn() -> int:
        async with world.db.transaction() as tx:
            purses = await keeping.hold_purses(tx, system_call(), STARTED, world.customer.id, "USD")
            await asyncio.sleep(0)
            found = draws(purses, [Payable(7_900)])
            await drawing.draw(tx, system_call(), STARTED, found, InvoiceId(make.new_id()))
        return sum(each.amount_minor for each in found)

    assert sorted(await asyncio.gather(drawn(), drawn(), drawn())) == [0, 2_100, 7_900]
    assert await _left(world) == [0]


async def test_a_void_grant_is_taken_once_and_is_breakage_where_it_was_paid_for(world: World) -> None:
    own = await _wallet(world)
    paid, given = await _bought(world, own, 5_000), await _given(world, own, 300)
    for grant in (paid, given, paid):
        async with world.db.transaction() as tx:
            await service.void_grant(tx, system_call(_LATER), world.customer.id, own.id, grant.id)
    assert (await _moves(world))[2:] == [("voided", -5_000), ("voided", -300)]
    assert await _books(world) == {"breakage": -5_000, "prepaid_pending": 5_000}


async def test_the_first_of_two_fundings_by_one_invoice_counts(world: World) -> None:
    own, invoice_id = await _wallet(world), InvoiceId(make.new_id())
    async with world.db.transaction() as tx:
        await service.fund(tx, system_call(), world.customer.id, own.id, _terms(500), invoice_id=invoice_id)
    with pytest.raises(sa.exc.IntegrityError):
        async with world.db.transaction() as tx:
            await service.fund(tx, system_call(), world.customer.id, own.id, _terms(500), invoice_id=invoice_id)
    assert await _left(world) == [500]


async def _refused(world: World, error: type[DomainError], into: WalletId, terms: GrantTerms) -> None:
    with pytest.raises(error):
        async with world.db.transaction() as tx:
            await service.grant(tx, system_call(_LATER), world.customer.id, into, terms)
    assert await _moves(world) == []


async def test_a_grant_that_cannot_be_leaves_nothing_behind(world: World) -> None:
    own = await _wallet(world)
    await _refused(world, WalletGrantMalformed, own.id, _terms(0))
    await _refused(world, WalletGrantMalformed, own.id, _terms(5, effective_at=_LATER - timedelta(seconds=1)))
    await _refused(world, CurrencyMismatch, own.id, _terms(5, amount=Money(5, "EUR")))
    await _refused(world, WalletNotFound, WalletId(make.new_id()), _terms(5))
    unknown = WalletGrantId(make.new_id())
    with pytest.raises(WalletGrantNotFound):
        async with world.db.transaction() as tx:
            await service.void_grant(tx, system_call(), world.customer.id, own.id, unknown)
    with pytest.raises(Forbidden):
        async with world.db.transaction() as tx:
            await service.grant(tx, make.call("2026-01-01", by=make.principal()), world.customer.id, own.id, _terms(5))


async def test_a_customer_has_a_bounded_number_of_wallets_of_a_currency(world: World) -> None:
    for _ in range(WALLETS_MAX):
        await _wallet(world)
    with pytest.raises(TooManyWallets):
        await _wallet(world)
    await _wallet(world, currency="EUR")
    assert len(await _left(world)) == WALLETS_MAX + 1
