"""Reading a trace: strict, exact, and the same ids for the same file."""

from datetime import timedelta

import pytest

from api.replay.errors import ReplayError
from api.replay.trace import HEADER, Run, Trace, events_of, parse
from tests.make import at

FIRST = "2023-11-16 18:17:03.9799600,4808,10"
SECOND = "2023-11-16 18:17:04.0319605,3180,8"


def content(*rows: str) -> bytes:
    return "\n".join((HEADER, *rows, "")).encode()


def run_of(trace: Trace, customers: int = 2, plan: str = "pro", model: str = "gemini-2.5-pro") -> Run:
    return Run(trace, customers, "llm", plan, "gemini", model)


def test_offsets_are_exact_and_cut_off_at_the_microsecond() -> None:
    trace = parse(content(FIRST, SECOND, "2023-11-17 00:00:00,1,0"))

    # 04.0319605 - 03.9799600 = 0.0520005 s = 52,000.5 us; cut off, not rounded.
    assert trace.rows[1].offset == timedelta(microseconds=52_000)
    # From 18:17:03.97996 to midnight: 5 h 42 min 56.02004 s.
    assert trace.rows[2].offset == timedelta(hours=5, minutes=42, seconds=56, microseconds=20_040)
    assert [(row.number, row.input_tokens, row.output_tokens) for row in trace.rows] == [
        (1, 4808, 10),
        (2, 3180, 8),
        (3, 1, 0),
    ]
    assert trace.span == trace.rows[2].offset


def test_a_last_line_without_an_end_and_line_ends_of_windows_are_read() -> None:
    text = f"{HEADER}\r\n{FIRST}\r\n{SECOND}".encode()

    assert parse(text).rows == parse(content(FIRST, SECOND)).rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "line 1: the header must be exactly TIMESTAMP,ContextTokens,GeneratedTokens"),
        (b"time,in,out\n1,2,3\n", "line 1: the header must be"),
        (content(), "line 2: the trace has no rows"),
        (content(FIRST, "2023-11-16 18:17:04,1"), "line 3: a row is a time"),
        (content(FIRST, "2023-11-16 18:17:04,1,2,3"), "line 3: a row is a time"),
        (content(FIRST, "2023-11-16 18:17:04,-1,2"), "line 3: a row is a time"),
        (content(FIRST, "2023-11-16 18:17:04,1.5,2"), "line 3: a row is a time"),
        (content(FIRST, "2023-11-16 18:17:04.12345678,1,2"), "line 3: a row is a time"),
        (content(FIRST, "", SECOND), "line 3: a row is a time"),
        (content(FIRST, SECOND, "2023-02-30 18:17:04,1,2"), "line 4: there is no such time as 2023-02-30"),
        (content(FIRST, "2023-11-16 18:17:03,1,2"), "line 3: its time lies before that of the first row"),
        (content(FIRST) + "2023-11-16 18:17:04,1,\u0663\n".encode(), "line 3: the trace holds a byte that is not"),
        (content(FIRST, "2023-12-14 18:17:04,1,2"), "covers more than 27 days"),
    ],
)
def test_a_bad_trace_is_refused_with_its_line(text: bytes, message: str) -> None:
    with pytest.raises(ReplayError, match=message):
        parse(text)


def test_rows_go_to_the_customers_in_turn_at_their_offsets_from_the_start() -> None:
    run = run_of(parse(content(FIRST, SECOND, "2023-11-16 18:17:05.9799600,7,9")))

    events = list(events_of(run, ["cus_a", "cus_b"], at("2026-01-15T10:00")))

    assert [event["customer"] for event in events] == ["cus_a", "cus_b", "cus_a"]
    assert [event["occurred_at"] for event in events] == [
        "2026-01-15T10:00:00+00:00",
        "2026-01-15T10:00:00.052000+00:00",
        "2026-01-15T10:00:02+00:00",
    ]
    assert events[2]["properties"] == {
        "provider": "gemini",
        "model": "gemini-2.5-pro",
        "input_tokens": 7,
        "output_tokens": 9,
    }


def test_ids_depend_on_the_file_and_the_row_alone() -> None:
    trace, other = parse(content(FIRST, SECOND)), parse(content(FIRST))

    first, again = (
        [event["id"] for event in events_of(run_of(trace, customers), ["cus_a"] * customers, at(day))]
        for customers, day in ((1, "2026-01-15"), (2, "2026-02-20"))
    )

    assert first == again
    assert first[0] == f"{trace.digest}-1"
    assert trace.digest != other.digest
    assert len(set(first)) == 2


def test_a_run_is_named_after_file_customers_plan_and_model() -> None:
    trace = parse(content(FIRST))
    runs = [
        run_of(trace),
        run_of(trace, customers=3),
        run_of(trace, plan="basic"),
        run_of(trace, model="gpt-5"),
        run_of(parse(content(SECOND))),
    ]

    assert len({run.name for run in runs}) == 5
    assert runs[0].name == run_of(parse(content(FIRST))).name
    assert runs[0].external_ids() == [f"{runs[0].name}-1", f"{runs[0].name}-2"]


@pytest.mark.parametrize(("last", "days"), [("2023-11-16 19:00:00", 1), ("2023-11-18 19:00:00", 3)])
def test_the_clock_goes_ahead_by_the_days_the_trace_needs(last: str, days: int) -> None:
    # One hour lies inside the first day; two days and 43 minutes need a third one.
    assert run_of(parse(content(FIRST, f"{last},1,1"))).days_ahead == days
