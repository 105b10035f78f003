"""The stages of a comparison, the stretch of time it looks at, and when it is due."""

from datetime import datetime

import pytest

from domain.kernel.call import Environment
from domain.payments.reconciling import run as runs
from domain.payments.reconciling.run import Run, Stage
from tests import make


def _begun(when: str, last: Run | None = None) -> Run:
    return runs.begin(make.new_id(), Environment.TEST, make.at(when), last=last, trigger="schedule")


def test_the_first_comparison_looks_back_35_days_and_leaves_the_last_hour_alone() -> None:
    run = _begun("2026-03-01T03:00")
    # 1 March, 02:00, less 35 days.
    assert (run.window_start, run.window_end) == (make.at("2026-01-25T02:00"), make.at("2026-03-01T02:00"))
    assert (run.stage, run.after, run.compared, run.ended_at) == (Stage.CUSTOMERS, None, 0, None)


@pytest.mark.parametrize(
    ("when", "start"),
    [
        # The last one looked up to 1 March, 02:00.
        ("2026-03-02T03:00", "2026-02-27T02:00"),
        ("2026-04-15T03:00", "2026-02-27T02:00"),
        # Twice within the overlap: still two days.
        ("2026-03-01T04:00", "2026-02-27T02:00"),
    ],
)
def test_a_later_one_begins_two_days_before_the_end_of_the_last(when: str, start: str) -> None:
    last = _begun("2026-03-01T03:00")
    assert _begun(when, last).window_start == make.at(start)


def test_customers_are_compared_whatever_their_age_also_when_the_window_begins_on_a_leap_day() -> None:
    run = _begun("2028-04-04T03:00")
    assert run.window_start == make.at("2028-02-29T02:00")
    assert (run.ever.start, run.ever.end) == (make.at("2011-01-01"), run.window_end)


def test_a_run_goes_from_page_to_page_and_from_stage_to_stage() -> None:
    at = make.at("2026-03-01T03:05")
    run = runs.go_on(_begun("2026-03-01T03:00"), compared=100, after="cus_9", at=at)
    assert (run.stage, run.after, run.compared) == (Stage.CUSTOMERS, "cus_9", 100)
    assert runs.again(run).after is None
    seen = []
    while run.ended_at is None:
        run = runs.go_on(run, compared=1, after=None, at=at)
        seen.append(run.stage)
    assert seen == [
        Stage.METHODS,
        Stage.INVOICES_THERE,
        Stage.INVOICES_HERE,
        Stage.PAYMENTS,
        Stage.REFUNDS,
        Stage.REFUNDS_HERE,
        Stage.DISPUTES_THERE,
        Stage.DISPUTES_HERE,
        Stage.REPORT,
        Stage.REPORT,
    ]
    assert (run.compared, run.ended_at) == (110, at)


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        (None, "2026-03-01T03:00", True),
        (None, "2026-03-01T02:59", False),
        ("2026-02-28T03:00", "2026-03-01T03:00", True),
        ("2026-03-01T03:00", "2026-03-01T23:59", False),
        ("2026-03-01T02:59", "2026-03-01T03:00", True),
        # A night that was missed is caught up.
        ("2026-02-26T03:00", "2026-03-01T17:00", True),
    ],
)
def test_one_is_due_each_night(last: str | None, now: str, *, due: bool) -> None:
    began: datetime | None = make.at(last) if last is not None else None
    assert runs.is_due(began, make.at(now)) is due
