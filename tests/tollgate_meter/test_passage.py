"""One call from its permission to its record, by a clock of the test's own."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.tollgate_meter import answers
from tests.tollgate_meter.upstream import event
from tollgate_meter.operations import find
from tollgate_meter.passage import Passage, outcome_of
from tollgate_meter.reading import Certainty
from tollgate_meter.request import read_request
from tollgate_meter.tolls import Hold, Properties

PATH = "/openai/v1/chat/completions"
HOLD = Hold("call_1", "cus_1", is_enforced=True, reservation="rsv_1")


@dataclass
class Ledger:
    """Remembers what it is told."""

    settled: list[tuple[Certainty, dict[str, Any]]] = field(default_factory=list)
    extended: int = 0
    released: int = 0

    def settle(self, hold: Hold, certainty: Certainty, properties: Properties) -> None:
        """Remember a record."""
        assert hold == HOLD
        self.settled.append((certainty, dict(properties)))

    def extend(self, hold: Hold) -> None:
        """Remember an extension."""
        assert hold == HOLD
        self.extended += 1

    def release(self, hold: Hold) -> None:
        """Remember that a hold was given back."""
        assert hold == HOLD
        self.released += 1


@dataclass
class Clock:
    """Shows the seconds that it is set to."""

    now: float = 1_000.0

    def __call__(self) -> float:
        """Read it."""
        return self.now


def passage_of(ledger: Ledger, clock: Clock) -> Passage:
    call = read_request(find("POST", "proxy", PATH), PATH, b'{"model": "gpt-5.1", "stream": true, "max_tokens": 9}')
    assert call is not None
    return Passage(call, HOLD, ledger, clock)


def test_a_stream_extends_its_hold_whenever_half_of_its_time_has_passed() -> None:
    ledger, clock = Ledger(), Clock()
    passage = passage_of(ledger, clock)
    passage.answered(200, "text/event-stream")
    # A hold lives 600 seconds. Chunks at 300, 301, 600, 602 and 603: extended after 300 of its start, then of 301.
    counts = []
    for after_s in (300, 301, 600, 602, 603):
        clock.now = 1_000 + after_s
        passage.feed(event(answers.chat_chunk("x")))
        counts.append(ledger.extended)
    assert counts == [0, 1, 1, 2, 2]


def test_a_call_is_recorded_once_with_the_time_until_its_end() -> None:
    ledger, clock = Ledger(), Clock()
    passage = passage_of(ledger, clock)
    passage.answered(200, "text/event-stream; charset=utf-8")
    for each in answers.CHAT_STREAM:
        passage.feed(each if isinstance(each, bytes) else event(each))
    clock.now += 2.5
    passage.end(is_complete=True)
    clock.now += 1
    passage.end(is_complete=False, status=499)
    [(certainty, properties)] = ledger.settled
    assert certainty is Certainty.MEASURED
    assert properties == {
        "provider": "openai",
        "model": "gpt-5.1",
        "endpoint": "/v1/chat/completions",
        **answers.CHAT_POOLS,
        "status": "ok",
        "latency_ms": 2_500,
    }


def test_what_was_final_is_a_whole_answer_though_the_caller_leaves_then() -> None:
    ledger = Ledger()
    passage = passage_of(ledger, Clock())
    passage.answered(200, "text/event-stream")
    passage.feed(event(answers.CHAT_LAST))
    passage.end(is_complete=False, status=499)
    [(certainty, properties)] = ledger.settled
    assert (certainty, properties["status"]) == (Certainty.MEASURED, "ok")


def test_an_error_stands_though_the_caller_leaves_then() -> None:
    ledger = Ledger()
    passage = passage_of(ledger, Clock())
    passage.answered(429, "application/json")
    passage.end(is_complete=False, status=499)
    [(certainty, properties)] = ledger.settled
    assert (certainty, properties["status"], properties["input_tokens"]) == (Certainty.MEASURED, "rate_limited", 0)


def test_without_any_answer_nothing_is_known_and_nothing_charged() -> None:
    ledger = Ledger()
    passage = passage_of(ledger, Clock())
    assert passage.rest() == b""
    passage.end(is_complete=False)
    [(certainty, properties)] = ledger.settled
    assert (certainty, properties["status"], properties["output_tokens"]) == (Certainty.UNKNOWN, "error", 0)


def test_what_never_reached_its_provider_is_given_back_once_and_not_recorded() -> None:
    ledger = Ledger()
    passage = passage_of(ledger, Clock())
    passage.give_back()
    passage.give_back()
    passage.end(is_complete=False)
    assert (ledger.released, ledger.settled) == (1, [])


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (200, "ok"),
        (299, "ok"),
        (302, "refused"),
        (400, "refused"),
        (401, "refused"),
        (408, "timeout"),
        (429, "rate_limited"),
        (499, "cancelled"),
        (500, "error"),
        (502, "error"),
        (504, "timeout"),
        (529, "error"),
    ],
)
def test_how_a_call_went_is_said_in_the_words_that_error_rates_are_counted_by(status: int, word: str) -> None:
    assert outcome_of(status) == word
