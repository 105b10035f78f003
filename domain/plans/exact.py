"""Exact decimals: the context they are computed in, and how they are written in definitions."""

import re
from collections.abc import Mapping
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass

# An exact number; a whole one may be an int, which is faster to add.
Quantity = int | Decimal
# A result that does not fit is a fault, never a rounding.
EXACT: Final = Context(prec=100, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
# Definitions repeat the same few numbers; the cache is bounded because operators may publish others.
_TEXTS_MAX = 4_096
_FAULT = re.compile(r"^(?P<fault>.*) - at `\$(?P<path>.*)`$", re.DOTALL)
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,18})?")


@dataclass(eq=False)
class DefinitionRefused(DomainError):
    """The definition cannot be published: {path} {fault}."""

    code = "definition_refused"
    kind = Kind.INVALID
    path: str
    fault: str


@lru_cache(maxsize=_TEXTS_MAX)
def exact(text: str) -> Fraction:
    """Read a decimal of a published definition."""
    return Fraction(text)


@lru_cache(maxsize=_TEXTS_MAX)
def percent(text: str) -> Fraction:
    """Read a percentage of a published definition as a rational: "8.25" is 33/400."""
    return Fraction(text) / 100


def decimal_at(values: Mapping[str, Any], key: str, path: str) -> Decimal:
    """Read a decimal >= 0 from a definition that is about to be published. Raises DefinitionRefused with its path."""
    value = values.get(key)
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise DefinitionRefused(
            f"{path}.{key}", 'is not a decimal of at least 0 written as text with up to 18 decimals, such as "0.0003"'
        )
    return Decimal(value)


def only_keys(values: Mapping[str, Any], allowed: frozenset[str], path: str) -> None:
    """Refuse a part of a definition that nothing would read. Raises DefinitionRefused with its path."""
    for key in sorted(values.keys() - allowed):
        raise DefinitionRefused(f"{path}.{key}", f"is not known here; known are {', '.join(sorted(allowed))}")


def malformed(error: Exception) -> DefinitionRefused:
    """Say where a file has another shape than it should, in the words of the decoder."""
    found = _FAULT.match(str(error))
    path, fault = (f"${found['path']}", found["fault"]) if found else ("$", str(error))
    return DefinitionRefused(path, f"is malformed: {fault}")
