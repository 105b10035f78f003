"""One metered call, from the moment it is allowed until it is recorded: once, whatever ends it."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from tollgate_meter.reading import CALLER_LEFT, PROVIDER_BROKE, PROVIDER_SLOW, Certainty, Reading, nothing_used
from tollgate_meter.request import MeteredCall, with_names
from tollgate_meter.tolls import HOLD_S, Hold, Properties

_OTHER, _SERVER = 300, 500


# Statuses with a word of their own.
_OUTCOMES = {CALLER_LEFT: "cancelled", 408: "timeout", 429: "rate_limited", PROVIDER_SLOW: "timeout"}


def outcome_of(status: int) -> str:
    """Say in the words of usage events how a call went whose HTTP status is known.

    `ok`; `error`, `timeout` and `rate_limited` where the provider failed it; `refused` where it would not do what was
    asked, and `cancelled` where the caller left, which are failures of nobody's.
    """
    if status < _OTHER:
        return "ok"
    return _OUTCOMES.get(status, "refused" if status < _SERVER else "error")


class Settling(Protocol):
    """The part of either client that a call needs once it is allowed."""

    def settle(self, hold: Hold, certainty: Certainty, properties: Properties) -> None:
        """Record what a call used."""
        ...

    def extend(self, hold: Hold) -> None:
        """Let a hold live longer."""
        ...

    def release(self, hold: Hold) -> None:
        """Give a hold back of which nothing was used."""
        ...


class Passage:
    """One call under way. Give it the head and the chunks of the answer, and `end` it; a second end does nothing."""

    def __init__(
        self, call: MeteredCall, hold: Hold, tolls: Settling, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start the clock of the call's latency."""
        self.call = call
        self._hold = hold
        self._tolls = tolls
        self._clock = clock
        self._started_at = self._extended_at = clock()
        self._reading: Reading | None = None
        self._status: int | None = None
        self._is_over = False

    def answered(self, status: int, content_type: str, *, is_encoded: bool = False) -> None:
        """Take the head of the answer."""
        self._status = status
        self._reading = Reading(self.call, status, content_type, is_encoded=is_encoded)

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk of the answer, and return what the caller gets of it."""
        assert self._reading is not None, "the head comes first"
        now = self._clock()
        if now - self._extended_at > HOLD_S / 2:
            self._extended_at = now
            self._tolls.extend(self._hold)
        return self._reading.feed(chunk)

    def rest(self) -> bytes:
        """Return what the caller still gets at the end."""
        return self._reading.rest() if self._reading is not None else b""

    def end(self, *, is_complete: bool, status: int | None = None) -> None:
        """Record the call. `status` is the HTTP status that tells how it ended, where that is not the answer's."""
        if self._is_over:
            return
        self._is_over = True
        certainty, quantities = self._used(is_complete=is_complete)
        properties: dict[str, Any] = with_names(self.call, quantities)
        if status == CALLER_LEFT and certainty is Certainty.MEASURED:
            # The provider had said all; SDKs close a stream behind its last event without reading to the end.
            status = None
        properties["status"] = outcome_of(self._ending(status))
        properties["latency_ms"] = int((self._clock() - self._started_at) * 1000)
        self._tolls.settle(self._hold, certainty, properties)

    def give_back(self) -> None:
        """End a call that never reached its provider: it is none, so its hold is returned and nothing recorded."""
        if not self._is_over:
            self._is_over = True
            self._tolls.release(self._hold)

    def _ending(self, status: int | None) -> int:
        """Say how the call ended: an answer that is no success stands, whatever comes after it.

        One that began well may say later that the provider failed.
        """
        if self._reading is not None and self._reading.has_failed:
            return PROVIDER_BROKE
        answered = PROVIDER_BROKE if self._status is None else self._status
        return answered if status is None or (self._status or 0) >= _OTHER else status

    def _used(self, *, is_complete: bool) -> tuple[Certainty, dict[str, int]]:
        """Without any answer nobody knows what the provider did; nothing is charged for it."""
        if self._reading is None:
            return Certainty.UNKNOWN, nothing_used(self.call)
        reckoning = self._reading.reckon(is_complete=is_complete)
        return reckoning.certainty, reckoning.quantities
