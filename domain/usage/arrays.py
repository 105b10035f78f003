"""Columns for statements that write or look up many rows at once: texts that Postgres reads as arrays."""

from collections.abc import Collection, Iterable
from datetime import datetime


def array(values: Iterable[str]) -> str:
    """Write an array of ids, numbers or instants: the driver takes ten times as long for a list of the same."""
    return f"{{{','.join(values)}}}"


def columns(keys: Collection[bytes], parts: int) -> list[str]:
    """Cut keys into their ids, an array for each column."""
    texts = [key.hex() for key in keys]
    return [array([text[start : start + 32] for text in texts]) for start in range(0, 32 * parts, 32)]


def instants(values: Iterable[datetime]) -> str:
    """Write an array of instants."""
    return array([f'"{value.isoformat()}"' for value in values])
