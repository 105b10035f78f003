"""The gateway on a real server, called with the real SDKs pointed at it by their `base_url`."""

import gzip
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import anthropic
import httpx2
import openai
import pytest
import sqlalchemy as sa
from google import genai
from google.genai import types as genai_types

from api.gateway.relay import KeyStriker
from api.gateway.telling import KeyRefusals
from domain.access.roles import system_principal
from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.kernel.ids import encode
from tests.api.gateway.conftest import CHAT, MERCHANT_KEYS, SAY, Gate, post
from tests.tollgate_meter import answers
from tests.tollgate_meter.tollbooth import Tollbooth
from tests.tollgate_meter.upstream import EVENTS, HANG, RESET, WAIT, Script, event
from tests.waiting import until


def gemini_of(gate: Gate) -> genai.Client:
    return genai.Client(api_key=gate.key, http_options=genai_types.HttpOptions(base_url=f"{gate.url}/gemini"))


def openai_of(gate: Gate, **options: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=gate.key, base_url=f"{gate.url}/openai/v1", **options)


async def test_a_gemini_call_is_priced_and_counted_for_the_customer_of_the_key(gate: Gate) -> None:
    gate.upstream.replies(answers.candidates("Good morning", answers.GENERATE_USAGE))
    async with gemini_of(gate).aio as client:
        reply = await client.models.generate_content(model="gemini-2.5-pro", contents="Say good morning")
    assert reply.text == "Good morning"
    await gate.settled()
    # 600 + 400 cached at 1.25, and 70 + 30 reasoned at 10.00 a million: 0.00125 + 0.001.
    assert await gate.usage("cost") == "0.00225"
    assert await gate.usage("calls") == "1"


async def test_a_gemini_stream_is_counted_once(gate: Gate) -> None:
    gate.upstream.streams(*answers.GENERATE_STREAM)
    async with gemini_of(gate).aio as client:
        chunks = await client.models.generate_content_stream(model="gemini-2.5-pro", contents="Say good morning")
        assert "".join([chunk.text or "" async for chunk in chunks]) == "Good morning"
    await gate.settled()
    assert gate.upstream.seen[0].path.endswith(":streamGenerateContent?alt=sse")
    assert (await gate.usage("cost"), await gate.usage("calls")) == ("0.00225", "1")


async def test_error_rates_know_how_calls_through_the_gateway_went(gate: Gate) -> None:
    gate.upstream.replies(answers.candidates("Good morning", answers.GENERATE_USAGE))
    path, body = "/gemini/v1beta/models/gemini-2.5-pro:generateContent", {"contents": [{"parts": [{"text": "Hi"}]}]}
    assert (await post(gate, path, body)).status_code == 200
    for status in (503, 503, 429, 400):
        gate.upstream.replies({"error": {"message": "no"}}, status=status)
        assert (await post(gate, path, body)).status_code == status
    await gate.settled()
    query = """query($id: ID!) { providerPerformance(customerId: $id) {
        providers { provider calls succeeded failed errorPercent measured targetMet } } }"""
    told = await gate.site.read(query, gate.site.member(gate.customer_id), id=encode("customer", gate.customer_id))
    # The provider failed three of the four calls that it did not refuse.
    assert told["providerPerformance"]["providers"] == [
        {
            "provider": "gemini",
            "calls": 5,
            "succeeded": 1,
            "failed": 3,
            "errorPercent": "75",
            "measured": 5,
            "targetMet": False,
        }
    ]
    # 600 + 400 cached at 1.25, and 70 + 30 reasoned at 10.00 a million; what was not answered costs nothing.
    assert await gate.usage("cost") == "0.00225"


async def test_openai_and_anthropic_streams_pass_through(gate: Gate, tollbooth: Tollbooth) -> None:
    gate.upstream.streams(*answers.CHAT_STREAM)
    async with openai_of(gate) as client:
        stream = await client.chat.completions.create(**CHAT, stream=True)
        assert [chunk.choices[0].delta.content async for chunk in stream] == ["Good ", "morning", None]
        gate.upstream.streams(*answers.RESPONSES_STREAM, named=True)
        stream = await client.responses.create(model="gpt-5.1", input="Hi", stream=True)
        assert [each.type async for each in stream][-1] == "response.completed"
    gate.upstream.streams(*answers.MESSAGES_STREAM, named=True)
    async with (
        anthropic.AsyncAnthropic(api_key=gate.key, base_url=f"{gate.url}/anthropic") as claude,
        claude.messages.stream(model="claude-example", max_tokens=100, messages=SAY) as messages,
    ):
        assert "".join([text async for text in messages.text_stream]) == "Good morning"
    await gate.settled()
    pools = [answers.CHAT_POOLS, answers.RESPONSES_POOLS, answers.MESSAGES_POOLS]
    for expected, body in zip(pools, tollbooth.settled, strict=True):
        assert expected.items() <= body["properties"].items()
        assert body["status"] == "measured"
    # The three of them state no limit, and one of 100; the plan of the customer says 8,192.
    assert [each["properties"]["output_tokens"] for each in tollbooth.reserved] == [8_192, 8_192, 100]


async def test_a_call_that_states_no_output_limit_gets_that_of_the_plan(gate: Gate, tollbooth: Tollbooth) -> None:
    world = gate.site.world
    bob = await world.customer(on="2026-01-31")
    await world.subscribe(bob, "free")
    free = replace(gate, customer_id=bob.id, key=await gate.site.key("gateway", customer_id=bob.id))
    nobody = await world.customer(on="2026-01-31")
    unknown = replace(gate, customer_id=nobody.id, key=await gate.site.key("gateway", customer_id=nobody.id))
    for each in (free, unknown, gate):
        gate.upstream.replies(answers.chat())
        assert (await post(each, "/openai/v1/chat/completions")).status_code == 200
    await gate.settled()
    # Free has 2,048, Pro 8,192; where there is no plan it is that of the meter, and the limits refuse.
    assert [each["properties"]["output_tokens"] for each in tollbooth.reserved] == [2_048, 8_192, 8_192]


async def test_the_provider_gets_the_merchants_key_at_its_fixed_host_and_nothing_of_the_caller(gate: Gate) -> None:
    gate.upstream.replies(answers.chat())
    own = {"cookie": "session=1", "x-forwarded-for": "10.0.0.1", "openai-organization": "org-1"}
    await post(gate, "/openai/v1/chat/completions", **own, **{"idempotency-key": "k1", "x-api-key": "other"})
    [seen] = gate.upstream.seen
    assert gate.transport.hosts == ["https://api.openai.com"]
    assert seen.headers.pop("content-length").isdigit()
    assert seen.headers.pop("host")
    assert seen.headers == {
        "accept": "*/*",
        "content-type": "application/json",
        "accept-encoding": "identity",
        "authorization": f"Bearer {MERCHANT_KEYS['openai_key']}",
    }
    assert gate.key not in str(seen)

    gate.upstream.replies(answers.message())
    async with anthropic.AsyncAnthropic(api_key=gate.key, base_url=f"{gate.url}/anthropic") as claude:
        await claude.messages.create(model="claude-opus-5", max_tokens=9, messages=SAY)
    assert gate.upstream.seen[1].headers["x-api-key"] == MERCHANT_KEYS["anthropic_key"]
    assert gate.upstream.seen[1].headers["anthropic-version"]
    assert gate.key not in str(gate.upstream.seen[1])


async def test_the_merchants_key_and_account_are_struck_out_of_replies(gate: Gate) -> None:
    key = MERCHANT_KEYS["openai_key"]
    said = f'{{"error": {{"message": "your key {key} is over its quota"}}}}'.encode()
    # The key is cut in two.
    gate.upstream.script = Script(
        [said[:40], said[40:]], status=429, headers={"openai-organization": "org-merchant", "set-cookie": "a=b"}
    )
    answer = await post(gate, "/openai/v1/chat/completions")
    assert (answer.status_code, answer.json()) == (429, {"error": {"message": "your key [key] is over its quota"}})
    assert not {"openai-organization", "set-cookie"} & set(answer.headers)

    gate.upstream.replies({"error": {"message": f"Incorrect API key provided: {key[:8]}***"}}, status=401)
    answer = await post(gate, "/openai/v1/chat/completions")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_refused")
    assert key[:8] not in answer.text


async def test_staff_are_told_once_that_a_provider_refuses_the_merchants_key(gate: Gate) -> None:
    gate.upstream.replies({"type": "error", "error": {"message": "invalid x-api-key"}}, status=403)
    body = {"model": "claude-opus-5", "max_tokens": 9, "messages": SAY}
    runtime = gate.site.runtime
    for _ in range(2):
        assert (await post(gate, "/anthropic/v1/messages", body)).status_code == 502
        # As if a minute had passed: an alert that nobody has read is not raised again.
        proxy = gate.door._proxy
        assert proxy is not None
        proxy._refusals = KeyRefusals()
    async with runtime.db.transaction() as tx:
        told = await staffing.list_alerts(tx, runtime.call(system_principal("test")), unread_only=True)
    [alert] = [each for each in told if each.kind is StaffAlertKind.PROVIDER_REFUSED and each.about == "anthropic"]
    assert alert.environment is None
    assert alert.facts == {"status": 403, "setting": "TOLLGATE_ANTHROPIC_KEY"}
    assert "answered a call through the gateway with 403" in alert.text


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_secret_is_struck_out_wherever_it_is_split(size: int) -> None:
    striker = KeyStriker(b"sk-secret")
    text = b"a sk-secret b sk-secre c sk-sk-secret sk-"
    passed = b"".join(striker.feed(text[at : at + size]) for at in range(0, len(text), size)) + striker.rest()
    assert passed == b"a [key] b sk-secre c sk-[key] sk-"


async def test_redirects_are_not_followed(gate: Gate) -> None:
    gate.upstream.replies({}, status=307, location=f"{gate.upstream.url}/elsewhere")
    answer = await post(gate, "/openai/v1/chat/completions")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_redirected")
    assert len(gate.upstream.seen) == 1


async def test_a_reached_limit_is_the_sdks_own_error_and_nothing_is_sent(gate: Gate, tollbooth: Tollbooth) -> None:
    tollbooth.mode = "refuses"
    async with openai_of(gate) as client:
        with pytest.raises(openai.RateLimitError, match="5,000 of 5,000 Gemini calls") as refused:
            await client.chat.completions.create(**CHAT)
    assert refused.value.response.headers["retry-after"] == "60"
    assert (gate.upstream.seen, tollbooth.settled, tollbooth.asked) == ([], [], 1)


async def test_limits_that_cannot_be_checked_refuse_the_call(gate: Gate, tollbooth: Tollbooth) -> None:
    for mode in ("down", "misconfigured", "elsewhere"):
        tollbooth.mode = mode
        answer = await post(gate, "/openai/v1/chat/completions")
        assert answer.status_code == 503
    assert gate.upstream.seen == []


async def test_the_first_event_comes_at_once_and_a_caller_that_leaves_is_recorded_once(
    gate: Gate, tollbooth: Tollbooth
) -> None:
    gate.upstream.streams(answers.chat_chunk("Good "), ends=HANG)
    async with openai_of(gate, timeout=30) as client:
        stream = await client.chat.completions.create(**CHAT, stream=True)
        first = await anext(aiter(stream))
        # The provider says no more until it is let go.
        assert first.choices[0].delta.content == "Good "
        await stream.close()
    await until(lambda: tollbooth.settled, "the record of the call")
    recorded = tollbooth.recorded
    assert (recorded["certainty"], recorded["status"], recorded["output_tokens"]) == ("estimated", "cancelled", 2)


async def test_a_caller_that_goes_with_the_last_word_is_charged_by_what_the_provider_says_after_it(
    gate: Gate, tollbooth: Tollbooth
) -> None:
    # The provider states 30 thoughts that no caller sees, in a chunk of its own behind the last word.
    *words, last, done = answers.CHAT_STREAM
    gate.upstream.streams(*words, WAIT, last, done)
    async with openai_of(gate, timeout=30) as client:
        stream = await client.chat.completions.create(**CHAT, stream=True)
        async for chunk in stream:
            if chunk.choices[0].finish_reason:
                break
        await stream.close()
    gate.upstream.let_go.set()
    await until(lambda: tollbooth.settled, "the record of the call")
    recorded = tollbooth.recorded
    assert recorded["certainty"] == "measured"
    assert answers.CHAT_POOLS.items() <= recorded.items()


async def test_an_answer_that_comes_encoded_all_the_same_is_passed_on_plain_and_estimated(
    gate: Gate, tollbooth: Tollbooth
) -> None:
    said = {**answers.chat(), "system_fingerprint": MERCHANT_KEYS["openai_key"]}
    gate.upstream.script = Script([gzip.compress(json.dumps(said).encode())], headers={"content-encoding": "gzip"})
    answer = await post(gate, "/openai/v1/chat/completions")
    assert answer.json() == {**said, "system_fingerprint": "[key]"}
    gate.upstream.script = Script([b"\x00" * 9], headers={"content-encoding": "gzip"})
    with pytest.raises(httpx2.RemoteProtocolError):
        await post(gate, "/openai/v1/chat/completions")
    await gate.settled()
    assert [(each["status"], each["properties"]["output_tokens"] > 0) for each in tollbooth.settled] == [
        ("estimated", True),
        ("estimated", True),
    ]


async def _held(gate: Gate) -> sa.Row[Any] | None:
    async with gate.site.runtime.db.transaction() as tx:
        own = sa.text("SELECT state, metered, cost FROM limit_reservation WHERE customer_id = :id")
        return await tx.row(own.bindparams(id=gate.customer_id))


async def test_of_a_call_under_way_is_stored_that_a_meter_settles_it_and_what_it_costs_at_most(gate: Gate) -> None:
    gate.upstream.streams(answers.chat_chunk("Good "), ends=HANG)
    async with openai_of(gate, timeout=30) as client:
        stream = await client.chat.completions.create(**CHAT, stream=True)
        await anext(aiter(stream))
        await until(lambda: _held(gate), "the row of the reservation")
        held = await _held(gate)
        await stream.close()
    # Whoever is killed meanwhile leaves this behind, and staff are told of it once its time is over.
    assert held is not None
    assert (held.state, held.metered, held.cost > 0) == ("held", True, True)
    await gate.settled()


async def test_an_answer_without_a_stream_is_read_to_its_end_when_its_caller_leaves(
    gate: Gate, tollbooth: Tollbooth
) -> None:
    whole = json.dumps(answers.chat()).encode()
    # The provider waits before its last part until the caller has left.
    gate.upstream.script = Script([whole[:20], WAIT, whole[20:]])
    async with (
        httpx2.AsyncClient() as http,
        http.stream(
            "POST",
            f"{gate.url}/openai/v1/chat/completions",
            json=CHAT,
            headers={"authorization": f"Bearer {gate.key}"},
        ) as answer,
    ):
        assert await anext(answer.aiter_raw()) == whole[:20]
    gate.upstream.let_go.set()
    await until(lambda: tollbooth.settled, "the record of the call")
    recorded = tollbooth.recorded
    assert (recorded["certainty"], recorded["status"]) == ("measured", "ok")
    assert answers.CHAT_POOLS.items() <= recorded.items()


async def test_a_provider_that_breaks_off_breaks_the_answer_off(gate: Gate, tollbooth: Tollbooth) -> None:
    gate.upstream.script = Script([event(answers.chat_chunk("Good ")), RESET], EVENTS)
    with pytest.raises(httpx2.RemoteProtocolError):
        await post(gate, "/openai/v1/chat/completions", {**CHAT, "stream": True})
    await gate.settled()
    assert (tollbooth.recorded["certainty"], tollbooth.settled[0]["properties"]["status"]) == ("estimated", "error")


async def test_a_provider_out_of_reach_is_told_apart_from_a_slow_one(gate: Gate, tollbooth: Tollbooth) -> None:
    gate.upstream.script = Script([RESET])
    gate.transport.url = "http://127.0.0.1:1"
    answer = await post(gate, "/openai/v1/chat/completions")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_unreachable")
    await gate.settled()
    assert (tollbooth.settled, len(tollbooth.released)) == ([], 1)


async def test_what_is_free_passes_and_is_not_recorded(gate: Gate, tollbooth: Tollbooth) -> None:
    gate.upstream.replies({"object": "list", "data": []})
    async with openai_of(gate) as client:
        assert (await client.models.list()).data == []
    gate.upstream.replies({"input_tokens": 14})
    assert (await post(gate, "/anthropic/v1/messages/count_tokens", {"messages": SAY})).json() == {"input_tokens": 14}
    assert (len(gate.upstream.seen), tollbooth.asked) == (2, 0)


def test_a_start_of_the_api_loads_neither_the_meter_nor_an_http_client() -> None:
    loaded = "import api.app, sys; print([name for name in ('httpx2', 'tollgate_meter') if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)  # noqa: S603 -- a fixed command
    assert ended.stdout == "[]\n"
