"""Raise alerts to staff, mail them, list them, and mark them read."""

import html
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog

from domain.access.roles import Permission
from domain.alerts.port import Mailer, MailRefused, OutgoingMail
from domain.alerts.staffing import store
from domain.alerts.staffing.staff_alert import StaffAlert, StaffAlertKind, StaffAlertNotFound, environments_seen
from domain.db import Database, Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call, Environment, Forbidden
from domain.kernel.ids import StaffAlertId, encode

# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101
_log = structlog.get_logger()


async def raise_alert(
    tx: Tx,
    call: Call,
    kind: StaffAlertKind,
    about: str,
    *,
    environment: Environment | None,
    facts: Mapping[str, Any],
    once: bool = False,
    renews: bool = False,
) -> bool:
    """Raise an alert and stage its mail. False while one of the kind about the same row is unread.

    `facts` are what the kind's wording names: ids, and names of the merchant's own, never a customer's. `once`: what
    has happened does not happen again, so False also after it was read. `renews`: the unread one says it from now on.
    """
    if once and await store.was_raised(tx, kind, about):
        return False
    new = StaffAlert(StaffAlertId(call.new_id()), kind, about, environment, facts, call.at)
    assert new.text, "every fact that the wording names is given"
    if not await store.insert_alert(tx, new):
        if renews:
            await store.save_facts(tx, kind, about, facts)
        return False
    await journal.stage(tx, call, jobs.MailStaff(new.id))
    _log.error("staff_alert_raised", kind=kind, about=about)
    return True


async def mail_alert(
    db: Database, mailer: Mailer, call: Call, alert_id: StaffAlertId, *, recipients: Sequence[str]
) -> None:
    """Mail an alert to each of the merchant's addresses. Safe to repeat: a mail keeps its Message-ID.

    Raises MailUnavailable: try again later.
    """
    async with db.transaction() as tx:
        alert = await store.find_alert(tx, alert_id)
    if alert is None or alert.mailed_at is not None or not recipients:
        return
    policy = mailer.policy
    for number, recipient in enumerate(recipients):
        domain = policy.sender.rpartition("@")[2] or "localhost"
        mail = OutgoingMail(
            message_id=f"<{encode('staff_alert', alert.id)}.{number}@{domain}>",
            written_at=alert.raised_at,
            sender=policy.sender,
            sender_name=policy.merchant,
            recipient=recipient,
            subject=f"[{alert.severity}] {alert.subject}",
            text=f"{alert.text}\n",
            html=f"<p>{html.escape(alert.text)}</p>\n",
        )
        try:
            await mailer.send(mail)
        except MailRefused as refused:
            _log.warning("staff_mail_refused", alert=encode("staff_alert", alert.id), reason=refused.reason)
    async with db.transaction() as tx:
        await store.save_mailed(tx, alert.id, at=call.at)


async def list_alerts(
    tx: Tx, call: Call, *, unread_only: bool = False, before: UUID | None = None, limit: int = PAGE_MAX
) -> Sequence[StaffAlert]:
    """Return the alerts that the caller may see, newest first: see `environments_seen`. Raises Forbidden."""
    _need(call, Permission.STAFF_ALERT_READ)
    seen = environments_seen(call.principal.environment)
    wanted = max(0, min(limit, PAGE_MAX))
    return await store.list_alerts(tx, environments=seen, unread_only=unread_only, before=before, limit=wanted)


async def mark_read(tx: Tx, call: Call, alert_id: StaffAlertId) -> StaffAlert:
    """Mark an alert read that `list_alerts` shows; the same trouble then raises another one. Safe to repeat.

    Raises StaffAlertNotFound, Forbidden.
    """
    _need(call, Permission.STAFF_ALERT_WRITE)
    found = await store.find_alert(tx, alert_id)
    if found is None or found.environment not in environments_seen(call.principal.environment):
        raise StaffAlertNotFound
    if found.read_at is None:
        await store.save_read(tx, alert_id, at=call.at)
        await journal.audit(tx, call, "read_staff_alert", encode("staff_alert", alert_id))
    again = await store.find_alert(tx, alert_id)
    assert again is not None, "alerts are never deleted"
    return again


def _need(call: Call, permission: Permission) -> None:
    call.need(permission)
    if call.scope is not None:
        raise Forbidden(permission)
