"""Tables and statements of reports about mail and of addresses that are stopped."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.alerts.mail_state import MailState, Report, ReportKind
from domain.alerts.notice import Content
from domain.alerts.store import mail, sealed_at
from domain.customers.customer import fold_email
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass
from domain.vault import DataKey

mail_report = sa.Table(
    "mail_report",
    db.metadata,
    sa.Column("id", sa.Text, primary_key=True, comment="the provider's own"),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("at", db.Instant, nullable=False),
    sa.Column("received_at", db.Instant, nullable=False),
    sa.CheckConstraint("kind IN ('delivered', 'deferred', 'soft_bounced', 'hard_bounced', 'complained')", name="kind"),
    sa.Index("mail_report_message_id_idx", "message_id"),
    sa.Index("mail_report_received_at_idx", "received_at"),
    comment="what the mail provider reported, each once",
)

mail_stop = sa.Table(
    "mail_stop",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("address_hash", sa.LargeBinary, primary_key=True, comment="keyed hash of the address in folded case"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("stopped_at", db.Instant, nullable=False),
    sa.CheckConstraint("reason IN ('hard_bounced', 'complained')", name="reason"),
    comment="addresses that get nothing but what must be told",
)


@dataclass(frozen=True, slots=True)
class MailRow:
    """A mail without what it says. Instants are real time."""

    customer_id: CustomerId
    id: UUID
    notice: str
    about: str
    state: MailState
    attempts: int
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None
    settled_at: datetime | None


STOP_HASHED = "mail_stop"

_COLUMNS = [mail.c[name] for name in MailRow.__dataclass_fields__]


async def insert_report(tx: db.Tx, new: Report, *, received_at: datetime) -> bool:
    """Store a report. False where it was received before."""
    values = {"id": new.id, "message_id": new.message_id, "kind": new.kind, "at": new.at, "received_at": received_at}
    statement = pg.insert(mail_report).values(values).on_conflict_do_nothing().returning(mail_report.c.id)
    return await tx.value(statement) is not None


async def lock_mail_by_message(tx: db.Tx, message_id: str) -> MailRow | None:
    """Return the mail of a Message-ID and keep others from it, or None."""
    row = await tx.row(sa.select(*_COLUMNS).where(mail.c.message_id == message_id).with_for_update())
    return _row(row) if row else None


async def lock_mail(tx: db.Tx, mail_id: UUID) -> MailRow | None:
    """Return a mail and keep others from it, or None."""
    row = await tx.row(sa.select(*_COLUMNS).where(mail.c.id == mail_id).with_for_update())
    return _row(row) if row else None


async def find_recipient(tx: db.Tx, customer_id: CustomerId, mail_id: UUID, *, key: DataKey) -> str:
    """Return the address that a mail was written to."""
    sealed = await tx.value(sa.select(mail.c.content).where(mail.c.customer_id == customer_id, mail.c.id == mail_id))
    return Content.from_bytes(tx.vault.open(key, sealed_at(mail_id), sealed)).recipient


async def save_report(tx: db.Tx, of: MailRow, *, state: MailState, sent_at: datetime, at: datetime) -> None:
    """Write what a report made of a mail."""
    await tx.execute(
        sa.update(mail)
        .where(mail.c.customer_id == of.customer_id, mail.c.id == of.id)
        .values(state=state, sent_at=sent_at, settled_at=at)
    )


async def save_attempt(
    tx: db.Tx, customer_id: CustomerId, notice: str, about: str, *, error: str, is_last: bool
) -> UUID | None:
    """Count a try that failed, and fail the mail with the last one; None where none is queued."""
    statement = (
        sa.update(mail)
        .where(
            mail.c.customer_id == customer_id,
            mail.c.notice == notice,
            mail.c.about == about,
            mail.c.state == MailState.QUEUED,
        )
        .values(attempts=mail.c.attempts + 1, last_error=error, state=MailState.FAILED if is_last else MailState.QUEUED)
        .returning(mail.c.id)
    )
    found: UUID | None = await tx.value(statement)
    return found


async def save_queued(tx: db.Tx, of: MailRow) -> None:
    """Queue a mail once more, as it was written."""
    await tx.execute(
        sa.update(mail)
        .where(mail.c.customer_id == of.customer_id, mail.c.id == of.id)
        .values(state=MailState.QUEUED, sent_at=None, settled_at=None)
    )


async def list_mails(tx: db.Tx, customer_id: CustomerId, *, before: UUID | None, limit: int) -> Sequence[MailRow]:
    """Return a customer's mails, newest first; `before` is the id of the last one seen."""
    statement = sa.select(*_COLUMNS).where(mail.c.customer_id == customer_id).order_by(mail.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(mail.c.id < before)
    return [_row(row) for row in await tx.rows(statement)]


async def insert_stop(tx: db.Tx, customer_id: CustomerId, address: str, reason: ReportKind, *, at: datetime) -> bool:
    """Stop an address of a customer. False where it is stopped already."""
    if await find_stop(tx, customer_id, address) is not None:
        return False
    values = {
        "customer_id": customer_id,
        "address_hash": tx.vault.lookup_hash(STOP_HASHED, fold_email(address)),
        "reason": reason,
        "stopped_at": at,
    }
    statement = pg.insert(mail_stop).values(values).on_conflict_do_nothing().returning(mail_stop.c.customer_id)
    return await tx.value(statement) is not None


async def find_stop(tx: db.Tx, customer_id: CustomerId, address: str) -> ReportKind | None:
    """Return why an address of a customer is stopped, or None."""
    hashes = tx.vault.lookup_hashes(STOP_HASHED, fold_email(address))
    own = mail_stop.c
    stopped = (own.customer_id == customer_id, own.address_hash.in_(hashes))
    found = await tx.value(sa.select(own.reason).where(*stopped).limit(1))
    return ReportKind(found) if found else None


async def delete_stop(tx: db.Tx, customer_id: CustomerId) -> int:
    """Let a customer's addresses have all mail again; return how many were stopped."""
    return (await tx.execute(sa.delete(mail_stop).where(mail_stop.c.customer_id == customer_id))).rowcount


async def delete_mails(tx: db.Tx, *, before: datetime, limit: int) -> int:
    """Forget mails written before an instant, but for those that wait for the mail server."""
    over = (mail.c.created_at < before, mail.c.state != MailState.QUEUED)
    old = sa.select(mail.c.customer_id, mail.c.id).where(*over).limit(limit).cte("old")
    statement = sa.delete(mail).where(mail.c.customer_id == old.c.customer_id, mail.c.id == old.c.id)
    return (await tx.execute(statement)).rowcount


async def delete_reports_of(tx: db.Tx, customer_id: CustomerId) -> None:
    """Forget what was reported about a customer's mails."""
    own = sa.select(mail.c.message_id).where(mail.c.customer_id == customer_id).scalar_subquery()
    await tx.execute(sa.delete(mail_report).where(mail_report.c.message_id.in_(own)))


async def delete_reports(tx: db.Tx, *, before: datetime, limit: int) -> int:
    """Forget reports received before an instant."""
    old = sa.select(mail_report.c.id).where(mail_report.c.received_at < before).limit(limit).scalar_subquery()
    return (await tx.execute(sa.delete(mail_report).where(mail_report.c.id.in_(old)))).rowcount


def _row(row: "sa.Row[tuple[object, ...]]") -> MailRow:
    values = {name: getattr(row, name) for name in MailRow.__dataclass_fields__}
    return MailRow(**{**values, "state": MailState(values["state"])})
