"""After an erasure that is told of a customer and nothing else: what waited is left out, and nothing follows it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.access.roles import system_principal
from domain.adapters.memory import MemoryGateway, MemoryMailer
from domain.alerts import service as alerts
from domain.alerts.mail_state import MailState
from domain.alerts.port import MailPolicy
from domain.customers import service as customers
from domain.db import Database
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId, encode, uuid7
from domain.payments.methods.service import ensure_gateway_customer
from domain.payments.port import GatewayUnavailable
from domain.privacy.erasing import service, store
from domain.privacy.erasure import CustomerNotErasable, Erasure, ErasureReason, ErasureState
from domain.webhooks.port import Outcome, Reply
from tests import make
from tests.domain.webhooks.merchant import URL, Merchant

_BROKEN = Reply(Outcome.REFUSED, 0, 500, b"<p>Ada broke it</p>")


def operator(merchant: Merchant) -> Call:
    """Call as the operator, now."""
    return Call(make.new_id(), merchant.now, system_principal("test"), make.new_id)


async def erase(merchant: Merchant, customer_id: CustomerId) -> Erasure:
    """Erase a customer, in a unit of work of its own."""
    async with merchant.db.transaction() as tx:
        return await service.request(tx, operator(merchant), customer_id, ErasureReason.REQUESTED, retention_years=10)


async def test_events_that_wait_or_follow_are_sent_of_everybody_but_the_erased_customer(db: Database) -> None:
    merchant = Merchant(db)
    ada, bob = await merchant.customer(), await merchant.customer()
    await merchant.endpoint()
    merchant.sender.refusing[URL] = _BROKEN
    await merchant.happens(ada, "invoice_opened", "invoice_paid")
    await merchant.happens(bob, "invoice_opened")
    await merchant.deliver()
    assert len(merchant.sender.posted) == 2, "one of each was tried and refused"
    await merchant.happens(ada, "invoice_voided")
    await erase(merchant, ada)
    await merchant.happens(ada, "payment_method_detached")
    del merchant.sender.refusing[URL]
    merchant.sender.posted.clear()
    await merchant.wait(days=1)
    assert [each["type"] for each in merchant.heard()] == ["invoice.opened", "customer.erased"]
    async with db.transaction() as tx:
        assert await service.find_erasure(tx, operator(merchant), bob) is None
    await service.carry_on(db, MemoryGateway(), operator(merchant), ada)
    async with db.transaction() as tx:
        tries = sa.text("SELECT count(*) FROM webhook_delivery WHERE customer_id = :c")
        assert [await tx.value(tries.bindparams(c=each)) for each in (ada, bob)] == [0, 2]


async def test_the_merchant_is_told_of_an_erasure_by_the_id_alone(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    await merchant.endpoint("customer.*")
    await merchant.endpoint("invoice.*", url="https://books.example.com/hook")
    await merchant.happens(ada, "invoice_opened")
    await erase(merchant, ada)
    merchant.sender.refusing[URL] = _BROKEN
    await merchant.deliver()
    [refused] = merchant.heard()
    del merchant.sender.refusing[URL]
    merchant.sender.posted.clear()
    await merchant.happens(ada, "payment_method_detached")
    # What is cleared of the customer meanwhile is not what waits to be sent.
    assert await service.carry_on(db, MemoryGateway(), operator(merchant), ada)
    await merchant.wait(days=1)
    [told] = merchant.heard()
    assert told == refused, "it is the same event, sent again"
    names = ("id", "type", "timestamp", "version", "environment", "customer_id", "number", "sequence", "data")
    assert tuple(told) == names
    # invoice_opened was the customer's first event, and the first of all.
    assert (told["type"], told["customer_id"], told["data"]) == ("customer.erased", encode("customer", ada), {})
    assert (told["environment"], told["number"], told["sequence"]) == ("test", 2, 2)
    await merchant.wait(days=1)
    assert len(merchant.heard()) == 1, "nothing follows"


async def test_of_an_erasure_that_is_refused_nobody_is_told(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    await merchant.endpoint()
    async with db.transaction() as tx:
        job = jobs.CollectInvoice(ada, InvoiceId(make.new_id()))
        await journal.stage(tx, operator(merchant), job, customer_id=ada)
    with pytest.raises(CustomerNotErasable):
        await erase(merchant, ada)
    await merchant.deliver()
    assert merchant.heard() == []
    async with db.transaction() as tx:
        assert await tx.value(sa.text("SELECT count(*) FROM billing_event")) == 0


async def test_the_key_of_the_deletion_at_the_gateway_is_stored_before_it_is_asked(db: Database) -> None:
    merchant, gateway = Merchant(db), MemoryGateway()
    ada = await merchant.customer()
    async with db.transaction() as tx:
        customer = await customers.load_customer(tx, operator(merchant), ada)
    owner = await ensure_gateway_customer(db, gateway, operator(merchant), customer)
    key = sa.text("SELECT deletion_key FROM gateway_customer")

    async def stored() -> str | None:
        async with db.transaction() as tx:
            found: str | None = await tx.value(key)
            return found

    assert await stored() is None
    await erase(merchant, ada)
    gateway.lose("delete_customer", "before")
    with pytest.raises(GatewayUnavailable):
        await service.carry_on(db, gateway, operator(merchant), ada)
    first = await stored()
    assert (first, gateway.customers) == (f"test:forget:{encode('customer', ada)}", {owner: ada})
    gateway.lose("delete_customer", "after")
    with pytest.raises(GatewayUnavailable):
        await service.carry_on(db, gateway, operator(merchant), ada)
    assert gateway.customers == {}
    # The third call has the same key, and finds that it is gone: that is as wanted.
    assert await service.carry_on(db, gateway, operator(merchant), ada)
    assert await stored() == first


async def test_everybody_erased_lately_has_a_turn_however_many_there_are(db: Database) -> None:
    merchant = Merchant(db)
    people = [await merchant.customer() for _ in range(5)]
    gone = await merchant.customer()
    for each in (*people, gone):
        await erase(merchant, each)
    start = merchant.now
    async with db.transaction() as tx:
        cleared = sa.text("UPDATE erasure SET state = 'done', ended_at = :at, cleared_at = :at WHERE customer_id = :c")
        for each in people:
            await tx.execute(cleared.bindparams(at=start, c=each))
        # It was cleared too long ago for news of it.
        await tx.execute(cleared.bindparams(at=start - timedelta(days=33), c=gone))

    async def page(minute: int) -> list[CustomerId]:
        """Look through the events of two of them, up to one that arrived in a minute."""
        at = start + timedelta(minutes=minute)
        async with db.transaction() as tx:
            found = await store.list_cleared(tx, since=start - timedelta(days=32), limit=2)
            for each in found:
                await store.save_erasure(tx, replace(each, looked_to=uuid7(at, bytes)))
        return [each.customer_id for each in found]

    turns = [await page(minute) for minute in range(5)]
    # Five pages of two are two turns of five: nobody has a second one before everybody had the first.
    in_order = [each for turn in turns for each in turn]
    assert (set(in_order[:5]), set(in_order[5:])) == (set(people), set(people))


async def test_a_mail_that_is_wanted_afterwards_is_neither_written_nor_sent(db: Database) -> None:
    merchant, mailer = Merchant(db), MemoryMailer(MailPolicy("billing@merchant.example", "Merchant", is_catcher=True))
    ada = await merchant.customer()

    async def send(about: str) -> MailState:
        call = operator(merchant)
        return await alerts.send_notice(db, mailer, call, customer_id=ada, notice="weekly_digest", about=about)

    assert (await send("2026-03-02"), len(mailer.sent)) == (MailState.SENT, 1)
    await erase(merchant, ada)
    assert (await send("2026-03-09"), len(mailer.sent)) == (MailState.SUPPRESSED, 1)
    async with db.transaction() as tx:
        assert await tx.value(sa.text("SELECT count(*) FROM mail")) == 0


async def test_whoever_asks_at_the_same_moment_gets_the_same_erasure(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    first, second = await asyncio.gather(erase(merchant, ada), erase(merchant, ada))
    assert first == second
    assert (first.state, first.keep_until) == (ErasureState.CLEARING, None)
    async with db.transaction() as tx:
        audited = sa.text("SELECT count(*) FROM audit_entry WHERE action = 'erase_customer'")
        assert await tx.value(audited) == 1
    assert await service.carry_on(db, MemoryGateway(), operator(merchant), ada)
    assert (await erase(merchant, ada)).state is ErasureState.DONE
