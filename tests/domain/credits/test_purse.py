"""In which order invoices burn wallets, what time does to them, and what comes back."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.credits.purse import (
    Move,
    Payable,
    Purse,
    after,
    carried,
    draws,
    given_back,
    next_boundary,
    of_source,
)
from domain.credits.unit_grant import Refill
from domain.credits.wallet import MoveKind, PayableKind
from domain.kernel.ids import ProductId, WalletGrantId
from tests.domain.credits.wallet_examples import STARTED, day, grant, purse, wallet

_FEE, _USAGE = PayableKind.FEE, PayableKind.USAGE
_LLM, _EDGE = ProductId(UUID(int=1)), ProductId(UUID(int=2))
_INSTANT = timedelta(microseconds=1)


def _burned(*purses: Purse, minor: int) -> list[tuple[int, int]]:
    return [(each.grant.id.int, each.amount_minor) for each in draws(purses, [Payable(minor)])]


def _moves(found: tuple[Move, ...]) -> list[tuple[int, str, int, str]]:
    return [(each.grant_id.int, each.kind, each.amount_minor, f"{each.at:%m-%d}") for each in found]


def test_grants_burn_by_priority_then_earliest_expiry_then_age_then_id() -> None:
    grants = (
        grant(1, 10, priority=60),
        grant(2, 10),  # never expires: last of its priority
        grant(3, 10, expires_at=day(20)),
        grant(4, 10, expires_at=day(10)),
        grant(6, 10, expires_at=day(20), created_at=STARTED - timedelta(days=1)),
        grant(5, 10, expires_at=day(20)),
        grant(7, 10, priority=40),
    )
    assert _burned(purse(*grants), minor=65) == [(7, 10), (4, 10), (6, 10), (3, 10), (5, 10), (2, 10), (1, 5)]


def test_invoices_draw_on_wallets_by_priority_then_age_then_id() -> None:
    late = Purse(wallet(1, priority=49, created_at=day(2)), (grant(1, 10),))
    early = Purse(wallet(2, priority=49), (grant(2, 10),))
    beside = Purse(wallet(3, priority=49), (grant(3, 10),))
    last = Purse(wallet(4), (grant(4, 10, priority=0),))  # a grant's priority counts inside of its wallet only
    assert _burned(last, late, beside, early, minor=35) == [(2, 10), (3, 10), (1, 10), (4, 5)]


def test_no_more_is_drawn_than_there_is_or_than_is_due() -> None:
    assert _burned(purse(grant(1, 10)), minor=25) == [(1, 10)]
    assert _burned(purse(grant(1, 10)), minor=4) == [(1, 4)]
    assert _burned(purse(grant(1, 0)), minor=4) == []
    assert _burned(purse(grant(1, 10)), minor=0) == []


def test_a_restricted_wallet_pays_only_its_lines() -> None:
    lines = [Payable(100, _FEE, _LLM), Payable(50, _USAGE, _LLM), Payable(30, _USAGE, _EDGE), Payable(7)]
    usage = Purse(wallet(1, kinds=frozenset({_USAGE})), (grant(1, 1_000),))
    assert [each.amount_minor for each in draws([usage], lines)] == [80]
    edge = Purse(wallet(1, product_ids=frozenset({_EDGE})), (grant(1, 1_000),))
    assert [each.amount_minor for each in draws([edge], lines)] == [30]
    both = Purse(wallet(1, kinds=frozenset({_FEE}), product_ids=frozenset({_EDGE})), (grant(1, 1_000),))
    assert draws([both], lines) == ()
    # What the first wallet pays of a line is no more there for the second.
    assert [each.amount_minor for each in draws([usage, replace(edge, wallet=wallet(2))], lines)] == [80, 107]


def test_what_was_paid_before_and_what_lowers_the_invoice_is_spread_over_the_lines() -> None:
    # 60 + 40 - 10 less 30 of credit: 40 of the 100 are gone, of the usage its share 16, so 24 of it are left.
    lines = [Payable(60, _FEE), Payable(40, _USAGE), Payable(-10, _FEE)]
    usage = Purse(wallet(1, kinds=frozenset({_USAGE})), (grant(1, 1_000),))
    assert [each.amount_minor for each in draws([usage], lines, paid_minor=30)] == [24]
    assert [each.amount_minor for each in draws([purse(grant(1, 1_000))], lines, paid_minor=30)] == [60]
    assert draws([purse(grant(1, 1_000))], lines, paid_minor=95) == ()


def test_a_grant_expires_at_its_very_instant_and_only_once() -> None:
    before = purse(grant(1, 10, expires_at=day(5)))
    still, moves = carried(before, day(5) - _INSTANT)
    assert (still.balance_minor, moves) == (10, ())
    gone, moves = carried(still, day(5))
    assert (gone.balance_minor, _moves(moves)) == (0, [(1, "expired", -10, "01-05")])
    assert carried(gone, day(9))[1] == ()
    assert carried(gone, day(5)) == (gone, ())
    assert _moves(carried(before, day(20))[1]) == [(1, "expired", -10, "01-05")]  # a missed hour is caught up


def test_a_grant_begins_when_it_becomes_effective() -> None:
    before = purse(grant(1, 10, balance_minor=0, effective_at=day(5)), grant(2, 4, balance_minor=3))
    assert carried(before, day(4))[0].balance_minor == 3
    begun, moves = carried(before, day(5))
    assert (begun.balance_minor, _moves(moves)) == (13, [(1, "granted", 10, "01-05")])


def test_a_refill_sets_the_balance_to_the_amount() -> None:
    before = purse(grant(1, 10, balance_minor=2, refill=Refill.WEEK))
    found, moves = carried(before, day(15))
    # On the 8th 8 are added; on the 15th there is nothing to add.
    assert (found.balance_minor, _moves(moves)) == (10, [(1, "refilled", 8, "01-08")])
    assert _moves(carried(purse(grant(1, 10, balance_minor=2, refill=Refill.DAY, expires_at=day(3))), day(9))[1]) == [
        (1, "refilled", 8, "01-02"),
        (1, "expired", -10, "01-03"),
    ]


def test_a_month_of_the_wallet_cuts_what_may_not_outlive_it() -> None:
    before = purse(
        grant(1, 100, rollover_max_minor=30),
        grant(2, 100, balance_minor=5, rollover_min_minor=20),
        grant(3, 100, effective_at=day(1, month=2), balance_minor=0, rollover_max_minor=30),
        grant(4, 100),
    )
    found, moves = carried(before, day(1, month=2))
    # One that begins at the very instant is not cut.
    assert _moves(moves) == [
        (1, "rolled_over", -70, "02-01"),
        (2, "rolled_over", 15, "02-01"),
        (3, "granted", 100, "02-01"),
    ]
    assert [each.balance_minor for each in found.grants] == [30, 20, 100, 100]
    assert _moves(carried(found, day(1, month=3))[1]) == [(3, "rolled_over", -70, "03-01")]


def test_months_are_those_of_the_wallets_own_zone() -> None:
    # 2026-01-31 23:00 UTC is midnight in Berlin; the months end on the 1st at midnight there, in summer at 22:00 UTC.
    begun = day(1) - timedelta(hours=1)
    own = wallet(1, zone="Europe/Berlin", created_at=begun, carried_to=begun)
    before = Purse(own, (grant(1, 100, effective_at=begun, rollover_max_minor=30),))
    assert next_boundary(before) == day(1, month=2) - timedelta(hours=1)
    assert next_boundary(carried(before, day(15, month=3))[0]) == day(1, month=4) - timedelta(hours=2)


def test_the_next_boundary_is_the_earliest_at_which_a_balance_may_move() -> None:
    assert next_boundary(purse(grant(1, 5))) is None
    assert next_boundary(purse(grant(1, 5, expires_at=day(9)), grant(2, 5, expires_at=day(7)))) == day(7)
    assert next_boundary(purse(grant(1, 5, balance_minor=0, expires_at=day(9)))) is None
    assert next_boundary(purse(grant(1, 5, balance_minor=0, effective_at=day(3), expires_at=day(9)))) == day(3)
    assert next_boundary(purse(grant(1, 5, refill=Refill.DAY))) == day(2)
    assert next_boundary(purse(grant(1, 5, refill=Refill.DAY, voided_at=day(1)))) is None
    assert next_boundary(purse(grant(1, 5, rollover_max_minor=1, expires_at=day(9, month=3)))) == day(1, month=2)


def test_what_burned_last_comes_back_first() -> None:
    grants = {each.id: each for each in (grant(1, 10), grant(2, 10, paid=True), grant(3, 10))}
    used = [(WalletGrantId(UUID(int=number)), 10) for number in (1, 2, 3)]
    back = given_back(used, grants, day(2), minor=15)
    assert [(each.int, minor) for each, minor in back.to_grants] == [(3, 10), (2, 5)]
    assert (back.credit_minor, back.lapsed_minor) == (0, 0)
    assert of_source(grants, back.to_grants) == 5


def test_what_would_come_back_to_an_ended_grant_is_credit_where_it_was_paid_for() -> None:
    ended = (grant(1, 10, expires_at=day(2)), grant(2, 10, paid=True, expires_at=day(2)))
    grants = {each.id: each for each in (*ended, grant(3, 10))}
    back = given_back([(each, 10) for each in grants], grants, day(3), minor=30)
    assert [minor for _, minor in back.to_grants] == [10]
    assert (back.credit_minor, back.lapsed_minor) == (10, 10)


_AMOUNTS = st.integers(0, 500)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_used_and_left_and_expired_add_up_to_what_was_granted(data: st.DataObject) -> None:
    held = purse(
        *(
            grant(
                number,
                minor,
                balance_minor=minor,
                priority=data.draw(st.integers(0, 2)),
                expires_at=data.draw(st.none() | st.integers(2, 20).map(day)),
                paid=data.draw(st.booleans()),
            )
            for number, minor in enumerate(data.draw(st.lists(st.integers(1, 500), min_size=1, max_size=5)), 1)
        )
    )
    granted = held.balance_minor
    used = expired = 0
    for number in sorted(data.draw(st.lists(st.integers(2, 25), max_size=8))):
        held, moves = carried(held, day(number))
        assert {each.kind for each in moves} <= {MoveKind.EXPIRED}
        expired -= sum(each.amount_minor for each in moves)
        asked = data.draw(_AMOUNTS)
        taken = draws([held], [Payable(asked)])
        assert sum(each.amount_minor for each in taken) == min(asked, held.balance_minor)
        used += sum(each.amount_minor for each in taken)
        held = after(held, taken)
        assert all(each.balance_minor >= 0 for each in held.grants)
        assert used + expired + held.balance_minor == granted


@pytest.mark.parametrize("minor", [0, 1, 7, 20, 30])
def test_all_that_comes_back_is_accounted_for(minor: int) -> None:
    grants = {each.id: each for each in (grant(1, 10, expires_at=day(2)), grant(2, 10, paid=True, expires_at=day(2)))}
    grants |= {each.id: each for each in (grant(3, 10),)}
    back = given_back([(each, 10) for each in grants], grants, day(3), minor=minor)
    assert sum(each for _, each in back.to_grants) + back.credit_minor + back.lapsed_minor == minor
