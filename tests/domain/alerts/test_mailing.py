"""Mail is followed once it is sent: reports, addresses that are stopped, tries that fail, sending again."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.access.roles import Permission
from domain.adapters.memory import MemoryMailer
from domain.alerts import service
from domain.alerts.alert import Delivery
from domain.alerts.mail_state import MailNotFailed, MailNotFound, MailState, Report, ReportKind
from domain.alerts.mailing import service as mailing
from domain.alerts.mailing.service import Noted
from domain.alerts.mailing.store import MailRow
from domain.alerts.port import MailPolicy, MailRefused
from domain.alerts.staffing import service as staffing
from domain.db import Database
from domain.kernel.call import Environment
from tests import make
from tests.domain.payments.till import Till, open_till, system

_CATCHER = MailPolicy("billing@merchant.example", "Merchant", is_catcher=True)


async def _sent(db: Database, *, notice: str = "invoice_issued") -> tuple[Till, MemoryMailer]:
    """Send one mail."""
    till, mailer = await open_till(db), MemoryMailer(_CATCHER)
    await _send(till, mailer, notice)
    return till, mailer


async def _send(till: Till, mailer: MemoryMailer, notice: str) -> str:
    about = "2026-03-02" if notice == "weekly_digest" else str(till.invoice.id)
    return await service.send_notice(
        till.db, mailer, system(), customer_id=till.customer.id, notice=notice, about=about
    )


async def _report(db: Database, *reports: Report) -> Noted:
    async with db.transaction() as tx:
        return await mailing.note_reports(tx, system(), reports)


def _about(mailer: MemoryMailer, kind: ReportKind, *, name: str = "r1") -> Report:
    return Report(name, mailer.sent[0].message_id, kind, make.at("2026-03-02"))


async def _mails(till: Till) -> list[MailRow]:
    async with till.db.transaction() as tx:
        return list(await mailing.list_mails(tx, system(), till.customer.id))


async def test_a_delivery_is_noted_once_however_often_it_is_reported(db: Database) -> None:
    till, mailer = await _sent(db)
    delivered = _about(mailer, ReportKind.DELIVERED)
    assert await _report(db, delivered) == Noted(new=1)
    assert await _report(db, delivered) == Noted()
    assert await _report(db, replace(delivered, id="r2", message_id="<other@x>")) == Noted(new=1, unknown=1)
    [mail] = await _mails(till)
    assert (mail.state, mail.settled_at, mail.attempts) == ("delivered", make.at("2026-03-02"), 1)


async def test_a_hard_bounce_stops_what_need_not_be_told_and_alerts_staff_once(db: Database) -> None:
    till, mailer = await _sent(db)
    await _report(db, _about(mailer, ReportKind.HARD_BOUNCED), _about(mailer, ReportKind.COMPLAINED, name="r2"))
    assert await _send(till, mailer, "weekly_digest") == "suppressed"
    assert len(mailer.sent) == 1
    async with db.transaction() as tx:
        [alert] = await staffing.list_alerts(tx, system())
        assert await tx.value(sa.text("SELECT count(*) FROM mail_stop")) == 1
    assert alert.kind == "mail_bounced"
    assert "ada@" not in alert.text


async def test_what_must_be_told_is_sent_to_a_stopped_address_all_the_same(db: Database) -> None:
    till, mailer = await _sent(db, notice="weekly_digest")
    await _report(db, _about(mailer, ReportKind.COMPLAINED))
    assert await _send(till, mailer, "invoice_issued") == "sent"


async def test_staff_let_a_customer_have_all_mail_again(db: Database) -> None:
    till, mailer = await _sent(db)
    await _report(db, _about(mailer, ReportKind.HARD_BOUNCED))
    async with db.transaction() as tx:
        assert await mailing.resume(tx, system(), till.customer.id) == 1
        assert await mailing.resume(tx, system(), till.customer.id) == 0
    assert await _send(till, mailer, "weekly_digest") == "sent"


async def test_a_refused_mail_fails_alerts_staff_and_can_be_sent_again_under_its_message_id(db: Database) -> None:
    till, mailer = await open_till(db), MemoryMailer(_CATCHER)
    mailer.failures = [MailRefused("recipient")]
    assert await _send(till, mailer, "invoice_issued") == "failed"
    [failed] = await _mails(till)
    assert (failed.last_error, failed.attempts) == ("recipient", 1)
    async with db.transaction() as tx:
        [alert] = await staffing.list_alerts(tx, system())
        assert alert.kind == "mail_failed"
        await mailing.send_again(tx, system(), failed.id)
        jobs = sa.text("SELECT count(*) FROM outbox_job WHERE kind = 'send_notice' AND payload->>'about' = :about")
        assert await tx.value(jobs.bindparams(about=str(till.invoice.id))) == 1
        with pytest.raises(MailNotFailed):
            await mailing.send_again(tx, system(), failed.id)
    assert await _send(till, mailer, "invoice_issued") == "sent"
    assert len(mailer.sent) == 1


async def test_nobody_sends_a_mail_again_that_is_not_there_or_not_theirs(db: Database) -> None:
    till, _ = await _sent(db)
    [mail] = await _mails(till)
    live = make.call(by=make.principal(Permission.MAIL_WRITE, environment=Environment.LIVE))
    async with db.transaction() as tx:
        for call, mail_id in ((live, mail.id), (system(), make.new_id())):
            with pytest.raises(MailNotFound):
                await mailing.send_again(tx, call, mail_id)


def test_an_alert_can_tell_of_every_state_that_its_mail_may_have() -> None:
    # What waits is pending; every other state is told as it is.
    assert {state.value for state in MailState} - {"queued"} <= {delivery.value for delivery in Delivery}


async def test_reports_are_kept_for_ninety_days(db: Database) -> None:
    _, mailer = await _sent(db)
    await _report(db, _about(mailer, ReportKind.DELIVERED))
    received = system().at
    for late, forgotten in ((90, 0), (91, 1)):
        then = replace(system(), at=received + timedelta(days=late))
        async with db.transaction() as tx:
            assert await mailing.forget(tx, then) == forgotten


async def test_mails_are_forgotten_when_their_time_is_over_but_not_those_that_wait(db: Database) -> None:
    till, _ = await _sent(db)
    [mail] = await _mails(till)
    for late, forgotten in ((399, 0), (401, 0)):
        async with db.transaction() as tx:
            await tx.execute(sa.text("UPDATE mail SET state = 'queued', sent_at = NULL"))
            then = replace(system(), at=mail.created_at + timedelta(days=late))
            assert await mailing.forget_mails(tx, then, days=400) == forgotten
    for late, forgotten in ((400, 0), (401, 1), (402, 0)):
        async with db.transaction() as tx:
            await tx.execute(sa.text("UPDATE mail SET state = 'sent', sent_at = created_at"))
            then = replace(system(), at=mail.created_at + timedelta(days=late))
            assert await mailing.forget_mails(tx, then, days=400) == forgotten
    assert await _mails(till) == []
