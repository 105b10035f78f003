"""Jobs that send mail."""

from domain.alerts import service as alerts
from domain.alerts.staffing import service as staffing
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.runtime import Runtime


async def send_notice(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.SendNotice) -> None:
    """Send one notice, once."""
    await alerts.send_notice(
        runtime.db, runtime.mailer, call, customer_id=job.customer_id, notice=job.notice, about=job.about
    )
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)


async def mail_staff(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.MailStaff) -> None:
    """Mail an alert to the merchant's staff, once."""
    recipients = runtime.settings.staff_mail
    await staffing.mail_alert(runtime.db, runtime.mailer, call, job.alert_id, recipients=recipients)
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)
