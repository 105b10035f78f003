"""Columns for statements that write or look up many rows at once: texts that Postgres reads as arrays."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal


def array(values: Iterable[str]) -> str:
    """Write an array of ids, numbers or instants: the driver takes ten times as long for a list of the same."""
    return f"{{{','.join(values)}}}"


def uuids(values: Iterable[bytes]) -> str:
    """Write an array of ids from their 16 bytes each."""
    return f"{{{b''.join(values).hex(',', -16)}}}"


def numbers(values: Iterable[int | Decimal | None]) -> str:
    """Write an array of exact numbers."""
    return array(["NULL" if value is None else str(value) for value in values])


def columns(keys: Collection[bytes], parts: int) -> list[str]:
    """Cut keys into their ids, an array for each column."""
    texts = [key.hex() for key in keys]
    return [array([text[start : start + 32] for text in texts]) for start in range(0, 32 * parts, 32)]


def instants(values: Iterable[datetime]) -> str:
    """Write an array of instants."""
    return array([f'"{value.isoformat()}"' for value in values])


def texts(values: Iterable[str]) -> str:
    """Write an array of texts of which there are few, like names: each is quoted once."""
    quoted: dict[str, str] = {}
    found = []
    for value in values:
        if value not in quoted:
            plain = value.replace("\\", "\\\\").replace('"', '\\"')
            quoted[value] = f'"{plain}"'
        found.append(quoted[value])
    return array(found)


def where_any(values: Sequence[str | None]) -> Sequence[str | None]:
    """Return a column of texts, or an empty one where all are null: unnest fills it up with nulls."""
    return values if any(value is not None for value in values) else []
