"""Jobs that send mail, and those that alert staff."""

import json

from domain.alerts import service as alerts
from domain.alerts.mailing import service as mailing
from domain.alerts.port import MailUnavailable
from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.store import StoredJob
from domain.kernel.call import Call, Environment
from domain.runtime import Runtime


async def send_notice(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.SendNotice) -> None:
    """Send one notice, once. When the last try of the job fails too, the mail has failed and the job is done."""
    try:
        await alerts.send_notice(
            runtime.db, runtime.mailer, call, customer_id=job.customer_id, notice=job.notice, about=job.about
        )
    except MailUnavailable as error:
        is_last = stored.attempts + 1 >= journal.OUTAGE_ATTEMPTS_MAX
        async with runtime.db.transaction() as tx:
            await mailing.note_failure(
                tx,
                call,
                customer_id=job.customer_id,
                notice=job.notice,
                about=job.about,
                reason=error.reason,
                is_last=is_last,
            )
        if not is_last:
            raise
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)


async def mail_staff(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.MailStaff) -> None:
    """Mail an alert to the merchant's staff, once."""
    recipients = runtime.settings.staff_mail
    await staffing.mail_alert(runtime.db, runtime.mailer, call, job.alert_id, recipients=recipients)
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)


async def tell_staff(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.TellStaff) -> None:
    """Raise an alert to staff; while one of the kind about the same row is unread, nothing is added to it."""
    kind, environment = StaffAlertKind(job.alert), Environment(job.environment)
    facts = json.loads(job.facts)
    async with runtime.db.transaction() as tx:
        await staffing.raise_alert(tx, call, kind, job.about, environment=environment, facts=facts)
        await journal.finish(tx, call, stored)
