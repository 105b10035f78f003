"""What is kept of readings is used for a minute or two, and bounded."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.usage.gathering.kept import WHOLE_WITHIN, Kept, Running, Shelf, begun
from domain.usage.totals.rows import NOTHING, WHOLE, Row, rows_of
from tests import make
from tests.domain.subscriptions.examples import value

_OWN = value()
_AT = make.at("2026-01-20")
_ADA, _BEN, _CY = (CustomerId(UUID(int=number)) for number in (1, 2, 3))
_METER = UUID(int=9)


def _kept(quantity: int | None = None, of: CustomerId = _ADA) -> Kept:
    kept = begun(of, Environment.LIVE, None, [_OWN], at=_AT)
    changed = {} if quantity is None else {_OWN.id: rows_of([(_METER, Row(WHOLE, None, 1, [Decimal(quantity)]))])}
    return kept.moved(7, 1, changed, {})


def test_what_is_kept_is_used_until_it_is_time_to_read_all_anew() -> None:
    shelf = Shelf()
    kept = _kept()
    shelf.put({_ADA: kept})
    assert shelf.find(_ADA, _AT) is kept
    # Of 256 turns in the second of two minutes it has the one that its id says: 60 s and 1/256 of 60 s.
    until = _AT + timedelta(seconds=60, microseconds=234_375)
    assert shelf.find(_ADA, until - timedelta(microseconds=1)) is kept
    assert shelf.find(_ADA, until) is None
    # A clock that was set back says nothing about the age.
    assert shelf.find(_ADA, _AT - timedelta(seconds=1)) is None
    assert shelf.find(_BEN, _AT) is None


def test_customers_who_were_read_together_are_read_whole_at_different_times() -> None:
    first, middle, last = (_kept(of=CustomerId(UUID(int=number))).whole.until - _AT for number in (256, 128, 511))
    # 0, 128 and 255 of 256 parts of a minute after the first minute; the last is just within the bound.
    assert (first, middle) == (timedelta(seconds=60), timedelta(seconds=90))
    assert last == timedelta(seconds=119, microseconds=765_625) < WHOLE_WITHIN


def test_rows_in_all_are_bounded_and_what_was_read_longest_ago_goes_first() -> None:
    # Each customer counts for itself and one row.
    shelf = Shelf(rows_max=4)
    shelf.put({_ADA: _kept(1), _BEN: _kept(2)})
    ada, cy = _kept(3), _kept(4)
    shelf.put({_ADA: ada})
    assert shelf.rows == 4
    shelf.put({_CY: cy})
    assert shelf.find(_BEN, _AT) is None
    assert shelf.find(_ADA, _AT) is ada
    assert shelf.find(_CY, _AT) is cy
    assert shelf.rows == 4


def test_a_subscription_of_which_nothing_changed_keeps_what_was_arranged() -> None:
    before = _kept(5)
    for changed in ({}, {SubscriptionId(UUID(int=1)): rows_of([(_METER, Row(WHOLE, None, 1, [Decimal(1)]))])}):
        after = before.moved(8, 2, changed, {})
        assert after.running[0].counted is before.running[0].counted
        assert (after.mark, after.version, after.size) == (8, 2, 2)
        assert after.whole is before.whole
    # Without a version that moved, it is the one before.
    assert before.moved(8, None, {}, {}).version == 1
    assert (_kept().running, _kept().size) == ((Running(_OWN, NOTHING),), 1)
