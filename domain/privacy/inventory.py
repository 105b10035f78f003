"""Where personal data is: every table and column, what each holds, and what an erasure does to it.

The data is inventory.toml; a test compares it with the database, so that no column is forgotten.
"""

import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from domain.kernel.values import dataclass


class Fate(StrEnum):
    """What an erasure does to the rows that a customer has in a table."""

    NONE = "none"
    STAYS = "stays"
    OWN = "own"
    DELETED = "deleted"
    BLANKED = "blanked"
    KEPT = "kept"
    KEPT_ROWS = "kept_rows"


class Form(StrEnum):
    """What is inside of a sealed value."""

    TEXT = "text"
    JSON = "json"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True)
class Personal:
    """A column that tells of a person, or may.

    `blank` is written over it, None being nothing. `sealed` is the place that a value is sealed for, with names of the
    row's columns in braces; `is_system` says that it is not under the customer's own key. `stays` says why nothing
    clears it, and is empty elsewhere.
    """

    column: str
    what: str
    blank: str | None
    sealed: str | None
    form: Form
    is_system: bool
    is_hidden: bool
    stays: str


@dataclass(frozen=True, slots=True)
class Holding:
    """A table. `free` columns are exported and tell of nobody; `hidden` ones are not exported.

    `is_cleared_at_once`: in the transaction of the request already.
    """

    table: str
    holds: str
    fate: Fate
    is_exported: bool
    is_cleared_at_once: bool
    free: tuple[str, ...]
    hidden: tuple[str, ...]
    personal: tuple[Personal, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is declared."""
        return (*self.free, *self.hidden, *(each.column for each in self.personal))

    @property
    def exported(self) -> tuple[str, ...]:
        """The columns that an export shows."""
        return (*self.free, *(each.column for each in self.personal if not each.is_hidden))


@cache
def inventory() -> Mapping[str, Holding]:
    """Return what is declared of every table, by its name."""
    text = files("domain.privacy").joinpath("inventory.toml").read_text(encoding="utf-8")
    return {name: _holding(name, given) for name, given in tomllib.loads(text).items()}


def described(holdings: Mapping[str, Holding]) -> Iterator[tuple[str, str, str]]:
    """Give each personal column, what it holds, and what becomes of it."""
    for holding in holdings.values():
        for each in holding.personal:
            yield f"{holding.table}.{each.column}", each.what, fate_of(holding, each)


def fate_of(holding: Holding, personal: Personal) -> str:
    """Say what becomes of a personal column when its customer is erased."""
    return f"stays: {personal.stays}" if personal.stays else _FATES[holding.fate]


_FATES = {
    Fate.NONE: "no customer's",
    Fate.STAYS: "stays",
    Fate.OWN: "cleared",
    Fate.DELETED: "deleted",
    Fate.BLANKED: "overwritten",
    Fate.KEPT: "restricted until the retention ends, then overwritten",
    Fate.KEPT_ROWS: "restricted until the retention ends, then deleted",
}


def _holding(name: str, given: Mapping[str, Any]) -> Holding:
    return Holding(
        table=name,
        holds=given["holds"],
        fate=Fate(given["fate"]),
        is_exported=given.get("exported", True),
        is_cleared_at_once=given.get("at_once", False),
        free=tuple(given.get("free", "").split()),
        hidden=tuple(given.get("hidden", "").split()),
        personal=tuple(_personal(column, each) for column, each in given.get("personal", {}).items()),
    )


def _personal(column: str, given: Mapping[str, Any]) -> Personal:
    return Personal(
        column=column,
        what=given["what"],
        blank=given.get("blank"),
        sealed=given.get("sealed"),
        form=Form(given.get("form", "text")),
        is_system=given.get("key") == "system",
        is_hidden=given.get("hidden", False),
        stays=given.get("stays", ""),
    )
