"""Providers that break, hang, lie or say nothing, and callers that leave: each call is recorded once, and bounded."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai
import pytest

from tests.tollgate_meter import answers
from tests.tollgate_meter.tollbooth import Tollbooth
from tests.tollgate_meter.upstream import EVENTS, HANG, RESET, Script, Upstream, event
from tests.waiting import PATIENCE_S
from tollgate_meter import AsyncMeterTransport, Terms, TollsClient

SILENCE_S = 0.1
# 44 characters.
PROMPT = "Tell me about the weather in Paris tomorrow."
CHAT: Any = {"model": "gpt-5.1", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 50}


@pytest.fixture
async def tolls(tollbooth: Tollbooth) -> AsyncIterator[TollsClient]:
    """Open a client of Tollgate."""
    async with tollbooth.client() as client:
        yield client


@pytest.fixture
async def http(tolls: TollsClient) -> AsyncIterator[httpx2.AsyncClient]:
    """Open a metered client that is patient with providers."""
    transport = AsyncMeterTransport(tolls, customer_of=lambda _: "cus_1", terms=Terms(output_limit=500))
    async with httpx2.AsyncClient(transport=transport, timeout=PATIENCE_S) as client:
        yield client


async def _lose_patience(response: httpx2.Response) -> None:
    """Wait no longer for what does not come with the first word: that has arrived, or there were no answer."""
    response.request.extensions["timeout"]["read"] = SILENCE_S


async def read(http: httpx2.AsyncClient, url: str, body: Any = CHAT) -> bytes:
    """Send a request and read its whole answer, as far as it comes."""
    received = b""
    async with http.stream("POST", url, json=body) as answer:
        async for chunk in answer.aiter_bytes():
            received += chunk
    return received


async def recorded(tolls: TollsClient, tollbooth: Tollbooth) -> dict[str, Any]:
    """Wait until everything is recorded, and return what was recorded of the only call."""
    await tolls.aclose()
    found = tollbooth.recorded
    return {name: found[name] for name in found if name.endswith("tokens") or name in {"certainty", "status"}}


# The request's texts are PROMPT, 44 characters: 11 tokens. Names such as the model are no text.
INPUT_ABOUT = 11


async def test_a_stream_that_is_cut_off_is_recorded_by_what_was_seen(
    http: httpx2.AsyncClient, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    upstream.streams(answers.chat_chunk("It will rain"), answers.chat_chunk(" all day long"), ends=RESET)
    with pytest.raises(httpx2.TransportError):
        await read(http, f"{upstream.url}/v1/chat/completions", {**CHAT, "stream": True})
    # "It will rain" has 12 characters, " all day long" 13: 3 + 4 tokens.
    assert await recorded(tolls, tollbooth) == {
        "certainty": "estimated",
        "status": "error",
        "input_tokens": INPUT_ABOUT,
        "output_tokens": 7,
    }


async def test_an_interrupted_anthropic_stream_keeps_the_reported_input_and_counts_the_text(
    http: httpx2.AsyncClient, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    # The start says 1 token of output, which is only where it begins; 12 characters were seen: 3 tokens.
    upstream.streams(*answers.MESSAGES_STREAM[:3], named=True, ends=RESET)
    body = {"model": "claude-example", "max_tokens": 90, "stream": True, "messages": CHAT["messages"]}
    with pytest.raises(httpx2.TransportError):
        await read(http, f"{upstream.url}/v1/messages", body)
    assert await recorded(tolls, tollbooth) == {
        "certainty": "estimated",
        "status": "error",
        "input_tokens": 200,
        "cache_read_tokens": 1000,
        "cache_write_tokens": 400,
        "output_tokens": 3,
    }


async def test_a_provider_that_falls_silent_in_a_stream_is_recorded_as_slow(
    http: httpx2.AsyncClient, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    upstream.streams(answers.candidates("Rain", {"promptTokenCount": 9, "candidatesTokenCount": 2}, None), ends=HANG)
    http.event_hooks = {"response": [_lose_patience]}
    url = f"{upstream.url}/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
    with pytest.raises(httpx2.ReadTimeout):
        await read(http, url, {"contents": [{"parts": [{"text": PROMPT}]}]})
    # 2 tokens are reported so far, and 1 is seen.
    assert await recorded(tolls, tollbooth) == {
        "certainty": "estimated",
        "status": "timeout",
        "input_tokens": 9,
        "output_tokens": 2,
    }


async def test_a_provider_that_never_answers_is_recorded_as_unknown_and_costs_nothing(
    http: httpx2.AsyncClient, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    upstream.script = Script([HANG])
    http.timeout = httpx2.Timeout(PATIENCE_S, read=SILENCE_S)
    with pytest.raises(httpx2.ReadTimeout):
        await read(http, f"{upstream.url}/v1/chat/completions")
    assert await recorded(tolls, tollbooth) == {
        "certainty": "unknown",
        "status": "timeout",
        "input_tokens": 0,
        "output_tokens": 0,
    }


async def test_a_call_that_never_reached_its_provider_gives_back_what_it_held_and_is_not_recorded(
    http: httpx2.AsyncClient, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    # Port 1 of this machine has no listener.
    with pytest.raises(httpx2.ConnectError):
        await read(http, "http://127.0.0.1:1/v1/chat/completions")
    await tolls.drain()
    assert (len(tollbooth.reserved), tollbooth.settled) == (1, [])
    assert tollbooth.released == ["/v1/reservations/rsv_1/release"]


async def test_a_caller_that_leaves_in_the_middle_is_recorded_once(
    http: httpx2.AsyncClient, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    upstream.streams(answers.chat_chunk("It will rain"), ends=HANG)
    client = openai.AsyncOpenAI(api_key="sk-1", base_url=f"{upstream.url}/v1", http_client=http)
    stream = await client.chat.completions.create(**CHAT, stream=True)
    async for _ in stream:
        break
    await stream.close()
    await stream.close()
    assert await recorded(tolls, tollbooth) == {
        "certainty": "estimated",
        "status": "cancelled",
        "input_tokens": INPUT_ABOUT,
        "output_tokens": 3,
    }


async def test_a_caller_whose_task_is_ended_is_recorded_once(
    http: httpx2.AsyncClient, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    upstream.streams(answers.chat_chunk("It will rain"), ends=HANG)
    started = asyncio.Event()

    async def use() -> None:
        async with http.stream("POST", f"{upstream.url}/v1/chat/completions", json={**CHAT, "stream": True}) as answer:
            async for _ in answer.aiter_bytes():
                started.set()

    task = asyncio.create_task(use())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await recorded(tolls, tollbooth))["status"] == "cancelled"


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"prompt_tokens": -5, "completion_tokens": 3},
        {"prompt_tokens": 10, "completion_tokens": 10**30},
        {"prompt_tokens": 10, "completion_tokens": 200_000_000},
        {"prompt_tokens": "10", "completion_tokens": 3},
        {"prompt_tokens": True, "completion_tokens": 3},
        {"prompt_tokens": 10.5, "completion_tokens": 3},
        {"completion_tokens": 3},
        {"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": -1}},
        "many",
    ],
)
async def test_usage_that_is_missing_or_cannot_be_true_is_estimated(
    usage: Any, http: httpx2.AsyncClient, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    upstream.replies(answers.chat(usage))
    await read(http, f"{upstream.url}/v1/chat/completions")
    # "Good morning to you" has 19 characters: 5 tokens.
    assert await recorded(tolls, tollbooth) == {
        "certainty": "estimated",
        "status": "ok",
        "input_tokens": INPUT_ABOUT,
        "output_tokens": 5,
    }


async def test_parts_that_are_larger_than_their_whole_are_cut_to_it(
    http: httpx2.AsyncClient, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    usage = {
        "prompt_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 7},
        "completion_tokens": 4,
        "completion_tokens_details": {"reasoning_tokens": 9},
    }
    upstream.replies(answers.chat(usage))
    await read(http, f"{upstream.url}/v1/chat/completions")
    # 8 + 2 are the 10 that were read, and all 4 that were written are reasoned.
    assert await recorded(tolls, tollbooth) == {
        "certainty": "measured",
        "status": "ok",
        "input_tokens": 0,
        "cache_read_tokens": 8,
        "audio_input_tokens": 2,
        "output_tokens": 0,
        "reasoning_tokens": 4,
    }


async def test_a_stream_reaches_the_caller_as_it_was_sent_however_it_is_broken(
    http: httpx2.AsyncClient, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    whole = b": comment\r\n\r\n" + event(answers.chat_chunk("Rain")) + b"data: {broken\n\ndata: [1]\r\rdata: \xff\n\n"
    whole += event(answers.CHAT_LAST).replace(b"\n", b"\r\n") + b"data: [DONE]"
    # Asked for by the caller, so nothing is hidden; in pieces of 7 bytes no event arrives whole.
    upstream.script = Script([whole[at : at + 7] for at in range(0, len(whole), 7)], EVENTS)
    body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    assert await read(http, f"{upstream.url}/v1/chat/completions", body) == whole
    assert await recorded(tolls, tollbooth) == {"certainty": "measured", "status": "ok", **answers.CHAT_POOLS}


async def test_only_the_chunk_that_we_asked_for_is_taken_out_of_a_broken_stream(
    http: httpx2.AsyncClient, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    before = event(answers.chat_chunk("Rain")) + b"data: {broken\n\n"
    whole = before + event(answers.CHAT_LAST) + b"data: [DONE]"
    upstream.script = Script([whole[at : at + 5] for at in range(0, len(whole), 5)], EVENTS)
    received = await read(http, f"{upstream.url}/v1/chat/completions", {**CHAT, "stream": True})
    assert received == before + b"data: [DONE]"
    assert (await recorded(tolls, tollbooth))["certainty"] == "measured"


async def test_a_gemini_stream_that_is_an_array_is_read_like_one_of_events(
    http: httpx2.AsyncClient, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    upstream.replies(list(answers.GENERATE_STREAM))
    url = f"{upstream.url}/v1beta/models/gemini-2.5-pro:streamGenerateContent"
    await read(http, url, {"contents": [{"parts": [{"text": PROMPT}]}]})
    assert await recorded(tolls, tollbooth) == {"certainty": "measured", "status": "ok", **answers.GENERATE_POOLS}


async def test_a_redirect_costs_nothing(
    http: httpx2.AsyncClient, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    upstream.replies({}, status=302, location="/elsewhere")
    await read(http, f"{upstream.url}/v1/chat/completions")
    assert await recorded(tolls, tollbooth) == {
        "certainty": "measured",
        "status": "refused",
        "input_tokens": 0,
        "output_tokens": 0,
    }


async def test_an_answer_that_is_no_json_is_passed_on_and_counted_as_text(
    http: httpx2.AsyncClient, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    upstream.script = Script([b"<html>", b"x" * 94, b"</html>!"], "text/html")
    assert len(await read(http, f"{upstream.url}/v1/chat/completions")) == 108
    # 108 bytes are 27 tokens, below the limit of 50.
    assert await recorded(tolls, tollbooth) == {
        "certainty": "estimated",
        "status": "ok",
        "input_tokens": INPUT_ABOUT,
        "output_tokens": 27,
    }


async def test_an_encoded_answer_that_was_not_asked_for_is_passed_on_and_estimated_within_the_limit(
    http: httpx2.AsyncClient, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    upstream.script = Script([b"\x00" * 4000], headers={"content-encoding": "x-own"})
    await read(http, f"{upstream.url}/v1/chat/completions")
    assert upstream.seen[0].headers["accept-encoding"] == "identity"
    assert await recorded(tolls, tollbooth) == {
        "certainty": "estimated",
        "status": "ok",
        "input_tokens": INPUT_ABOUT,
        "output_tokens": 50,
    }


async def test_an_endless_event_is_passed_on_and_not_kept(
    http: httpx2.AsyncClient, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    # Six parts of a megabyte without a line's end: more than the 4 MiB that are looked at.
    upstream.script = Script([b"x" * 1_000_000] * 6, EVENTS)
    assert len(await read(http, f"{upstream.url}/v1/chat/completions", {**CHAT, "stream": True})) == 6_000_000
    assert (await recorded(tolls, tollbooth))["certainty"] == "estimated"


async def test_neither_prompt_nor_answer_nor_key_leaves_the_meter(
    http: httpx2.AsyncClient,
    upstream: Upstream,
    tolls: TollsClient,
    tollbooth: Tollbooth,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", "tollgate_meter")
    upstream.replies(answers.chat(None))
    headers = {"authorization": "Bearer sk-secret"}
    await http.post(f"{upstream.url}/v1/chat/completions", json=CHAT, headers=headers)
    tollbooth.mode = "misconfigured"
    await http.post(f"{upstream.url}/v1/chat/completions", json=CHAT, headers=headers)
    await tolls.aclose()
    said = json.dumps([tollbooth.reserved, tollbooth.settled, tollbooth.events]) + caplog.text
    assert "metering_misconfigured" in caplog.text
    assert not [secret for secret in ("sk-secret", "weather", "Good morning") if secret in said]
