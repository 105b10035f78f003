"""`tollgate redrive`: look at everything in quarantine once more, page after page."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import field
from typing import Any

from api.seed import operator_call, operator_database
from domain.config import Settings
from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass
from domain.usage.redriving.service import REDRIVE_MAX, redrive
from domain.usage.verdict import Reason


@dataclass(eq=False)
class ReasonUnknown(DomainError):
    """That is no reason why events wait in quarantine; one is unpriced, and `quarantinedEvents` tells that of each."""

    code = "reason_unknown"
    kind = Kind.INVALID


@dataclass(slots=True)
class Summary:
    """How many events left the quarantine, and how many stay there, by the reason why."""

    resolved: int = 0
    kept: Counter[Reason] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {"resolved": self.resolved, "kept": {str(reason): self.kept[reason] for reason in sorted(self.kept)}}


def reason_of(text: str) -> Reason:
    """Read why events wait. Raises ReasonUnknown."""
    try:
        return Reason(text)
    except ValueError:
        raise ReasonUnknown from None


async def redrive_all(settings: Settings, reason: Reason | None) -> Summary:
    """Re-drive all events in quarantine, or those that wait for one reason; each is looked at once.

    Safe to repeat and to break off: what was resolved stays so, and the rest is looked at the next time.
    """
    summary = Summary()
    async with operator_database(settings) as database:
        after = None
        while True:
            found = await redrive(database, operator_call(), reason=reason, after=after, limit=REDRIVE_MAX)
            if found.last is None:
                return summary
            after = found.last
            summary.resolved += len(found.resolved)
            summary.kept.update(why for _, why in found.kept)


def report(summary: Summary) -> Iterator[str]:
    """Write what became of them: how many left the quarantine, and why others stay."""
    yield f"{summary.resolved} events left the quarantine, {summary.kept.total()} stay"
    for reason, count in sorted(summary.kept.items()):
        yield f"  {count} {reason}"
