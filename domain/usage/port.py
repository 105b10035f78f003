"""What usage needs from outside: a way to say that a customer's rows moved."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from domain.kernel.ids import CustomerId


class Wakeups(Protocol):
    """Hints between processes, sent after the commit. One may be lost: whoever waits also reads again by the clock."""

    async def publish(self, customers: Sequence[CustomerId]) -> None:
        """Tell every process that these customers' usage or invoices moved. Never raises."""

    def watch(self, customer_id: CustomerId, moved: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `moved`, which returns at once, whenever the customer's rows may have moved while the block runs."""

    async def close(self) -> None:
        """Let go of connections."""
