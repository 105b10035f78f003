"""Send events in batches, a few requests at a time, and tally what became of them."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from itertools import islice
from typing import Any

from api.replay.client import Client
from domain.kernel.values import dataclass

# Requests under way at once. More would not be faster: the server records one flush after the other.
REQUESTS_AT_ONCE = 4
BATCH_MAX = 1_000


@dataclass(slots=True)
class Tally:
    """What became of the events that were sent: how many of each status, and of each reason why not."""

    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def sent(self) -> int:
        """How many were answered."""
        return self.statuses.total()

    @property
    def lost(self) -> int:
        """How many are neither counted nor known to have been counted before."""
        return self.sent - self.statuses["counted"] - self.statuses["duplicate"]

    def add(self, verdict: Mapping[str, Any]) -> None:
        """Count one answer."""
        self.statuses[verdict["status"]] += 1
        if verdict["status"] not in {"counted", "duplicate"}:
            self.reasons[verdict.get("reason") or verdict["status"]] += 1


async def send_all(
    client: Client, events: Iterable[Mapping[str, Any]], batch_size: int, look: Callable[[Tally], None]
) -> Tally:
    """Send every event once and return the tally; `look` sees it after each batch. Raises ReplayError.

    A batch whose answer was lost is sent again with the same ids, so nothing is counted twice.
    """
    tally = Tally()
    batches = _batches(iter(events), batch_size)

    async def sender() -> None:
        # The generator is shared: whoever is free takes the next batch.
        for batch in batches:
            for verdict in await client.send(batch):
                tally.add(verdict)
            look(tally)

    tasks = [asyncio.create_task(sender()) for _ in range(REQUESTS_AT_ONCE)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return tally


def _batches(events: Iterator[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    while batch := list(islice(events, size)):
        yield batch
