"""Table and statements of mail."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.alerts.mail_state import MailState
from domain.alerts.notice import Content
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass
from domain.vault import DataKey

mail = sa.Table(
    "mail",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("notice", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False, comment="the row that the mail tells of"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("content", db.Personal, nullable=False, comment="recipient, subject, text and HTML"),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("created_at", db.Instant, nullable=False, comment="real time"),
    sa.Column("sent_at", db.Instant, comment="real time; the mail server took it"),
    sa.UniqueConstraint("customer_id", "notice", "about"),
    sa.Column("attempts", sa.Integer, nullable=False, comment="how often the mail server was asked"),
    sa.Column("last_error", sa.Text, comment="why the last try failed, without the address"),
    sa.Column("settled_at", db.Instant, comment="real time; when the newest report about it was made"),
    sa.CheckConstraint(
        "state IN ('queued', 'sent', 'delivered', 'bounced', 'complained', 'failed', 'withheld', 'suppressed')",
        name="state",
    ),
    sa.CheckConstraint(
        "(state IN ('sent', 'delivered', 'bounced', 'complained')) = (sent_at IS NOT NULL)", name="sent"
    ),
    sa.CheckConstraint("attempts >= 0", name="attempts"),
    sa.Index("mail_message_id_key", "message_id", unique=True),
    sa.Index("mail_created_at_idx", "created_at"),
)


@dataclass(frozen=True, slots=True)
class Mail:
    """A rendered mail."""

    customer_id: CustomerId
    id: UUID
    notice: str
    about: str
    state: MailState
    content: Content
    message_id: str
    created_at: datetime
    sent_at: datetime | None


async def insert_mail(tx: db.Tx, new: Mail, key: DataKey) -> bool:
    """Store a mail, sealed whole. False where this notice about this row is stored."""
    values = {
        "customer_id": new.customer_id,
        "id": new.id,
        "notice": new.notice,
        "about": new.about,
        "state": new.state,
        "content": tx.vault.seal(key, sealed_at(new.id), new.content.to_bytes()),
        "message_id": new.message_id,
        "created_at": new.created_at,
        "sent_at": new.sent_at,
        "attempts": 0,
    }
    statement = (
        pg.insert(mail)
        .values(values)
        .on_conflict_do_nothing(index_elements=["customer_id", "notice", "about"])
        .returning(mail.c.id)
    )
    return await tx.value(statement) is not None


async def find_mail(tx: db.Tx, customer_id: CustomerId, notice: str, about: str, *, key: DataKey) -> Mail | None:
    """Return a mail, opened, or None."""
    statement = sa.select(mail).where(mail.c.customer_id == customer_id, mail.c.notice == notice, mail.c.about == about)
    row = await tx.row(statement)
    if row is None:
        return None
    return Mail(
        customer_id=row.customer_id,
        id=row.id,
        notice=row.notice,
        about=row.about,
        state=MailState(row.state),
        content=Content.from_bytes(tx.vault.open(key, sealed_at(row.id), row.content)),
        message_id=row.message_id,
        created_at=row.created_at,
        sent_at=row.sent_at,
    )


async def save_mail_end(
    tx: db.Tx, sent: Mail, *, state: MailState, sent_at: datetime | None, error: str | None = None
) -> None:
    """End a queued mail; one that has ended stays as it is."""
    await tx.execute(
        sa.update(mail)
        .where(mail.c.customer_id == sent.customer_id, mail.c.id == sent.id, mail.c.state == MailState.QUEUED)
        .values(state=state, sent_at=sent_at, attempts=mail.c.attempts + 1, last_error=error)
    )


def sealed_at(mail_id: UUID) -> str:
    """Name the place for which a mail's content is sealed."""
    return f"mail:content:{mail_id}"
