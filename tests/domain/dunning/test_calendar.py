"""What happens by time to an invoice that was sent: issued on 1 March 2026, due on the 15th."""

import pytest

from domain.dunning.calendar import Day, Happens, calendar, due_now, next_after
from domain.dunning.policy import Policy
from tests import make

_ISSUED, _DUE = make.at("2026-03-01T10:00"), make.at("2026-03-15T10:00")
_DAYS = calendar(Policy(), _ISSUED, _DUE)


def _shown(days: object) -> list[tuple[str, str]]:
    assert isinstance(days, list | tuple)
    return [(f"{day.at:%m-%d %H:%M}", day.what.value) for day in days]


def test_it_is_reminded_of_before_and_after_its_due_date() -> None:
    # 7 and 1 days before, 3 and 10 days after.
    assert _shown(_DAYS) == [
        ("03-08 10:00", "due_soon"),
        ("03-14 10:00", "due_soon"),
        ("03-15 10:00", "overdue"),
        ("03-18 10:00", "still_overdue"),
        ("03-25 10:00", "still_overdue"),
    ]


def test_a_reminder_never_comes_with_the_invoice_or_before_it_and_a_day_named_twice_is_one() -> None:
    policy = Policy(due_reminder_days=(14, 13, 1, 1, 30), overdue_reminder_days=())
    assert _shown(calendar(policy, _ISSUED, _DUE)) == [
        ("03-02 10:00", "due_soon"),
        ("03-14 10:00", "due_soon"),
        ("03-15 10:00", "overdue"),
    ]
    # Due as it is issued: overdue at once.
    assert _shown(calendar(policy, _DUE, _DUE)) == [("03-15 10:00", "overdue")]


@pytest.mark.parametrize(
    ("after", "now", "come"),
    [
        ("2026-03-01T10:00", "2026-03-08T09:59", []),
        ("2026-03-01T10:00", "2026-03-08T10:00", ["03-08"]),
        ("2026-03-08T10:00", "2026-03-08T10:00", []),
        # Both reminders were missed: the last one says it.
        ("2026-03-01T10:00", "2026-03-14T23:00", ["03-14"]),
        # Being overdue is not left out, whatever was missed with it.
        ("2026-03-01T10:00", "2026-03-19T00:00", ["03-15", "03-18"]),
        ("2026-03-18T10:00", "2026-04-30T00:00", ["03-25"]),
    ],
)
def test_what_was_missed_is_caught_up_without_a_heap_of_reminders(after: str, now: str, come: list[str]) -> None:
    found = due_now(_DAYS, after=make.at(after), now=make.at(now))
    assert [f"{day.at:%m-%d}" for day in found] == come


def test_what_is_due_as_it_is_issued_comes_with_the_first_look_and_once() -> None:
    days = calendar(Policy(due_reminder_days=(1,), overdue_reminder_days=(3,)), _DUE, _DUE)
    assert [day.what for day in due_now(days, after=None, now=_DUE)] == [Happens.OVERDUE]
    assert due_now(days, after=_DUE, now=_DUE) == []


def test_the_next_day_is_the_first_that_has_not_come() -> None:
    assert next_after(_DAYS, _ISSUED) == make.at("2026-03-08T10:00")
    assert next_after(_DAYS, _DUE) == make.at("2026-03-18T10:00")
    assert next_after(_DAYS, make.at("2026-03-25T10:00")) is None
    assert next_after([Day(_DUE, Happens.OVERDUE, 0)], _ISSUED) == _DUE
