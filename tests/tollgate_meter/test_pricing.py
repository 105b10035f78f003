"""What no price list has a price of is refused before it is sent, in an app and under an SDK as at the gateway."""

import json
from typing import Any

import httpx2
import openai
import pytest

from tests.tollgate_meter import answers
from tests.tollgate_meter.tollbooth import Tollbooth
from tests.tollgate_meter.upstream import Upstream
from tollgate_meter import AsyncMeterTransport, MeterMiddleware, Terms, gate
from tollgate_meter.operations import BY_KEY
from tollgate_meter.pricing import unlisted_member

SAY: Any = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("provider", "more"),
    [
        ("anthropic", {"cache_control": {"type": "ephemeral"}, "inference_geo": "global", "service_tier": "auto"}),
        ("anthropic", {"system": [{"text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "5m"}}]}),
        ("anthropic", {"system": [{"text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}),
        ("anthropic", {"tools": [{"name": "keep", "input_schema": {"properties": {"ttl": {"type": "string"}}}}]}),
        ("anthropic", {"tools": [{"name": "move"}, {"type": "bash_20250124", "name": "bash"}]}),
        ("openai", {"prompt_cache_options": {"ttl": "30m"}, "service_tier": "default", "metadata": {"ttl": "1h"}}),
        ("openai", {"tools": [{"type": "function", "function": {"name": "move"}}], "background": True}),
        ("openai", {"tools": [{"type": "custom", "name": "move"}, {"type": "computer_use_preview"}]}),
        ("openai", {"tools": None}),
        ("openai", {"tools": []}),
        ("gemini", {"tools": [{"functionDeclarations": [{"name": "move"}]}]}),
        ("gemini", {"serviceTier": "standard"}),
        ("mistral", {"document_annotation_format": None}),
    ],
)
def test_what_costs_what_the_list_says_is_listed(provider: str, more: dict[str, Any]) -> None:
    assert unlisted_member({"model": "any", **more}, BY_KEY[provider], "any") == ""


@pytest.mark.parametrize(
    ("provider", "more", "member"),
    [
        ("openai", {"service_tier": "priority"}, "service_tier"),
        ("openai", {"web_search_options": {"search_context_size": "high"}}, "web_search_options"),
        ("openai", {"tools": [{"type": "web_search"}]}, "tools"),
        ("openai", {"tools": {"type": "function"}}, "tools"),
        ("openai", {"model": "gpt-5-search-api"}, "model"),
        ("anthropic", {"messages": [{"content": [{"cache_control": {"ttl": "24h"}}]}]}, "cache_control"),
        ("anthropic", {"fallbacks": [{"model": "claude-opus-5"}]}, "fallbacks"),
        ("openai", {"prompt_cache_options": {"ttl": "1h"}}, "prompt_cache_options"),
        ("gemini", {"tools": [{"googleSearch": {}}]}, "tools"),
    ],
)
async def test_under_an_sdk_what_has_no_price_is_refused_and_nothing_is_held_or_sent(
    provider: str, more: dict[str, Any], member: str, upstream: Upstream, tollbooth: Tollbooth
) -> None:
    paths = {"gemini": "/gemini/v1beta/models/gemini-2.5-pro:generateContent", "anthropic": "/anthropic/v1/messages"}
    async with tollbooth.client() as tolls:
        inner = AsyncMeterTransport(tolls, customer_of=lambda _: "cus_1")
        async with httpx2.AsyncClient(transport=inner, base_url=upstream.url) as http:
            body = {"model": "any", "max_tokens": 9, "messages": SAY, **more}
            answer = await http.post(paths.get(provider, "/openai/v1/chat/completions"), json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "call_not_meterable")
    assert answer.json()["error"]["message"].endswith(f" {member}.")
    assert (upstream.seen, tollbooth.asked) == ([], 0)


async def test_an_app_may_have_it_counted_at_the_plain_rate_which_is_said_once(
    upstream: Upstream, tollbooth: Tollbooth, caplog: pytest.LogCaptureFixture
) -> None:
    gate._say_unpriced.cache_clear()
    upstream.replies(answers.chat())
    terms = Terms(unlisted="count")
    async with tollbooth.client() as tolls:
        inner = AsyncMeterTransport(tolls, customer_of=lambda _: "cus_1", terms=terms)
        async with httpx2.AsyncClient(transport=inner) as http:
            client = openai.AsyncOpenAI(api_key="sk-1", base_url=f"{upstream.url}/openai/v1", http_client=http)
            for _ in range(2):
                await client.chat.completions.create(model="gpt-5.1", messages=SAY, service_tier="flex")
    assert (len(upstream.seen), len(tollbooth.settled)) == (2, 2)
    [said] = [each.getMessage() for each in caplog.records if "call_without_price" in each.getMessage()]
    assert said == "call_without_price provider=openai member=service_tier unlisted=count"


async def test_in_an_app_what_has_no_price_does_not_reach_it_and_its_own_bodies_are_not_looked_at(
    tollbooth: Tollbooth,
) -> None:
    reached: list[str] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        reached.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(answers.chat()).encode()})

    tolls = tollbooth.client()
    metered = MeterMiddleware(app, tolls=tolls, customer_of=lambda _: "cus_1", terms=Terms(routes={"/ask": "openai"}))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(metered), base_url="http://app") as http:
        body = {"model": "gpt-5.1", "messages": SAY, "tools": [{"type": "web_search"}]}
        answer = await http.post("/openai/v1/chat/completions", json=body)
        assert (answer.status_code, reached, tollbooth.asked) == (422, [], 0)
        assert (await http.post("/ask", json={"question": "Which?", "tools": "saws"})).status_code == 200
    await tolls.aclose()
    assert (reached, len(tollbooth.settled)) == (["/ask"], 1)
