"""However much comes, little is kept, and everything is passed on as it comes."""

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.tollgate_meter import answers
from tests.tollgate_meter.test_readings import CHAT, EMBED, ESTIMATED, GENERATE, MEASURED, call_of
from tests.tollgate_meter.upstream import EVENTS, JSON, event
from tollgate_meter.reading import Reading
from tollgate_meter.reply import WHOLE_BYTES_MAX
from tollgate_meter.stream import EVENT_BYTES_MAX, EventSplitter

MEGABYTE = b"x" * 1_000_000
EMBEDDINGS = "/openai/v1/embeddings"


@contextmanager
def at_most_kept(limit: int) -> Iterator[None]:
    """Fail where more memory was taken at once than some bytes."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit


def test_of_an_answer_of_200_megabytes_the_end_is_kept_and_its_usage_read() -> None:
    call = call_of(EMBEDDINGS, {"model": "text-embedding-3-large", "input": "rain"})
    usage = b'"], "model": "text-embedding-3-large", "usage": {"prompt_tokens": 8191, "total_tokens": 8191}}'
    with at_most_kept(4 * WHOLE_BYTES_MAX):
        reading = Reading(call, 200, JSON)
        passed = len(reading.feed(b'{"object": "list", "data": ["'))
        for _ in range(200):
            passed += len(reading.feed(MEGABYTE))
        # The end comes in pieces.
        for at in range(0, len(usage), 7):
            passed += len(reading.feed(usage[at : at + 7]))
        reckoning = reading.reckon(is_complete=True)
    assert passed == 200_000_000 + 29 + len(usage)
    assert (reckoning.certainty, reckoning.quantities) == (MEASURED, {"input_tokens": 8191, "output_tokens": 0})


def test_a_long_answer_without_usage_is_estimated_within_what_was_held() -> None:
    reading = Reading(call_of(CHAT), 200, JSON)
    for _ in range(5):
        reading.feed(MEGABYTE)
    reckoning = reading.reckon(is_complete=True)
    assert (reckoning.certainty, reckoning.quantities) == (ESTIMATED, {"input_tokens": 11, "output_tokens": 50})


def test_usage_that_a_text_of_a_long_answer_speaks_of_is_not_taken_for_its_own() -> None:
    said = json.dumps('{"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1}}')
    usage = json.dumps(answers.GENERATE_USAGE)
    reading = Reading(call_of(GENERATE), 200, JSON)
    for part in (
        b'{"candidates": [{"content": "',
        *[MEGABYTE] * 3,
        f'"}}], "usageMetadata": {usage}, "modelVersion": {said}, "x": {{"usageMetadata": {{broken'.encode(),
    ):
        reading.feed(part)
    reckoning = reading.reckon(is_complete=True)
    assert (reckoning.certainty, reckoning.quantities) == (MEASURED, answers.GENERATE_POOLS)


def test_an_array_that_breaks_off_keeps_what_it_reported_until_then() -> None:
    # The second part of the array says 4 candidates' tokens; the rest does not arrive.
    whole = json.dumps(list(answers.GENERATE_STREAM)).encode()
    reading = Reading(call_of(GENERATE), 200, JSON)
    reading.feed(whole[: whole.rindex(b'{"candidates"') + 40])
    reckoning = reading.reckon(is_complete=False)
    assert (reckoning.certainty, reckoning.quantities) == (ESTIMATED, {**answers.GENERATE_POOLS, "output_tokens": 4})


@pytest.mark.parametrize("beginning", [b'data: {"choices": "', b"", b": "])
def test_an_event_of_50_megabytes_passes_as_it_comes_and_the_next_one_is_read(beginning: bytes) -> None:
    call = call_of(CHAT, {"model": "gpt-5.1", "stream": True, "messages": []})
    assert call.hides_usage
    with at_most_kept(6 * EVENT_BYTES_MAX):
        reading = Reading(call, 200, EVENTS)
        passed = len(reading.feed(beginning))
        for sent in range(1, 51):
            passed += len(reading.feed(MEGABYTE))
            # What is held back meanwhile never exceeds an event that is looked at.
            assert sent * 1_000_000 + len(beginning) - passed <= EVENT_BYTES_MAX
        # Its end is cut in two, and what follows is an event of its own.
        passed += len(reading.feed(b'"}\n')) + len(reading.feed(b"\n" + event(answers.CHAT_LAST)))
        reckoning = reading.reckon(is_complete=True)
    assert passed == 50_000_000 + len(beginning) + 4
    assert (reckoning.certainty, reckoning.quantities) == (MEASURED, answers.CHAT_POOLS)


def test_an_event_that_is_too_long_to_be_looked_at_is_not_for_nothing() -> None:
    reading = Reading(call_of(CHAT), 200, EVENTS)
    for _ in range(5):
        reading.feed(MEGABYTE)
    reckoning = reading.reckon(is_complete=True)
    assert (reckoning.certainty, reckoning.quantities) == (ESTIMATED, {"input_tokens": 11, "output_tokens": 50})


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_a_hundred_thousand_tiny_events_are_read_once_each(end: bytes) -> None:
    # In one chunk of 4 megabytes: whoever looks through all of it for each event reads 400 gigabytes.
    tiny = b'data: {"choices": [{"delta": "x"}]}' + end
    splitter = EventSplitter()
    parts = list(splitter.feed(tiny * 100_000))
    assert len(parts) == 100_000
    assert parts[0] == parts[-1] == (tiny, b'{"choices": [{"delta": "x"}]}')
    assert splitter.rest() == b""


def test_an_answer_that_is_no_success_and_one_that_is_a_picture_are_not_kept() -> None:
    with at_most_kept(100_000):
        for call, status in ((call_of(EMBED), 500), (call_of("/tavily/search", {"query": "rain"}), 200)):
            reading = Reading(call, status, JSON)
            for _ in range(3):
                reading.feed(MEGABYTE)
            assert sum(reading.reckon(is_complete=True).quantities.values()) == (0 if status == 500 else 1)
