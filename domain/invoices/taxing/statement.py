"""What an invoice states of its taxes: each rate with its base and amount, and each reason for none."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from fractions import Fraction

from domain.invoices.invoice import Line
from domain.invoices.tax import NoTax, Rate, Tax
from domain.invoices.taxing.treatment import TaxSource
from domain.kernel.ids import LineId
from domain.kernel.money import round_half_up
from domain.kernel.values import dataclass


@dataclass(frozen=True, slots=True)
class TaxStatement:
    """One rate, or one reason for none: the net that it applies to, its tax, and each line's part; in minor units."""

    stated: Rate | NoTax
    base_minor: int
    tax_minor: int
    source: TaxSource = TaxSource.TABLE
    lines: Mapping[LineId, int] = field(default_factory=dict)

    @property
    def is_included(self) -> bool:
        """Whether the prices contain it."""
        return isinstance(self.stated, Rate) and self.stated.inclusive


def statements_of(taxes: Iterable[Tax], line_ids: Sequence[LineId]) -> list[TaxStatement]:
    """Name the lines of taxes that were computed over them in this order."""
    return [
        TaxStatement(
            stated=tax.stated,
            base_minor=tax.base_minor,
            tax_minor=tax.tax_minor,
            lines={line_ids[part.line]: part.tax_minor for part in tax.parts},
        )
        for tax in taxes
    ]


def taxes_of_lines(statements: Iterable[TaxStatement]) -> dict[LineId, tuple[int, bool]]:
    """Return what each line bears in all, and whether its amount contains it."""
    found: dict[LineId, tuple[int, bool]] = {}
    for statement in statements:
        for line_id, minor in statement.lines.items():
            before = found.get(line_id, (0, False))[0]
            found[line_id] = before + minor, statement.is_included
    return found


def rate_again(statement: TaxStatement, lines: Iterable[Line]) -> int:
    """Compute a rate on top of prices anew from the net of its lines; a reason for no tax takes nothing."""
    if isinstance(statement.stated, NoTax):
        return 0
    net = sum(line.net.minor for line in lines if line.id in statement.lines)
    return round_half_up(net * Fraction(statement.stated.percent) / 100)


def tax_minor(statements: Iterable[TaxStatement]) -> int:
    """Add up what all lines bear."""
    return sum(statement.tax_minor for statement in statements)


def included_minor(statements: Iterable[TaxStatement]) -> int:
    """Add up what of the tax the prices contain."""
    return sum(statement.tax_minor for statement in statements if statement.is_included)
