"""The transport for clients without async: what goes wrong is told and recorded as with async."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress

import httpx2
import openai
import pytest

from tests.tollgate_meter import answers
from tests.tollgate_meter.tollbooth import Tollbooth
from tests.tollgate_meter.upstream import HANG, RESET, Upstream
from tollgate_meter import NOT_BILLED, MeterTransport

CHAT = {"model": "gpt-5.1", "messages": [{"role": "user", "content": "Good morning"}]}


async def used(tollbooth: Tollbooth, use: Callable[[httpx2.Client], None], customer: str | None = "cus_1") -> None:
    """Use a metered client in a thread."""

    def run() -> None:
        tolls = tollbooth.blocking_client()
        with tolls, httpx2.Client(transport=MeterTransport(tolls, customer_of=lambda _: customer)) as http:
            use(http)

    await asyncio.to_thread(run)


async def test_a_refusal_is_the_sdks_own_error(upstream: Upstream, tollbooth: Tollbooth) -> None:
    tollbooth.mode = "refuses"

    def use(http: httpx2.Client) -> None:
        client = openai.OpenAI(api_key="sk-1", base_url=f"{upstream.url}/v1", http_client=http)
        with pytest.raises(openai.RateLimitError, match="5,000 of 5,000"):
            client.responses.create(model="gpt-5.1", input="Hi")

    await used(tollbooth, use)
    assert (upstream.seen, tollbooth.asked) == ([], 1)


async def test_a_call_of_nobody_is_refused_and_one_that_is_not_billed_passes(
    upstream: Upstream, tollbooth: Tollbooth
) -> None:
    upstream.replies(answers.chat())
    statuses = []

    def use(http: httpx2.Client) -> None:
        statuses.append(http.post(f"{upstream.url}/v1/chat/completions", json=CHAT).status_code)

    await used(tollbooth, use, None)
    await used(tollbooth, use, NOT_BILLED)
    assert (statuses, len(upstream.seen), tollbooth.asked) == ([403, 200], 1, 0)


async def test_a_stream_that_breaks_and_one_that_is_left_are_recorded_once_each(
    upstream: Upstream, tollbooth: Tollbooth
) -> None:
    def broken(http: httpx2.Client) -> None:
        with pytest.raises(httpx2.TransportError):
            http.post(f"{upstream.url}/v1/chat/completions", json={**CHAT, "stream": True})

    def left(http: httpx2.Client) -> None:
        with http.stream("POST", f"{upstream.url}/v1/chat/completions", json={**CHAT, "stream": True}) as answer:
            next(answer.iter_raw())

    def unreachable(http: httpx2.Client) -> None:
        with pytest.raises(httpx2.ConnectError):
            http.post("http://127.0.0.1:1/v1/chat/completions", json=CHAT)

    upstream.streams(answers.chat_chunk("Good "), ends=RESET)
    await used(tollbooth, broken)
    upstream.streams(*answers.CHAT_STREAM)
    await used(tollbooth, left)
    await used(tollbooth, unreachable)
    found = [(each["status"], each["properties"]["status"]) for each in tollbooth.settled]
    assert found == [("estimated", "error"), ("estimated", "cancelled")]
    # The third never reached its provider.
    assert tollbooth.released == ["/v1/reservations/rsv_3/release"]


async def test_a_tollgate_that_cannot_be_asked_refuses_the_call(upstream: Upstream, tollbooth: Tollbooth) -> None:
    codes = []

    def use(http: httpx2.Client) -> None:
        codes.append(http.post(f"{upstream.url}/v1/chat/completions", json=CHAT).json()["error"]["code"])

    for tollbooth.mode in ("down", "misconfigured"):
        await used(tollbooth, use)
    assert (codes, upstream.seen) == (["limits_unavailable", "metering_misconfigured"], [])


async def test_an_answer_that_nobody_closes_is_recorded_when_the_client_is_closed(
    upstream: Upstream, tollbooth: Tollbooth
) -> None:
    upstream.streams(answers.CHAT_STREAM[0], ends=HANG)
    kept = []

    def leave(http: httpx2.Client) -> None:
        asked = http.build_request("POST", f"{upstream.url}/v1/chat/completions", json={**CHAT, "stream": True})
        kept.append(http.send(asked, stream=True).iter_raw())
        next(kept[0])

    await used(tollbooth, leave)
    assert tollbooth.recorded["status"] == "cancelled"


# One client in a process that asked before it forked, and in its child; the parent asks once more.
FORKED = """
import os, sys
from tollgate_meter import BlockingTollsClient
tolls = BlockingTollsClient(sys.argv[1], "tg_test_key")
ask = lambda: tolls.reserve("cus_1", {"provider": "openai"})
ask()
child = os.fork()
ask()
if not child:
    os._exit(0)
os.waitpid(child, 0)
"""


async def test_a_process_that_was_forked_off_asks_over_connections_of_its_own() -> None:
    places = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                places.append(writer.get_extra_info("peername"))
                answer = b'{"reservation": "rsv_1"}'
                writer.write(b"HTTP/1.1 201 X\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    script = await asyncio.create_subprocess_exec(sys.executable, "-c", FORKED, url)
    assert await script.wait() == 0
    server.close()
    # Three times: twice the parent over its one connection, and the child over another.
    assert sorted(places.count(place) for place in set(places)) == [1, 2]
