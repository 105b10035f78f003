"""The transport under the real SDKs, against a provider on a loopback port."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from tests.tollgate_meter import answers
from tests.tollgate_meter.tollbooth import Tollbooth
from tests.tollgate_meter.upstream import HANG, Upstream
from tollgate_meter import AsyncMeterTransport, MeterTransport, Terms, billed_to

SAY: Any = [{"role": "user", "content": "Say good morning, please."}]


@pytest.fixture
async def http(tollbooth: Tollbooth) -> AsyncIterator[httpx2.AsyncClient]:
    """Open a metered client; what it has to record is recorded when it is closed."""
    async with (
        tollbooth.client() as tolls,
        httpx2.AsyncClient(transport=AsyncMeterTransport(tolls, terms=Terms(output_limit=500))) as client,
    ):
        yield client


def openai_of(http: httpx2.AsyncClient, upstream: Upstream) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="sk-1", base_url=f"{upstream.url}/openai/v1", http_client=http)


def anthropic_of(http: httpx2.AsyncClient, upstream: Upstream) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(api_key="sk-2", base_url=f"{upstream.url}/anthropic", http_client=http)


def gemini_of(http: httpx2.AsyncClient, upstream: Upstream) -> genai.Client:
    options = genai_types.HttpOptions(base_url=f"{upstream.url}/gemini", httpx_async_client=http)
    return genai.Client(api_key="g-3", http_options=options)


def mistral_of(http: httpx2.AsyncClient, upstream: Upstream) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="m-4", base_url=f"{upstream.url}/mistral/v1", http_client=http)


async def once_recorded(tollbooth: Tollbooth, **expected: Any) -> None:
    """Wait until the call is recorded, and compare what was."""
    for _ in range(100):
        if tollbooth.settled:
            break
        await asyncio.sleep(0)
    recorded = tollbooth.recorded
    assert {name: recorded[name] for name in expected} == expected
    unexpected = {name for name in recorded if name.endswith("_tokens")} - set(expected)
    assert not unexpected


async def test_openai_chat_is_held_and_then_recorded_as_the_provider_reports(
    http: httpx2.AsyncClient, upstream: Upstream, tollbooth: Tollbooth
) -> None:
    upstream.replies(answers.chat())
    with billed_to("cus_1"):
        reply = await openai_of(http, upstream).chat.completions.create(model="gpt-5.1", messages=SAY)
    assert reply.choices[0].message.content == "Good morning to you"

    [held] = tollbooth.reserved
    assert (held["customer"], held["type"]) == ("cus_1", "llm.call")
    # {"messages":[{"role":"user","content":"Say good morning, please."}],"model":"gpt-5.1"} has 86 bytes, so at most 86
    # tokens; it named no limit of its output and got ours.
    assert held["properties"] == {
        "provider": "openai",
        "model": "gpt-5.1",
        "endpoint": "/v1/chat/completions",
        "cache_write_tokens": 86,
        "output_tokens": 500,
    }
    assert upstream.seen[0].json["max_completion_tokens"] == 500
    await once_recorded(
        tollbooth,
        certainty="measured",
        provider="openai",
        model="gpt-5.1",
        endpoint="/v1/chat/completions",
        status="ok",
        **answers.CHAT_POOLS,
    )
    assert tollbooth.settled[0]["reference"] == held["id"]


async def test_an_openai_stream_is_asked_for_its_usage_and_the_caller_does_not_see_that(
    http: httpx2.AsyncClient, upstream: Upstream, tollbooth: Tollbooth
) -> None:
    upstream.streams(*answers.CHAT_STREAM)
    with billed_to("cus_1"):
        stream = await openai_of(http, upstream).chat.completions.create(model="gpt-5.1", messages=SAY, stream=True)
        # Code that reads choices[0] of every chunk must go on working.
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == "Good morning"
    assert upstream.seen[0].json["stream_options"] == {"include_usage": True}
    await once_recorded(tollbooth, certainty="measured", status="ok", **answers.CHAT_POOLS)


async def test_a_caller_that_asks_for_usage_gets_it(
    http: httpx2.AsyncClient, upstream: Upstream, tollbooth: Tollbooth
) -> None:
    upstream.streams(*answers.CHAT_STREAM)
    with billed_to("cus_1"):
        stream = await openai_of(http, upstream).chat.completions.create(
            model="gpt-5.1",
            messages=SAY,
            stream=True,
            stream_options={"include_usage": True},
            max_completion_tokens=77,
        )
        usages = [chunk.usage async for chunk in stream if chunk.usage]
    assert [usage.total_tokens for usage in usages] == [1080]
    assert tollbooth.reserved[0]["properties"]["output_tokens"] == 77
    await once_recorded(tollbooth, certainty="measured", **answers.CHAT_POOLS)


async def test_openai_responses_are_recorded_whole_and_streamed(
    http: httpx2.AsyncClient, upstream: Upstream, tollbooth: Tollbooth
) -> None:
    client = openai_of(http, upstream)
    upstream.replies(answers.response())
    with billed_to("cus_1"):
        reply = await client.responses.create(model="gpt-5.1", input="Say good morning")
    assert reply.output_text == "Good morning"
    assert upstream.seen[0].json["max_output_tokens"] == 500
    await once_recorded(tollbooth, certainty="measured", endpoint="/v1/responses", **answers.RESPONSES_POOLS)

    tollbooth.settled.clear()
    upstream.streams(*answers.RESPONSES_STREAM, named=True)
    with billed_to("cus_1"):
        events = [each.type async for each in await client.responses.create(model="gpt-5.1", input="Hi", stream=True)]
    assert events[-1] == "response.completed"
    await once_recorded(tollbooth, certainty="measured", **answers.RESPONSES_POOLS)


async def test_anthropic_messages_are_recorded_whole_and_streamed(
    http: httpx2.AsyncClient, upstream: Upstream, tollbooth: Tollbooth
) -> None:
    client = anthropic_of(http, upstream)
    upstream.replies(answers.message())
    with billed_to("cus_1"):
        reply = await client.messages.create(model="claude-example", max_tokens=100, messages=SAY)
    assert reply.usage.output_tokens == 60
    assert tollbooth.reserved[0]["properties"]["output_tokens"] == 100
    await once_recorded(tollbooth, certainty="measured", provider="anthropic", **answers.MESSAGES_POOLS)

    tollbooth.settled.clear()
    upstream.streams(*answers.MESSAGES_STREAM, named=True)
    with billed_to("cus_1"):
        async with client.messages.stream(model="claude-example", max_tokens=100, messages=SAY) as stream:
            assert "".join([text async for text in stream.text_stream]) == "Good morning"
    await once_recorded(tollbooth, certainty="measured", **answers.MESSAGES_POOLS)


async def test_gemini_is_recorded_whole_and_streamed(
    http: httpx2.AsyncClient, upstream: Upstream, tollbooth: Tollbooth
) -> None:
    client = gemini_of(http, upstream)
    upstream.replies(answers.candidates("Good morning", answers.GENERATE_USAGE))
    with billed_to("cus_1"):
        reply = await client.aio.models.generate_content(model="gemini-2.5-pro", contents="Say good morning")
    assert reply.text == "Good morning"
    assert upstream.seen[0].json["generationConfig"]["maxOutputTokens"] == 500
    await once_recorded(
        tollbooth,
        certainty="measured",
        provider="gemini",
        model="gemini-2.5-pro",
        endpoint="/v1/models:generateContent",
        **answers.GENERATE_POOLS,
    )

    tollbooth.settled.clear()
    upstream.streams(*answers.GENERATE_STREAM)
    with billed_to("cus_1"):
        chunks = await client.aio.models.generate_content_stream(model="gemini-2.5-pro", contents="Say it")
        assert "".join([chunk.text or "" async for chunk in chunks]) == "Good morning"
    await once_recorded(tollbooth, certainty="measured", **answers.GENERATE_POOLS)


async def test_a_stream_that_its_sdk_leaves_open_is_recorded_when_the_client_is_closed(
    upstream: Upstream, tollbooth: Tollbooth
) -> None:
    # Google's SDK closes only the outermost of its iterators: those below wait for the garbage collector.
    upstream.streams(answers.GENERATE_STREAM[0], ends=HANG)
    async with tollbooth.client() as tolls, httpx2.AsyncClient(transport=AsyncMeterTransport(tolls)) as http:
        client = gemini_of(http, upstream)
        with billed_to("cus_1"):
            chunks: Any = await client.aio.models.generate_content_stream(model="gemini-2.5-pro", contents="Say it")
            assert (await anext(chunks)).text == "Good "
        await chunks.aclose()
    await once_recorded(
        tollbooth, certainty="estimated", status="cancelled", **{**answers.GENERATE_POOLS, "output_tokens": 2}
    )


async def test_mistral_is_recorded_whole_and_streamed(
    http: httpx2.AsyncClient, upstream: Upstream, tollbooth: Tollbooth
) -> None:
    # Mistral states usage in the last chunk of a stream unasked: 12 in, 3 out.
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    client = mistral_of(http, upstream)
    upstream.replies(answers.chat(usage, "mistral-large-latest"))
    with billed_to("cus_1"):
        await client.chat.completions.create(model="mistral-large-latest", messages=SAY)
    assert upstream.seen[0].json["max_tokens"] == 500
    await once_recorded(tollbooth, certainty="measured", provider="mistral", input_tokens=12, output_tokens=3)

    tollbooth.settled.clear()
    upstream.streams(
        answers.chat_chunk("Good "), answers.chat_chunk("morning", "stop", usage=usage), b"data: [DONE]\n\n"
    )
    with billed_to("cus_1"):
        stream = await client.chat.completions.create(model="mistral-large-latest", messages=SAY, stream=True)
        assert len([chunk async for chunk in stream]) == 2
    assert "stream_options" not in upstream.seen[1].json
    await once_recorded(tollbooth, certainty="measured", input_tokens=12, output_tokens=3)


async def test_a_refusal_is_the_sdks_own_error_is_not_repeated_and_nothing_is_sent(
    http: httpx2.AsyncClient, upstream: Upstream, tollbooth: Tollbooth
) -> None:
    tollbooth.mode = "refuses"
    with billed_to("cus_1"):
        with pytest.raises(openai.RateLimitError, match="5,000 of 5,000 Gemini calls") as of_openai:
            await openai_of(http, upstream).chat.completions.create(model="gpt-5.1", messages=SAY)
        with pytest.raises(anthropic.RateLimitError, match="5,000 of 5,000 Gemini calls"):
            await anthropic_of(http, upstream).messages.create(model="claude-example", max_tokens=9, messages=SAY)
        with pytest.raises(genai_errors.ClientError, match="5,000 of 5,000 Gemini calls") as of_gemini:
            await gemini_of(http, upstream).aio.models.generate_content(model="gemini-2.5-pro", contents="Hi")
    assert of_openai.value.code == "limit_reached"
    assert of_openai.value.response.headers["retry-after"] == "60"
    assert "x-other" not in of_openai.value.response.headers
    assert of_openai.value.response.json()["refusal"]["used"] == "5000"
    assert of_gemini.value.code == 429
    assert (upstream.seen, tollbooth.settled, tollbooth.asked) == ([], [], 3)


async def test_a_meter_that_is_not_set_up_is_told_at_once(
    http: httpx2.AsyncClient, upstream: Upstream, tollbooth: Tollbooth
) -> None:
    tollbooth.mode = "misconfigured"
    with billed_to("cus_1"), pytest.raises(openai.InternalServerError, match="not set up to meter"):
        await openai_of(http, upstream).chat.completions.create(model="gpt-5.1", messages=SAY)
    assert (upstream.seen, tollbooth.asked) == ([], 1)


async def test_a_call_without_a_customer_is_refused(
    http: httpx2.AsyncClient, upstream: Upstream, tollbooth: Tollbooth
) -> None:
    with pytest.raises(openai.PermissionDeniedError, match="which customer"):
        await openai_of(http, upstream).chat.completions.create(model="gpt-5.1", messages=SAY)
    assert (upstream.seen, tollbooth.asked) == ([], 0)


async def test_what_is_no_call_passes_untouched(
    http: httpx2.AsyncClient, upstream: Upstream, tollbooth: Tollbooth
) -> None:
    upstream.replies({"object": "list", "data": []})
    await openai_of(http, upstream).models.list()
    upstream.replies({"input_tokens": 14})
    counted = await anthropic_of(http, upstream).messages.count_tokens(model="claude-example", messages=SAY)
    assert counted.input_tokens == 14
    assert (len(upstream.seen), tollbooth.asked) == (2, 0)


async def test_an_error_of_the_provider_is_recorded_with_its_status_and_costs_nothing(
    http: httpx2.AsyncClient, upstream: Upstream, tollbooth: Tollbooth
) -> None:
    upstream.replies({"error": {"message": "no such model", "type": "invalid_request_error"}}, status=400)
    with billed_to("cus_1"), pytest.raises(openai.BadRequestError):
        await openai_of(http, upstream).chat.completions.create(model="gpt-9", messages=SAY)
    await once_recorded(tollbooth, certainty="measured", status="refused", input_tokens=0, output_tokens=0)


async def test_clients_without_async_are_metered_the_same(upstream: Upstream, tollbooth: Tollbooth) -> None:
    def use() -> tuple[list[Any], list[str], str | None]:
        tolls = tollbooth.blocking_client()
        http = httpx2.Client(transport=MeterTransport(tolls))
        with tolls, http, billed_to("cus_1"):
            client = openai.OpenAI(api_key="sk-1", base_url=f"{upstream.url}/v1", http_client=http)
            upstream.streams(*answers.CHAT_STREAM)
            stream = client.chat.completions.create(model="gpt-5.1", messages=SAY, stream=True)
            seen: list[Any] = [chunk.choices[0].delta.content for chunk in stream]
            claude = anthropic.Anthropic(api_key="sk-2", base_url=upstream.url, http_client=http)
            upstream.streams(*answers.MESSAGES_STREAM, named=True)
            with claude.messages.stream(model="claude-example", max_tokens=9, messages=SAY) as messages:
                texts = list(messages.text_stream)
            options = genai_types.HttpOptions(base_url=upstream.url, httpx_client=http)
            upstream.replies(answers.candidates("Good morning", answers.GENERATE_USAGE))
            gemini = genai.Client(api_key="g-3", http_options=options)
            reply = gemini.models.generate_content(model="gemini-2.5-pro", contents="Hi")
            return seen, texts, reply.text

    assert await asyncio.to_thread(use) == (["Good ", "morning", None], ["Good morning"], "Good morning")
    found = [
        {name: count for name, count in body["properties"].items() if name.endswith("tokens")}
        for body in tollbooth.settled
    ]
    assert found == [answers.CHAT_POOLS, answers.MESSAGES_POOLS, answers.GENERATE_POOLS]
    # Whole answers, though the SDK closes the first stream before its end.
    assert [body["properties"]["status"] for body in tollbooth.settled] == ["ok", "ok", "ok"]
