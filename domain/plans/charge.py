"""What rating yields: an exact amount, and how it came about."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True, slots=True)
class Charge:
    """An unrounded amount in major units, and its derivation: a JSON object whose leaves are text.

    Both come from one computation: `derivation["subtotal"]` is the amount, written without loss.
    """

    amount: Fraction
    derivation: dict[str, Any]
