"""What a request may be told by the look of another one, worked out by hand."""

from dataclasses import replace
from datetime import datetime
from fractions import Fraction

import pytest
from msgspec import structs

from domain.kernel.ids import SubscriptionId
from domain.limits.book import Book
from domain.limits.drawer import Drawer, Drawers
from domain.limits.judging import Code
from domain.limits.request import Asking, Place
from tests import make
from tests.domain.limits.examples import NOON, account, line, one


def drawer_of(*, used: int, leased: int = 0, recalled: tuple[str, ...] = ()) -> Drawer:
    """Make a drawer whose second look found a limit of 10 calls."""
    drawer = Drawer(book=Book(account(line("calls", 10, used, leased=leased))))
    drawer.begin_look()
    drawer.note_look(drawer.begin_look(), recalled)
    return drawer


def asking(drawer: Drawer, calls: int) -> Asking:
    """Ask for calls at noon."""
    assert drawer.book is not None
    own = drawer.book.account
    return Asking(Place(own.customer_id, own.subscription_id, 0, NOON), one(calls), "reserve", takes=True)


def test_a_look_that_began_after_a_request_came_refuses_it() -> None:
    drawer = drawer_of(used=8)
    judged = drawer.refused(asking(drawer, 3), NOON, since=1)
    assert judged is not None
    assert judged.code is Code.LIMIT_REACHED
    assert judged.by is not None
    assert judged.by.key == "calls"
    assert judged.asks["calls"] == 3


@pytest.mark.parametrize(
    ("calls", "since", "at"),
    [
        (2, 1, NOON),  # 8 + 2 fit: only the database grants.
        (3, 2, NOON),  # The look had begun when the request came: something may have been given back since.
        (3, 1, make.at("2026-01-15T13:00")),  # The account is too old to decide.
    ],
)
def test_everything_else_is_asked_of_the_database(calls: int, since: int, at: datetime) -> None:
    drawer = drawer_of(used=8)
    assert drawer.refused(asking(drawer, calls), at, since=since) is None


def test_nothing_is_refused_before_the_first_look() -> None:
    drawer = drawer_of(used=8)
    wanted = asking(drawer, 3)
    assert Drawer().refused(wanted, NOON, since=0) is None
    assert Drawer(book=drawer.book).refused(wanted, NOON, since=0) is None


def test_what_others_have_leased_refuses_only_after_they_were_asked_for_what_is_idle() -> None:
    # 5 used, 4 leased by others: 2 more would fit without them.
    asked, unasked = (drawer_of(used=5, leased=4, recalled=each) for each in (("calls",), ("tokens",)))
    assert unasked.refused(asking(unasked, 2), NOON, since=1) is None
    assert asked.refused(asking(asked, 2), NOON, since=1) is not None
    # 6 more would not fit even so.
    assert unasked.refused(asking(unasked, 6), NOON, since=1) is not None


def test_what_has_no_price_is_refused_by_the_same_look() -> None:
    cap = line("cost", 10, 0)
    cap = replace(cap, allowance=replace(cap.allowance, money=True))
    drawer = Drawer(book=Book(account(cap)))
    drawer.note_look(drawer.begin_look(), ())
    wanted = replace(asking(drawer, 1), estimate=structs.replace(one(1), priceless=True))
    judged = drawer.refused(wanted, NOON, since=0)
    assert judged is not None
    assert judged.code is Code.USAGE_UNPRICED


def test_the_drawers_used_longest_ago_go_when_there_are_too_many_but_not_those_that_lease() -> None:
    drawers = Drawers(books_max=3)
    leasing, idle, late, new = (SubscriptionId(make.new_id()) for _ in range(4))
    book = Book(account(line("calls", 10, 0)))
    book.share("calls").grant(Fraction(1), Fraction(1), NOON, NOON)
    drawers.take(leasing).book = book
    for each in (idle, late, new):
        drawers.take(each)
    # The older half of four is looked at: one of it leases, the other goes.
    assert [drawers.find(each) is not None for each in (leasing, idle, late, new)] == [True, False, True, True]
    assert drawers.busy == [drawers.find(leasing)]
    assert len(list(drawers)) == 3
