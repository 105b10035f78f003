"""What every job has; jobs.py lists them."""

from typing import ClassVar

from domain.kernel.values import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is to do, as stored."""

    kind: ClassVar[str]
    # The field that makes the key, where one field does.
    keyed_by: ClassVar[str | None] = None

    @property
    def key(self) -> str | None:
        """Jobs of one kind and key are staged once while one is pending; None stages always."""
        return None if self.keyed_by is None else str(getattr(self, self.keyed_by))
