"""An export: everything of one customer, in parts, and where its making stands. Pure rules."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass
from domain.privacy.inventory import Fate, Form, Holding

FORMAT = 1
# How long a file that was made can be fetched.
KEPT_FOR = timedelta(days=7)
PAGE_ROWS = 1_000
# Rows of a page whose values are files.
PAGE_FILES = 10
# Parts that one run of the job makes; the next job goes on from there.
PARTS_PER_RUN = 100
# Lines of a file that is kept; whoever has more is exported at the terminal, where nothing is kept.
LINES_MAX = 2_000_000
LISTED_MAX = 20


class ExportState(StrEnum):
    """Where an export stands."""

    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"


@dataclass(eq=False)
class ExportNotFound(DomainError):
    """There is no such export, or it is not ready, or its time is over. Ask for a new one."""

    code = "export_not_found"
    kind = Kind.NOT_FOUND


@dataclass(frozen=True, slots=True)
class Place:
    """How far an export has come: the table that it reads, and the row that it has read last (None: none of it)."""

    table: str
    after: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """An export. `place` None: everything was read. `lines` and `bytes` count what was written, before compression."""

    customer_id: CustomerId
    id: UUID
    state: ExportState
    requested_at: datetime
    requested_by: str
    place: Place | None
    parts: int = 0
    lines: int = 0
    bytes: int = 0
    ended_at: datetime | None = None
    expires_at: datetime | None = None


def tables_of(holdings: Mapping[str, Holding]) -> list[str]:
    """Return the tables that are exported, in the order of the inventory."""
    return [name for name, holding in holdings.items() if holding.is_exported and holding.fate is not Fate.NONE]


def first_place(holdings: Mapping[str, Holding]) -> Place:
    """Begin with the first table."""
    return Place(tables_of(holdings)[0])


def next_place(holdings: Mapping[str, Holding], place: Place, after: tuple[str, ...] | None) -> Place | None:
    """Go on in the same table after a row, or to the next table, or nowhere."""
    if after is not None:
        return Place(place.table, after)
    tables = tables_of(holdings)
    number = tables.index(place.table) + 1
    return Place(tables[number]) if number < len(tables) else None


def rows_of_page(holding: Holding) -> int:
    """Say how many rows of a table are read at once."""
    return PAGE_FILES if any(each.form is Form.BASE64 for each in holding.personal) else PAGE_ROWS


def gone_on(before: Export, place: Place | None, *, lines: int, size: int, at: datetime) -> Export:
    """Count another part. The last one makes the export ready; one that is too long fails."""
    assert before.state is ExportState.RUNNING, "what has ended does not go on"
    after = replace(before, place=place, parts=before.parts + 1, lines=before.lines + lines, bytes=before.bytes + size)
    if after.lines > LINES_MAX:
        return replace(after, state=ExportState.FAILED, ended_at=at)
    if place is not None:
        return after
    return replace(after, state=ExportState.READY, ended_at=at, expires_at=at + KEPT_FOR)


def is_open(export: Export, at: datetime) -> bool:
    """Whether the file can be fetched at a real instant."""
    return export.state is ExportState.READY and export.expires_at is not None and at < export.expires_at
