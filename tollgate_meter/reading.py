"""Read what a call used from its answer, as it passes through; estimate what the provider does not say.

Nothing of the answer is kept after `reckon`, and no text of it leaves this file: only numbers do.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tollgate_meter.reply import LISTED_BYTES_MAX, WHOLE_BYTES_MAX, Reply, decoded
from tollgate_meter.request import MeteredCall
from tollgate_meter.shapes import OCR, Facts, Quantities, Shape, facts_of, is_failure
from tollgate_meter.stream import EventSplitter
from tollgate_meter.tokens import ASCII_PER_TOKEN, tokens_within

_OK, _OTHER = 200, 300
# What the names of both sides' pools have in them; reasoning is written.
_READ, _WRITTEN = ("input", "cache"), ("output", "reasoning")
_STREAM, _DONE = "text/event-stream", b"[DONE]"
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
    """Reads one answer: `feed` its bytes in order and pass on what that returns, then `reckon` once.

    `has_failed` tells whether an answer with a good status says in itself that the provider failed.
    """

    def __init__(self, call: MeteredCall, status: int, content_type: str, *, is_encoded: bool = False) -> None:
        self.has_failed = False
        self._call = call
        self._is_ok = _OK <= status < _OTHER
        is_stream = content_type.partition(";")[0].strip().lower() == _STREAM
        self._events = EventSplitter() if is_stream and not is_encoded else None
        self._reply = Reply(_kept_of(call) if self._is_ok and self._events is None and not is_encoded else 0)
        self._usage: dict[str, Any] = {}
        self._is_final = False
        self._tokens_seen = 0
        self._pages_seen = 1
        # What an app writes in a form of its own.
        self._tokens_of_others = 0

    def feed(self, chunk: bytes) -> bytes:
        """Look at a chunk and return what the caller gets of it."""
        if self._events is None:
            self._reply.feed(chunk)
            return chunk
        passed = [part for part, data in self._events.feed(chunk) if not self._is_hidden(data)]
        return b"".join(passed) if self._call.hides_usage else chunk

    def rest(self) -> bytes:
        """Return what is still held back at the end of a stream; it is not looked at, for it is no whole event."""
        return self._events.rest() if self._events is not None and self._call.hides_usage else b""

    def reckon(self, *, is_complete: bool) -> Reckoning:
        """Return what was used. `is_complete` tells that the answer came to its own end."""
        call = self._call
        if not self._is_ok:
            return Reckoning(Certainty.MEASURED, nothing_used(call))
        if call.operation.shape is None:
            return self._units(is_complete=is_complete)
        if self._events is None:
            self._is_final = self._read_reply(call.operation.shape) and is_complete
        quantities = call.operation.shape.quantities_of(self._usage) if self._usage else None
        if quantities is not None and self._is_final and not self._is_silent(quantities):
            return Reckoning(Certainty.MEASURED, quantities)
        return Reckoning(Certainty.ESTIMATED, self._estimate(quantities))

    def _is_hidden(self, data: bytes | None) -> bool:
        """Read one event, and tell whether it is the chunk that only we asked for."""
        shape = self._call.operation.shape
        if data is None or shape is None:
            return False
        value = decoded(data)
        if value is None:
            self._tokens_of_others += 0 if data == _DONE else len(data) // ASCII_PER_TOKEN
        self._take_any(shape, value)
        facts = facts_of(value)
        return self._call.hides_usage and facts.get("choices") == [] and bool(facts.get("usage"))

    def _take_any(self, shape: Shape, value: Any) -> None:
        """Read one value; what is no object is no provider's, and text."""
        if isinstance(value, dict):
            self._take(shape, value)
        else:
            self._tokens_of_others += tokens_within(value)

    def _take(self, shape: Shape, facts: Facts) -> None:
        """Keep the newest usage: it is cumulative with every provider, and a later event may leave members out."""
        self.has_failed = self.has_failed or (self._is_ok and is_failure(facts))
        usage = shape.usage_in(facts)
        if isinstance(usage, dict):
            self._usage.update((name, value) for name, value in usage.items() if value is not None)
            self._is_final = self._is_final or shape.is_final(facts)
        self._tokens_seen += tokens_within(shape.text_in(facts))
        pages = facts.get("pages") if shape is OCR else None
        if isinstance(pages, list):
            self._pages_seen = max(len(pages), 1)
        if not shape.knows(facts):
            self._tokens_of_others += tokens_within(facts)

    def _read_reply(self, shape: Shape) -> bool:
        """Read an answer that is one JSON value, and tell whether its usage is what it says at its end.

        Gemini streams an array where no events are asked for.
        """
        reply, self._reply = self._reply, Reply(0)
        value = reply.value()
        if isinstance(value, dict | list):
            for each in value if isinstance(value, list) else [value]:
                self._take_any(shape, each)
            return True
        usage = reply.last(shape.usage_name)
        if isinstance(usage, dict):
            self._take(shape, {shape.usage_name: usage})
        elif shape.limits:
            # It cannot be read, so it counts as text.
            self._tokens_of_others = reply.length // ASCII_PER_TOKEN
        return not reply.is_whole

    def _is_silent(self, quantities: Quantities) -> bool:
        """Whether the provider states nothing of what it read or wrote, though there was something."""
        if "pages" in quantities:
            return False
        has_output = quantities["output_tokens"] or not self._tokens_seen or _has_any(quantities, _WRITTEN)
        has_input = quantities["input_tokens"] or _has_any(quantities, _READ) or not self._call.input_tokens_about
        return not (has_output and has_input)

    def _estimate(self, reported: Quantities | None) -> Quantities:
        """Take the larger of what was reported so far and what was seen."""
        call = self._call
        if call.operation.shape is OCR:
            return {"pages": self._pages_seen}
        unread = self._events.unread_bytes if self._events is not None else 0
        seen = self._tokens_seen or self._tokens_of_others + unread // ASCII_PER_TOKEN
        if reported is None and not seen and self.has_failed:
            # A failure is all that the answer has, and no provider charges for one.
            return nothing_used(call)
        # What is written later is not seen at all, and nobody can write more than was asked for.
        seen = call.output_tokens_at_most if call.runs_on else min(seen, call.output_tokens_at_most)
        if reported is None:
            return {"input_tokens": call.input_tokens_about, "output_tokens": seen}
        if not _has_any(reported, _READ):
            reported = {**reported, "input_tokens": call.input_tokens_about}
        written = sum(reported.get(name, 0) for name in ("reasoning_tokens", "audio_output_tokens"))
        return {**reported, "output_tokens": max(reported["output_tokens"], seen - written)}

    def _units(self, *, is_complete: bool) -> Reckoning:
        operation, unit = self._call.operation, self._call.operation.unit
        if not operation.answered:
            return Reckoning(Certainty.MEASURED, {unit: self._call.held[unit]})
        made = facts_of(self._reply.value() if is_complete else None).get(operation.answered)
        if isinstance(made, list):
            return Reckoning(Certainty.MEASURED, {unit: len(made)})
        return Reckoning(Certainty.ESTIMATED, {unit: self._call.held[unit]})


def _kept_of(call: MeteredCall) -> int:
    """Say how much of an answer is kept to read it; where the request says how many units it is, nothing."""
    if call.operation.shape is None:
        return LISTED_BYTES_MAX if call.operation.answered else 0
    return WHOLE_BYTES_MAX


def _has_any(quantities: Quantities, words: tuple[str, ...]) -> bool:
    """Whether there are any tokens of one side."""
    return any(count for name, count in quantities.items() if any(word in name for word in words))
