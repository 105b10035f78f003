"""Taxes of invoices, of what was taken back of them, and their difference, by what the invoices state."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from domain.invoices.tax import NoTax
from domain.kernel.errors import DomainError, Kind
from domain.kernel.money import split
from domain.kernel.values import dataclass

# Two years, of which one has a 29 February: as much as is compared.
STRETCH_DAYS_MAX = 731


@dataclass(eq=False)
class TaxStretchRefused(DomainError):
    """A tax report covers a stretch of time that starts before it ends and has at most {days_max} days."""

    code = "tax_stretch_refused"
    kind = Kind.INVALID
    days_max: int


@dataclass(frozen=True, slots=True)
class Stated:
    """What invoices of one currency state alike: a rate, or a reason for none; neither where taxes were not set up."""

    currency: str
    country: str | None = None
    region: str | None = None
    name: str | None = None
    percent: Decimal | None = None
    inclusive: bool = False
    reason: NoTax | None = None

    @property
    def order(self) -> tuple[str, str, str, str, Decimal, str, bool]:
        """Where it stands in a report: by currency, place, name and rate, what bears no tax last."""
        place = (self.country or "~", self.region or "", self.name or "")
        return (self.currency, *place, self.percent or Decimal(0), self.reason or "", self.inclusive)


@dataclass(frozen=True, slots=True)
class Figures:
    """A net and its tax, in minor units."""

    base: int = 0
    tax: int = 0

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(self.base + other.base, self.tax + other.tax)

    def __sub__(self, other: "Figures") -> "Figures":
        return Figures(self.base - other.base, self.tax - other.tax)


NOTHING = Figures()


@dataclass(frozen=True, slots=True)
class Row:
    """What was invoiced, and what credit notes and voiding took back, in the stretch of time."""

    stated: Stated
    invoiced: Figures
    taken_back: Figures

    @property
    def remains(self) -> Figures:
        """What is to be declared."""
        return self.invoiced - self.taken_back


@dataclass(frozen=True, slots=True)
class CreditedLine:
    """A line of a credit note, and what its invoice states of that line: each rate with the line's part of its tax.

    `net` and `tax` are what the note gives back of it, in minor units.
    """

    net: int
    tax: int
    parts: Sequence[tuple[Stated, int]]


def figures_of(line: CreditedLine) -> list[tuple[Stated, Figures]]:
    """Divide what a note gives back of a line among the rates that it bears, as the invoice's own tax was divided.

    The parts add up exactly to the tax of the note's line. Each rate applies to the whole net.
    """
    shares = split(line.tax, [Fraction(abs(part)) for _, part in line.parts])
    return [(stated, Figures(line.net, share)) for (stated, _), share in zip(line.parts, shares, strict=True)]


def check_stretch(start: datetime, end: datetime) -> None:
    """Refuse a stretch of time that is none, or is too long. Raises TaxStretchRefused."""
    if not start < end <= start + timedelta(days=STRETCH_DAYS_MAX):
        raise TaxStretchRefused(STRETCH_DAYS_MAX)


def rows_of(invoiced: Iterable[tuple[Stated, Figures]], taken_back: Iterable[tuple[Stated, Figures]]) -> list[Row]:
    """Add figures up, in the order of a report; where nothing was invoiced or taken back there is no row."""
    sums: dict[Stated, list[Figures]] = defaultdict(lambda: [NOTHING, NOTHING])
    for place, figures in enumerate((invoiced, taken_back)):
        for stated, each in figures:
            sums[stated][place] += each
    rows = [Row(stated, *both) for stated, both in sums.items() if any(each != NOTHING for each in both)]
    return sorted(rows, key=lambda row: row.stated.order)
