"""Report usage events in batches, and again with the same ids until an answer has come."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Self

import httpx2
import msgspec

BATCH_MAX = 1_000
TRIES_MAX = 6
FIRST_PAUSE_S = 0.2
PAUSE_MAX_S = 5.0
TIMEOUT_S = 30.0
# Of the text of an answer that refuses.
REASON_LENGTH_MAX = 1_000
# After these nothing is known to be refused: a server that crashed may have counted the events or not.
_AGAIN = frozenset((408, 429, 500, 502, 503, 504))
_EVENTS_PATH = "/v1/events"


class UsageEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something a customer used. `id` is unique for the customer for ever; numbers are int or Decimal, never float."""

    id: str
    type: str
    customer: str
    properties: dict[str, str | int | Decimal | bool | None] = {}
    occurred_at: str | None = None
    subscription: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """What became of one event: counted, duplicate, conflict, quarantined or rejected, and why."""

    id: str
    status: str
    reason: str | None = None
    message: str | None = None


class _Answers(msgspec.Struct):
    results: list[Answer]


class ReportRefused(Exception):
    """Tollgate refused a whole batch: its text says why. Sending it again unchanged does not help."""


class _TooLarge(ReportRefused):
    """A batch has too many bytes, and nothing of it was counted."""


class ReportUnanswered(Exception):
    """No answer came. The events may be counted already: report them again, with the same ids, later."""


class UsageReporter:
    """A client for one product's API key of scope usage:write. Use it as a context manager, in one event loop."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        first_pause_s: float = FIRST_PAUSE_S,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Open no connection yet. `url` is Tollgate's address; pauses between tries double from `first_pause_s`."""
        self._first_pause_s = first_pause_s
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"},
            timeout=TIMEOUT_S,
            transport=transport,
        )
        self._encoder = msgspec.json.Encoder(decimal_format="number")
        self._decoder = msgspec.json.Decoder(_Answers)

    async def __aenter__(self) -> Self:
        """Return the reporter."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def report(self, events: Sequence[UsageEvent]) -> list[Answer]:
        """Report events and return an answer for each, in order, after they are committed.

        Sends BATCH_MAX at a time, or fewer where they are too large. A batch without an answer is sent again,
        TRIES_MAX times in all. Raises ReportRefused, ReportUnanswered; batches before the one that raised are
        committed.
        """
        answers: list[Answer] = []
        for batch in _batches(events):
            answers += await self._report(batch)
        return answers

    async def _report(self, batch: Sequence[UsageEvent]) -> list[Answer]:
        """Report a batch: in halves where it is too large for one request, in bytes."""
        try:
            return await self._send(self._encoder.encode(batch))
        except _TooLarge:
            if len(batch) == 1:
                raise
        half = len(batch) // 2
        return [*await self._report(batch[:half]), *await self._report(batch[half:])]

    async def _send(self, body: bytes) -> list[Answer]:
        for pause_s in _pauses(self._first_pause_s):
            try:
                response = await self._http.post(_EVENTS_PATH, content=body)
            except httpx2.TransportError:
                await asyncio.sleep(pause_s)
                continue
            if (answers := self._answers(response)) is not None:
                return answers
            if not response.is_success and response.status_code not in _AGAIN:
                refused = _TooLarge if response.status_code == httpx2.codes.CONTENT_TOO_LARGE else ReportRefused
                raise refused(f"{response.status_code}: {response.text[:REASON_LENGTH_MAX]}")
            await asyncio.sleep(pause_s)
        raise ReportUnanswered(f"no answer in {TRIES_MAX} tries")

    def _answers(self, response: httpx2.Response) -> list[Answer] | None:
        """Return what Tollgate says, or None where somebody else answered in its place."""
        if response.status_code != httpx2.codes.OK:
            return None
        try:
            return self._decoder.decode(response.content).results
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None


def _batches(events: Sequence[UsageEvent]) -> Iterator[Sequence[UsageEvent]]:
    for start in range(0, len(events), BATCH_MAX):
        yield events[start : start + BATCH_MAX]


def _pauses(first_s: float) -> Iterable[float]:
    return (min(first_s * 2**tried, PAUSE_MAX_S) for tried in range(TRIES_MAX))
