"""How mail leaves the house, and to whom it may go."""

from dataclasses import field
from datetime import datetime
from typing import Protocol

from domain.alerts.unsubscribing import Unsubscribing
from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass


@dataclass(eq=False)
class MailUnavailable(DomainError):
    """The mail server gave no clear answer ({reason}). The mail is tried again in a moment."""

    code = "mail_unavailable"
    kind = Kind.UNAVAILABLE
    reason: str


@dataclass(eq=False)
class MailRefused(DomainError):
    """The mail server refused this mail for good ({reason}). Check the customer's address."""

    code = "mail_refused"
    kind = Kind.INVALID
    reason: str


@dataclass(frozen=True, slots=True)
class MailPolicy:
    """Who mail is from, and which test customers may be mailed.

    `is_catcher` says that the server delivers to nobody: then every test customer may be. Otherwise `test_allowed`
    holds the addresses, and the domains written as "@example.com", that test customers may have. `unsubscribing` makes
    the links of mails that a customer may do without.
    """

    sender: str
    merchant: str
    is_catcher: bool = False
    test_allowed: frozenset[str] = frozenset()
    unsubscribing: Unsubscribing = Unsubscribing()

    def allows(self, environment: Environment, recipient: str) -> bool:
        """Whether a customer of this environment may be mailed at this address."""
        if environment is Environment.LIVE or self.is_catcher:
            return True
        folded = recipient.casefold()
        return folded in self.test_allowed or "@" + folded.rpartition("@")[2] in self.test_allowed


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """One mail, rendered. The same `message_id` marks the same mail, should it arrive twice.

    `unsubscribe` is a link that stops mails of its kind.
    """

    message_id: str
    written_at: datetime
    sender: str
    sender_name: str
    recipient: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    unsubscribe: str | None = field(default=None, repr=False)


class Mailer(Protocol):
    """Sends mail under a policy."""

    @property
    def policy(self) -> MailPolicy:
        """Who mail is from, and who may get it."""
        ...

    async def send(self, mail: OutgoingMail) -> None:
        """Hand a mail over; on return the server has taken it. Raises MailUnavailable, MailRefused."""
        ...
