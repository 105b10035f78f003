"""Follow mail once it is written: tries that fail, reports of the provider, addresses that are stopped."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from domain.access.roles import Permission
from domain.alerts.mail_state import STOPPING, MailNotFailed, MailNotFound, MailState, Report, ReportKind, after
from domain.alerts.mailing import store
from domain.alerts.mailing.store import MailRow
from domain.alerts.notice import LEGAL
from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, encode
from domain.kernel.values import dataclass

REPORT_DAYS = 90
FORGET_BATCH = 5_000
# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101
_ALERT_OF = {
    ReportKind.HARD_BOUNCED: StaffAlertKind.MAIL_BOUNCED,
    ReportKind.COMPLAINED: StaffAlertKind.MAIL_COMPLAINED,
}


@dataclass(frozen=True, slots=True)
class Noted:
    """What became of some reports: `new` were not known, of which `unknown` are about no mail of ours."""

    new: int = 0
    unknown: int = 0


async def note_reports(tx: Tx, call: Call, reports: Sequence[Report]) -> Noted:
    """Write what the mail provider reported, each report once, in whatever order they come.

    A hard bounce and a complaint stop the address: from then on it gets only what must be told, and staff are alerted.
    """
    new = unknown = 0
    # In one order, so that two messages about the same mails wait for each other instead of locking up.
    for report in sorted(reports, key=lambda each: (each.message_id, each.id)):
        if not await store.insert_report(tx, report, received_at=call.at):
            continue
        new += 1
        found = await store.lock_mail_by_message(tx, report.message_id)
        if found is None:
            unknown += 1
            continue
        state = after(found.state, report.kind)
        if state is not found.state:
            await store.save_report(tx, found, state=state, sent_at=found.sent_at or report.at, at=report.at)
        if report.kind in STOPPING:
            await _stop(tx, call, found, report)
    return Noted(new, unknown)


async def _stop(tx: Tx, call: Call, about: MailRow, report: Report) -> None:
    key = await customers.data_key(tx, about.customer_id)
    address = await store.find_recipient(tx, about.customer_id, about.id, key=key)
    if await store.insert_stop(tx, about.customer_id, address, report.kind, at=call.at):
        customer = await customers.load_customer(tx, call, about.customer_id)
        name = encode("customer", customer.id)
        facts = {"customer_id": name}
        await journal.audit(tx, call, "stop_mail", name, customer_id=customer.id, facts={"reason": report.kind})
        await staffing.raise_alert(
            tx, call, _ALERT_OF[report.kind], name, environment=customer.environment, facts=facts
        )


async def is_stopped(tx: Tx, customer_id: CustomerId, address: str, notice: str) -> bool:
    """Whether a mail is not to be sent to an address; what must be told is sent all the same."""
    return notice not in LEGAL and await store.find_stop(tx, customer_id, address) is not None


async def note_failure(
    tx: Tx, call: Call, *, customer_id: CustomerId, notice: str, about: str, reason: str, is_last: bool
) -> None:
    """Count a try without a clear answer. With the last one the mail has failed, and staff are alerted."""
    mail_id = await store.save_attempt(tx, customer_id, notice, about, error=reason, is_last=is_last)
    if mail_id is not None and is_last:
        await tell_failed(tx, call, customer_id=customer_id, mail_id=mail_id, notice=notice)


async def tell_failed(tx: Tx, call: Call, *, customer_id: CustomerId, mail_id: UUID, notice: str) -> None:
    """Alert staff to a mail that was not sent."""
    customer = await customers.load_customer(tx, call, customer_id)
    facts = {"customer_id": encode("customer", customer_id), "notice": notice}
    about = encode("mail", mail_id)
    await staffing.raise_alert(
        tx, call, StaffAlertKind.MAIL_FAILED, about, environment=customer.environment, facts=facts
    )


async def send_again(tx: Tx, call: Call, mail_id: UUID) -> MailRow:
    """Send a mail that failed or bounced once more, to the address and with the text it was written with.

    Raises MailNotFound, MailNotFailed, CustomerErased, Forbidden.
    """
    call.need(Permission.MAIL_WRITE)
    found = await store.lock_mail(tx, mail_id)
    if found is None:
        raise MailNotFound
    try:
        customer = await erasing.load_present(tx, call, found.customer_id)
    except customers.CustomerNotFound as error:
        raise MailNotFound from error
    if found.state not in {MailState.FAILED, MailState.BOUNCED}:
        raise MailNotFailed(found.state)
    await store.save_queued(tx, found)
    now = await customers.business_now(tx, call, customer.id)
    job = jobs.SendNotice(customer.id, found.notice, found.about)
    await journal.stage(tx, call, job, customer_id=customer.id, clock_id=customer.clock_id, run_at=now)
    await journal.audit(tx, call, "send_mail_again", encode("mail", mail_id), customer_id=customer.id)
    again = await store.lock_mail(tx, mail_id)
    assert again is not None, "mails are never deleted here"
    return again


async def resume(tx: Tx, call: Call, customer_id: CustomerId) -> int:
    """Let a customer's addresses have all mail again; return how many were stopped. Safe to repeat.

    Raises CustomerNotFound, CustomerErased, Forbidden.
    """
    call.need(Permission.MAIL_WRITE)
    customer = await erasing.load_present(tx, call, customer_id)
    stopped = await store.delete_stop(tx, customer.id)
    if stopped:
        await journal.audit(tx, call, "resume_mail", encode("customer", customer.id), customer_id=customer.id)
    return stopped


async def forget_customer(tx: Tx, customer_id: CustomerId) -> None:
    """Forget the reports about the mails of a customer that is erased, as long as its mails are known."""
    await store.delete_reports_of(tx, customer_id)


async def list_mails(
    tx: Tx, call: Call, customer_id: CustomerId, *, before: UUID | None = None, limit: int = PAGE_MAX
) -> Sequence[MailRow]:
    """Return a customer's mails, newest first. Raises CustomerNotFound, Forbidden."""
    call.need(Permission.MAIL_READ)
    customer = await customers.load_customer(tx, call, customer_id)
    return await store.list_mails(tx, customer.id, before=before, limit=max(0, min(limit, PAGE_MAX)))


async def forget(tx: Tx, call: Call) -> int:
    """Forget reports older than REPORT_DAYS, at most FORGET_BATCH; what they made of mails stays."""
    return await store.delete_reports(tx, before=call.at - timedelta(days=REPORT_DAYS), limit=FORGET_BATCH)


async def forget_mails(tx: Tx, call: Call, *, days: int) -> int:
    """Forget mails that were written longer ago, at most FORGET_BATCH; return how many. What waits to be sent stays."""
    return await store.delete_mails(tx, before=call.at - timedelta(days=days), limit=FORGET_BATCH)
