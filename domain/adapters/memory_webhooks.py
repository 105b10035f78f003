"""A merchant's endpoints in memory."""

from collections.abc import Mapping

from domain.kernel.values import dataclass
from domain.webhooks.port import Outcome, Reply
from domain.webhooks.target import target_of


@dataclass(frozen=True, slots=True)
class Posted:
    """A message as it was sent."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class MemoryWebhooks:
    """Keeps what it is sent; `answers` are given first, one a message, and then 200. Names are not resolved."""

    def __init__(self) -> None:
        """Start with nothing received."""
        self.posted: list[Posted] = []
        self.answers: list[Reply] = []
        self.refusing: dict[str, Reply] = {}

    async def check(self, url: str) -> None:
        """Refuse an address by its form alone. Raises TargetRefused."""
        target_of(url, dev=True)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Keep a message, and answer as ordered: for this URL always, or else the next one."""
        self.posted.append(Posted(url, headers, body))
        if url in self.refusing:
            return self.refusing[url]
        return self.answers.pop(0) if self.answers else Reply(Outcome.DELIVERED, 5, 200, b"ok")

    async def close(self) -> None:
        """Nothing was opened."""
