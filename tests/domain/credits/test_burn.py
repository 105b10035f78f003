"""Grants and usage on one timeline."""

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from domain.credits.burn import Book, Grant, Move, Moved, Used, replay, rolled_over
from tests import make

_START = make.at("2026-01-01")
_END = make.at("2026-02-01")


def _grant(name: str = "g", amount: int = 100, **changed: Any) -> Grant:
    return replace(Grant(name, Fraction(amount), 1, _START, _START), **changed)


def _used(day: int, amount: int, key: str = "") -> Used:
    return Used(_day(day), Fraction(amount), key)


def _day(day: int) -> datetime:
    return _START + timedelta(days=day - 1)


def _left(book: Book) -> dict[str, int]:
    return {name: int(balance) for name, balance in book.balances.items()}


def _open(book: Book) -> int:
    return int(book.open_overage)


def _moves(book: Book) -> list[tuple[int, str, int]]:
    return [((move.at - _START).days + 1, str(move.kind), int(move.amount)) for move in book.moves]


def test_usage_burns_by_priority_then_earliest_expiry_then_age_then_id() -> None:
    grants = [
        _grant("never", 1),
        _grant("late", 1, expires_at=_day(20)),
        _grant("early", 1, expires_at=_day(10)),
        _grant("old", 1, created_at=_START - timedelta(days=1)),
        _grant("first", 1, priority=0),
        _grant("also", 1),
    ]
    book = replay(grants, [_used(2, 6)], start=_START, until=_END)
    assert [move.grant_id for move in book.moves if move.kind is Moved.USED] == [
        "first",
        "early",
        "late",
        "old",
        "also",
        "never",
    ]


def test_usage_at_the_instant_of_a_boundary_belongs_to_what_begins_there() -> None:
    ending, beginning = _grant("ending", expires_at=_day(5)), _grant("beginning", effective_at=_day(5))
    book = replay([ending, beginning], [_used(5, 30)], start=_START, until=_END)
    assert _left(book) == {"ending": 0, "beginning": 70}
    assert _moves(book) == [(1, "granted", 100), (5, "expired", -100), (5, "granted", 100), (5, "used", -30)]


def test_voiding_takes_what_is_left_and_is_told_from_expiry() -> None:
    book = replay([_grant(voided_at=_day(3), expires_at=_day(9))], [_used(2, 40)], start=_START, until=_END)
    assert _moves(book) == [(1, "granted", 100), (2, "used", -40), (3, "voided", -60)]


def test_a_refill_fills_up_to_the_amount_and_ends_with_the_grant() -> None:
    weekly = _grant(following=lambda at: at + timedelta(days=7), expires_at=_day(15))
    book = replay([weekly], [_used(2, 30)], start=_START, until=_END)
    # Filled up on the 8th; on the 15th it is over.
    assert _moves(book) == [(1, "granted", 100), (2, "used", -30), (8, "refilled", 30), (15, "expired", -100)]


def test_open_overage_is_absorbed_by_what_comes_in_the_same_usage_period_the_oldest_first() -> None:
    usage = [_used(2, 30, "a"), _used(3, 20, "b")]
    late = _grant("late", 40, effective_at=_day(9))
    book = replay([late], usage, start=_START, until=_END)
    assert [int(*book.taken("a").values()), int(*book.taken("b").values()), _open(book)] == [30, 10, 10]
    after = replay([late], usage, start=_START, until=_END, resets=[_day(5)])
    assert (_left(after), _open(after)) == ({"late": 40}, 0)
    kept = replay([late], usage, start=_START, until=_END, resets=[_day(5)], keep_overage=True)
    assert (_left(kept), _open(kept)) == ({"late": 0}, 10)


def test_overage_is_absorbed_in_the_order_of_burning_by_all_that_comes_at_the_same_instant() -> None:
    weekly = _grant("weekly", 40, following=lambda at: at + timedelta(days=7))
    new = [_grant("last", 40, priority=2, effective_at=_day(8)), _grant("first", 40, priority=0, effective_at=_day(8))]
    book = replay([weekly, *new], [_used(2, 90)], start=_START, until=_END, resets=[_day(8)], keep_overage=True)
    # 40 of the 90 were taken at once. Of the 50 left "first" gives 40 and the refill 10, whatever was granted first;
    # the refills of the 15th, 22nd and 29th fill it up again.
    assert [(move.grant_id, int(move.amount)) for move in book.moves if move.kind is Moved.USED] == [
        ("weekly", -40),
        ("first", -40),
        ("weekly", -10),
    ]
    assert (_left(book), _open(book)) == ({"weekly": 40, "last": 40, "first": 0}, 0)


def test_a_reset_cuts_what_rolls_over_and_adds_up_to_the_least() -> None:
    book = replay([_grant(rollover_max=Fraction(50))], [_used(2, 10)], start=_START, until=_END, resets=[_day(9)])
    assert (_left(book), int(book.used_since_reset)) == ({"g": 50}, 0)
    least = _grant(rollover_min=Fraction(100), rollover_max=Fraction(500))
    assert _left(replay([least], [_used(2, 70)], start=_START, until=_END, resets=[_day(9)])) == {"g": 100}
    assert rolled_over(Fraction(30), None, Fraction(0)) == 30


def test_a_grant_is_not_cut_by_a_reset_at_which_it_begins_or_after_its_end() -> None:
    new = _grant("new", effective_at=_day(9), rollover_max=Fraction(0))
    gone = _grant("gone", expires_at=_day(5), rollover_min=Fraction(7))
    book = replay([new, gone], [], start=_START, until=_END, resets=[_day(9)])
    assert _left(book) == {"new": 100, "gone": 0}


def test_what_lies_outside_of_the_timeline_does_not_count() -> None:
    usage = [Used(_START - timedelta(hours=1), Fraction(5)), Used(_END, Fraction(5)), _used(1, 1)]
    book = replay([_grant(), _grant("later", effective_at=_END + timedelta(days=1))], usage, start=_START, until=_END)
    assert (_left(book), book.moves[-1]) == (
        {"g": 99, "later": 0},
        Move(_START, "g", Moved.USED, Fraction(-1)),
    )


def test_a_grant_from_before_opens_with_what_was_left_of_it() -> None:
    old = _grant(effective_at=_START - timedelta(days=9))
    assert _left(replay([old], [], start=_START, until=_END)) == {"g": 100}
    assert _left(replay([old], [], start=_START, until=_END, opening={"g": Fraction(8)})) == {"g": 8}
