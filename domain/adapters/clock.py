"""The only place that reads the clock and the source of randomness."""

import os
from datetime import UTC, datetime
from uuid import UUID

from domain.kernel import ids


def now() -> datetime:
    """Return the present instant in UTC."""
    return datetime.now(UTC)  # noqa: TID251 -- time enters the program here and nowhere else


def new_id() -> UUID:
    """Make an id of the present instant."""
    return new_id_at(now())


def new_id_at(at: datetime) -> UUID:
    """Make an id of an instant."""
    return ids.uuid7(at, os.urandom)
