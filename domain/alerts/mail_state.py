"""Where a mail stands, and what a report of the mail provider makes of it."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass


@dataclass(eq=False)
class MailNotFound(DomainError):
    """There is no such mail."""

    code = "mail_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class MailNotFailed(DomainError):
    """Only a mail that failed or bounced can be sent again; this one is {state}."""

    code = "mail_not_failed"
    kind = Kind.CONFLICT
    state: str


class MailState(StrEnum):
    """Where a mail stands."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    FAILED = "failed"
    WITHHELD = "withheld"
    SUPPRESSED = "suppressed"


class ReportKind(StrEnum):
    """What a mail provider reports. A soft bounce passes by itself: the provider goes on trying."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    SOFT_BOUNCED = "soft_bounced"
    HARD_BOUNCED = "hard_bounced"
    COMPLAINED = "complained"


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `id` is the provider's own and marks a repetition; `message_id` says about which mail."""

    id: str
    message_id: str
    kind: ReportKind
    at: datetime


# What may still be learned of a mail that was handed over: later in this order stands, whatever order reports come in.
_RANK: Mapping[MailState, int] = {
    MailState.SENT: 0,
    MailState.DELIVERED: 1,
    MailState.BOUNCED: 2,
    MailState.COMPLAINED: 3,
}
_MEANS: Mapping[ReportKind, MailState] = {
    ReportKind.DELIVERED: MailState.DELIVERED,
    ReportKind.HARD_BOUNCED: MailState.BOUNCED,
    ReportKind.COMPLAINED: MailState.COMPLAINED,
}
# From then on the address gets nothing but what must be told.
STOPPING = frozenset((ReportKind.HARD_BOUNCED, ReportKind.COMPLAINED))


def after(state: MailState, kind: ReportKind) -> MailState:
    """Return where a mail stands after a report, in whatever order reports come, and however often.

    A report about a mail whose answer was lost is that answer: it has been sent.
    """
    if kind not in _MEANS:
        return state
    reached = _MEANS[kind]
    if state in {MailState.QUEUED, MailState.FAILED}:
        return reached
    if state not in _RANK:
        return state
    return reached if _RANK[reached] > _RANK[state] else state
