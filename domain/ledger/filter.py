"""What is looked for among the entries of the books."""

from domain.kernel.errors import DomainError, Kind
from domain.kernel.period import OPEN_RANGE, Range
from domain.kernel.values import dataclass
from domain.ledger.account import Account


@dataclass(eq=False)
class EntryFilterRefused(DomainError):
    """These entries cannot be looked for: {fault}."""

    code = "entry_filter_refused"
    kind = Kind.INVALID
    fault: str


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Entries with a line of `account`, at an instant of business time in `at`; None excludes nothing."""

    account: Account | None = None
    at: Range = OPEN_RANGE


EVERY_ENTRY = EntryFilter()


def check(wanted: EntryFilter) -> None:
    """Refuse what no entry can be. Raises EntryFilterRefused."""
    if wanted.at.is_backwards:
        fault = "the stretch of time ends before it begins"
        raise EntryFilterRefused(fault)
