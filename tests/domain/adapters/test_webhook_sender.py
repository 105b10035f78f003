"""The sender reaches public addresses only, whatever a name says the second time, and reads bounded answers."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from domain.adapters.webhook_sender import EXCERPT_BYTES_MAX, HttpWebhookSender
from domain.webhooks.port import Outcome
from domain.webhooks.target import TargetRefused

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Receiver:
    """A server on this machine that answers each connection with the same bytes."""

    port: int
    heard: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def listening(answer: bytes) -> AsyncIterator[Receiver]:
    """Answer on a port of this machine."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        receiver.heard.append(head + await reader.readexactly(length))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    receiver = Receiver(server.sockets[0].getsockname()[1])
    async with server:
        yield receiver


@dataclass
class Names:
    """Answers look-ups one after another; the last answer is given from then on."""

    answers: list[Sequence[str]]
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Resolve a name."""
        assert port > 0
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@asynccontextmanager
async def sending(*answers: Sequence[str], dev: bool = True) -> AsyncIterator[tuple[HttpWebhookSender, Names]]:
    """Make a sender with names of its own."""
    names = Names(list(answers))
    sender = HttpWebhookSender(dev=dev, resolve=names)
    yield sender, names
    await sender.close()


async def test_a_message_goes_to_the_address_with_the_name_as_host() -> None:
    async with listening(_OK) as receiver, sending(["127.0.0.1"]) as (sender, names):
        reply = await sender.post(
            f"http://hooks.example.com:{receiver.port}/in?x=1", {"webhook-id": "bev_1"}, b'{"a":1}'
        )
    assert (reply.outcome, reply.status, reply.excerpt) == (Outcome.DELIVERED, 200, b"ok")
    [heard] = receiver.heard
    lines = heard.lower().split(b"\r\n")
    assert heard.startswith(b"POST /in?x=1 HTTP/1.1\r\n")
    assert f"host: hooks.example.com:{receiver.port}".encode() in lines
    assert {b"content-type: application/json", b"webhook-id: bev_1", b"accept-encoding: identity"} <= set(lines)
    assert heard.endswith(b'{"a":1}')
    assert names.asked == ["hooks.example.com"], "the name is looked up once for a message"


async def test_a_name_that_moves_inside_between_two_messages_is_refused_before_it_is_called() -> None:
    async with listening(_OK) as receiver, sending(["127.0.0.1"], ["10.0.0.1"]) as (sender, _):
        url = f"http://hooks.example.com:{receiver.port}/"
        assert (await sender.post(url, {}, b"{}")).outcome is Outcome.DELIVERED
        reply = await sender.post(url, {}, b"{}")
    assert (reply.outcome, reply.status) == (Outcome.TARGET_REFUSED, None)
    assert len(receiver.heard) == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "fd00::1", "10.1.2.3"])
async def test_outside_of_development_no_name_leads_inside(address: str) -> None:
    # One public address beside it does not help: either could be the one that is called.
    async with sending(["8.8.8.8", address], dev=False) as (sender, _):
        with pytest.raises(TargetRefused):
            await sender.check("https://hooks.example.com/")
        reply = await sender.post("https://hooks.example.com/", {}, b"{}")
    assert reply.outcome is Outcome.TARGET_REFUSED


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    async with listening(moved) as receiver, sending(["127.0.0.1"]) as (sender, _):
        reply = await sender.post(f"http://hooks.example.com:{receiver.port}/", {}, b"{}")
    assert (reply.outcome, reply.status, len(receiver.heard)) == (Outcome.REFUSED, 302, 1)


async def test_only_the_beginning_of_an_answer_is_read() -> None:
    endless = b"HTTP/1.1 500 Broken\r\nContent-Length: 5000000\r\nContent-Encoding: gzip\r\n\r\n" + b"x" * 200_000
    async with listening(endless) as receiver, sending(["127.0.0.1"]) as (sender, _):
        reply = await sender.post(f"http://hooks.example.com:{receiver.port}/", {}, b"{}")
    assert (reply.outcome, reply.status, reply.excerpt) == (Outcome.REFUSED, 500, b"x" * EXCERPT_BYTES_MAX)


async def test_what_is_no_answer_is_unreachable() -> None:
    async with listening(b"nonsense\r\n\r\n") as receiver, sending(["127.0.0.1"]) as (sender, _):
        url = f"http://hooks.example.com:{receiver.port}/"
        assert (await sender.post(url, {}, b"{}")).outcome is Outcome.UNREACHABLE
    async with sending(["127.0.0.1"]) as (sender, _):
        assert (await sender.post(url, {}, b"{}")).outcome is Outcome.UNREACHABLE


async def test_tls_is_asked_for_under_the_name_and_a_server_that_cannot_prove_it_is_not_trusted() -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(4_096))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, sending(["127.0.0.1"]) as (sender, _):
        reply = await sender.post(f"https://hooks.example.com:{server.sockets[0].getsockname()[1]}/", {}, b"secret")
    assert reply.outcome is Outcome.UNREACHABLE
    assert ssl.HAS_SNI
    # The first flight of TLS names the server in clear text; the body was never sent.
    assert b"hooks.example.com" in heard[0]
    assert b"secret" not in heard[0]


async def test_a_name_that_cannot_be_found_is_refused_when_it_is_given() -> None:
    async def none(_host: str, _port: int) -> Sequence[str]:
        raise OSError

    sender = HttpWebhookSender(dev=True, resolve=none)
    with pytest.raises(TargetRefused):
        await sender.check("https://hooks.example.com/")
    assert (await sender.post("https://hooks.example.com/", {}, b"{}")).outcome is Outcome.UNREACHABLE
    async with sending([]) as (nameless, _):
        with pytest.raises(TargetRefused):
            await nameless.check("https://hooks.example.com/")


async def test_this_machines_own_resolver_is_asked_unless_another_is_given() -> None:
    async with listening(_OK) as receiver:
        sender = HttpWebhookSender(dev=True)
        reply = await sender.post(f"http://127.0.0.1:{receiver.port}/", {}, b"{}")
        await sender.close()
    assert reply.outcome is Outcome.DELIVERED
