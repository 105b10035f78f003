"""Tax: taken per rate on the sum of the rounded net lines, and spread back to them so that they add up exactly."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from domain.kernel.money import round_half_up, split


@dataclass(frozen=True, slots=True)
class TaxableLine:
    """A line's net in minor units and its rate in percent; None: no tax is taken."""

    net_minor: int
    rate_percent: Decimal | None


def taxes(lines: Sequence[TaxableLine]) -> list[int]:
    """Return the tax of each line in minor units.

    The tax of a rate is the sum of its net lines x the rate, rounded once, half-up. It is spread by largest remainder
    over the lines in proportion to their nets, so credits lower it; where the nets of a rate cancel out it is zero.
    """
    by_rate: dict[Decimal, list[int]] = defaultdict(list)
    for index, line in enumerate(lines):
        if line.rate_percent:
            by_rate[line.rate_percent].append(index)
    found = [0] * len(lines)
    for rate, indexes in by_rate.items():
        for index, share in zip(indexes, _spread(rate, [lines[index].net_minor for index in indexes]), strict=True):
            found[index] = share
    return found


def _spread(rate_percent: Decimal, nets: Sequence[int]) -> list[int]:
    """Split a rate's tax. Charges and credits are split apart, each by its own sign, and rounded as one sum."""
    rate = Fraction(rate_percent) / 100
    total = round_half_up(sum(nets) * rate)
    credit = round_half_up(sum(net for net in nets if net < 0) * rate)
    shares = [0] * len(nets)
    for sign, amount in ((1, total - credit), (-1, credit)):
        weights = [Fraction(max(sign * net, 0)) for net in nets]
        if any(weights):
            for index, share in enumerate(split(amount, weights)):
                shares[index] += share
    return shares
