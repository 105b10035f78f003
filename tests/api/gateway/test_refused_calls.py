"""What the gateway does not pass on: nothing of it reaches a provider."""

import json
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from api.gateway.door import BODY_BYTES_MAX, BYTES_IN_FLIGHT_MAX, CALLS_MAX
from api.gateway.proxy import Proxy
from domain.access.credentials import KeyRefused
from domain.config import Settings
from domain.kernel.call import Environment
from tests.api.gateway.conftest import CHAT, SAY, Gate, post
from tests.tollgate_meter import answers
from tests.tollgate_meter.product import open_app
from tests.tollgate_meter.tollbooth import Tollbooth


@pytest.mark.parametrize(
    "path",
    [
        "/openai/v1/files",
        "/openai/v1/responses/resp_1",
        "/openai/v1/chat/completions/",
        "/openai/v1//chat/completions",
        "/openai/v1/models/../files",
        "/openai/v1/models/%2e%2e%2ffiles",
        "/openai//evil.example/v1/chat/completions",
        "/anthropic/v1/messages/batches",
        "/gemini/v1beta/cachedContents",
        "/gemini/v1beta/models/a/b:generateContent",
        "/gemini/v1beta/models/x%3Fkey=1:generateContent",
        "/tavily/search",
        "/nobody/v1/messages",
    ],
)
async def test_a_path_that_is_no_known_operation_is_refused(path: str, gate: Gate) -> None:
    answer = await post(gate, path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] in {"operation_unknown", "provider_unknown"}
    assert gate.upstream.seen == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/openai/v1/responses", {"input": "Hi", "previous_response_id": "resp_1"}),
        ("/openai/v1/responses", {"input": "Hi", "background": True}),
        ("/openai/v1/responses", {"input": "Hi", "conversation": "conv_1"}),
        ("/openai/v1/responses", {"prompt": {"id": "pmpt_1"}}),
        ("/openai/v1/responses", {"input": [{"type": "item_reference", "id": "msg_1"}]}),
        ("/openai/v1/responses", {"input": [{"content": [{"type": "input_file", "file_id": "file_1"}]}]}),
        ("/openai/v1/responses", {"input": "Hi", "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}),
        ("/openai/v1/chat/completions", {**CHAT, "service_tier": "priority"}),
        ("/openai/v1/chat/completions", {**CHAT, "web_search_options": {"search_context_size": "high"}}),
        ("/openai/v1/responses", {"input": "Hi", "tools": [{"type": "web_search"}]}),
        ("/openai/v1/responses", {"input": "Hi", "tools": [{"type": "image_generation"}]}),
        ("/openai/v1/responses", {"input": "Hi", "tools": [{"type": "mcp", "server_url": "https://x"}]}),
        ("/openai/v1/responses", {"input": "Hi", "tools": {"type": "function"}}),
        ("/openai/v1/responses", {"input": "Hi", "tools": ["web_search"]}),
        ("/openai/v1/responses", {"input": "Hi", "tools": [{"type": ["function"]}]}),
        ("/anthropic/v1/messages", {"messages": SAY, "tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
        ("/anthropic/v1/messages", {"messages": SAY, "mcp_servers": [{"type": "url", "url": "https://x"}]}),
        ("/gemini/v1beta/models/gemini-2.5-pro:generateContent", {"contents": [], "tools": [{"googleSearch": {}}]}),
        (
            "/gemini/v1beta/models/gemini-2.5-pro:generateContent",
            {"contents": [], "tools": [{"functionDeclarations": [], "url_context": {}}]},
        ),
        ("/anthropic/v1/messages", {"messages": SAY, "speed": "fast"}),
        # What costs more than the list says: a tier in Google's spelling, a region, a long life in a cache, another
        # model when the first one declines, notes on each page, and models that search by themselves.
        ("/gemini/v1beta/models/gemini-2.5-pro:generateContent", {"contents": [], "serviceTier": "priority"}),
        ("/gemini/v1beta/models/gemini-2.5-pro:generateContent", {"contents": [], "service_tier": "flex"}),
        ("/anthropic/v1/messages", {"messages": SAY, "inference_geo": "us"}),
        ("/anthropic/v1/messages", {"messages": SAY, "cache_control": {"type": "ephemeral", "ttl": "24h"}}),
        (
            "/anthropic/v1/messages",
            {"messages": SAY, "system": [{"text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "24h"}}]},
        ),
        ("/anthropic/v1/messages", {"messages": SAY, "fallbacks": [{"model": "claude-opus-5"}]}),
        ("/openai/v1/responses", {"input": "Hi", "prompt_cache_options": {"ttl": "12h"}}),
        (
            "/mistral/v1/ocr",
            {"document": {"document_url": "https://x"}, "document_annotation_format": {"type": "text"}},
        ),
        ("/mistral/v1/ocr", {"document": {"document_url": "https://x"}, "bbox_annotation_format": {"type": "text"}}),
        ("/openai/v1/chat/completions", {"model": "gpt-4o-search-preview-2025-03-11", "messages": SAY}),
        ("/openai/v1/chat/completions", {"model": "gpt-5-search-api", "messages": SAY}),
        ("/gemini/v1beta/models/gemini-2.5-pro:generateContent", {"contents": [], "cachedContent": "cachedContents/1"}),
        (
            "/gemini/v1beta/models/gemini-2.5-pro:generateContent",
            {"contents": [{"parts": [{"fileData": {"fileUri": "https://x/files/1"}}]}]},
        ),
    ],
)
async def test_what_reaches_into_the_shared_account_or_has_no_price_is_refused(
    path: str, body: Any, gate: Gate
) -> None:
    answer = await post(gate, path, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "call_not_meterable")
    assert gate.upstream.seen == []


async def test_a_tool_may_use_any_name_for_its_own_data(gate: Gate) -> None:
    gate.upstream.replies(answers.message())
    used = {"type": "tool_use", "id": "t1", "name": "move", "input": {"container": "blue", "file_id": "7"}}
    schema = {"type": "object", "properties": {"file_id": {"type": "string"}}, "required": ["file_id"]}
    body = {
        "model": "claude-opus-5",
        "max_tokens": 9,
        "messages": [*SAY, {"role": "assistant", "content": [used]}],
        "tools": [{"name": "move", "input_schema": schema}],
    }
    assert (await post(gate, "/anthropic/v1/messages", body)).status_code == 200
    assert gate.upstream.seen[0].json == body


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{broken", {}, 400, "call_malformed"),
        (b"[]", {}, 400, "call_malformed"),
        (b"[" * 100_000, {}, 400, "call_malformed"),
        (b"", {}, 400, "call_malformed"),
        (b'{"n": 1e999}', {}, 400, "call_malformed"),
        (b'{"model": "\xff"}', {}, 400, "call_malformed"),
        (b"x", {"content-encoding": "gzip"}, 415, "encoding_unknown"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    body: bytes, headers: dict[str, str], status: int, code: str, gate: Gate
) -> None:
    answer = await post(gate, "/openai/v1/chat/completions", body, **headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert gate.upstream.seen == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        # A stored response is not given out, and could be counted twice; neither head nor options are operations.
        ("GET", "/openai/v1/responses/resp_1", 404),
        ("GET", "/openai/v1/chat/completions", 404),
        ("HEAD", "/openai/v1/models", 404),
        ("OPTIONS", "/openai/v1/chat/completions", 405),
        ("PUT", "/openai/v1/chat/completions", 405),
        ("DELETE", "/openai/v1/responses/resp_1", 405),
    ],
)
async def test_another_method_reaches_no_provider(
    method: str, path: str, status: int, gate: Gate, tollbooth: Tollbooth
) -> None:
    async with httpx2.AsyncClient() as http:
        answer = await http.request(method, f"{gate.url}{path}", headers={"authorization": f"Bearer {gate.key}"})
    assert (answer.status_code, gate.upstream.seen, tollbooth.asked) == (status, [], 0)


@pytest.mark.parametrize("path", ["/openai/v1/realtime?model=gpt-realtime", "/gemini/ws/x.BidiGenerateContent"])
async def test_a_realtime_call_is_told_that_it_does_not_pass(path: str, gate: Gate) -> None:
    async with open_app(Starlette(routes=gate.door.routes)) as url:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"{url.replace('http', 'ws', 1)}/gateway{path}"):
                pass
    assert refused.value.response.status_code == 404
    assert json.loads(refused.value.response.body or b"")["error"]["code"] == "operation_unknown"


async def test_a_member_given_twice_is_read_the_same_by_the_provider(gate: Gate, tollbooth: Tollbooth) -> None:
    gate.upstream.replies(answers.chat())
    await post(gate, "/openai/v1/chat/completions", b'{"model": "gpt-5.1", "max_tokens": 1, "max_tokens": 9}')
    assert gate.upstream.seen[0].body.count(b"max_tokens") == 1
    assert gate.upstream.seen[0].json["max_tokens"] == tollbooth.reserved[0]["properties"]["output_tokens"] == 9


async def test_only_a_gateway_key_of_one_customer_may_call(gate: Gate) -> None:
    site = gate.site
    for key, status in (
        (f"tg_live_{'x' * 43}", 401),
        (f"tg_test_{'x' * 43}", 401),
        (await site.key("usage:read", customer_id=gate.customer_id), 403),
        (await site.key("usage:write", product="llm"), 403),
        (site.staff(), 403),
        (site.member(gate.customer_id), 403),
    ):
        answer = await post(gate, "/openai/v1/chat/completions", authorization=f"Bearer {key}")
        assert answer.status_code == status
    assert gate.upstream.seen == []
    with pytest.raises(KeyRefused, match="bound to one customer"):
        await site.key("gateway")


async def test_a_provider_or_an_environment_that_is_not_set_up_is_refused(gate: Gate) -> None:
    proxy = Proxy(Settings(gateway_keys=("tg_test_key",), openai_key="sk-1"), gate.site.app, gate.transport)
    before, gate.door._proxy = gate.door._proxy, proxy
    answer = await post(gate, "/mistral/v1/chat/completions")
    gate.door._proxy = before
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "provider_not_set_up")
    live = await gate.site.key("gateway", environment=Environment.LIVE, customer_id=gate.customer_id)
    answer = await post(gate, "/openai/v1/chat/completions", authorization=f"Bearer {live}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "provider_not_set_up")
    assert gate.upstream.seen == []


async def test_bounds_of_bodies_and_of_calls_under_way_are_kept(gate: Gate) -> None:
    answer = await post(gate, "/openai/v1/chat/completions", b" " * (BODY_BYTES_MAX + 1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")

    gate.door._inflow.held = BYTES_IN_FLIGHT_MAX
    answer = await post(gate, "/openai/v1/chat/completions")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "usage_busy")
    gate.door._inflow.held = 0

    gate.door._calls = CALLS_MAX
    answer = await post(gate, "/openai/v1/chat/completions")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    # One that is busy may be asked again; one whose limit is reached may not.
    assert "x-should-retry" not in answer.headers
    gate.door._calls = 0
    assert gate.upstream.seen == []


async def test_nothing_is_held_when_calls_are_over(gate: Gate) -> None:
    gate.upstream.replies(answers.chat())
    await post(gate, "/openai/v1/chat/completions")
    await post(gate, "/openai/v1/chat/completions", b"{broken")
    await post(gate, "/openai/v1/files")
    await gate.settled()
    assert (gate.door._calls, gate.door._inflow.held) == (0, 0)


async def test_what_nests_too_deeply_to_be_looked_at_is_refused(gate: Gate) -> None:
    deep: Any = "x"
    for _ in range(70):
        deep = [deep]
    answer = await post(gate, "/openai/v1/responses", {"model": "gpt-5.1", "input": deep})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "call_malformed")
