"""What one process may hold of what it has leased, worked out by hand."""

from fractions import Fraction

from domain.limits.account import ALWAYS
from domain.limits.book import Book
from domain.limits.lease import LEASE_FOR
from tests import make
from tests.domain.limits.examples import LEVEL, NOON, account, line

JANUARY = make.at("2026-01-01")
ONE, NOTHING = Fraction(1), Fraction(0)


def lease(book: Book, key: str, amount: int) -> None:
    """Lease some of a limit for a minute."""
    share = book.share(key)
    share.amount, share.expires_at = Fraction(amount), NOON + LEASE_FOR


def test_what_is_asked_fits_only_into_what_is_leased() -> None:
    book = Book(account(line("calls", 10, 4)))
    assert not book.can_hold({"calls": ONE}, NOON, NOON)
    lease(book, "calls", 2)
    assert book.can_hold({"calls": Fraction(2)}, NOON, NOON)
    assert not book.can_hold({"calls": Fraction(3)}, NOON, NOON)


def test_nothing_asked_fits_unless_more_was_used_than_is_allowed_already() -> None:
    book = Book(account(line("within", 5, 5), line("above", 5, 6), line("level", 5, 6, meter=LEVEL)))
    assert book.can_hold({"within": NOTHING}, NOON, NOON)
    assert not book.can_hold({"above": NOTHING}, NOON, NOON)
    # A level above its limit stays.
    assert book.can_hold({"level": NOTHING}, NOON, NOON)


def test_a_limit_without_a_bound_holds_nothing() -> None:
    book = Book(account(line("free", None, 10**9), line("calls", 10, 0)))
    lease(book, "calls", 5)
    assert book.can_hold({"free": ONE, "calls": ONE}, NOON, NOON)
    assert book.hold({"free": ONE, "calls": ONE}, NOON) == {"calls": 1}
    assert book.held({"free": ONE, "calls": ONE}) == {"calls": 1}


def test_what_a_reservation_held_is_given_back_where_it_was_held_and_nowhere_else() -> None:
    book = Book(account(line("calls", 10, 0), line("level", 10, 0, meter=LEVEL), line("other", 10, 0)))
    for key in ("calls", "level"):
        lease(book, key, 5)
    holds = book.hold({"calls": ONE, "level": ONE}, NOON)
    # A level has one stretch for ever, other limits one for each period; nothing was held of the third.
    found = {key: share for share, key, _ in book.holds_of({**holds, "other": ONE}, JANUARY)}
    assert found == {"calls": book.shares["calls", JANUARY], "level": book.shares["level", ALWAYS]}
    # Of an earlier period this process holds no share of calls any more.
    assert [key for _, key, _ in book.holds_of(holds, make.at("2025-12-01"))] == ["level"]
    book.give_back(holds, JANUARY)
    assert book.held(holds) == {"calls": 0, "level": 0}
