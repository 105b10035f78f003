"""Wake-ups within one process, for tests."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from domain.kernel.ids import CustomerId


class MemoryWakeups:
    """Wake-ups within one process."""

    def __init__(self) -> None:
        self._watchers: dict[CustomerId, set[Callable[[], None]]] = {}

    async def publish(self, customers: Sequence[CustomerId]) -> None:
        """Call everyone who watches one of these customers."""
        for customer_id in customers:
            for moved in self._watchers.get(customer_id, ()):
                moved()

    @contextmanager
    def watch(self, customer_id: CustomerId, moved: Callable[[], None]) -> Iterator[None]:
        """Call `moved` whenever the customer's rows may have moved while the block runs."""
        watchers = self._watchers.setdefault(customer_id, set())
        watchers.add(moved)
        try:
            yield
        finally:
            watchers.discard(moved)

    async def close(self) -> None:
        """Forget the watchers."""
        self._watchers.clear()
