"""Tax: taken per rate on the sum of the rounded net lines, and spread back to them so that they add up exactly."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from domain.kernel.money import round_half_up, split
from domain.kernel.values import dataclass


@dataclass(frozen=True, slots=True)
class TaxableLine:
    """A line's net in minor units and its one rate in percent, on top; None: no tax is taken."""

    net_minor: int
    rate_percent: Decimal | None


class NoTax(StrEnum):
    """Why no tax is taken."""

    EXEMPT = "exempt"
    REVERSE_CHARGE = "reverse_charge"
    NOT_REGISTERED = "not_registered"
    NO_RATE = "no_rate"
    LOCATION_UNKNOWN = "location_unknown"


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate in percent as an invoice states it. `inclusive` says that prices contain it."""

    name: str
    percent: Decimal
    inclusive: bool = False
    country: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Treatment:
    """How one line is taxed: by these rates, all inclusive or none, or not at all for a reason."""

    rates: tuple[Rate, ...] = ()
    reason: NoTax | None = None

    def __post_init__(self) -> None:
        assert bool(self.rates) != (self.reason is not None), "a line has rates or a reason"
        assert len({rate.inclusive for rate in self.rates}) <= 1, "prices contain all rates or none"

    @property
    def stated(self) -> tuple[Rate | NoTax, ...]:
        """What the invoice states of it."""
        return self.rates or ((self.reason,) if self.reason else ())


@dataclass(frozen=True, slots=True)
class Taxable:
    """A line's amount less its discount, in minor units; with an inclusive rate the tax is in it."""

    amount_minor: int
    treatment: Treatment


@dataclass(frozen=True, slots=True)
class TaxPart:
    """What one rate, or one reason for none, takes of one line."""

    line: int
    tax_minor: int


@dataclass(frozen=True, slots=True)
class Tax:
    """One rate on an invoice, or one reason for none: the net that it applies to, what it takes, and of which lines."""

    stated: Rate | NoTax
    base_minor: int
    tax_minor: int
    parts: tuple[TaxPart, ...]

    @property
    def is_included(self) -> bool:
        """Whether the prices contain it."""
        return isinstance(self.stated, Rate) and self.stated.inclusive


def tax_invoice(lines: Sequence[Taxable]) -> tuple[Tax, ...]:
    """Return the taxes of an invoice in the order in which its lines meet them. Base and tax are minor units.

    A rate on top of prices takes the sum of its net lines x the rate, rounded once. Rates that prices contain are taken
    out of the sum of the lines that have the same ones: net = gross / (1 + rates), rounded once, tax = gross - net.
    Each tax is spread over its lines by largest remainder, charges and credits apart.
    """
    found: dict[Rate | NoTax, list[tuple[int, int]]] = {}
    for index, line in enumerate(lines):
        for stated in line.treatment.stated:
            found.setdefault(stated, []).append((index, 0))
    included = _included(lines)
    taxes = []
    for stated, entries in found.items():
        indexes = [index for index, _ in entries]
        amounts = [lines[index].amount_minor for index in indexes]
        if isinstance(stated, NoTax):
            taxes.append(Tax(stated, sum(amounts), 0, _parts(indexes, [0] * len(indexes))))
        elif stated.inclusive:
            shares = [included[index][stated] for index in indexes]
            net = sum(amounts) - sum(sum(included[index].values()) for index in indexes)
            taxes.append(Tax(stated, net, sum(shares), _parts(indexes, shares)))
        else:
            shares = _spread(stated.percent, amounts)
            taxes.append(Tax(stated, sum(amounts), sum(shares), _parts(indexes, shares)))
    return tuple(taxes)


def taxes(lines: Sequence[TaxableLine]) -> list[int]:
    """Return the tax of each line in minor units, where each has one rate or none: `tax_invoice` in its short form."""
    borne = tax_of_lines(
        tax_invoice(
            [
                Taxable(
                    line.net_minor,
                    Treatment(reason=NoTax.NO_RATE)
                    if line.rate_percent is None
                    else Treatment((Rate("", line.rate_percent),)),
                )
                for line in lines
            ]
        )
    )
    return [borne[index] for index in range(len(lines))]


def tax_of_lines(taxes: Iterable[Tax]) -> dict[int, int]:
    """Add up what each line bears, by the line's index; one that is not here bears nothing."""
    found: dict[int, int] = defaultdict(int)
    for tax in taxes:
        for part in tax.parts:
            found[part.line] += part.tax_minor
    return dict(found)


def _parts(indexes: Sequence[int], shares: Sequence[int]) -> tuple[TaxPart, ...]:
    return tuple(TaxPart(index, share) for index, share in zip(indexes, shares, strict=True))


def _included(lines: Sequence[Taxable]) -> Mapping[int, Mapping[Rate, int]]:
    """Return what each line contains of each of its rates, for lines whose prices contain them."""
    together: dict[tuple[Rate, ...], list[int]] = defaultdict(list)
    for index, line in enumerate(lines):
        if line.treatment.rates and line.treatment.rates[0].inclusive:
            together[line.treatment.rates].append(index)
    found: dict[int, dict[Rate, int]] = {}
    for rates, indexes in together.items():
        amounts = [lines[index].amount_minor for index in indexes]
        percents = [Fraction(rate.percent) for rate in rates]
        whole = 1 + sum(percents, Fraction(0)) / 100
        gross, credited = sum(amounts), sum(amount for amount in amounts if amount < 0)
        tax = gross - round_half_up(gross / whole)
        shares = _apart(tax, credited - round_half_up(credited / whole), amounts)
        for index, share in zip(indexes, shares, strict=True):
            found[index] = dict(zip(rates, split(share, percents), strict=True))
    return found


def spread(tax_minor: int, amounts: Sequence[int]) -> list[int]:
    """Split a tax that was computed elsewhere over the lines of its base, in proportion to their amounts.

    Where charges and credits are mixed, each kind bears its own share and what credits bear is negative.
    """
    whole = sum(amounts)
    credited = sum(amount for amount in amounts if amount < 0)
    return _apart(tax_minor, round_half_up(Fraction(tax_minor * credited, whole)) if whole else 0, amounts)


def _spread(rate_percent: Decimal, nets: Sequence[int]) -> list[int]:
    """Split a rate's tax. Charges and credits are split apart, each by its own sign, and rounded as one sum."""
    rate = Fraction(rate_percent) / 100
    total = round_half_up(sum(nets) * rate)
    return _apart(total, round_half_up(sum(net for net in nets if net < 0) * rate), nets)


def _apart(total: int, credit: int, amounts: Sequence[int]) -> list[int]:
    """Split the part of the charges over the charges, and that of the credits over the credits."""
    shares = [0] * len(amounts)
    for sign, amount in ((1, total - credit), (-1, credit)):
        weights = [Fraction(max(sign * each, 0)) for each in amounts]
        if any(weights):
            for index, share in enumerate(split(amount, weights)):
                shares[index] += share
    return shares
