"""How much is leased, and what a share of it may be divided into."""

from datetime import timedelta
from fractions import Fraction

import pytest

from domain.limits.lease import Share, extra_of
from tests import make

NOON = make.at("2026-01-15T12:00")


def share(amount: int, held: int = 0) -> Share:
    """Make a share whose lease ends a minute after noon."""
    return Share(Fraction(amount), Fraction(held), NOON + timedelta(seconds=60), NOON, Fraction(amount))


@pytest.mark.parametrize(
    ("room", "asked", "bound", "extra"),
    [
        # 200 times as much, while that is less than an eighth of what is left.
        (4_999, 1, 5_000, 200),
        # An eighth of 99 is 12.375: whole numbers are leased where whole ones are asked for.
        (99, 1, 100, 12),
        # Less than a twentieth of the bound is left.
        (4, 1, 100, 0),
        # An eighth of what is left is less than once more.
        (80, 11, 100, 0),
        (0, 1, 0, 0),
        (50, 0, 100, 0),
    ],
)
def test_leases_shrink_with_the_headroom(room: int, asked: int, bound: int, extra: int) -> None:
    assert extra_of(Fraction(room), Fraction(asked), Fraction(bound)) == extra


def test_money_is_leased_to_the_millionth() -> None:
    # An eighth of 0.99775 is 0.12471875; 200 x 0.00225 would be 0.45.
    assert extra_of(Fraction("0.99775"), Fraction("0.00225"), Fraction(1)) == Fraction("0.124718")


def test_a_share_holds_what_is_free_until_shortly_before_its_end() -> None:
    own = share(10, held=4)
    assert own.can_hold(Fraction(6), NOON)
    assert not own.can_hold(Fraction(7), NOON)
    # 10 seconds before its end it is divided no more; at its end it is lost.
    assert not own.can_hold(Fraction(1), NOON + timedelta(seconds=50))
    assert not own.is_lost(NOON + timedelta(seconds=59))
    assert own.is_lost(NOON + timedelta(seconds=60))
    assert Share().is_lost(NOON)


@pytest.mark.parametrize(
    ("used", "amount", "held", "free"),
    [
        # Of 4 held, 3 became usage: the lease loses 3, and 1 is free beside the 5 that were.
        (3, 7, 1, 6),
        # All 4 became usage.
        (4, 6, 1, 5),
        # 2 above the hold are taken from what is free.
        (6, 4, 1, 3),
        # More than the hold and all that is free: nothing is left but what others hold.
        (50, 1, 1, 0),
    ],
)
def test_what_became_usage_leaves_the_lease(used: int, amount: int, held: int, free: int) -> None:
    # 10 leased: 4 and 1 held, 5 free.
    own = share(10, held=5)
    own.settle(Fraction(4), Fraction(used))
    assert [own.amount, own.held, own.free] == [amount, held, free]


def test_the_database_is_told_of_less_at_once_and_of_the_same_after_half_the_time() -> None:
    own = share(10, held=4)
    assert not own.is_due(NOON + timedelta(seconds=29))
    assert own.is_due(NOON + timedelta(seconds=30))
    assert own.drop_free() == 6
    assert own.is_due(NOON)
    own.lose()
    assert not own.is_due(NOON)
    assert own.is_lost(NOON)


def test_a_share_is_idle_five_seconds_after_it_was_touched() -> None:
    own = share(10)
    assert not own.is_idle(NOON + timedelta(seconds=4))
    assert own.is_idle(NOON + timedelta(seconds=5))
    assert Share().is_idle(NOON)


def test_a_grant_adds_to_what_is_left_of_the_lease() -> None:
    own = share(4, held=4)
    own.grant(Fraction(3), Fraction(7), NOON + timedelta(seconds=90), NOON)
    assert [own.amount, own.told, own.free] == [7, 7, 3]
