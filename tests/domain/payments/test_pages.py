"""Addresses of the gateway's pages: whoever has one opens the invoice, so none is kept plain."""

import sqlalchemy as sa

from domain.adapters.memory import MemoryGateway
from domain.db import Database
from domain.payments import push as copies
from domain.payments import store
from domain.payments.pages import service
from domain.payments.pages.store import count_plain, find_newest, find_pages
from tests.domain.payments.till import NO_FUNDS, Till, open_till


async def _page(till: Till) -> str | None:
    key = (till.customer.id, till.invoice.id)
    async with till.db.transaction() as tx:
        return (await find_pages(tx, [key])).get(key)


async def _run(db: Database, statement: str) -> None:
    async with db.transaction() as tx:
        await tx.execute(sa.text(statement))


async def _owing(db: Database) -> tuple[Till, str]:
    """Make a till whose invoice is open at the gateway, and say where its page is."""
    till, gateway = await open_till(db), MemoryGateway()
    assert await _page(till) is None
    await till.attach(gateway, NO_FUNDS)
    await till.collect(gateway)
    return till, f"https://pay.example.com/{await till.gateway_invoice_id()}"


async def test_the_page_of_an_invoice_is_found_and_cannot_be_read_in_the_database(db: Database) -> None:
    till, url = await _owing(db)
    assert await _page(till) == url
    async with db.transaction() as tx:
        text = str(await tx.value(sa.text("SELECT g::text FROM gateway_invoice g")))
        assert "pushed" in text
        assert "pay.example.com" not in text
        assert await count_plain(tx, limit=10) == 0
        assert await find_newest(tx) == (till.customer.id, till.invoice.id)


async def test_what_is_plain_is_found_and_sealed_once(db: Database) -> None:
    till, _ = await _owing(db)
    # As an earlier version writes it that runs beside this one: what it sees is newer than what is sealed.
    await _run(db, "UPDATE gateway_invoice SET hosted_url = 'https://pay.example.com/newer'")
    for sealed in (1, 0):
        assert await _page(till) == "https://pay.example.com/newer"
        async with db.transaction() as tx:
            before = await store.find_push(tx, till.customer.id, till.invoice.id)
            assert await count_plain(tx, limit=10) == sealed
            assert await service.seal_plain(tx) == sealed
            after = await store.find_push(tx, till.customer.id, till.invoice.id)
            assert before is not None
            assert after is not None
            assert after.version == before.version
    async with db.transaction() as tx:
        assert "pay.example.com" not in str(await tx.value(sa.text("SELECT g::text FROM gateway_invoice g")))


async def test_another_copy_has_none_of_the_one_before(db: Database) -> None:
    till, _ = await _owing(db)
    await _run(db, "UPDATE gateway_invoice SET hosted_url = 'https://pay.example.com/old', sealed_page = NULL")
    async with db.transaction() as tx:
        before = await store.find_push(tx, till.customer.id, till.invoice.id)
        assert before is not None
        assert await store.save_push(tx, before, copies.begin_again(before, till.invoice, before.keyed_at))
    assert await _page(till) is None


async def test_a_plain_page_of_a_customer_without_a_key_goes(db: Database) -> None:
    till, _ = await _owing(db)
    await _run(db, "UPDATE gateway_invoice SET hosted_url = 'https://pay.example.com/late'")
    await _run(db, "DELETE FROM data_key")
    async with db.transaction() as tx:
        assert await service.seal_plain(tx) == 1
        assert await count_plain(tx, limit=10) == 0
    assert await _page(till) is None


async def test_a_customer_that_is_erased_has_no_page_whatever_is_still_to_be_cleared(db: Database) -> None:
    till, _ = await _owing(db)
    await _run(db, "UPDATE data_key SET erased_at = now(), retained = wrapped, wrapped = 'another'")
    assert await _page(till) is None
