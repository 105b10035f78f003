"""Wake-ups within one process, for tests."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from domain.kernel.ids import CustomerId


class MemoryWakeups:
    """Wake-ups within one process."""

    def __init__(self) -> None:
        self._watchers: dict[CustomerId, set[asyncio.Event]] = {}

    async def publish(self, customers: Sequence[CustomerId]) -> None:
        """Set the events of everyone who watches one of these customers."""
        for customer_id in customers:
            for event in self._watchers.get(customer_id, ()):
                event.set()

    @asynccontextmanager
    async def watch(self, customer_id: CustomerId) -> AsyncIterator[asyncio.Event]:
        """Yield an event that is set whenever the customer's rows may have moved."""
        event = asyncio.Event()
        self._watchers.setdefault(customer_id, set()).add(event)
        try:
            yield event
        finally:
            self._watchers[customer_id].discard(event)

    async def close(self) -> None:
        """Forget the watchers."""
        self._watchers.clear()
