"""What every job has; jobs.py lists them."""

from typing import ClassVar

from domain.kernel.values import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is to do, as stored."""

    kind: ClassVar[str]
    # The fields that make the key, with a space between; None makes none.
    keyed_by: ClassVar[str | None] = None

    @property
    def key(self) -> str | None:
        """Jobs of one kind and key are staged once while one is pending; None stages always."""
        if self.keyed_by is None:
            return None
        return ":".join(str(getattr(self, name)) for name in self.keyed_by.split())
