"""How events leave the house."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Protocol

from domain.kernel.values import dataclass


class Outcome(StrEnum):
    """What became of one try."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    TARGET_REFUSED = "target_refused"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a try came to. `status` None: no answer. `excerpt` is the beginning of the answer's body."""

    outcome: Outcome
    latency_ms: int
    status: int | None = None
    excerpt: bytes = field(default=b"", repr=False)


class WebhookSender(Protocol):
    """Posts to the merchant's endpoints, and to public addresses only."""

    async def check(self, url: str) -> None:
        """Refuse an address that events cannot be sent to, also by what its name stands for. Raises TargetRefused."""
        ...

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send a message, within a bound of time, and read a bounded answer. Follows no redirect. Never raises."""
        ...

    async def close(self) -> None:
        """Let go of what was opened."""
        ...
