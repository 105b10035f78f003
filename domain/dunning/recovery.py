"""What came back of the payments that failed: rate, amount and time, of closed and open cases of a stretch of time."""

from collections.abc import Iterable
from fractions import Fraction

from domain.kernel.money import Money
from domain.kernel.values import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over the cases of one currency whose first failure lies in a stretch of time.

    `recovered_s` adds up the elapsed seconds from the first failure to the money of those that were recovered.
    """

    currency: str
    cases: int
    recovered: int
    lost: int
    open: int
    failed_minor: int
    recovered_minor: int
    recovered_s: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """Recovery figures of one currency. Ratios and means without a base are None."""

    tally: Tally
    failed: Money
    recovered: Money
    rate: Fraction | None
    amount_rate: Fraction | None
    mean_hours: Fraction | None


def recovery_of(tally: Tally) -> Recovery:
    """Work figures out of sums. The rates are of all cases, those still open among them."""
    return Recovery(
        tally,
        Money(tally.failed_minor, tally.currency),
        Money(tally.recovered_minor, tally.currency),
        _ratio(tally.recovered, tally.cases),
        _ratio(tally.recovered_minor, tally.failed_minor),
        _ratio(tally.recovered_s, tally.recovered * 3_600),
    )


def recoveries_of(tallies: Iterable[Tally]) -> list[Recovery]:
    """Work figures out of sums, a currency each, in the order of their codes."""
    return [recovery_of(each) for each in sorted(tallies, key=lambda tally: tally.currency)]


def _ratio(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None
