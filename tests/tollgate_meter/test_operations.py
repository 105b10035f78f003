"""Which provider and model a request is for, what it can use at most, and what the other providers are billed by."""

import json
from typing import Any

import httpx2
import pytest

from tests.tollgate_meter.tollbooth import Tollbooth
from tests.tollgate_meter.upstream import Script, Upstream
from tollgate_meter import AsyncMeterTransport, Terms
from tollgate_meter.gate import candidates_of
from tollgate_meter.operations import BY_KEY, find
from tollgate_meter.request import read_request


@pytest.mark.parametrize(
    ("host", "path", "model", "expected"),
    [
        ("api.openai.com", "/v1/chat/completions", "gpt-5.1", ("openai", "gpt-5.1")),
        ("eu.api.openai.com", "/v1/responses", "o3", ("openai", "o3")),
        ("api.mistral.ai", "/v1/chat/completions", "mistral-large", ("mistral", "mistral-large")),
        # The same path behind a proxy: told by the provider's name in it, else by the model, else OpenAI.
        ("proxy", "/mistralai/v1/chat/completions", "gpt-5.1", ("mistral", "gpt-5.1")),
        ("proxy", "/v1/chat/completions", "codestral-2508", ("mistral", "codestral-2508")),
        ("proxy", "/v1/chat/completions", "open-mixtral-8x7b", ("mistral", "open-mixtral-8x7b")),
        ("proxy", "/v1/chat/completions", "own-model", ("openai", "own-model")),
        ("proxy", "/x/v1/messages", "claude-example", ("anthropic", "claude-example")),
        ("proxy", "/v1beta/models/gemini-2.5-pro:generateContent", None, ("gemini", "gemini-2.5-pro")),
        ("proxy", "/metaphor/search", None, ("exa", "*")),
        ("google.serper.dev", "/news", None, ("serper", "news")),
        # Nothing but the end of the path speaks for it, and an app may have such a path itself: the body tells.
        ("proxy", "/x/v1/messages", None, None),
        ("proxy", "/anthropic/v1/messages", None, ("anthropic", "unknown")),
        # What is nobody's, is free, or is not known.
        ("proxy", "/search", None, None),
        ("api.openai.com", "/v1/files", None, None),
        ("api.openai.com", "/x/v1/chat/completions", None, None),
        ("api.anthropic.com", "/v1/messages/count_tokens", "claude-example", None),
        ("api.anthropic.com", "/v1/messages/batches", "claude-example", None),
        ("evilapi.openai.com.example", "/settings", None, None),
    ],
)
def test_provider_and_model_are_found(
    host: str, path: str, model: str | None, expected: tuple[str, str] | None
) -> None:
    call = read_request(find("POST", host, path), path, json.dumps({"model": model}).encode())
    assert (None if call is None else (call.provider, call.model)) == expected


def test_a_body_that_cannot_be_read_is_not_taken_for_somebody_elses() -> None:
    call = read_request(find("POST", "proxy", "/v1/messages"), "/v1/messages", b'{"model": NaN}')
    assert call is not None
    assert call.provider == "anthropic"


def test_a_provider_that_is_not_known_is_refused_where_routes_are_named() -> None:
    with pytest.raises(ValueError, match="no provider is named gemni; there are openai, anthropic, gemini"):
        Terms(routes={"/api/ask": "gemni"})


def held(path: str, body: Any, *, limit: int | None = 500) -> dict[str, int]:
    """Return what is held for a request, without the bytes of its body."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    call = read_request(find("POST", "proxy", path), path, text, output_limit=limit)
    assert call is not None
    return {
        name: count - len(text) if "input" in name or "cache" in name else count for name, count in call.held.items()
    }


CHAT, GENERATE = "/openai/v1/chat/completions", "/v1beta/models/gemini-2.5-pro:generateContent"


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (CHAT, {"model": "gpt-5.1"}, {"cache_write_tokens": 0, "output_tokens": 500}),
        (CHAT, {"model": "gpt-5.1", "max_tokens": 70, "n": 3}, {"cache_write_tokens": 0, "output_tokens": 210}),
        # Two limits: the larger one may be the one that is kept to.
        (CHAT, {"max_tokens": 70, "max_completion_tokens": 90}, {"cache_write_tokens": 0, "output_tokens": 90}),
        # What is no number may mean anything: the most of the provider's largest model, and of what may be asked for.
        (CHAT, {"max_tokens": "70"}, {"cache_write_tokens": 0, "output_tokens": 128_000}),
        (CHAT, {"max_tokens": -1}, {"cache_write_tokens": 0, "output_tokens": 128_000}),
        (CHAT, {"max_tokens": 10**12}, {"cache_write_tokens": 0, "output_tokens": 128_000}),
        (CHAT, {"max_tokens": 10, "n": "2"}, {"cache_write_tokens": 0, "output_tokens": 1_280}),
        (CHAT, {"max_tokens": 10, "n": 0}, {"cache_write_tokens": 0, "output_tokens": 10}),
        (GENERATE, {"contents": []}, {"input_tokens": 0, "output_tokens": 500}),
        (
            GENERATE,
            {"generation_config": {"max_output_tokens": 90, "candidateCount": 2}},
            {"input_tokens": 0, "output_tokens": 180},
        ),
        ("/openai/v1/embeddings", {"model": "text-embedding-3-small"}, {"cache_write_tokens": 0}),
        # Google's answer that is spoken is held at the price of speech too.
        (
            GENERATE,
            {"generationConfig": {"responseModalities": ["AUDIO"], "maxOutputTokens": 1}},
            {"input_tokens": 0, "audio_output_tokens": 1},
        ),
        # What may stay in Anthropic's cache for an hour is held at that price; OpenAI has none of it.
        (
            "/v1/messages",
            {"model": "claude-1", "system": [{"cache_control": {"ttl": "1h"}}], "max_tokens": 1},
            {"cache_write_tokens": 0, "cache_write_1h_tokens": 0, "output_tokens": 1},
        ),
        (CHAT, {"stop": "1h", "max_tokens": 1}, {"cache_write_tokens": 0, "output_tokens": 1}),
        # A picture that the provider fetches.
        (CHAT, {"a": {"image_url": 1}, "max_tokens": 1}, {"cache_write_tokens": 32_768, "output_tokens": 1}),
        (
            CHAT,
            {"modalities": ["text", "audio"], "max_tokens": 1},
            {"cache_write_tokens": 0, "audio_output_tokens": 1},
        ),
    ],
)
def test_the_most_that_a_call_can_use_is_held(path: str, body: Any, expected: dict[str, int]) -> None:
    assert held(path, body) == expected


def test_what_cannot_be_seen_or_read_is_held_at_the_most_of_the_provider() -> None:
    for body in ({"previous_response_id": "resp_1"}, {"input": [{"file_id": "file_1"}]}):
        text = json.dumps(body).encode()
        assert held("/openai/v1/responses", text)["cache_write_tokens"] == 1_050_000 - len(text)
    assert held("/anthropic/v1/messages", b"{broken") == {"cache_write_tokens": 0, "output_tokens": 128_000}
    assert held(CHAT, {"model": "gpt-5.1"}, limit=None)["output_tokens"] == 128_000


def test_a_limit_is_set_where_the_request_keeps_its_settings() -> None:
    body = json.dumps({"contents": [], "generation_config": {"temperature": 0.5}}).encode()
    call = read_request(find("POST", "proxy", GENERATE), GENERATE, body, output_limit=500)
    assert call is not None
    assert json.loads(call.body) == {
        "contents": [],
        "generation_config": {"temperature": 0.5, "maxOutputTokens": 500},
    }


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (None, {"include_usage": True}),
        ({"include_usage": False, "include_obfuscation": False}, {"include_usage": True, "include_obfuscation": False}),
        ({"include_usage": 1}, {"include_usage": True}),
        ([], {"include_usage": True}),
    ],
)
def test_usage_is_asked_for_whatever_the_caller_says_and_hidden_where_it_said_no(options: Any, sent: Any) -> None:
    asked = {"model": "gpt-5.1", "stream": True, "n": 2, "max_tokens": 5, "stream_options": options}
    call = read_request(find("POST", "proxy", CHAT), CHAT, json.dumps(asked).encode())
    assert call is not None
    assert (json.loads(call.body), call.hides_usage) == ({**asked, "stream_options": sent}, True)
    assert call.held["output_tokens"] == 10
    for yes in (1, "true"):
        call = read_request(find("POST", "proxy", CHAT), CHAT, json.dumps({**asked, "stream": yes}).encode())
        assert call is not None
        assert json.loads(call.body)["stream_options"] == sent


def test_a_call_is_never_shown_with_its_text() -> None:
    body = b'{"model": "gpt-5.1", "messages": [{"content": "a secret"}]}'
    call = read_request(find("POST", "proxy", CHAT), CHAT, body)
    assert "secret" not in repr(call)


@pytest.mark.parametrize(
    "case",
    [
        ("/tavily/search", {"query": "rain"}, {"results": []}, {"provider": "tavily", "requests": 1}),
        ("/serper/search", {"q": "rain"}, {"organic": []}, {"provider": "serper", "model": "search", "requests": 1}),
        ("/serper/search", [{"q": "rain"}, {"q": "snow"}], [{}, {}], {"provider": "serper", "requests": 2}),
        ("/exa/search", {"query": "rain"}, {"results": []}, {"provider": "exa", "requests": 1}),
        ("/firecrawl/v2/scrape", {"url": "https://example.com"}, {"data": {}}, {"provider": "firecrawl", "pages": 1}),
        # Two pictures were asked for, and one was made.
        (
            "/stability/v1/generation/sd-xl/text-to-image",
            {"text_prompts": [], "samples": 2},
            {"artifacts": [{"base64": ""}]},
            {"provider": "stability", "model": "sd-xl", "images": 1},
        ),
        (
            "/mistral/v1/ocr",
            {"model": "mistral-ocr-latest"},
            {"pages": [], "usage_info": {"pages_processed": 7}},
            {"provider": "mistral", "model": "mistral-ocr-latest", "pages": 7},
        ),
    ],
)
async def test_other_providers_are_billed_by_the_request_the_page_and_the_image(
    case: tuple[str, Any, Any, dict[str, Any]], upstream: Upstream, tollbooth: Tollbooth
) -> None:
    path, body, reply, expected = case
    async with tollbooth.client() as tolls:
        transport = AsyncMeterTransport(tolls, customer_of=lambda _: "cus_1")
        async with httpx2.AsyncClient(transport=transport) as http:
            upstream.replies(reply)
            await http.post(f"{upstream.url}{path}", json=body)
            assert upstream.seen[0].json == body
            upstream.replies({"error": "no"}, status=402)
            await http.post(f"{upstream.url}{path}", json=body)
    done, failed = (each["properties"] for each in tollbooth.settled)
    assert expected.items() <= done.items()
    [unit] = expected.keys() & {"requests", "pages", "images"}
    assert (failed[unit], failed["status"]) == (0, "refused")


def test_an_operation_that_is_not_known_passes_and_is_named_once_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    for path in ("/v1/images/generations", "/v1/images/generations", "/v1/threads/thread_9Secret/runs"):
        assert candidates_of(Terms(), "POST", "api.openai.com", path) == ()
    # So is one that an app passes on below a provider's name, also with a slash too many.
    candidates_of(Terms(), "POST", "", "/llm/mistralai/v1/chat/completions/")
    # What is free is known, and what is somebody else's or only read is not looked at.
    candidates_of(Terms(), "POST", "api.anthropic.com", "/v1/messages/count_tokens")
    candidates_of(Terms(), "POST", "example.com", "/v1/images/variations")
    candidates_of(Terms(), "GET", "api.openai.com", "/v1/responses/resp_1")
    assert [record.getMessage() for record in caplog.records] == [
        "operation_not_metered provider=openai operation=/v1/images/generations",
        "operation_not_metered provider=openai operation=/v1/threads/*/runs",
        "operation_not_metered provider=mistral operation=/llm/mistralai/v1/chat/completions/",
    ]


async def test_an_image_that_comes_as_a_form_and_as_bytes_is_one_image(
    upstream: Upstream, tollbooth: Tollbooth
) -> None:
    upstream.script = Script([b"\x89PNG" + b"\x00" * 100], "image/png")
    async with tollbooth.client() as tolls:
        transport = AsyncMeterTransport(tolls, customer_of=lambda _: "cus_1")
        async with httpx2.AsyncClient(transport=transport) as http:
            url = f"{upstream.url}/stability/v2beta/stable-image/generate/core"
            picture = await http.post(url, files={"none": ""}, data={"prompt": "rain"})
    assert len(picture.content) == 104
    assert b'name="prompt"' in upstream.seen[0].body
    assert tollbooth.recorded == {
        "certainty": "measured",
        "provider": "stability",
        "model": "core",
        "endpoint": "/v2beta/stable-image/generate/core",
        "images": 1,
        "status": "ok",
    }


def test_every_provider_has_a_host_and_shows_its_key_in_a_header() -> None:
    assert {key: provider.host for key, provider in BY_KEY.items()} == {
        "openai": "api.openai.com",
        "anthropic": "api.anthropic.com",
        "gemini": "generativelanguage.googleapis.com",
        "mistral": "api.mistral.ai",
        "tavily": "api.tavily.com",
        "serper": "google.serper.dev",
        "exa": "api.exa.ai",
        "firecrawl": "api.firecrawl.dev",
        "stability": "api.stability.ai",
    }
    assert all(provider.key_header for provider in BY_KEY.values())
