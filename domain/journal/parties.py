"""Which jobs may have to wait for an outside party: one that hangs must not take the places of all other work."""

from collections.abc import Collection, Mapping
from enum import StrEnum

from domain.journal import jobs
from domain.kernel.errors import DomainError, Kind


class Party(StrEnum):
    """Whom a job may have to wait for, besides our own database."""

    NOBODY = "nobody"
    GATEWAY = "gateway"
    MAIL = "mail"


# By the kind of job. A job that is not named here waits for nobody.
WAITS_FOR: Mapping[str, Party] = {
    **{
        job.kind: Party.GATEWAY
        for job in (
            *(jobs.CalculateTax, jobs.CollectInvoice, jobs.CollectWhenDue, jobs.DetachMethod, jobs.CarryRefund),
            *(jobs.ProcessInboxEvent, jobs.SweepInbox, jobs.Reconcile, jobs.LapseTopUp, jobs.RenderSentInvoice),
            jobs.EraseCustomer,
        )
    },
    **{job.kind: Party.MAIL for job in (jobs.SendNotice, jobs.MailStaff)},
}


def party_of(kind: str) -> Party:
    """Return whom jobs of a kind may have to wait for."""
    return WAITS_FOR.get(kind, Party.NOBODY)


def kinds_of(parties: Collection[Party]) -> list[str]:
    """Return the kinds of the jobs that wait for one of some parties, in the order of their names."""
    return sorted(kind for kind in jobs.KINDS if party_of(kind) in parties)


def is_outage(kind: str, error: Exception) -> bool:
    """Return whether a job of a kind came to nothing because an outside party does not answer, or not in time.

    A call that is refused says so. One that is slow, and another one after it, end with the time of their job.
    """
    if isinstance(error, DomainError):
        return error.kind is Kind.UNAVAILABLE
    return isinstance(error, TimeoutError) and party_of(kind) is not Party.NOBODY
