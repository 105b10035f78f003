"""Whatever a provider says and however it is cut, nothing is lost, and no quantity is negative."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tollgate_meter import answers
from tests.tollgate_meter.upstream import event
from tollgate_meter.operations import find
from tollgate_meter.reading import Certainty, Reading
from tollgate_meter.request import read_request
from tollgate_meter.shapes import CHAT, GENERATE, MESSAGES, OCR, RESPONSES, Shape
from tollgate_meter.stream import EventSplitter
from tollgate_meter.tokens import tokens_about, tokens_within

# The machine may be busy, which says nothing about what is made here.
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NUMBERS = st.one_of(
    st.integers(-5, 300), st.none(), st.booleans(), st.floats(allow_nan=False), st.just(10**12), st.text(max_size=3)
)
NAMES = (
    "prompt_tokens completion_tokens cached_tokens cache_write_tokens audio_tokens reasoning_tokens input_tokens "
    "output_tokens cache_read_input_tokens cache_creation_input_tokens thinking_tokens promptTokenCount "
    "cachedContentTokenCount toolUsePromptTokenCount candidatesTokenCount thoughtsTokenCount pages_processed"
).split()
PARTS = (
    "prompt_tokens_details completion_tokens_details input_tokens_details output_tokens_details promptTokensDetails "
    "candidatesTokensDetails cacheTokensDetails"
).split()
FLAT = st.dictionaries(st.sampled_from(NAMES), NUMBERS)
MODALITIES = st.lists(
    st.fixed_dictionaries({"modality": st.sampled_from(["AUDIO", "IMAGE", "TEXT"]), "tokenCount": NUMBERS}), max_size=3
)
USAGE = st.builds(
    lambda flat, parts: {**flat, **parts}, FLAT, st.dictionaries(st.sampled_from(PARTS), st.one_of(FLAT, MODALITIES))
)
SUMS: list[tuple[Shape, Any]] = [
    (CHAT, lambda u: (u.get("prompt_tokens") or 0) + (u.get("completion_tokens") or 0)),
    (RESPONSES, lambda u: (u.get("input_tokens") or 0) + (u.get("output_tokens") or 0)),
    (
        MESSAGES,
        lambda u: sum(
            u.get(name) or 0
            for name in ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        ),
    ),
    (
        GENERATE,
        lambda u: sum(
            u.get(name) or 0
            for name in (
                "promptTokenCount",
                "toolUsePromptTokenCount",
                "candidatesTokenCount",
                "thoughtsTokenCount",
            )
        ),
    ),
    (OCR, lambda u: u.get("pages_processed") or 0),
]


@pytest.mark.parametrize(("shape", "total"), SUMS, ids=[shape.key for shape, _ in SUMS])
@FEW
@given(usage=USAGE)
def test_pools_are_never_negative_and_add_up_to_what_the_provider_says(
    shape: Shape, total: Any, usage: dict[str, Any]
) -> None:
    quantities = shape.quantities_of(usage)
    if quantities is not None:
        assert all(count >= 0 for count in quantities.values())
        assert sum(quantities.values()) == total(usage)


WHOLE = (
    b": hello\r\n\r\n"
    + b"".join(each if isinstance(each, bytes) else event(each) for each in answers.CHAT_STREAM)
    + b"event: x\rdata: {}\r\rid: 1\ndata: a\ndata: b\n\ndata: never ended"
)
PATH = "/openai/v1/chat/completions"


def cut(whole: bytes, at: list[int]) -> list[bytes]:
    """Cut some bytes at some places."""
    places = [0, *sorted(place % len(whole) for place in at), len(whole)]
    return [whole[begin:end] for begin, end in pairwise(places)]


@FEW
@given(at=st.lists(st.integers(0, 10_000), max_size=40))
def test_a_stream_is_split_into_the_same_events_however_it_is_cut(at: list[int]) -> None:
    whole, pieces = EventSplitter(), EventSplitter()
    expected = [*whole.feed(WHOLE), (whole.rest(), None)]
    found = [*(part for chunk in cut(WHOLE, at) for part in pieces.feed(chunk)), (pieces.rest(), None)]
    assert b"".join(part for part, _ in found) == WHOLE
    assert [data for _, data in found if data] == [data for _, data in expected if data]


@FEW
@given(at=st.lists(st.integers(0, 10_000), max_size=40))
def test_the_hidden_chunk_is_found_however_the_stream_is_cut(at: list[int]) -> None:
    call = read_request(find("POST", "proxy", PATH), PATH, b'{"model": "gpt-5.1", "stream": true}')
    assert call is not None
    reading = Reading(call, 200, "text/event-stream")
    passed = b"".join(reading.feed(chunk) for chunk in cut(WHOLE, at)) + reading.rest()
    assert passed == WHOLE.replace(event(answers.CHAT_LAST), b"")
    reckoning = reading.reckon(is_complete=True)
    assert (reckoning.certainty, reckoning.quantities) == (Certainty.MEASURED, answers.CHAT_POOLS)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
)
KNOWN = st.dictionaries(
    st.sampled_from(["choices", "usage", "delta", "message", "candidates", "type", "response", "output"]), JSON
)


@pytest.mark.parametrize(
    "path",
    [
        "/openai/v1/chat/completions",
        "/openai/v1/responses",
        "/anthropic/v1/messages",
        "/gemini/v1beta/models/gemini-2.5-pro:generateContent",
        "/mistral/v1/ocr",
        "/stability/v1/generation/sd-xl/text-to-image",
    ],
)
@FEW
@given(replies=st.lists(KNOWN, max_size=3), is_stream=st.booleans(), body=JSON)
def test_no_answer_whatever_is_in_it_stops_the_reading(
    path: str, replies: list[dict[str, Any]], is_stream: bool, body: Any
) -> None:
    call = read_request(find("POST", "proxy", path), path, json.dumps(body).encode())
    assert call is not None
    reading = Reading(call, 200, "text/event-stream" if is_stream else "application/json")
    for reply in replies:
        reading.feed(event(reply) if is_stream else json.dumps(reply).encode())
    reckoning = reading.reckon(is_complete=True)
    assert all(count >= 0 for count in (*reckoning.quantities.values(), *call.held.values()))


def test_tokens_are_about_four_letters_or_one_sign_of_another_script() -> None:
    # 13 letters and signs of ASCII make 4; each of the 3 others is one.
    assert [tokens_about(text) for text in ("", "a", "abcd", "What is rain?", "日本語", "ab日本")] == [0, 1, 1, 4, 3, 3]


def test_texts_are_counted_to_a_bounded_depth_and_names_are_not_counted() -> None:
    deep: Any = "abcd"
    for _ in range(40):
        deep = [deep]
    assert tokens_within(deep) == 0
    assert tokens_within({"role": "assistant", "content": ["abcd", {"text": "abcd", "type": "text"}], "n": 4}) == 2
