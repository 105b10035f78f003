"""Mail to customers: what became of each, sending again, and addresses that are stopped."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import changing, reading
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.alerts.mail_state import MailState
from domain.alerts.mailing import service
from domain.alerts.mailing.store import MailRow

name_enum(
    MailState,
    "MailState",
    "Where a mail stands.",
    QUEUED="It waits for the mail server.",
    SENT="The mail server took it.",
    DELIVERED="The customer's server took it, as the mail provider reports.",
    BOUNCED="The customer's server refused it for good.",
    COMPLAINED="The customer marked it as unwanted.",
    FAILED="The mail server refused it, or gave no clear answer for a day.",
    WITHHELD="It was meant for a test customer whom the settings do not allow to be mailed.",
    SUPPRESSED="Its address had bounced or complained before, and it did not have to be told.",
)


@guarded_type(Permission.MAIL_READ, "A mail to a customer, without what it says.")
class Mail:
    """A mail."""

    id: strawberry.ID = strawberry.field(description="`mail_…`")
    notice: str = strawberry.field(description="Its kind, such as invoice_issued.")
    about: str = strawberry.field(description="The row that it tells of.")
    state: MailState = strawberry.field(description="Where it stands.")
    attempts: int = strawberry.field(description="How often the mail server was asked and answered.")
    last_error: str | None = strawberry.field(description="Why the last try failed.")
    created_at: datetime = strawberry.field(description="When it was written; real time, as all here.")
    sent_at: datetime | None = strawberry.field(description="When the mail server took it.")
    settled_at: datetime | None = strawberry.field(description="When what the provider last reported happened.")


@guarded_type(Permission.MAIL_WRITE, "The mail is queued once more, under the same Message-ID.")
class MailQueued:
    """Success of sendMailAgain."""

    mail: Mail = strawberry.field(description="As it now stands.")


@guarded_type(Permission.MAIL_WRITE, "All mail is sent to the customer again.")
class MailResumed:
    """Success of resumeMail."""

    addresses: int = strawberry.field(description="How many addresses of the customer were stopped.")


@strawberry.input(description="Which mail to send once more.")
class SendMailAgainInput:
    """Input of sendMailAgain."""

    id: strawberry.ID = strawberry.field(description="`mail_…`, which failed or bounced.")


@strawberry.input(description="Whose addresses to mail again.")
class ResumeMailInput:
    """Input of resumeMail."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")


SendMailAgainResult = Annotated[
    MailQueued | AnyProblem, strawberry.union("SendMailAgainResult", description="What became of sendMailAgain.")
]
ResumeMailResult = Annotated[
    MailResumed | AnyProblem, strawberry.union("ResumeMailResult", description="What became of resumeMail.")
]


def _mail_of(value: MailRow) -> Mail:
    return Mail(
        id=ids.id_of("mail", value.id),
        notice=value.notice,
        about=value.about,
        state=value.state,
        attempts=value.attempts,
        last_error=value.last_error,
        created_at=value.created_at,
        sent_at=value.sent_at,
        settled_at=value.settled_at,
    )


@strawberry.type
class MailQuery:
    """Queries about mail."""

    @reading(Permission.MAIL_READ, "A customer's mails, newest first.")
    async def mails(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[Mail]:
        """List a page. Raises CustomerNotFound."""
        owner = ids.customer_id(customer_id)

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, Mail]]:
            async with info.context.runtime.db.transaction() as tx:
                found = await service.list_mails(tx, info.context.call, owner, before=last, limit=limit)
            return [(each.id, _mail_of(each)) for each in found]

        return await page(info.context, first, after, load)


@strawberry.type
class MailMutation:
    """Changes of mail."""

    @changing(Permission.MAIL_WRITE, "Send a mail that failed or bounced once more, as it was written.")
    async def send_mail_again(
        self,
        info: Info[Context, None],
        input: Annotated[SendMailAgainInput, strawberry.argument(description="Which one.")],
    ) -> SendMailAgainResult:
        """Queue it."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.send_again(tx, info.context.call, ids.mail_id(input.id))
        return MailQueued(mail=_mail_of(found))

    @changing(Permission.MAIL_WRITE, "Send all mail to a customer whose address had bounced or complained.")
    async def resume_mail(
        self,
        info: Info[Context, None],
        input: Annotated[ResumeMailInput, strawberry.argument(description="Whose.")],
    ) -> ResumeMailResult:
        """Let it have mail again."""
        async with info.context.runtime.db.transaction() as tx:
            stopped = await service.resume(tx, info.context.call, ids.customer_id(input.customer_id))
        return MailResumed(addresses=stopped)
