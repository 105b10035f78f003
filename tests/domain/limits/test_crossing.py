"""When usage passed a limit, told from its newest steps back."""

from fractions import Fraction

from domain.limits.crossing import Step, passed_at
from tests import make

NINE, TEN, ELEVEN = (make.at(f"2026-01-15T{hour}:00") for hour in ("09", "10", "11"))


def test_the_step_that_came_above_the_amount_passed_it() -> None:
    # 60, then 105, then 108 of 100.
    steps = [Step(ELEVEN, Fraction(3)), Step(TEN, Fraction(45)), Step(NINE, Fraction(60))]
    assert passed_at(Fraction(108), Fraction(100), steps) == TEN


def test_landing_on_the_amount_has_not_passed_it() -> None:
    # 60, then 100, then 101.
    steps = [Step(ELEVEN, Fraction(1)), Step(TEN, Fraction(40)), Step(NINE, Fraction(60))]
    assert passed_at(Fraction(101), Fraction(100), steps) == ELEVEN


def test_what_was_taken_back_stood_before_it_was() -> None:
    # 110, then 50, then 105: it is above the amount since the last step.
    steps = [Step(ELEVEN, Fraction(55)), Step(TEN, Fraction(-60)), Step(NINE, Fraction(110))]
    assert passed_at(Fraction(105), Fraction(100), steps) == ELEVEN


def test_a_step_of_unknown_size_is_as_far_back_as_can_be_said() -> None:
    steps = [Step(ELEVEN, Fraction(1)), Step(TEN, None), Step(NINE, Fraction(200))]
    assert passed_at(Fraction(150), Fraction(100), steps) == TEN


def test_where_no_step_says_so_it_was_the_oldest_or_none() -> None:
    assert passed_at(Fraction(150), Fraction(100), [Step(ELEVEN, Fraction(1)), Step(TEN, Fraction(1))]) == TEN
    assert passed_at(Fraction(150), Fraction(100), []) is None
