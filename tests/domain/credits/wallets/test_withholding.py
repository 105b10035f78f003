"""What is withheld of a top-up while its payment is disputed, on real Postgres."""

import asyncio

import sqlalchemy as sa

from domain.credits.wallets import service
from domain.credits.wallets.reading import service as reading
from domain.credits.wallets.service import GrantTerms
from domain.credits.wallets.withholding import service as withholding
from domain.kernel.ids import InvoiceId
from domain.kernel.money import Money
from tests import make
from tests.domain.invoices.world import World, system_call
from tests.waiting import until


async def test_what_is_released_while_staff_void_the_grant_is_left_to_the_customers_credit(world: World) -> None:
    owner, invoice_id = world.customer.id, InvoiceId(make.new_id())
    async with world.db.transaction() as tx:
        into = await service.create_wallet(tx, system_call(), owner, name="Wallet", currency="USD")
        terms = GrantTerms("Top-up", Money(2_000, "USD"), 50)
        grant = await service.fund(tx, system_call(), owner, into.id, terms, invoice_id=invoice_id)
        await withholding.withhold(tx, system_call(), owner, invoice_id, minor=1_500, about="dsp_1")

    async def release() -> int:
        async with world.db.transaction() as tx:
            return await withholding.release(tx, system_call(), owner, grant.id, minor=1_500, about="dsp_1")

    async with world.db.transaction() as tx:
        await service.void_grant(tx, system_call(), owner, into.id, grant.id)
        releasing = asyncio.create_task(release())
        await until(lambda: _waits(world), "the release waits for the wallet")
    # Nothing goes into a grant that has ended, where nobody could use it: the caller makes it credit.
    assert await releasing == 1_500
    async with world.db.transaction() as tx:
        [found] = await reading.list_wallets(tx, system_call(), owner)
    assert [each.balance_minor for each in found.shown] == [0]


async def _waits(world: World) -> bool:
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with world.db.transaction() as tx:
        return bool(await tx.value(waiting))
