"""A process that dies at a chosen step: before or after a foreign call, or before or after a commit.

Both ways out of the services, the gateway's port and the unit of work, are wrapped. What a death leaves behind is what
a killed process leaves: the rows that were committed and the foreign calls that were made.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from inspect import iscoroutinefunction
from typing import Any, cast

from domain.db import Database, Tx
from domain.payments.port import GatewayUnavailable, PaymentGateway
from domain.runtime import Runtime

# The parts of the gateway's port that are ports of their own.
PORTS = frozenset(("desk", "listing", "refunds"))


class Death(BaseException):
    """The process ends here. It is no Exception: nothing that handles errors may survive it."""


@dataclass
class Fate:
    """Counts the steps of one life, and ends it at the step with the number `at`, counted from 1.

    The replies to the calls named in `lost` are lost once each: the call acts, and the process is not told.
    """

    at: int
    steps: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def is_met(self) -> bool:
        """Whether the life has ended."""
        return len(self.steps) >= self.at

    def pass_by(self, step: str) -> None:
        """Go through a step, or die at it; the dead do nothing more."""
        if not self.is_met:
            self.steps.append(step)
        if self.is_met:
            raise Death(self.steps[-1])


class MortalDatabase(Database):
    """Units of work of a process that dies; the pool is another's."""

    def __init__(self, living: Database, fate: Fate) -> None:
        self.vault = living.vault
        self._living = living
        self._fate = fate

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """See Database. Before the commit a death rolls back, after it the work stands."""
        async with self._living.transaction() as tx:
            yield tx
            self._fate.pass_by("before a commit")
        self._fate.pass_by("after a commit")


class MortalPort:
    """A port of which every call is preceded and followed by a step."""

    def __init__(self, living: object, fate: Fate) -> None:
        self._living = living
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        """Wrap what is asked for: calls, and the parts of a port that are ports."""
        found = getattr(self._living, name)
        if iscoroutinefunction(found):
            return self._wrapped(name, found)
        return MortalPort(found, self._fate) if name in PORTS else found

    def _wrapped(self, name: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def act(*given: Any, **named: Any) -> Any:
            self._fate.pass_by(f"before {name}")
            answer = await call(*given, **named)
            self._fate.pass_by(f"after {name}")
            if name in self._fate.lost:
                self._fate.lost.remove(name)
                raise GatewayUnavailable("lost")
            return answer

        return act


async def mortal(living: Runtime, fate: Fate) -> Runtime:
    """Return the runtime of a process that dies by fate. It knows the catalogue already."""
    await living.catalogue()
    gateway = cast("PaymentGateway", MortalPort(living.gateway, fate))
    return replace(living, db=MortalDatabase(living.db, fate), gateway=gateway)
