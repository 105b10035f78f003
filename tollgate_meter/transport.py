"""Meter the calls of an SDK that takes an httpx2 client: openai, anthropic, google-genai, or one of your own.

    http = httpx2.AsyncClient(transport=AsyncMeterTransport(tolls))
    client = AsyncOpenAI(http_client=http)
    with billed_to("cus_…"):
        await client.chat.completions.create(…)

Requests that are no metered operation of a known provider pass untouched. A refusal is an answer of status 429, which
the SDKs raise as their own error and do not repeat. SDKs that repeat a failed call make another call of it, which is
recorded like the first one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from weakref import WeakSet

import httpx2

from tollgate_meter import gate
from tollgate_meter.client import BlockingTollsClient, Tolls
from tollgate_meter.gate import NOT_BILLED, Refusal, Terms
from tollgate_meter.operations import Found
from tollgate_meter.passage import Passage
from tollgate_meter.reading import CALLER_LEFT, PROVIDER_BROKE, PROVIDER_SLOW
from tollgate_meter.request import MeteredCall

CustomerOf = Callable[[httpx2.Request], str | None]
OutputLimitOf = Callable[[httpx2.Request], int | None]
# The provider was not reached: there was no connection on which it could have been asked.
_NOT_REACHED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
_customer: ContextVar[str | None] = ContextVar("tollgate_customer", default=None)


@contextmanager
def billed_to(customer: str) -> Iterator[None]:
    """Bill the calls that are begun in the block to a customer, in this task or thread and in those it starts."""
    token = _customer.set(customer)
    try:
        yield
    finally:
        _customer.reset(token)


def customer_in_context(_: httpx2.Request) -> str | None:
    """Return the customer of the block that a call is begun in; None refuses the call."""
    return _customer.get()


@dataclass(frozen=True, slots=True)
class _Terms:
    """How the requests of a transport are read."""

    all: Terms
    output_limit_of: OutputLimitOf | None

    def candidates(self, request: httpx2.Request) -> tuple[Found, ...]:
        """Return the operations that a request may be of."""
        return gate.candidates_of(self.all, request.method, request.url.host, request.url.path)

    def call(self, request: httpx2.Request, candidates: tuple[Found, ...], body: bytes) -> MeteredCall | None:
        """Read a request of one of the candidates; None where it is something else."""
        terms = self.all
        if self.output_limit_of is not None:
            terms = replace(terms, output_limit=self.output_limit_of(request))
        return gate.call_of(terms, candidates, request.url.path, body)


class AsyncMeterTransport(httpx2.AsyncBaseTransport):
    """Wraps another transport, httpx2's own unless told."""

    def __init__(
        self,
        tolls: Tolls,
        *,
        customer_of: CustomerOf = customer_in_context,
        terms: Terms | None = None,
        output_limit_of: OutputLimitOf | None = None,
        inner: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Meter what is sent through `inner`. `tolls` is closed by whoever opened it, after the client.

        `output_limit_of` says for each request what `terms.output_limit` says for all of them.
        """
        self._tolls = tolls
        self._customer_of = customer_of
        self._terms = _Terms(terms or Terms(), output_limit_of)
        self._inner = inner or httpx2.AsyncHTTPTransport()
        self._under_way: WeakSet[Passage] = WeakSet()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, metered if it is a call."""
        candidates = self._terms.candidates(request)
        call = None
        if candidates:
            call = self._terms.call(request, candidates, await request.aread())
        customer = self._customer_of(request) if call is not None else NOT_BILLED
        if call is None or customer == NOT_BILLED:
            return await self._inner.handle_async_request(request)
        if customer is None:
            return _refused(gate.customer_unknown())
        try:
            gate.check_listed(self._terms.all, call)
            hold = await self._tolls.reserve(customer, gate.held_properties(call))
        except gate.REFUSALS as refused:
            return _refused(gate.refusal_from(refused))
        passage = Passage(call, hold, self._tolls)
        self._under_way.add(passage)
        try:
            answer = await self._inner.handle_async_request(_prepared(request, call))
        except BaseException as fault:
            _end(passage, fault)
            raise
        _read_head(passage, answer)
        assert isinstance(answer.stream, httpx2.AsyncByteStream), "an async transport answers with one"
        return _answer(answer, passage, _AsyncStream(answer.stream, passage))

    async def aclose(self) -> None:
        """Close the inner transport, and record the calls whose answers nobody will read to the end any more."""
        try:
            await self._inner.aclose()
        finally:
            _end_all(self._under_way)


class MeterTransport(httpx2.BaseTransport):
    """The same for clients without async: what is said to Tollgate is waited for."""

    def __init__(
        self,
        tolls: BlockingTollsClient,
        *,
        customer_of: CustomerOf = customer_in_context,
        terms: Terms | None = None,
        output_limit_of: OutputLimitOf | None = None,
        inner: httpx2.BaseTransport | None = None,
    ) -> None:
        """Meter what is sent through `inner`."""
        self._tolls = tolls
        self._customer_of = customer_of
        self._terms = _Terms(terms or Terms(), output_limit_of)
        self._inner = inner or httpx2.HTTPTransport()
        self._under_way: WeakSet[Passage] = WeakSet()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, metered if it is a call."""
        candidates = self._terms.candidates(request)
        call = None
        if candidates:
            call = self._terms.call(request, candidates, request.read())
        customer = self._customer_of(request) if call is not None else NOT_BILLED
        if call is None or customer == NOT_BILLED:
            return self._inner.handle_request(request)
        if customer is None:
            return _refused(gate.customer_unknown())
        try:
            gate.check_listed(self._terms.all, call)
            hold = self._tolls.reserve(customer, gate.held_properties(call))
        except gate.REFUSALS as refused:
            return _refused(gate.refusal_from(refused))
        passage = Passage(call, hold, self._tolls)
        self._under_way.add(passage)
        try:
            answer = self._inner.handle_request(_prepared(request, call))
        except BaseException as fault:
            _end(passage, fault)
            raise
        _read_head(passage, answer)
        assert isinstance(answer.stream, httpx2.SyncByteStream), "a transport without async answers with one"
        return _answer(answer, passage, _BlockingStream(answer.stream, passage))

    def close(self) -> None:
        """Close the inner transport, and record the calls whose answers nobody will read to the end any more."""
        try:
            self._inner.close()
        finally:
            _end_all(self._under_way)


class _AsyncStream(httpx2.AsyncByteStream):
    """An answer's bytes on their way to the SDK. Its end, its failure or its closing records the call."""

    def __init__(self, inner: httpx2.AsyncByteStream, passage: Passage) -> None:
        self._inner = inner
        self._passage = passage

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._inner:
                if passed := self._passage.feed(chunk):
                    yield passed
            self._passage.end(is_complete=True)
            if rest := self._passage.rest():
                yield rest
        except BaseException as fault:
            self._passage.end(is_complete=False, status=_status_of(fault))
            raise

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._passage.end(is_complete=False, status=CALLER_LEFT)


class _BlockingStream(httpx2.SyncByteStream):
    """The same without async."""

    def __init__(self, inner: httpx2.SyncByteStream, passage: Passage) -> None:
        self._inner = inner
        self._passage = passage

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._inner:
                if passed := self._passage.feed(chunk):
                    yield passed
            self._passage.end(is_complete=True)
            if rest := self._passage.rest():
                yield rest
        except BaseException as fault:
            self._passage.end(is_complete=False, status=_status_of(fault))
            raise

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._passage.end(is_complete=False, status=CALLER_LEFT)


def _prepared(request: httpx2.Request, call: MeteredCall) -> httpx2.Request:
    """Return the request with the body that is to be sent, asking for an answer that can be read here."""
    dropped = {"content-length", "transfer-encoding", "accept-encoding"}
    headers = [(name, value) for name, value in request.headers.multi_items() if name.lower() not in dropped]
    headers.append(("accept-encoding", "identity"))
    return httpx2.Request(
        request.method, request.url, headers=headers, content=call.body, extensions=request.extensions
    )


def _read_head(passage: Passage, answer: httpx2.Response) -> None:
    passage.answered(
        answer.status_code,
        answer.headers.get("content-type", ""),
        is_encoded=answer.headers.get("content-encoding", "identity") != "identity",
    )


def _answer(
    answer: httpx2.Response, passage: Passage, stream: httpx2.AsyncByteStream | httpx2.SyncByteStream
) -> httpx2.Response:
    """Return the provider's answer with a stream that is looked at; its length is not known where a chunk is hidden."""
    hidden = {"content-length"} if passage.call.hides_usage else set()
    headers = [(name, value) for name, value in answer.headers.multi_items() if name.lower() not in hidden]
    return httpx2.Response(answer.status_code, headers=headers, stream=stream, extensions=answer.extensions)


def _refused(refusal: Refusal) -> httpx2.Response:
    return httpx2.Response(refusal.status, headers=refusal.headers, content=refusal.body)


def _end_all(passages: WeakSet[Passage]) -> None:
    """End the calls that are still under way: an SDK may leave a stream open that its caller has left."""
    for passage in list(passages):
        passage.end(is_complete=False, status=CALLER_LEFT)


def _end(passage: Passage, fault: BaseException) -> None:
    """End a call that has no answer."""
    if isinstance(fault, _NOT_REACHED):
        passage.give_back()
    else:
        passage.end(is_complete=False, status=_status_of(fault))


def _status_of(fault: BaseException) -> int:
    """Say how a call ended that has no answer, or only a part of one."""
    if isinstance(fault, httpx2.TimeoutException):
        return PROVIDER_SLOW
    return CALLER_LEFT if isinstance(fault, asyncio.CancelledError | GeneratorExit) else PROVIDER_BROKE
