"""Notices on real Postgres: rendered once, stored sealed, sent once."""

import pytest

from domain.adapters.memory import MemoryGateway, MemoryMailer
from domain.alerts import service, store
from domain.alerts.port import MailPolicy, MailRefused, MailUnavailable
from domain.customers import service as customers
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.credit_note import CreditKind, CreditPart, CreditReason
from domain.invoices.crediting import service as crediting
from domain.invoices.invoice import InvoiceNotFound
from domain.kernel.call import Environment
from tests import make
from tests.domain.payments.till import NO_FUNDS, VISA, Till, open_till, system

_CATCHER = MailPolicy("billing@merchant.example", "Merchant", is_catcher=True)
_REAL = MailPolicy("billing@merchant.example", "Merchant", test_allowed=frozenset(("bob@example.com",)))


async def _send(till: Till, mailer: MemoryMailer, notice: str, about: object) -> str:
    return await service.send_notice(
        till.db, mailer, system(), customer_id=till.customer.id, notice=notice, about=str(about)
    )


async def test_an_invoice_is_mailed_once_however_often_the_job_runs(db: Database) -> None:
    till, mailer = await open_till(db), MemoryMailer(_CATCHER)
    states = [await _send(till, mailer, "invoice_issued", till.invoice.id) for _ in range(3)]
    assert states == ["sent", "sent", "sent"]
    [mail] = mailer.sent
    assert mail.recipient == "ada@example.com"
    assert mail.sender == "billing@merchant.example"
    assert mail.subject == "Invoice TEST-2026-000001 from Merchant: 29.00 USD"
    assert "Hello Ada <b>Lovelace</b>," in mail.text
    assert "15 Jan 2026" in mail.text


async def test_a_mail_is_stored_sealed(db: Database) -> None:
    till, mailer = await open_till(db), MemoryMailer(_CATCHER)
    await _send(till, mailer, "invoice_issued", till.invoice.id)
    async with db.transaction() as tx:
        [row] = await tx.rows(store.mail.select())
        key = await customers.data_key(tx, till.customer.id)
        kept = await store.find_mail(tx, till.customer.id, "invoice_issued", str(till.invoice.id), key=key)
    assert b"ada@example.com" not in row.content
    assert b"Lovelace" not in row.content
    assert kept is not None
    assert kept.content.recipient == "ada@example.com"
    assert (kept.state, kept.sent_at) == ("sent", system().at)


async def test_a_mail_that_may_have_been_sent_keeps_its_message_id_and_its_words(db: Database) -> None:
    till, mailer = await open_till(db), MemoryMailer(_CATCHER)
    mailer.failures.append(MailUnavailable("timeout"))
    with pytest.raises(MailUnavailable):
        await _send(till, mailer, "invoice_issued", till.invoice.id)
    async with db.transaction() as tx:
        [queued] = await tx.rows(store.mail.select())
    assert queued.state == "queued"
    assert await _send(till, mailer, "invoice_issued", till.invoice.id) == "sent"
    [mail] = mailer.sent
    assert mail.message_id == queued.message_id
    assert mail.written_at == queued.created_at


async def test_a_mail_refused_for_good_is_failed_and_not_tried_again(db: Database) -> None:
    till, mailer = await open_till(db), MemoryMailer(_CATCHER)
    mailer.failures.append(MailRefused("recipient"))
    states = [await _send(till, mailer, "invoice_issued", till.invoice.id) for _ in range(2)]
    assert states == ["failed", "failed"]
    assert mailer.sent == []


async def test_a_test_customer_is_not_mailed_by_a_real_server(db: Database) -> None:
    till, mailer = await open_till(db), MemoryMailer(_REAL)
    assert await _send(till, mailer, "invoice_issued", till.invoice.id) == "withheld"
    assert mailer.sent == []


async def test_a_live_customer_is_mailed_by_a_real_server(db: Database) -> None:
    till, mailer = await open_till(db, environment=Environment.LIVE), MemoryMailer(_REAL)
    assert await _send(till, mailer, "invoice_issued", till.invoice.id) == "sent"
    assert len(mailer.sent) == 1


async def test_a_payment_is_mailed_with_its_method(db: Database, memory_gateway: MemoryGateway) -> None:
    till, mailer = await open_till(db), MemoryMailer(_CATCHER)
    await till.attach(memory_gateway, VISA)
    attempt = await till.collect(memory_gateway)
    assert attempt is not None
    assert await _send(till, mailer, "payment_received", attempt.id) == "sent"
    [mail] = mailer.sent
    assert mail.subject == "Payment received for invoice TEST-2026-000001"
    assert "29.00 USD for invoice TEST-2026-000001 on 15 Jan 2026 (Visa ending in 4242)" in mail.text


async def test_a_failed_payment_is_mailed_with_advice(db: Database, memory_gateway: MemoryGateway) -> None:
    till, mailer = await open_till(db), MemoryMailer(_CATCHER)
    await till.attach(memory_gateway, NO_FUNDS)
    attempt = await till.collect(memory_gateway)
    assert attempt is not None
    assert await _send(till, mailer, "payment_failed", attempt.id) == "sent"
    [mail] = mailer.sent
    assert "The account did not have enough funds." in mail.text


async def test_a_notice_about_a_row_that_does_not_exist_writes_and_sends_nothing(db: Database) -> None:
    till, mailer = await open_till(db), MemoryMailer(_CATCHER)
    with pytest.raises(InvoiceNotFound):
        await _send(till, mailer, "invoice_issued", make.new_id())
    async with db.transaction() as tx:
        assert await tx.rows(store.mail.select()) == []
    assert mailer.sent == []


async def test_a_german_customer_is_written_to_in_german(db: Database, memory_gateway: MemoryGateway) -> None:
    till, mailer = await open_till(db), MemoryMailer(_CATCHER)
    await till.attach(memory_gateway, VISA)
    await till.collect(memory_gateway)
    [attempt] = await till.attempt_rows()
    async with db.transaction() as tx:
        await customers.change_locale(tx, system(), till.customer.id, "de-DE")
    await _send(till, mailer, "invoice_issued", till.invoice.id)
    await _send(till, mailer, "payment_received", attempt.id)
    issued, received = mailer.sent
    assert issued.subject == "Rechnung TEST-2026-000001 von Merchant: 29,00 $"
    assert "Guten Tag Ada <b>Lovelace</b>," in issued.text
    assert "über Ihre Zahlungsart eingezogen (Visa mit den Endziffern 4242)" in issued.text
    assert "Zahlung von 29,00\xa0$ für Rechnung TEST-2026-000001 am 15.01.2026 erhalten" in received.text
    assert '<html lang="de">' in received.html


async def _credit(till: Till, minor: int) -> None:
    """Take something off the open invoice by a credit note."""
    async with till.db.transaction() as tx:
        lines = (await invoices.lines_by_invoice_ids(tx, [till.invoice.id], scope=till.customer.id))[till.invoice.id]
        await crediting.credit_lines(
            tx,
            system(),
            system().at,
            customer_id=till.customer.id,
            invoice_id=till.invoice.id,
            parts=[CreditPart(lines[0].id, minor)],
            reason=CreditReason.GOODWILL,
            kind=CreditKind.OFFSET,
        )


async def test_a_failed_payment_is_mailed_with_what_was_to_be_collected(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till, mailer = await open_till(db), MemoryMailer(_CATCHER)
    await till.attach(memory_gateway, NO_FUNDS)
    await _credit(till, 1_000)
    attempt = await till.collect(memory_gateway)
    assert attempt is not None
    await _send(till, mailer, "payment_failed", attempt.id)
    await _send(till, mailer, "invoice_issued", till.invoice.id)
    failed, issued = mailer.sent
    # 29.00 less 10.00.
    assert "the payment of 19.00 USD for invoice TEST-2026-000001 failed" in failed.text
    assert "Total: 29.00 USD\nCredited: -10.00 USD\nTo be paid: 19.00 USD\n" in issued.text


async def test_an_invoice_of_which_nothing_is_left_asks_for_nothing(db: Database) -> None:
    till, mailer = await open_till(db), MemoryMailer(_CATCHER)
    await _credit(till, 2_900)
    await _send(till, mailer, "invoice_issued", till.invoice.id)
    [mail] = mailer.sent
    for part in (mail.text, mail.html):
        assert "Nothing is to be paid. You need to do nothing." in part
        assert "payment method" not in part
