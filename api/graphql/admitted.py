"""Sockets that were let in: whether their credentials still hold is looked at in turn, by one task for all of them.

Live operations look at their caller's rights themselves, before they show anything. This closes a socket that shows
nothing, too. All sockets of a process are looked at within the time in which rights have to be, in GROUPS groups: what
a socket costs is its share of one statement, and no timer.
"""

import asyncio
from typing import Protocol

import structlog

from api.context import Serving
from api.graphql.feeds import GROUPS
from api.problems import PASSING_FAULTS

# A part of the time within which rights have to be looked at again; what is left of it is for the looking.
LOOKED_AT_AFTER = 0.7
_log = structlog.get_logger()


class Guest(Protocol):
    """A socket that has signed in."""

    @property
    def credential(self) -> str:
        """What it has signed in with."""

    def show_out(self) -> None:
        """Begin to close it: its credential holds no more."""


class Admitted:
    """The open sockets of one process that have signed in."""

    def __init__(self) -> None:
        self._groups: list[set[Guest]] = [set() for _ in range(GROUPS)]
        self._looking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Count them."""
        return sum(map(len, self._groups))

    def enter(self, guest: Guest, serving: Serving) -> None:
        """Look after a socket from now on."""
        min(self._groups, key=len).add(guest)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_forever(serving))

    def leave(self, guest: Guest) -> None:
        """Forget a socket, whether it was known or not."""
        for group in self._groups:
            group.discard(guest)
        if self._looking is not None and not any(self._groups):
            self._looking.cancel()
            self._looking = None

    async def _look_forever(self, serving: Serving) -> None:
        while True:
            for group in self._groups:
                await serving.pause(serving.reread_s * LOOKED_AT_AFTER / GROUPS)
                if group:
                    await _look_at(tuple(group), serving)


async def _look_at(guests: tuple[Guest, ...], serving: Serving) -> None:
    """Show those out whose credentials have ended. While that cannot be found out, everybody stays."""
    try:
        ended = await serving.authenticator.ended({each.credential for each in guests}, serving.runtime.now())
    except PASSING_FAULTS as error:
        _log.warning("sockets_not_looked_at", error=type(error).__name__)
        return
    except Exception:  # noqa: BLE001 -- the next group has to be looked at, whatever went wrong with this one
        _log.exception("sockets_not_looked_at")
        return
    for guest in guests:
        if guest.credential in ended:
            guest.show_out()
