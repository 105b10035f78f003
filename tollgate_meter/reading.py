"""Read what a call used from its answer, as it passes through; estimate what the provider does not say.

Nothing of the answer is kept after `reckon`, and no text of it leaves this file: only numbers do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from tollgate_meter.request import MeteredCall
from tollgate_meter.shapes import Facts, Quantities, Shape, facts_of
from tollgate_meter.stream import EventSplitter
from tollgate_meter.tokens import ASCII_PER_TOKEN, tokens_within

# The answer to a call without a stream: what is longer is passed on, and its usage estimated.
REPLY_BYTES_MAX = 33_554_432
_OK, _OTHER = 200, 300
_STREAM = "text/event-stream"
# HTTP has no status for a caller that left or a provider that fell silent; these are what proxies record.
CALLER_LEFT, PROVIDER_BROKE, PROVIDER_SLOW = 499, 502, 504


class Certainty(StrEnum):
    """How the quantities of a call are known."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What a call used, and how that is known."""

    certainty: Certainty
    quantities: Quantities


def nothing_used(call: MeteredCall) -> Quantities:
    """Return zero of what a call is priced by: a refused call is recorded and costs nothing."""
    if call.operation.shape is None:
        return {call.operation.unit: 0}
    return {"pages": 0} if call.operation.shape.key == "ocr" else {"input_tokens": 0, "output_tokens": 0}


class Reading:
    """Reads one answer: `feed` its bytes in order and pass on what that returns, then `reckon` once."""

    def __init__(
        self,
        call: MeteredCall,
        status: int,
        content_type: str,
        *,
        is_encoded: bool = False,
        reply_bytes_max: int = REPLY_BYTES_MAX,
    ) -> None:
        self._call = call
        self._status = status
        self._reply: bytearray | None = None if is_encoded else bytearray()
        self._reply_bytes_max = reply_bytes_max
        is_stream = content_type.partition(";")[0].strip().lower() == _STREAM
        self._events = EventSplitter() if is_stream and not is_encoded else None
        self._usage: dict[str, Any] = {}
        self._is_final = False
        self._tokens_seen = 0
        self._length = 0

    def feed(self, chunk: bytes) -> bytes:
        """Look at a chunk and return what the caller gets of it."""
        if self._events is None:
            self._keep(chunk)
            return chunk
        passed = [part for part, data in self._events.feed(chunk) if not self._is_hidden(data)]
        return b"".join(passed) if self._call.hides_usage else chunk

    def rest(self) -> bytes:
        """Return what is still held back at the end of a stream; it is not looked at, for it is no whole event."""
        return self._events.rest() if self._events is not None and self._call.hides_usage else b""

    def reckon(self, *, is_complete: bool) -> Reckoning:
        """Return what was used. `is_complete` tells that the answer came to its own end."""
        call = self._call
        if not _OK <= self._status < _OTHER:
            return Reckoning(Certainty.MEASURED, nothing_used(call))
        if call.operation.shape is None:
            return self._units(is_complete=is_complete)
        if self._events is None:
            self._read_reply(call.operation.shape)
        quantities = call.operation.shape.quantities_of(self._usage) if self._usage else None
        if quantities is not None and (self._is_final or (is_complete and self._events is None)):
            return Reckoning(Certainty.MEASURED, quantities)
        return Reckoning(Certainty.ESTIMATED, self._estimate(quantities))

    def _keep(self, chunk: bytes) -> None:
        self._length += len(chunk)
        if self._reply is not None:
            self._reply += chunk
            if len(self._reply) > self._reply_bytes_max:
                self._reply = None

    def _is_hidden(self, data: bytes | None) -> bool:
        """Read one event, and tell whether it is the chunk that only we asked for."""
        shape = self._call.operation.shape
        facts = facts_of(_decoded(data)) if data is not None else {}
        if not facts or shape is None:
            return False
        self._take(shape, facts)
        return self._call.hides_usage and facts.get("choices") == [] and bool(facts.get("usage"))

    def _take(self, shape: Shape, facts: Facts) -> None:
        """Keep the newest usage: it is cumulative with every provider, and a later event may leave members out."""
        usage = shape.usage_in(facts)
        if isinstance(usage, dict):
            self._usage.update((name, value) for name, value in usage.items() if value is not None)
            self._is_final = self._is_final or shape.is_final(facts)
        self._tokens_seen += tokens_within(shape.text_in(facts))

    def _read_reply(self, shape: Shape) -> None:
        """Read an answer that is one JSON value; Gemini streams an array of them where no events are asked for."""
        reply = _decoded(bytes(self._reply)) if self._reply is not None else None
        self._reply = None
        for facts in _objects(reply):
            self._take(shape, facts)
        if isinstance(reply, dict) and shape.limits and not self._usage and not self._tokens_seen:
            # An app's own form of answer: whatever text is in it is what was written.
            self._tokens_seen = tokens_within(reply)
        if reply is None:
            # It cannot be read, so it counts as text, which is no more than the caller asked for.
            self._tokens_seen = min(self._length // ASCII_PER_TOKEN, self._call.held.get("output_tokens", 0))

    def _estimate(self, reported: Quantities | None) -> Quantities:
        """Take the larger of what was reported so far and what was seen; a document's pages cannot be seen."""
        shape = self._call.operation.shape
        if shape is not None and shape.key == "ocr":
            return {"pages": 1}
        if reported is None:
            return {"input_tokens": self._call.input_tokens_about, "output_tokens": self._tokens_seen}
        written = sum(reported.get(name, 0) for name in ("reasoning_tokens", "audio_output_tokens"))
        return {**reported, "output_tokens": max(reported["output_tokens"], self._tokens_seen - written)}

    def _units(self, *, is_complete: bool) -> Reckoning:
        operation, unit = self._call.operation, self._call.operation.unit
        if not operation.answered:
            return Reckoning(Certainty.MEASURED, {unit: self._call.held[unit]})
        reply = _decoded(bytes(self._reply)) if self._reply is not None and is_complete else None
        made = facts_of(reply).get(operation.answered)
        if isinstance(made, list):
            return Reckoning(Certainty.MEASURED, {unit: len(made)})
        return Reckoning(Certainty.ESTIMATED, {unit: self._call.held[unit]})


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None


def _objects(reply: Any) -> Iterator[Facts]:
    if isinstance(reply, list):
        yield from (each for each in reply if isinstance(each, dict))
    elif isinstance(reply, dict):
        yield reply
