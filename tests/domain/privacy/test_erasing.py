"""After an erasure nothing is told of a customer: what waited to be sent is left out, and nothing follows it."""

import asyncio

import sqlalchemy as sa

from domain.access.roles import system_principal
from domain.adapters.memory import MemoryGateway, MemoryMailer
from domain.alerts import service as alerts
from domain.alerts.mail_state import MailState
from domain.alerts.port import MailPolicy
from domain.db import Database
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId
from domain.privacy.erasing import service
from domain.privacy.erasure import Erasure, ErasureReason, ErasureState
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
    assert [each["type"] for each in merchant.heard()] == ["invoice.opened"]
    async with db.transaction() as tx:
        assert await service.find_erasure(tx, operator(merchant), bob) is None
    await service.carry_on(db, MemoryGateway(), operator(merchant), ada)
    async with db.transaction() as tx:
        tries = sa.text("SELECT count(*) FROM webhook_delivery WHERE customer_id = :c")
        assert [await tx.value(tries.bindparams(c=each)) for each in (ada, bob)] == [0, 2]


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
