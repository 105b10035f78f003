"""What rating takes, an amount of usage, and what it yields: an exact amount and how it came about."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from domain.kernel.values import dataclass

ZERO = Fraction(0)
ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was bought or used. Every model takes the quantity; three of them ask for more.

    `cost` is the cost kept on the events, for dynamic. `combinations` splits the quantity by the values of the meter's
    dimensions, for matrix. `events` are the events' values in order of time, for percentage.
    """

    quantity: Fraction
    cost: Fraction = ZERO
    combinations: tuple[tuple[Mapping[str, str], Fraction], ...] = ()
    events: tuple[Fraction, ...] = ()


@dataclass(frozen=True, slots=True)
class Charge:
    """An unrounded amount in major units, and its derivation: a JSON object whose leaves are text.

    Both come from one computation. `derivation["subtotal"]` is what the charge model gives; where a discount, a maximum
    or a minimum follows, `derivation["total"]` is the amount, else the subtotal is.
    """

    amount: Fraction
    derivation: dict[str, Any]
