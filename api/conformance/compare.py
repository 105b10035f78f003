"""Whether what was found is what a case expects, key by key."""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from api.conformance.case import Found, instant
from domain.kernel.money import exact_text
from domain.plans.line import round_units

# Figures that record what a source prints, or what another rule would give.
_RECORDED = re.compile(r"^(?:source|wrong_|if_|requirement_)|(?:_would_give|_if_exact_interval_counts)$|^reason$")
_ROUNDED = re.compile(r"(?:^|_)rounded(\d+)$")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+|/\d+)?")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}(?:T.*)?")


def differences(
    expect: Mapping[str, Any], found: Found, *, zone: str, other_methods: AbstractSet[str] = frozenset()
) -> list[str]:
    """Name every expected figure that was not found, with both values."""
    faults = []
    for key, wanted in expect.items():
        if _RECORDED.search(key) or key in other_methods or (key.startswith("recommended") and "error" in found):
            continue
        if key not in found:
            faults.append(f"{key}: expected {wanted}, not found")
        elif not _is_same(key, wanted, found[key], zone):
            faults.append(f"{key}: expected {wanted}, found {_text(found[key])}")
    if "error" in found and "error" not in expect:
        faults.append(f"refused: {found['error']}")
    return faults


def _is_same(key: str, wanted: Any, found: Any, zone: str) -> bool:
    if key == "error":
        return bool(found)
    if isinstance(wanted, list | dict):
        return _are_same(wanted, found, zone)
    if wanted is None or isinstance(wanted, bool) or found is None or isinstance(found, bool):
        return wanted is found
    if isinstance(found, datetime):
        return isinstance(wanted, str) and bool(_TIME.fullmatch(wanted)) and instant(wanted, zone) == found
    expected, number = _number(wanted), _number(found)
    if expected is None or number is None:
        return bool(wanted == found)
    digits = _digits(key, wanted)
    return expected == (number if digits is None else round_units(number, "nearest", digits))


def _are_same(wanted: list[Any] | dict[str, Any], found: Any, zone: str) -> bool:
    """Compare element by element; a list is in order."""
    if isinstance(wanted, dict):
        is_alike = isinstance(found, Mapping) and wanted.keys() == found.keys()
        return is_alike and all(_is_same("", value, found[name], zone) for name, value in wanted.items())
    if not isinstance(found, Sequence) or len(wanted) != len(found):
        return False
    return all(_is_same("", each, other, zone) for each, other in zip(wanted, found, strict=True))


def _digits(key: str, wanted: Any) -> int | None:
    """Return to how many digits a figure is compared; None: exactly.

    A figure named `…_roundedN` has N, one named `…exact` as many as were written, since not every number ends.
    """
    rounded = _ROUNDED.search(key)
    if rounded:
        return int(rounded[1])
    if key.endswith("exact") and isinstance(wanted, str) and "/" not in wanted:
        return len(wanted.partition(".")[2])
    return None


def _number(value: Any) -> Fraction | None:
    if isinstance(value, int | Fraction | Decimal):
        return Fraction(value)
    return Fraction(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def _text(value: Any) -> str:
    return exact_text(value) if isinstance(value, Fraction | Decimal) else str(value)
