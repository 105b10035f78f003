"""What one API process holds, whatever way a request comes in."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from datetime import datetime

import msgspec

from api.auth import Authenticator
from api.gathering import Gatherer
from api.intake import Inflow
from api.rounds import Rounds, Watcher
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass
from domain.limits import service as limits
from domain.limits.override import Override
from domain.limits.reserving.service import Reserver
from domain.plans.plan import Catalogue
from domain.runtime import Runtime
from domain.usage import service as usage
from domain.usage.gathering.service import Standing
from domain.usage.recording.service import Recorder

SOCKETS_MAX = 5_000
REREAD_S = 10.0
SEND_WITHIN_S = 20.0
# Fewer than the pool has connections: however much moves at once, there are some left for requests and for usage.
READINGS_MAX = 4


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a customer has used, and what decides where its limits are; `at` is when it was read, in real time."""

    at: datetime
    catalogue: Catalogue
    standing: Standing
    overrides: Sequence[Override]

    @property
    def now(self) -> datetime:
        """When it was read, in the customer's business time."""
        return self.standing.clock_now or self.at


@dataclass(slots=True)
class Serving:
    """One API process: the runtime and what only serving needs.

    `sockets` counts those that are open, `inflow` the bytes of bodies with usage events. A watched customer's rows are
    looked at every `reread_s` seconds, and sooner after a wake-up; so are the rights of whoever watches. A socket that
    does not take a message within `send_within_s` is closed. `pause` waits between two frames,
    `readings` bounds how many readings for those who watch there are at once; `usage` reads the usage of all customers
    that are asked for at about the same time together, and `watched` that of those that are watched.
    """

    runtime: Runtime
    authenticator: Authenticator
    recorder: Recorder
    reserver: Reserver | None = None
    sockets: int = 0
    sockets_max: int = SOCKETS_MAX
    reread_s: float = REREAD_S
    send_within_s: float = SEND_WITHIN_S
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    readings: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READINGS_MAX))
    inflow: Inflow = field(default_factory=Inflow)
    known: usage.Known = field(default_factory=usage.Known)
    granted: limits.Granted = field(default_factory=limits.Granted)
    usage: Gatherer[CustomerId, Reading] = field(init=False)
    watched: Rounds[CustomerId, Reading] = field(init=False)

    def __post_init__(self) -> None:
        """Begin to gather."""
        self.usage = Gatherer(self._read_usage, most=usage.CUSTOMERS_MAX)
        self.watched = Rounds(self._read_usage, most=usage.CUSTOMERS_MAX, pace=self)

    @property
    def limits(self) -> Reserver:
        """What holds reservations; a process that serves no limits has none."""
        assert self.reserver is not None, "this process serves limits"
        return self.reserver

    @contextmanager
    def watch_usage(self, customer_id: CustomerId, watcher: Watcher[Reading]) -> Iterator[None]:
        """Tell a watcher of a customer's usage while the block runs: at once, and then whenever it may have moved."""
        with self.watched.watch(customer_id, watcher) as moved, self.runtime.wakeups.watch(customer_id, moved):
            yield

    async def _read_usage(self, customer_ids: Sequence[CustomerId]) -> dict[CustomerId, Reading]:
        """Read the usage of customers. Who asked looks at whether it may see it."""
        catalogue = await self.runtime.catalogue()
        async with self.readings, self.runtime.db.reading() as tx:
            at = self.runtime.now()
            found = await usage.usage_of_customers(tx, catalogue, customer_ids, self.known, at=at)
            epochs = [(customer_id, standing.epoch) for customer_id, standing in found.items()]
            granted = await self.granted.load(tx, epochs)
        return {
            customer_id: Reading(at, catalogue, standing, overrides)
            for (customer_id, standing), overrides in zip(found.items(), granted, strict=True)
        }
