"""What one API process holds, whatever way a request comes in."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from api.auth import Authenticator
from api.intake import Inflow
from domain.limits.reserving.service import Reserver
from domain.runtime import Runtime
from domain.usage.recording.service import Recorder

SOCKETS_MAX = 5_000
REREAD_S = 10.0
SEND_WITHIN_S = 20.0
# Fewer than the pool has connections: however much moves at once, there are some left for requests and for usage.
READINGS_MAX = 4


@dataclass(slots=True)
class Serving:
    """One API process: the runtime and what only serving needs.

    `sockets` counts those that are open, `inflow` the bytes of bodies with usage events. A watched customer's rows are
    looked at every `reread_s` seconds, and sooner after a wake-up; so are the rights of whoever watches. A socket that
    does not take a message within `send_within_s` is closed. `pause` waits between two frames,
    `readings` bounds how many watched customers are read at once.
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

    @property
    def limits(self) -> Reserver:
        """What holds reservations; a process that serves no limits has none."""
        assert self.reserver is not None, "this process serves limits"
        return self.reserver
