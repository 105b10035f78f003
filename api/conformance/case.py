"""Cases as they stand in vector files: how they are read, and the words in which their values are written."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from domain.kernel.values import dataclass
from domain.plans.line import round_units

if TYPE_CHECKING:
    from api.conformance.system import System

NOT_APPLICABLE = "not_applicable.json"
FILES_MAX = 100
FILE_BYTES_MAX = 10_000_000

Given = Mapping[str, Any]
Found = Mapping[str, Any]


class Malformed(Exception):
    """A file does not hold cases; the text says which and why."""


class NotBuilt(Exception):
    """The domain has no rule for this variant of a kind; the text names it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One worked case: inputs, and the figures that must come out."""

    id: str
    area: str
    given: Given
    expect: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """What chooses the function: the kind, else the charge model, else the aggregation."""
        return str(self.given.get("kind") or self.given.get("model") or self.given.get("type") or "")


@dataclass(frozen=True, slots=True)
class Area:
    """What the domain answers in one area. `served` kinds need a database.

    `other_methods` are the figures of methods that stand beside the adopted one in a kind's cases.
    """

    kinds: Mapping[str, Callable[[Given], Found]]
    served: Mapping[str, "Callable[[System, Given], Awaitable[Found]]"] = field(default_factory=dict)
    other_methods: Mapping[str, frozenset[str]] = field(default_factory=dict)


def load_cases(directory: Path) -> list[Case]:
    """Read every vector file of a directory. Raises Malformed."""
    files = sorted(file for file in directory.glob("*.json") if file.name != NOT_APPLICABLE)
    if not files:
        raise Malformed(f"{directory} holds no vector file: one is a JSON list of cases and is named *.json")
    if len(files) > FILES_MAX:
        raise Malformed(f"{directory} holds more than {FILES_MAX} files")
    cases = [_case(entry, file) for file in files for entry in _list(file)]
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            raise Malformed(f"{case.id} is there twice")
        seen.add(case.id)
    return cases


def load_not_applicable(directory: Path) -> dict[str, str]:
    """Return the ids that do not apply, each with the rule that excludes it; none where no file says so."""
    file = directory / NOT_APPLICABLE
    return {str(entry["id"]): str(entry["rule"]) for entry in _list(file)} if file.exists() else {}


def _list(file: Path) -> Sequence[Any]:
    if file.stat().st_size > FILE_BYTES_MAX:
        raise Malformed(f"{file.name} is larger than {FILE_BYTES_MAX} bytes")
    try:
        found = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except ValueError as error:
        raise Malformed(f"{file.name} is no JSON: {error}") from error
    if not isinstance(found, list):
        raise Malformed(f"{file.name} is not a list of cases")
    return found


def _case(entry: Any, file: Path) -> Case:
    try:
        return Case(str(entry["id"]), str(entry["area"]), dict(entry["given"]), dict(entry["expect"]))
    except (TypeError, KeyError, ValueError) as error:
        raise Malformed(f"{file.name} holds an entry without id, area, given or expect") from error


def instant(text: str, zone: str = "UTC") -> datetime:
    """Read an instant, or a plain date as the local midnight with which it begins."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def shown(value: Fraction | None, digits: int = 2) -> Fraction | None:
    """Round a figure half-up as cases print it: to two digits where they do not say otherwise."""
    return None if value is None else round_units(value, "nearest", digits)


def number(value: Any) -> Fraction:
    """Read an exact number: a whole one, a decimal as text, or a fraction such as "14/31"."""
    return Fraction(value)
