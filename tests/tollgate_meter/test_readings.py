"""How usage is read where money is lost by reading it wrongly: one answer at a time, without a network."""

import json
from typing import Any

import pytest

from tests.tollgate_meter import answers
from tests.tollgate_meter.upstream import EVENTS, JSON, event
from tollgate_meter.operations import find
from tollgate_meter.passage import Passage
from tollgate_meter.reading import Certainty, Reading
from tollgate_meter.request import MeteredCall, read_request
from tollgate_meter.tokens import tokens_within
from tollgate_meter.tolls import Hold, Properties

CHAT, RESPONSES, MESSAGES = "/openai/v1/chat/completions", "/openai/v1/responses", "/anthropic/v1/messages"
GENERATE, EMBED = (f"/v1beta/models/gemini-2.5-pro:{name}" for name in ("generateContent", "embedContent"))
# 44 characters: 11 tokens.
PROMPT = "Tell me about the weather in Paris tomorrow."
ASKED: dict[str, dict[str, Any]] = {
    CHAT: {"model": "gpt-5.1", "messages": [{"role": "user", "content": PROMPT}], "max_completion_tokens": 50},
    RESPONSES: {"model": "gpt-5.1", "input": PROMPT, "max_output_tokens": 50},
    MESSAGES: {"model": "claude-example", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 50},
    GENERATE: {"contents": [{"parts": [{"text": PROMPT}]}], "generationConfig": {"maxOutputTokens": 50}},
    EMBED: {"content": {"parts": [{"text": PROMPT}]}},
}


def call_of(path: str, body: Any = None, *, rewrites: bool = True) -> MeteredCall:
    asked = body if isinstance(body, bytes) else json.dumps(ASKED[path] if body is None else body).encode()
    call = read_request(find("POST", "proxy", path), path, asked, rewrites=rewrites)
    assert call is not None
    return call


def read(
    path: str, *parts: Any, body: Any = None, content_type: str = JSON, is_complete: bool = True, encoded: bool = False
) -> tuple[Certainty, dict[str, int]]:
    """Return how what was used is known, and the numbers."""
    reading = Reading(call_of(path, body), 200, content_type, is_encoded=encoded)
    for part in parts:
        whole = (
            part if isinstance(part, bytes) else event(part) if content_type == EVENTS else json.dumps(part).encode()
        )
        reading.feed(whole)
    reckoning = reading.reckon(is_complete=is_complete)
    return reckoning.certainty, reckoning.quantities


ESTIMATED, MEASURED = Certainty.ESTIMATED, Certainty.MEASURED


def test_what_shortening_a_conversation_took_is_added_to_what_the_message_took() -> None:
    # The message read 23,000 and wrote 1,000; before it 180,000 were read, 500 of them written to the cache, and 3,500
    # written. Its own iteration is in its numbers already.
    usage = {
        "input_tokens": 23_000,
        "output_tokens": 1_000,
        "iterations": [
            {
                "type": "compaction",
                "input_tokens": 180_000,
                "cache_creation_input_tokens": 500,
                "cache_read_input_tokens": 0,
                "output_tokens": 3_500,
            },
            {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
        ],
    }
    expected = {"input_tokens": 203_000, "cache_write_tokens": 500, "output_tokens": 4_500}
    assert read(MESSAGES, answers.message(usage)) == (MEASURED, expected)
    # One that cannot be read makes the whole an estimate.
    usage["iterations"] = [{"type": "compaction", "input_tokens": "many"}]
    assert read(MESSAGES, answers.message(usage))[0] is ESTIMATED
    usage["iterations"] = "none"
    assert read(MESSAGES, answers.message(usage)) == (MEASURED, {"input_tokens": 23_000, "output_tokens": 1_000})


def test_what_anthropic_keeps_for_an_hour_is_a_part_of_what_was_written_to_its_cache() -> None:
    # 400 written to the cache, 300 of them for an hour.
    kept = {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 300}
    expected = {**answers.MESSAGES_POOLS, "cache_write_1h_tokens": 300}
    assert read(MESSAGES, answers.message({**answers.MESSAGES_USAGE, "cache_creation": kept})) == (MEASURED, expected)
    # A stream says it at its beginning, and only the sum at its end.
    begun: Any = answers.MESSAGES_STREAM[0]
    started = {**begun["message"], "usage": {**begun["message"]["usage"], "cache_creation": kept}}
    found = read(MESSAGES, {**begun, "message": started}, *answers.MESSAGES_STREAM[1:], content_type=EVENTS)
    assert found == (MEASURED, expected)
    # More than was written is cut to it, and what is no number makes an estimate.
    for stated, certainty in ((10**6, MEASURED), ("many", ESTIMATED)):
        usage = {**answers.MESSAGES_USAGE, "cache_creation": {"ephemeral_1h_input_tokens": stated}}
        found = read(MESSAGES, answers.message(usage))
        assert (found[0], found[1].get("cache_write_1h_tokens")) == (certainty, 400 if certainty is MEASURED else None)


def test_a_message_that_is_cut_off_between_its_deltas_is_not_taken_for_whole() -> None:
    # After "Good morning", 3 tokens, a delta says that 25 are written so far; why it stopped is not said.
    assert read(MESSAGES, *answers.MESSAGES_STREAM[:5], content_type=EVENTS, is_complete=False) == (
        ESTIMATED,
        {"input_tokens": 200, "cache_read_tokens": 1000, "cache_write_tokens": 400, "output_tokens": 25},
    )
    assert read(MESSAGES, *answers.MESSAGES_STREAM[:6], content_type=EVENTS, is_complete=False) == (
        MEASURED,
        answers.MESSAGES_POOLS,
    )


@pytest.mark.parametrize(
    ("path", "reply"),
    [
        (CHAT, answers.chat({"prompt_tokens": 10, "completion_tokens": None})),
        (CHAT, answers.chat({"prompt_tokens": 10})),
        (CHAT, answers.chat({"prompt_tokens": 10, "completion_tokens": 0})),
        (RESPONSES, answers.response({"input_tokens": 10, "output_tokens": None})),
        (MESSAGES, answers.message({"input_tokens": 10})),
        (GENERATE, answers.candidates("Good morning", {"promptTokenCount": 10})),
    ],
)
def test_an_answer_with_a_text_and_no_number_of_what_was_written_is_estimated(path: str, reply: Any) -> None:
    certainty, quantities = read(path, reply)
    # "Good morning to you" has 19 characters, "Good morning" 12: 5 tokens and 3.
    assert (certainty, quantities) == (ESTIMATED, {"input_tokens": 10, "output_tokens": 5 if path == CHAT else 3})


def test_an_answer_without_a_text_may_have_no_output() -> None:
    blocked = {
        **answers.candidates("", {"promptTokenCount": 10}, "SAFETY"),
        "promptFeedback": {"blockReason": "SAFETY"},
    }
    blocked["candidates"][0]["safetyRatings"] = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH"}]
    assert read(GENERATE, blocked) == (MEASURED, {"input_tokens": 10, "output_tokens": 0})


def test_gemini_states_what_it_embedded_in_its_own_words() -> None:
    reply = {"embedding": {"values": [0.1, 0.2]}, "usageMetadata": {"promptTokenCount": 1234}}
    assert read(EMBED, reply) == (MEASURED, {"input_tokens": 1234, "output_tokens": 0})
    del reply["usageMetadata"]
    assert read(EMBED, reply) == (ESTIMATED, {"input_tokens": 11, "output_tokens": 0})


def test_a_provider_that_states_no_input_at_all_is_not_believed() -> None:
    # Some that speak another provider's language begin with 0, and say no more where they are cut off.
    assert read(CHAT, answers.chat({"prompt_tokens": 0, "completion_tokens": 7})) == (
        ESTIMATED,
        {"input_tokens": 11, "output_tokens": 7},
    )


def test_pictures_that_openai_read_have_their_own_pool() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"image_tokens": 85}}
    assert read(CHAT, answers.chat(usage)) == (
        MEASURED,
        {"input_tokens": 15, "image_input_tokens": 85, "output_tokens": 5},
    )


@pytest.mark.parametrize(
    "stream",
    [
        # An app's own events, plain lines, numbers of its own, and texts that are no object.
        [{"token": "It will rain"}, {"token": " all day long"}],
        [b"data: It will rain\n\n", b"data:  all day long\n\n", b"data: [DONE]\n\n"],
        [{"token": "It will rain", "type": "token"}, {"token": " all day long", "usage_total": 5}],
        [b'data: "It will rain"\n\n', b'data: [" all day long"]\n\n'],
    ],
)
@pytest.mark.parametrize("path", [RESPONSES, MESSAGES, GENERATE])
def test_a_stream_in_a_form_of_somebody_elses_is_counted_by_its_text(path: str, stream: list[Any]) -> None:
    # 12 characters and 13: 3 + 4 tokens, or 3 + 3 where a line is not read as JSON.
    certainty, quantities = read(path, *stream, content_type=EVENTS)
    assert (certainty, quantities["input_tokens"]) == (ESTIMATED, 11)
    assert quantities["output_tokens"] in {6, 7}


@pytest.mark.parametrize(
    "reply", [b'"It will rain"', b'["It will rain"]', b"12 letters..", b'{"answer": "It will rain"}']
)
def test_an_answer_in_a_form_of_somebody_elses_is_counted_by_its_text(reply: bytes) -> None:
    certainty, quantities = read(GENERATE, reply)
    assert (certainty, quantities["output_tokens"]) == (ESTIMATED, 3)


def test_a_request_that_cannot_be_read_counts_as_text() -> None:
    # 400 bytes that are no JSON, such as a compressed body: 100 tokens.
    assert read(CHAT, answers.chat(None), body=b"\x1f" * 400)[1] == {"input_tokens": 100, "output_tokens": 5}


@pytest.mark.parametrize("content_type", [JSON, EVENTS])
def test_text_that_is_no_text_in_an_answer_or_a_request_breaks_nothing(content_type: str) -> None:
    # A byte that is in no character, inside of a JSON text: 40 bytes are counted as 10 tokens.
    said = b'{"choices": [{"message": "Hi \xff there!"}]}'
    answer = b"data: " + said + b"\n\n" if content_type == EVENTS else said
    certainty, quantities = read(
        CHAT, answer, body=b'{"model": "gpt-5.1", "n": "\xff", "more": 1}', content_type=content_type
    )
    assert (certainty, quantities) == (ESTIMATED, {"input_tokens": 10, "output_tokens": 10})


def test_a_request_of_numbers_of_tokens_is_not_for_nothing() -> None:
    # {"model": "text-embedding-3-small", "input": [[101, 102, 103]]} has 63 bytes: 15 tokens, and the model is a name.
    body = {"model": "text-embedding-3-small", "input": [[101, 102, 103]]}
    assert read("/openai/v1/embeddings", {"data": []}, body=body) == (
        ESTIMATED,
        {"input_tokens": 15, "output_tokens": 0},
    )


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ({"pages": [{}, {}, {}], "usage_info": {"pages_processed": 7}}, (MEASURED, 7)),
        ({"pages": [{}, {}, {}], "usage_info": {"pages_processed": "7"}}, (ESTIMATED, 3)),
        ({"pages": [{}, {}, {}]}, (ESTIMATED, 3)),
        ({"pages": "three"}, (ESTIMATED, 1)),
    ],
)
def test_pages_that_are_not_stated_are_counted_in_the_answer(reply: Any, expected: tuple[Certainty, int]) -> None:
    certainty, quantities = read("/mistral/v1/ocr", reply, body={"model": "mistral-ocr-latest"})
    assert (certainty, quantities) == (expected[0], {"pages": expected[1]})


def test_what_openai_does_in_the_background_is_charged_at_the_most_that_was_asked_for() -> None:
    body = {**ASKED[RESPONSES], "background": True}
    # What it writes is fetched later, by a request that is not metered.
    assert read(RESPONSES, answers.response(None, "queued"), body=body) == (
        ESTIMATED,
        {"input_tokens": 11, "output_tokens": 50},
    )
    assert read(RESPONSES, *answers.RESPONSES_STREAM[:2], body=body, content_type=EVENTS, is_complete=False) == (
        ESTIMATED,
        {"input_tokens": 11, "output_tokens": 50},
    )
    assert read(RESPONSES, *answers.RESPONSES_STREAM, body=body, content_type=EVENTS) == (
        MEASURED,
        answers.RESPONSES_POOLS,
    )


def test_an_estimate_is_never_above_what_was_held() -> None:
    # 4,000 characters are 1,000 tokens, and 50 were asked for; the same where the audio is all that is asked for.
    assert read(CHAT, answers.chat_chunk("x" * 4_000), content_type=EVENTS)[1]["output_tokens"] == 50
    body = {**ASKED[CHAT], "modalities": ["text", "audio"]}
    assert read(CHAT, b"\x00" * 4_000, body=body, encoded=True) == (
        ESTIMATED,
        {"input_tokens": 11 + 3, "output_tokens": 50},
    )


PICTURE = "iVBORw0KGgo" * 100_000


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # A picture is about 1,600 tokens however many bytes it has; "Hi" is one.
        ([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}, {"text": "Hi"}], 1_601),
        ([{"type": "input_image", "image_url": "https://example.com/1.png"}, {"text": "Hi"}], 1_601),
        ([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}], 1_600),
        ([{"inlineData": {"mimeType": "image/png", "data": PICTURE}}], 1_600),
        # A sound of 256,000 encoded characters is about 1,000.
        ([{"type": "input_audio", "input_audio": {"data": "A" * 256_000, "format": "wav"}}], 1_000),
        ([{"inline_data": {"mime_type": "audio/mp3", "data": "A" * 256_000}}], 1_000),
        # What may be text counts as text.
        ([{"source": {"type": "text", "media_type": "text/plain", "data": "abcd" * 100}}], 103),
        ([{"source": {"type": "base64", "media_type": "application/pdf", "data": "abcd" * 100}}], 104),
        ([{"name": "source", "source": "abcd"}], 3),
    ],
)
def test_what_is_seen_or_heard_is_not_estimated_by_its_letters(content: Any, expected: int) -> None:
    assert tokens_within({"content": content}) == expected


def test_thoughts_that_only_the_provider_reads_are_no_text() -> None:
    part = {"text": "Rain", "thoughtSignature": "A" * 4_000}
    assert tokens_within([part, {"encrypted_content": "A" * 4_000}, {"signature": "A" * 4_000}]) == 1


HOLD = Hold("call_1", "cus_1", is_enforced=True, reservation="rsv_1")


class Told:
    """Remembers how a call went."""

    def __init__(self) -> None:
        self.said: list[tuple[Certainty, dict[str, Any]]] = []

    def settle(self, hold: Hold, certainty: Certainty, properties: Properties) -> None:
        """Remember a record."""
        assert hold == HOLD
        self.said.append((certainty, {name: properties[name] for name in properties if name != "latency_ms"}))

    def extend(self, _: Hold) -> None:
        """Extend nothing."""

    def release(self, _: Hold) -> None:
        """Give nothing back."""


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
FAILED = {**answers.response(None, "failed"), "error": {"code": "server_error", "message": "Sorry"}}


@pytest.mark.parametrize(
    ("path", "events", "expected"),
    [
        # What was reported and seen until then stays; what is nothing but a failure costs nothing.
        (MESSAGES, [*answers.MESSAGES_STREAM[:3], OVERLOADED], {"input_tokens": 200, "output_tokens": 3}),
        (MESSAGES, [OVERLOADED], {"input_tokens": 0, "output_tokens": 0}),
        (CHAT, [answers.chat_chunk("Rain"), {"error": {"message": "gone"}}], {"input_tokens": 11, "output_tokens": 1}),
        (CHAT, [{"error": {"message": "The server had an error"}}], {"input_tokens": 0, "output_tokens": 0}),
        (RESPONSES, [{"type": "response.failed", "response": FAILED}], {"input_tokens": 0, "output_tokens": 0}),
        (RESPONSES, [{"type": "error", "code": "x", "message": "y"}], {"input_tokens": 0, "output_tokens": 0}),
        (GENERATE, [{"error": {"code": 503, "message": "overloaded"}}], {"input_tokens": 0, "output_tokens": 0}),
    ],
)
def test_a_failure_that_is_told_in_a_stream_is_the_providers(
    path: str, events: list[Any], expected: dict[str, int]
) -> None:
    told = Told()
    passage = Passage(call_of(path), HOLD, told)
    passage.answered(200, EVENTS)
    for each in events:
        passage.feed(event(each))
    passage.end(is_complete=True)
    [(certainty, properties)] = told.said
    assert (certainty, properties["status"]) == (ESTIMATED, "error")
    assert expected.items() <= properties.items()


def test_a_response_that_failed_with_usage_is_charged_for_it_and_counted_as_a_failure() -> None:
    told = Told()
    passage = Passage(call_of(RESPONSES), HOLD, told)
    passage.answered(200, JSON)
    passage.feed(json.dumps({**FAILED, "usage": answers.RESPONSES_USAGE}).encode())
    passage.end(is_complete=True)
    [(certainty, properties)] = told.said
    assert (certainty, properties["status"]) == (MEASURED, "error")
    assert answers.RESPONSES_POOLS.items() <= properties.items()


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete", "response.failed"])
def test_each_end_of_a_response_states_what_it_used(kind: str) -> None:
    last = {"type": kind, "sequence_number": 9, "response": answers.response()}
    assert read(RESPONSES, *answers.RESPONSES_STREAM[:3], last, content_type=EVENTS, is_complete=False) == (
        MEASURED,
        answers.RESPONSES_POOLS,
    )


ODD: list[Any] = [None, "10", -1, 10**30, 200_000_000, 10.5, True, [], {}, {"tokens": 10}]
USAGES: dict[str, tuple[str, Any]] = {
    CHAT: ("prompt_tokens completion_tokens", answers.chat),
    RESPONSES: ("input_tokens output_tokens", answers.response),
    MESSAGES: ("input_tokens output_tokens", answers.message),
    GENERATE: ("promptTokenCount candidatesTokenCount", lambda usage: answers.candidates("Good morning", usage)),
}


@pytest.mark.parametrize("path", USAGES)
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_number_that_can_be_none_makes_an_estimate_and_never_a_call_for_nothing(
    path: str, which: int, odd: Any
) -> None:
    names, answer = USAGES[path]
    usage: dict[str, Any] = dict.fromkeys(names.split(), 10)
    usage[names.split()[which]] = odd
    certainty, quantities = read(path, answer(usage))
    assert certainty is ESTIMATED
    assert quantities["input_tokens"] in {10, 11}
    assert quantities["output_tokens"] in {3, 5, 10}


@pytest.mark.parametrize("usage", [[], "many", 5, {}, {"tokens": 5}, [{"prompt_tokens": 5}], {"prompt_tokens": None}])
@pytest.mark.parametrize("path", USAGES)
def test_usage_in_another_form_makes_an_estimate(path: str, usage: Any) -> None:
    certainty, quantities = read(path, USAGES[path][1](usage))
    assert (certainty, quantities["input_tokens"]) == (ESTIMATED, 11)
    assert quantities["output_tokens"] in {3, 5}


def test_a_member_that_is_given_twice_is_read_as_the_sdks_read_it() -> None:
    reply = b'{"choices": [], "usage": {"prompt_tokens": 1, "prompt_tokens": 20, "completion_tokens": 3}}'
    assert json.loads(reply)["usage"]["prompt_tokens"] == 20
    assert read(CHAT, reply) == (MEASURED, {"input_tokens": 20, "output_tokens": 3})
