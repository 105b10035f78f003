"""Names of reservations, and what is checked before anything is held."""

from fractions import Fraction

import pytest

from domain.kernel.ids import CustomerId, SubscriptionId
from domain.limits.request import LimitsBusy
from domain.limits.reservation import (
    Reservation,
    ReservationClosed,
    ReservationMalformed,
    ReservationNotFound,
    check_expiry,
    check_reference,
    excess_of,
    name_of,
    read_name,
)
from domain.limits.shelf import CLOSED_MAX, Shelf
from tests import make

ADA = CustomerId(make.new_id())
NOON = make.at("2026-01-15T12:00")


def test_a_name_is_the_same_wherever_it_is_made_and_is_read_back() -> None:
    name = name_of(ADA, "llm.call", "gateway", "call-1")
    assert name == name_of(ADA, "llm.call", "gateway", "call-1")
    assert read_name(name.text) == name
    assert (name.text[:4], len(name.text)) == ("rsv_", 4 + 3 * 26)
    others = {
        name_of(ADA, "llm.call", "gateway", "call-2"),
        name_of(ADA, "llm.call", "other", "call-1"),
        name_of(ADA, "edge.build", "gateway", "call-1"),
        name_of(CustomerId(make.new_id()), "llm.call", "gateway", "call-1"),
    }
    assert len(others | {name}) == 5


@pytest.mark.parametrize(
    "text", ["", "rsv_", "cus_" + "0" * 78, "rsv_" + "0" * 77, "rsv_" + "u" * 78, "rsv_" + "z" * 78]
)
def test_what_is_no_name_is_the_name_of_nothing(text: str) -> None:
    with pytest.raises(ReservationNotFound):
        read_name(text)


@pytest.mark.parametrize("caller_id", ["", "x" * 256, "a\0b", "a\nb"])
def test_an_id_is_printable_and_short(caller_id: str) -> None:
    with pytest.raises(ReservationMalformed):
        name_of(ADA, "llm.call", "gateway", caller_id)


def test_times_and_references_are_bounded() -> None:
    assert [check_expiry(1), check_expiry(3_600)] == [1, 3_600]
    for seconds in (0, 3_601, -1):
        with pytest.raises(ReservationMalformed):
            check_expiry(seconds)
    assert [check_reference(None), check_reference("x")] == [None, "x"]
    for reference in ("", "x" * 256, "\0"):
        with pytest.raises(ReservationMalformed):
            check_reference(reference)


def test_the_excess_is_what_lies_above_the_hold() -> None:
    used = {"calls": Fraction(1), "tokens": Fraction(50), "cost": Fraction(2)}
    held = {"calls": Fraction(1), "tokens": Fraction(40)}
    assert excess_of(used, held) == {"tokens": 10, "cost": 2}


def reservation(number: int) -> Reservation:
    """Make a reservation that is held for a minute."""
    name = name_of(ADA, "llm.call", "gateway", f"r{number}")
    return Reservation(name, SubscriptionId(make.new_id()), "llm.call", NOON, NOON, make.at("2026-01-15T12:01"))


def test_a_shelf_has_room_for_so_many_and_knows_what_ended() -> None:
    shelf = Shelf(2)
    first, second, third = (reservation(number) for number in range(3))
    for each in (first, second):
        shelf.check_room(each.name)
        shelf.put(each)
    with pytest.raises(LimitsBusy):
        shelf.check_room(third.name)
    assert shelf.find(first.name, NOON) is first
    assert shelf.find(first.name, first.expires_at) is None
    assert shelf.expired(first.expires_at) == [first, second]
    assert shelf.take(first.name) is first
    shelf.close(first.name)
    with pytest.raises(ReservationClosed):
        shelf.check_room(first.name)
    for number in range(CLOSED_MAX):
        shelf.close(reservation(number + 10).name)
    shelf.check_room(first.name)


def test_what_could_not_be_written_waits_while_it_is_held() -> None:
    shelf = Shelf()
    first, second = reservation(1), reservation(2)
    shelf.put(first)
    shelf.put(second)
    waiting = shelf.unsaved(1)
    assert waiting == [first]
    shelf.saved([first, second])
    assert shelf.unsaved(9) == []
    shelf.take(second.name)
    shelf.unsave([first, second])
    assert shelf.unsaved(9) == [first]
    assert shelf.times == {first.name: first.expires_at}
    assert shelf.find_any(first.name) is first
