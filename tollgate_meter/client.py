"""Ask Tollgate before a call and tell it afterwards: over HTTP, in an event loop or in a thread."""

import asyncio
import logging
import os
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, Self

import httpx2

from tollgate_meter import tolls
from tollgate_meter.reading import Certainty
from tollgate_meter.tolls import Hold, Message, Properties, TollsMisconfigured, TollsUnavailable
from tollgate_meter.wire import ClientPost, Post, Wire

RESERVE_TRIES_MAX = 2
SETTLE_TRIES_MAX = 12
# A thread that waits serves nobody meanwhile.
BLOCKING_TRIES_MAX = 6
FIRST_PAUSE_S = 0.1
PAUSE_MAX_S = 10.0
TIMEOUT_S = 5.0
# A server that ends cuts off its calls and closes what they need in the same moment: they get so long to say what they
# used.
CLOSE_WITHIN_S = 2.0
# Calls that are over and not yet recorded. Above it no further call is begun: what cannot be recorded is not sold.
WAITING_MAX = 10_000
_log = logging.getLogger("tollgate_meter")
Unreachable = Literal["refuse", "allow"]


class Tolls(Protocol):
    """Who holds and records calls. All but `reserve` return at once: they must also work while a task is ended."""

    async def reserve(self, customer: str, properties: Properties) -> Hold:
        """Hold the most that a call can use. Raises CallRefused, TollsUnavailable, TollsMisconfigured."""
        ...

    def settle(self, hold: Hold, certainty: Certainty, properties: Properties) -> None:
        """Record what a call used, once for each hold."""
        ...

    def extend(self, hold: Hold) -> None:
        """Let a hold live longer, while its call goes on."""
        ...

    def release(self, hold: Hold) -> None:
        """Give a hold back of which nothing was used."""
        ...


@dataclass(frozen=True, slots=True)
class _Terms:
    """How to go on when Tollgate does not answer."""

    unreachable: Unreachable

    def without_answer(self, hold_id: str, customer: str, why: TollsUnavailable) -> Hold:
        """Refuse, or allow the call unchecked, as configured."""
        if self.unreachable == "refuse":
            raise why
        return Hold(hold_id, customer, is_enforced=False)


class TollsClient:
    """Holds and records calls with one product's API key. Use it as a context manager, in one event loop.

    `unreachable` says what becomes of a call while Tollgate does not answer, each time within `timeout_s`: by default
    it is refused, because it costs money. Closing waits `close_within_s` for calls that are being cut off, and until
    every call that is over is recorded or given up.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        unreachable: Unreachable = "refuse",
        first_pause_s: float = FIRST_PAUSE_S,
        close_within_s: float = CLOSE_WITHIN_S,
        timeout_s: float = TIMEOUT_S,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Open no connection yet. `api_key` has the scopes usage:write and limit:check."""
        self._terms = _Terms(unreachable)
        self._first_pause_s = first_pause_s
        self._close_within_s = close_within_s
        self._under_way: set[str] = set()
        self._all_over = asyncio.Event()
        self._all_over.set()
        self._post: Post = (
            ClientPost(url, _headers(api_key), transport, timeout_s)
            if transport is not None
            else Wire(url, _headers(api_key), timeout_s)
        )
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Record what is waiting, and close."""
        await self.aclose()

    async def aclose(self) -> None:
        """Record what is waiting, and close the connections."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._close_within_s):
                await self._all_over.wait()
        await self.drain()
        await self._post.aclose()

    async def reserve(self, customer: str, properties: Properties) -> Hold:
        """Hold the most that a call can use. Raises CallRefused, TollsUnavailable, TollsMisconfigured."""
        hold_id = tolls.new_hold_id()
        if len(self._tasks) >= WAITING_MAX:
            raise TollsUnavailable("too many calls wait to be recorded")
        body = tolls.reserve_body(hold_id, customer, properties)
        try:
            hold = await self._reserve(hold_id, customer, body)
        except TollsUnavailable as why:
            hold = self._terms.without_answer(hold_id, customer, why)
        self._under_way.add(hold_id)
        self._all_over.clear()
        return hold

    async def _reserve(self, hold_id: str, customer: str, body: bytes) -> Hold:
        """Ask again once where no answer came: the id makes both the same reservation."""
        for tried in range(1, RESERVE_TRIES_MAX + 1):
            try:
                answer = await self._post.post(tolls.RESERVATIONS, body)
            except TollsUnavailable:
                if tried == RESERVE_TRIES_MAX:
                    raise
            else:
                return tolls.read_reservation(hold_id, customer, answer.status, answer.headers, answer.content)
        raise AssertionError("the last try returns or raises")

    def settle(self, hold: Hold, certainty: Certainty, properties: Properties) -> None:
        """Record what a call used, in the background; where that is cut off, the log has it."""
        self._note_over(hold)
        recording = self._spawn(self._settle(hold, certainty, properties))
        recording.add_done_callback(lambda ended: _look_back(ended, hold, properties))

    def extend(self, hold: Hold) -> None:
        """Let a hold live longer, in the background; if that fails the usage is recorded all the same."""
        if hold.is_enforced:
            self._spawn(self._extend(hold))

    def release(self, hold: Hold) -> None:
        """Give a hold back, in the background; if that fails it ends by itself."""
        self._note_over(hold)
        if hold.is_enforced:
            self._spawn(self._release(hold))

    async def drain(self) -> None:
        """Wait until every call that is over is recorded or given up."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _note_over(self, hold: Hold) -> None:
        """Note that a call is over: its end is being told."""
        self._under_way.discard(hold.id)
        if not self._under_way:
            self._all_over.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _settle(self, hold: Hold, certainty: Certainty, properties: Properties) -> None:
        message = tolls.settle_message(hold, certainty, properties)
        for tried in range(SETTLE_TRIES_MAX):
            try:
                answer = await self._post.post(message.path, message.body)
                return tolls.check_recorded(answer.status, answer.content)
            except TollsMisconfigured as why:
                return _give_up(hold, properties, str(why))
            except TollsUnavailable:
                await asyncio.sleep(_pause_s(self._first_pause_s, tried))
        return _give_up(hold, properties, "no answer")

    async def _release(self, hold: Hold) -> None:
        try:
            message = tolls.release_message(hold)
            await self._post.post(message.path, message.body)
        except TollsUnavailable as why:
            _log.info("hold_not_released id=%s error=%s", hold.id, why)

    async def _extend(self, hold: Hold) -> None:
        try:
            message = tolls.extend_message(hold)
            await self._post.post(message.path, message.body)
        except TollsUnavailable as why:
            _log.info("hold_not_extended id=%s error=%s", hold.id, why)


class BlockingTollsClient:
    """The same for code that runs in threads, such as the SDKs' clients without async: each method waits.

    One that was opened before a server forked its workers serves in each of them, over connections of its own.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        unreachable: Unreachable = "refuse",
        first_pause_s: float = FIRST_PAUSE_S,
        timeout_s: float = TIMEOUT_S,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """Open no connection yet. `api_key` has the scopes usage:write and limit:check."""
        self._terms = _Terms(unreachable)
        self._first_pause_s = first_pause_s
        self._open = partial(
            httpx2.Client,
            base_url=url,
            headers=_headers(api_key),
            timeout=timeout_s,
            transport=transport,
            trust_env=False,
        )
        self._http, self._process_id = self._open(), os.getpid()

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._http.close()

    def reserve(self, customer: str, properties: Properties) -> Hold:
        """Hold the most that a call can use. Raises CallRefused, TollsUnavailable, TollsMisconfigured."""
        hold_id = tolls.new_hold_id()
        body = tolls.reserve_body(hold_id, customer, properties)
        try:
            answer = self._post(Message(tolls.RESERVATIONS, body), RESERVE_TRIES_MAX)
            return tolls.read_reservation(hold_id, customer, answer.status_code, answer.headers, answer.content)
        except TollsUnavailable as why:
            return self._terms.without_answer(hold_id, customer, why)

    def settle(self, hold: Hold, certainty: Certainty, properties: Properties) -> None:
        """Record what a call used."""
        message = tolls.settle_message(hold, certainty, properties)
        for tried in range(BLOCKING_TRIES_MAX):
            try:
                answer = self._post(message, 1)
                return tolls.check_recorded(answer.status_code, answer.content)
            except TollsMisconfigured as why:
                return _give_up(hold, properties, str(why))
            except TollsUnavailable:
                time.sleep(_pause_s(self._first_pause_s, tried))
        return _give_up(hold, properties, "no answer")

    def extend(self, hold: Hold) -> None:
        """Let a hold live longer; if that fails the usage is recorded all the same."""
        if not hold.is_enforced:
            return
        try:
            self._post(tolls.extend_message(hold), 1)
        except TollsUnavailable as why:
            _log.info("hold_not_extended id=%s error=%s", hold.id, why)

    def release(self, hold: Hold) -> None:
        """Give a hold back; if that fails it ends by itself."""
        if not hold.is_enforced:
            return
        try:
            self._post(tolls.release_message(hold), 1)
        except TollsUnavailable as why:
            _log.info("hold_not_released id=%s error=%s", hold.id, why)

    def _post(self, message: Message, tries: int) -> httpx2.Response:
        for tried in range(1, tries + 1):
            try:
                return self._client().post(message.path, content=message.body)
            except httpx2.TransportError as fault:
                if tried == tries:
                    raise TollsUnavailable(type(fault).__name__) from fault
        raise AssertionError("the last try returns or raises")

    def _client(self) -> httpx2.Client:
        """Open connections anew in a process that was forked off: on shared ones it would read another's answers."""
        if self._process_id != os.getpid():
            self._http, self._process_id = self._open(), os.getpid()
        return self._http


def _headers(api_key: str) -> dict[str, str]:
    if not (api_key.isascii() and api_key.isprintable()):
        raise ValueError("an API key is printable ASCII")
    return {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}


def _pause_s(first_s: float, tried: int) -> float:
    return min(first_s * float(2**tried), PAUSE_MAX_S)


def _look_back(ended: asyncio.Task[None], hold: Hold, properties: Properties) -> None:
    """Leave a call in the log whose recording was cancelled, perhaps before it began, or failed unforeseen."""
    fault = asyncio.CancelledError() if ended.cancelled() else ended.exception()
    if fault is not None:
        _give_up(hold, properties, type(fault).__name__)


def _give_up(hold: Hold, properties: Properties, why: str) -> None:
    """Leave in the log all that is needed to record the call later: ids and numbers, no text of it."""
    _log.error(
        "call_not_recorded id=%s customer=%s properties=%s error=%s", hold.id, hold.customer, dict(properties), why
    )
