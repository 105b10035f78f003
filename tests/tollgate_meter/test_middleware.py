"""The middleware around a product's own app on a real server, called with the real SDKs."""

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import types as genai_types

from tests.tollgate_meter import answers
from tests.tollgate_meter.product import open_app, product
from tests.tollgate_meter.tollbooth import Tollbooth
from tests.tollgate_meter.upstream import HANG, RESET, Upstream
from tests.waiting import until
from tollgate_meter import NOT_BILLED, MeterMiddleware, Terms, TollsClient

SAY: Any = [{"role": "user", "content": "Say good morning, please."}]


async def customer_of(scope: Any) -> str | None:
    """Take the customer from a header, as a product takes it from its own session."""
    given = dict(scope["headers"]).get(b"x-customer")
    return None if given is None else str(given.decode())


@pytest.fixture
async def tolls(tollbooth: Tollbooth) -> AsyncIterator[TollsClient]:
    """Open a client of Tollgate."""
    async with tollbooth.client() as client:
        yield client


@pytest.fixture
async def app_url(upstream: Upstream, tolls: TollsClient) -> AsyncIterator[str]:
    """Serve the metered product."""
    terms = Terms(output_limit=500, routes={"/api/ask": "gemini"})
    app = MeterMiddleware(
        product(upstream.url), tolls=tolls, customer_of=customer_of, terms=terms, body_bytes_max=5_000
    )
    async with open_app(app) as url:
        yield url


FOR_ADA = {"x-customer": "cus_ada"}


async def recorded(tolls: TollsClient, tollbooth: Tollbooth) -> dict[str, Any]:
    """Wait for the server to be done with the call, and return what was recorded of it."""
    await until(lambda: tollbooth.settled, "the record of the call")
    await tolls.aclose()
    found = tollbooth.recorded
    return {name: found[name] for name in found if name.endswith("tokens") or name in {"certainty", "status"}}


async def test_openai_calls_through_the_app_are_recorded_whole_and_streamed(
    app_url: str, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    client = openai.AsyncOpenAI(api_key="x", base_url=f"{app_url}/llm/openai/v1", default_headers=FOR_ADA)
    upstream.replies(answers.chat())
    reply = await client.chat.completions.create(model="gpt-5.1", messages=SAY)
    assert reply.choices[0].message.content == "Good morning to you"
    assert upstream.seen[0].json["max_completion_tokens"] == 500

    upstream.streams(*answers.CHAT_STREAM)
    stream = await client.chat.completions.create(model="gpt-5.1", messages=SAY, stream=True)
    assert [chunk.choices[0].delta.content async for chunk in stream] == ["Good ", "morning", None]
    await client.close()
    await tolls.aclose()
    assert [body["customer"] for body in tollbooth.reserved] == ["cus_ada", "cus_ada"]
    for body in tollbooth.settled:
        assert answers.CHAT_POOLS.items() <= body["properties"].items()
    assert [body["status"] for body in tollbooth.settled] == ["measured", "measured"]


async def test_anthropic_and_gemini_calls_through_the_app_are_recorded(
    app_url: str, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    claude = anthropic.AsyncAnthropic(api_key="x", base_url=f"{app_url}/llm/anthropic", default_headers=FOR_ADA)
    upstream.streams(*answers.MESSAGES_STREAM, named=True)
    async with claude.messages.stream(model="claude-example", max_tokens=100, messages=SAY) as stream:
        assert "".join([text async for text in stream.text_stream]) == "Good morning"
    await claude.close()

    options = genai_types.HttpOptions(base_url=f"{app_url}/llm/gemini", headers=FOR_ADA)
    upstream.streams(*answers.GENERATE_STREAM)
    async with genai.Client(api_key="x", http_options=options).aio as gemini:
        chunks = await gemini.models.generate_content_stream(model="gemini-2.5-pro", contents="Say it")
        assert "".join([chunk.text or "" async for chunk in chunks]) == "Good morning"
    await tolls.aclose()
    found = [
        {name: count for name, count in body["properties"].items() if name.endswith("tokens")}
        for body in tollbooth.settled
    ]
    assert found == [answers.MESSAGES_POOLS, answers.GENERATE_POOLS]


async def test_the_first_event_reaches_the_caller_before_the_provider_says_more(
    app_url: str, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    upstream.streams(answers.chat_chunk("Good "), ends=HANG)
    async with openai.AsyncOpenAI(
        api_key="x", base_url=f"{app_url}/llm/openai/v1", default_headers=FOR_ADA, timeout=30
    ) as client:
        stream = await client.chat.completions.create(model="gpt-5.1", messages=SAY, stream=True)
        first = await anext(aiter(stream))
        # The provider is silent until it is let go, and the event is here.
        assert first.choices[0].delta.content == "Good "
        assert not tollbooth.settled
        await stream.close()
    # The caller left after "Good ", 5 characters: 2 tokens.
    found = await recorded(tolls, tollbooth)
    assert (found["certainty"], found["status"], found["output_tokens"]) == ("estimated", "cancelled", 2)


async def test_a_refused_call_does_not_reach_the_app(
    app_url: str, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    tollbooth.mode = "refuses"
    async with openai.AsyncOpenAI(api_key="x", base_url=f"{app_url}/llm/openai/v1", default_headers=FOR_ADA) as client:
        with pytest.raises(openai.RateLimitError, match="5,000 of 5,000 Gemini calls"):
            await client.chat.completions.create(model="gpt-5.1", messages=SAY)
    await tolls.aclose()
    assert (upstream.seen, tollbooth.asked, tollbooth.settled) == ([], 1, [])


@pytest.mark.parametrize(
    ("mode", "code"), [("down", "limits_unavailable"), ("misconfigured", "metering_misconfigured")]
)
async def test_a_call_that_cannot_be_checked_is_refused(
    mode: str, code: str, app_url: str, upstream: Upstream, tollbooth: Tollbooth
) -> None:
    tollbooth.mode = mode
    async with httpx2.AsyncClient(base_url=app_url, headers=FOR_ADA) as client:
        answer = await client.post("/llm/openai/v1/chat/completions", json={"model": "gpt-5.1", "messages": SAY})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, code)
    assert upstream.seen == []


async def test_an_app_that_breaks_off_or_crashes_is_recorded_once(
    app_url: str, upstream: Upstream, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    body = {"model": "claude-example", "max_tokens": 9, "messages": SAY}
    async with httpx2.AsyncClient(base_url=app_url, headers=FOR_ADA) as client:
        # "messages" behind a path of the app's own: found by its end.
        answer = await client.post("/llm/crash/v1/messages", json=body)
        assert answer.status_code == 500
        upstream.streams(*answers.MESSAGES_STREAM[:3], named=True, ends=RESET)
        with pytest.raises(httpx2.TransportError):
            await client.post("/llm/anthropic/v1/messages", json={**body, "stream": True})
    await until(lambda: len(tollbooth.settled) == 2, "the records of both calls")
    await tolls.aclose()
    found = [(each["status"], each["properties"]["status"]) for each in tollbooth.settled]
    assert found == [("measured", "error"), ("estimated", "error")]


async def test_a_path_of_the_apps_own_is_metered_as_its_provider_and_its_body_is_not_changed(
    app_url: str, tolls: TollsClient, tollbooth: Tollbooth
) -> None:
    async with httpx2.AsyncClient(base_url=app_url, headers=FOR_ADA) as client:
        answer = await client.post("/api/ask", json={"question": "What is rain?", "model": "gemini-2.5-flash"})
    assert answer.json() == {"answer": "You asked: What is rain?"}
    # "What is rain?" has 13 characters, 4 tokens; the answer has 24, 6 tokens.
    assert await recorded(tolls, tollbooth) == {
        "certainty": "estimated",
        "status": "ok",
        "input_tokens": 4,
        "output_tokens": 6,
    }
    names = {"provider": "gemini", "model": "gemini-2.5-flash", "endpoint": "/api/ask"}
    assert names.items() <= tollbooth.settled[0]["properties"].items()


async def test_a_call_needs_a_customer_and_may_be_nobodys(
    app_url: str, upstream: Upstream, tollbooth: Tollbooth
) -> None:
    upstream.replies(answers.chat())
    async with httpx2.AsyncClient(base_url=app_url) as client:
        body = {"model": "gpt-5.1", "messages": SAY}
        refused = await client.post("/llm/openai/v1/chat/completions", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "customer_unknown")
        assert upstream.seen == []
        free = await client.post("/llm/openai/v1/chat/completions", json=body, headers={"x-customer": NOT_BILLED})
        assert free.status_code == 200
    assert (len(upstream.seen), upstream.seen[0].json, tollbooth.asked) == (1, body, 0)


async def test_a_path_of_the_app_that_only_looks_like_a_providers_passes_untouched(
    app_url: str, tollbooth: Tollbooth
) -> None:
    async with httpx2.AsyncClient(base_url=app_url) as client:
        answer = await client.post("/api/v1/messages", json={"text": "Lunch at noon?"})
    assert (answer.json(), tollbooth.asked) == ({"noted": "Lunch at noon?"}, 0)


async def test_a_body_above_the_bound_is_refused(app_url: str, upstream: Upstream, tollbooth: Tollbooth) -> None:
    async with httpx2.AsyncClient(base_url=app_url, headers=FOR_ADA) as client:
        answer = await client.post("/llm/openai/v1/chat/completions", content=b"x" * 5_001)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    assert (upstream.seen, tollbooth.asked) == ([], 0)
