"""The connections to Tollgate: answers in every form, connections that break, and bounds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from tollgate_meter.tolls import TollsUnavailable
from tollgate_meter.wire import Answer, Wire, answer_in

SIZED = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-One:  two \r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
TRAILED = CHUNKED.removesuffix(b"\r\n") + b"Trailer: 1\r\n\r\n"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED


@pytest.mark.parametrize("whole", [SIZED, CHUNKED, TRAILED, CONTINUED])
def test_an_answer_is_whole_at_its_last_byte_and_not_before(whole: bytes) -> None:
    for end in range(len(whole)):
        assert answer_in(bytearray(whole[:end]), is_end=False) is None
    found = answer_in(bytearray(whole + b"more"), is_end=False)
    assert found is not None
    assert (found[0].content, found[1]) == (b"hello", len(whole))


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    held = bytearray(b"HTTP/1.1 503 No\r\n\r\nhello")
    assert answer_in(held, is_end=False) is None
    assert answer_in(held, is_end=True) == (Answer(503, {}, b"hello"), len(held))


@pytest.mark.parametrize(
    "held",
    [
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"x" * 65_537,
    ],
)
def test_what_is_no_answer_or_too_large_is_refused(held: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        answer_in(bytearray(held), is_end=False)


@dataclass
class Server:
    """Answers each request with the next of `answers`; an empty one closes the connection, None says nothing."""

    answers: list[bytes | None]
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0)
                if answer is None:
                    await reader.read()
                    break
                writer.write(answer)
                if not answer or b"Connection: close" in answer:
                    break
        writer.close()


@asynccontextmanager
async def served(*answers: bytes | None, timeout_s: float = 5) -> AsyncIterator[tuple[Server, Wire]]:
    """Serve some answers, and open a wire to them."""
    server = Server(list(answers))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    wire = Wire(f"http://127.0.0.1:{server.port}/tolls/", {"Authorization": "Bearer k"}, timeout_s)
    try:
        yield server, wire
    finally:
        await wire.aclose()
        listening.close()


async def test_a_connection_is_kept_and_its_requests_are_complete() -> None:
    async with served(SIZED, CHUNKED) as (server, wire):
        first, second = await wire.post("/v1/a", b"{1}"), await wire.post("/v1/b", b"")
    assert (first.status, first.headers["x-one"], first.content, second.content) == (201, "two", b"hello", b"hello")
    assert server.connections == 1
    host = f"Host: 127.0.0.1:{server.port}".encode()
    expected = b"POST /tolls/v1/a HTTP/1.1\r\nContent-Length: 3\r\n" + host + b"\r\nAuthorization: Bearer k\r\n\r\n{1}"
    assert server.requests[0] == expected


async def test_a_connection_that_was_closed_meanwhile_is_replaced() -> None:
    async with served(SIZED, b"", SIZED) as (server, wire):
        await wire.post("/a", b"1")
        # The kept connection is closed instead of an answer, and the request goes over a new one.
        assert (await wire.post("/a", b"2")).content == b"hello"
    assert (server.connections, [each[-1:] for each in server.requests]) == (2, [b"1", b"2", b"2"])


async def test_a_connection_that_is_to_be_closed_is_not_used_again() -> None:
    closing = SIZED.replace(b"X-One:  two ", b"Connection: close")
    async with served(closing, SIZED) as (server, wire):
        await wire.post("/a", b"1")
        await wire.post("/a", b"2")
    assert server.connections == 2


async def test_more_than_was_asked_for_ends_the_connection_and_is_never_taken_for_the_next_answer() -> None:
    async with served(SIZED + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", SIZED) as (server, wire):
        await wire.post("/a", b"1")
        assert (await wire.post("/a", b"2")).content == b"hello"
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer", [None, b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"nonsense\r\n\r\n"]
)
async def test_an_answer_that_does_not_come_is_told(answer: bytes | None) -> None:
    async with served(answer, timeout_s=0.2) as (_, wire):
        with pytest.raises(TollsUnavailable):
            await wire.post("/a", b"1")
        assert wire._idle == []


async def test_a_server_out_of_reach_is_told_and_an_address_is_checked() -> None:
    with pytest.raises(TollsUnavailable):
        await Wire("http://127.0.0.1:1", {}, 1).post("/a", b"")
    for wrong in ("billing.example.com", "ftp://billing.example.com", "http://"):
        with pytest.raises(ValueError, match="begins with http"):
            Wire(wrong, {}, 1)


async def test_requests_at_once_have_connections_of_their_own_up_to_a_bound() -> None:
    async with served(*[SIZED] * 250) as (server, wire):
        answers = await asyncio.gather(*[wire.post("/a", b"1") for _ in range(250)])
    assert {each.content for each in answers} == {b"hello"}
    assert 1 < server.connections <= 100
