"""What is answered while it is read is answered as the application answers it, and everything else by the application.

The tests speak plain HTTP to a server with the protocol of `tollgate serve`.
"""

import asyncio
import re
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import uvicorn
from uvicorn.server import ServerState

from api.at_once import AT_ONCE_MAX, WHOLE_WITHIN_S, AtOnce, AtOnceProtocol, protocol_of
from api.hosts import Hosts
from api.rest.limits import BODY_BYTES_MAX, Said, post_check
from domain.config import Settings
from tests.api.graphql.site import Site
from tests.api.rest.test_limits import key, subscriber, wanted
from tests.waiting import until

Answer = tuple[int, dict[str, str], bytes]
TURNS_MAX = 20


@dataclass(slots=True)
class Wire:
    """One connection to the server, of a key and a customer of whose limits enough is leased."""

    site: Site
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    token: str
    body: dict[str, Any]

    @property
    def at_once(self) -> AtOnce:
        """What answers at once."""
        found: AtOnce = self.site.app.state.at_once
        return found

    def request(self, path: str = "/v1/check", body: Any = None, method: str = "POST", **headers: str) -> bytes:
        """Write a request."""
        said = body if isinstance(body, bytes) else msgspec.json.encode(self.body if body is None else body)
        given = {"Host": self.site.host, "Authorization": f"Bearer {self.token}", "Content-Length": str(len(said))}
        lines = [f"{name}: {value}" for name, value in {**given, **headers}.items() if value]
        return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + said

    async def send(self, *parts: bytes) -> None:
        """Send parts, each by itself."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            if part is not parts[-1]:
                await asyncio.sleep(0.02)

    async def read(self) -> Answer:
        """Read one answer."""
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        return int(first.split()[1]), headers, await self.reader.readexactly(int(headers["content-length"]))

    async def ask(self, *parts: bytes) -> Answer:
        """Send a request, read its answer, and leave out the date."""
        await self.send(*parts)
        status, headers, body = await self.read()
        headers.pop("date")
        return status, headers, body

    async def ask_at_once(self, path: str = "/v1/check", name: str = "", **headers: str) -> Answer:
        """Ask until it is answered at once: what is remembered is looked at again from second to second."""
        for turn in range(TURNS_MAX):
            before = self.at_once.count
            body = {**self.body, "id": f"{name}-{turn}"} if name else self.body
            answer = await self.ask(self.request(path, body, **headers))
            if self.at_once.count > before:
                return answer
        raise AssertionError("nothing was answered at once")


@asynccontextmanager
async def wire(site: Site, plan: str = "enterprise") -> AsyncIterator[Wire]:
    """Connect, and reserve once, so that what follows is warm."""
    ada, token = await subscriber(site, plan), await key(site)
    host, port = site.host.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        found = Wire(site, reader, writer, token, wanted(ada))
        status, _, _ = await found.ask(found.request("/v1/reservations", {**found.body, "id": "first"}))
        assert status == 201
        yield found
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_warm_check_and_reservation_are_answered_as_the_application_answers_them(quiet_server: Site) -> None:
    async with wire(quiet_server) as warm:
        checked = await warm.ask_at_once()
        # What comes in two parts is not answered at once, and says the same.
        before = warm.at_once.count
        head, body = warm.request().split(b"\r\n\r\n")
        assert (await warm.ask(head + b"\r\n\r\n", body)) == checked
        assert (checked[0], warm.at_once.count) == (200, before)
        reserved = await warm.ask_at_once("/v1/reservations", "second")
        name = msgspec.json.decode(reserved[2])["reservation"]
        assert (reserved[0], reserved[1].keys()) == (201, checked[1].keys())
        settled = await warm.ask(warm.request(f"/v1/reservations/{name}/settle", {"status": "unknown"}))
        assert (settled[0], msgspec.json.decode(settled[2])["status"]) == (200, "counted")


async def test_a_repeated_reservation_is_answered_at_once_as_the_first_one(quiet_server: Site) -> None:
    async with wire(quiet_server) as warm:
        first = await warm.ask(warm.request("/v1/reservations", {**warm.body, "id": "same"}))
        held = quiet_server.app.state.serving.limits.count
        again = await warm.ask(warm.request("/v1/reservations", {**warm.body, "id": "same"}))
        assert (first[0], again[0], quiet_server.app.state.serving.limits.count) == (201, 200, held)
        names = {msgspec.json.decode(body)["reservation"] for _, _, body in (first, again)}
        assert len(names) == 1


async def test_every_refusal_comes_from_the_application(quiet_server: Site) -> None:
    async with wire(quiet_server) as warm:
        before = warm.at_once.count
        nobody = {**warm.body, "customer": "cus_00000000000000000000000000"}
        for status, asked in (
            (403, warm.request(Host="evil.example")),
            (403, warm.request(Origin="https://evil.example")),
            (401, warm.request(Authorization="")),
            (401, warm.request(Authorization=f"Bearer {warm.token[:-1]}")),
            (401, warm.request(Authorization=f"Basic {warm.token}")),
            (405, warm.request(method="PUT")),
            (307, warm.request("/v1/check/")),
            (400, warm.request(body=b"{")),
            (400, warm.request(body={**warm.body, "more": 1})),
            (413, warm.request(body=b" " * (BODY_BYTES_MAX + 1))),
            (404, warm.request(body=nobody)),
            (404, warm.request("/v1/reservations", {**nobody, "id": "x"})),
            (400, warm.request(body={**warm.body, "type": "no.such.call"})),
            (400, warm.request(body={**warm.body, "properties": {"input_tokens": -1}})),
            (400, warm.request(body={**warm.body, "properties": {"provider": "a\0"}})),
            (429, warm.request(body=wanted_of(warm, input_tokens=10**12))),
            (400, warm.request("/v1/reservations", {**warm.body, "id": ""})),
            (400, warm.request("/v1/reservations", {**warm.body, "id": "x", "expires_in_s": 0})),
        ):
            found = await warm.ask(asked)
            assert found[0] == status, (asked[-300:], found)
        assert warm.at_once.count == before


def wanted_of(warm: Wire, **properties: Any) -> dict[str, Any]:
    """Write another call of the same customer."""
    return {**warm.body, "properties": {**warm.body["properties"], **properties}}


async def test_keys_that_may_not_are_refused_however_warm_it_is(quiet_server: Site) -> None:
    async with wire(quiet_server) as warm:
        reserve = warm.request("/v1/reservations", {**warm.body, "id": "third"})
        checking = await key(quiet_server, "limit:check")
        strange = await quiet_server.key("limit:check", "usage:write", product="edge")
        before = warm.at_once.count
        for token in (await key(quiet_server, "usage:write"), strange, quiet_server.staff("viewer")):
            status, _, _ = await warm.ask(warm.request(Authorization=f"Bearer {token}"))
            again, _, _ = await warm.ask(warm.request(Authorization=f"Bearer {token}"))
            assert (status, again) == (400, 400) if token == strange else (403, 403)
        for _ in range(2):
            refused = await warm.ask(reserve.replace(warm.token.encode(), checking.encode()))
            assert (refused[0], msgspec.json.decode(refused[2])["code"]) == (403, "forbidden")
        assert warm.at_once.count == before
        held = quiet_server.app.state.serving.limits.count
        assert (await warm.ask(reserve))[0] == 201
        assert quiet_server.app.state.serving.limits.count == held + 1


async def test_requests_that_come_together_are_answered_in_their_order(quiet_server: Site) -> None:
    async with wire(quiet_server) as warm:
        many = AT_ONCE_MAX + 4
        asked = [warm.request("/v1/reservations", {**warm.body, "id": f"r{place}"}) for place in range(many)]
        # In their midst one that is refused, and at their end one whose body is not there yet.
        late = warm.request()
        await warm.send(b"".join([*asked[:3], warm.request(body=b"["), *asked[3:], late[:-10]]), late[-10:])
        found = [await warm.read() for _ in range(many + 2)]
        assert [status for status, _, _ in found] == [201] * 3 + [400] + [201] * (many - 3) + [200]
        names = {msgspec.json.decode(body)["reservation"] for status, _, body in found if status == 201}
        assert len(names) == many


async def test_a_caller_who_does_not_go_on_is_answered_and_left(quiet_server: Site) -> None:
    async with wire(quiet_server) as warm:
        await warm.ask_at_once()
        status, headers, body = await warm.ask(warm.request(Connection="close"))
        assert (status, headers["connection"]) == (200, "close")
        assert msgspec.json.decode(body)["allowed"] is True
        assert await warm.reader.read() == b""


class Line(asyncio.Transport):
    """A connection in memory. Its buffer counts as full once something was written, where `is_narrow`."""

    def __init__(self, *, is_narrow: bool = False) -> None:
        super().__init__()
        self.is_narrow = is_narrow
        self.protocol: AtOnceProtocol | None = None
        self.pieces: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        """Take what is written."""
        self.pieces.append(data)
        if self.is_narrow and self.protocol is not None:
            self.protocol.pause_writing()

    @property
    def written(self) -> bytes:
        """All that was written."""
        return b"".join(self.pieces)

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self.is_closed

    def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True

    def pause_reading(self) -> None:
        """Go on: what is read is told by the test."""

    def resume_reading(self) -> None:
        """Go on."""


class Always(AtOnce):
    """Answers every request at once with its path."""

    def answer(self, scope: Mapping[str, Any], body: bytes | bytearray) -> Said:
        """Say the path."""
        del body
        return Said(200, scope["path"].encode())


async def late(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer as an application does."""
    await Said(200, b"late")({}, _receive, send)


def protocol_on(line: Line, whole_within_s: float = WHOLE_WITHIN_S) -> AtOnceProtocol:
    """Connect it to a server that answers everything at once, before an application that says so."""
    config = uvicorn.Config(late, log_config=None, lifespan="off")
    made = protocol_of(Always(Hosts(Settings()), {}), whole_within_s)(
        config, ServerState(), {}, asyncio.get_running_loop()
    )
    made.connection_made(line)
    line.protocol = made
    return made


def bodies(written: bytes) -> list[bytes]:
    """Return the bodies of answers."""
    return re.findall(rb"\r\n\r\n(/?[a-z0-9]+)", written)


async def test_one_connection_gets_a_bounded_number_of_answers_in_a_row() -> None:
    line = Line()
    protocol = protocol_on(line)
    asked = [b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % place for place in range(AT_ONCE_MAX + 2)]
    protocol.data_received(b"".join(asked))
    in_a_row = [b"/%d" % place for place in range(AT_ONCE_MAX)]
    assert bodies(line.written) == in_a_row
    for _ in range(10):
        await asyncio.sleep(0)
    # The others have had their turn by now, and the application gives the rest.
    assert bodies(line.written) == [*in_a_row, b"late", b"late"]
    protocol.data_received(asked[0])
    assert bodies(line.written)[-1] == b"/0"
    # It ends in its own good time: a timer of the server waits for the next request.
    protocol.connection_lost(None)


async def test_an_answer_is_written_in_one_piece() -> None:
    line = Line()
    protocol = protocol_on(line)
    protocol.data_received(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
    [answer] = line.pieces
    assert answer == b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n/1"
    # The old protocol ends with its answer, and says so.
    protocol.data_received(b"GET /2 HTTP/1.0\r\nHost: x\r\n\r\n")
    assert b"\r\nconnection: close\r\n\r\n/2" in line.pieces[1]
    assert (len(line.pieces), line.is_closed) == (2, True)
    protocol.connection_lost(None)


async def test_a_connection_that_has_ended_is_forgotten_at_once() -> None:
    line = Line()
    protocol = protocol_on(line)
    protocol.data_received(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert bodies(line.written) == [b"/1"]
    protocol.connection_lost(None)
    ended, line.protocol = weakref.ref(protocol), None
    del protocol
    # No ring is left, for which the server would look only now and then.
    assert ended() is None


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [b"GET / HT"],
        [b"GET / HTTP/1.1\r\nHost: x\r\nX-Drop: ", b"d"],
        [b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", b"d"],
        [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\n", b"Host"],
    ],
)
async def test_a_connection_on_which_no_request_is_there_whole_in_time_is_closed(sent: list[bytes]) -> None:
    line = Line()
    protocol = protocol_on(line, 0.01)
    for part in sent:
        protocol.data_received(part)
    await until(lambda: line.is_closed, "it is closed")
    protocol.connection_lost(None)


async def test_a_request_that_is_there_whole_has_all_the_time_to_be_answered() -> None:
    line = Line()
    protocol = protocol_on(line, 0.01)
    protocol.data_received(b"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
    protocol.data_received(b"{}")
    assert protocol._deadline is None
    await asyncio.sleep(0.05)
    assert not line.is_closed
    protocol.connection_lost(None)


async def test_a_caller_who_reads_slowly_is_answered_by_a_task_once_it_reads_on() -> None:
    line = Line(is_narrow=True)
    protocol = protocol_on(line)
    protocol.data_received(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (bodies(line.written), len(protocol.tasks)) == ([b"/1"], 0)
    protocol.data_received(b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(0)
    assert (bodies(line.written), len(protocol.tasks)) == ([b"/1"], 1)
    line.is_narrow = False
    protocol.resume_writing()
    for _ in range(3):
        await asyncio.sleep(0)
    assert (bodies(line.written), len(protocol.tasks)) == ([b"/1", b"/2"], 0)
    protocol.connection_lost(None)


async def test_a_fault_of_ours_is_met_by_the_application(quiet_server: Site) -> None:
    found = quiet_server.app.state.at_once
    scope = {"path": "/v1/check", "method": "POST", "headers": [(b"host", quiet_server.host.encode())]}
    # A header that is not bytes would be a fault of ours: nobody is answered by it, and nothing is broken off.
    before = found.count
    assert found.answer({**scope, "headers": [*scope["headers"], (b"authorization", 1)]}, b"") is None
    assert AtOnce(Hosts(Settings()), {"/v1/check": post_check}).answer(scope, b"") is None
    assert found.count == before


async def test_a_revoked_or_expired_credential_is_not_remembered_for_longer_than_by_the_application(
    quiet_server: Site,
) -> None:
    known, now = quiet_server.app.state.serving.authenticator, quiet_server.runtime.now()
    token = quiet_server.token(kind="staff", role="admin", lives=timedelta(seconds=5))
    assert known.remembered(token, now) is None
    principal = await known.authenticate(token, now)
    assert known.remembered(token, now + timedelta(seconds=4)) == principal
    assert known.remembered(token, now + timedelta(seconds=6)) is None
    secret = await key(quiet_server)
    await known.authenticate(secret, now)
    assert known.remembered(secret, now + timedelta(seconds=9)) is not None
    assert known.remembered(secret, now + timedelta(seconds=10)) is None
    assert [known.remembered(text, now) for text in (None, "", "é", "x" * 10_000)] == [None] * 4
