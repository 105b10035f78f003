"""Movements of recurring revenue."""

from fractions import Fraction

import pytest

from domain.analytics.movements import Bridge, Kind, Movement, bridge_of, first_payments, movement, movements_of
from domain.analytics.recurring import mrr, read_at
from domain.kernel.period import Period
from tests import make
from tests.domain.analytics.examples import ADA, BOB, CYD, contract

_JUNE = Period(make.at("2026-06-01"), make.at("2026-07-01"))
_JULY = Period(make.at("2026-07-01"), make.at("2026-08-01"))


@pytest.mark.parametrize(
    ("before", "after", "has_paid", "wanted"),
    [
        (0, 29, False, Movement(Kind.NEW, Fraction(29))),
        (0, 29, True, Movement(Kind.REACTIVATION, Fraction(29))),
        (29, 99, True, Movement(Kind.EXPANSION, Fraction(70))),
        (99, 29, True, Movement(Kind.CONTRACTION, Fraction(70))),
        (29, 0, True, Movement(Kind.CHURN, Fraction(29))),
        (29, 29, True, None),
        (0, 0, False, None),
    ],
)
def test_each_change_has_one_name_and_an_amount_above_zero(
    before: int, after: int, wanted: Movement | None, *, has_paid: bool
) -> None:
    assert movement(Fraction(before), Fraction(after), has_paid=has_paid) == wanted


def test_the_life_of_one_customer_is_told_step_by_step() -> None:
    levels = [Fraction(each) for each in (0, 29, 29, 99, 29, 0, 0, 79)]
    assert movements_of(levels) == [
        Movement(Kind.NEW, Fraction(29)),
        Movement(Kind.EXPANSION, Fraction(70)),
        Movement(Kind.CONTRACTION, Fraction(70)),
        Movement(Kind.CHURN, Fraction(29)),
        Movement(Kind.REACTIVATION, Fraction(79)),
    ]


def test_a_bridge_adds_up() -> None:
    # 1,000 + 300 + 150 + 50 - 70 - 130 = 1,300.
    bridge = Bridge(*map(Fraction, (1_000, 300, 150, 70, 130, 50)))
    assert bridge.net_new == 300
    assert bridge.closing == 1_300


def test_a_bucket_is_bridged_customer_by_customer() -> None:
    held = [
        # Ada goes from 29 to 99 in the middle of June: one expansion, no churn.
        contract(ADA, "29", "2026-01-01", "2026-06-15"),
        contract(ADA, "99", "2026-06-15"),
        # Bob left in March and is back in June; he leaves at the boundary, which is July.
        contract(BOB, "29", "2026-01-01", "2026-03-01"),
        contract(BOB, "29", "2026-06-10", "2026-07-01"),
        # Cyd tried in May and pays since 5 June.
        contract(CYD, "79", "2026-05-20", trial="2026-06-05"),
    ]
    june, july = bridge_of(held, _JUNE, "USD"), bridge_of(held, _JULY, "USD")
    assert june == Bridge(Fraction(29), new=Fraction(79), expansion=Fraction(70), reactivation=Fraction(29))
    assert july == Bridge(Fraction(207), churn=Fraction(29))
    assert june.closing == july.opening == mrr(held, read_at(_JUNE), "USD")


def test_what_begins_and_ends_inside_a_bucket_is_no_movement_and_whoever_pays_later_is_back() -> None:
    held = [contract(ADA, "29", "2026-06-05", "2026-06-20"), contract(ADA, "29", "2026-07-05")]
    assert bridge_of(held, _JUNE, "USD") == Bridge(Fraction(0))
    assert bridge_of(held, _JULY, "USD") == Bridge(Fraction(0), reactivation=Fraction(29))


def test_a_first_payment_is_the_first_that_costs_something() -> None:
    held = [
        contract(ADA, "0", "2026-01-01", plan="free"),
        contract(ADA, "79", "2026-03-01", trial="2026-03-15"),
        contract(ADA, "29", "2026-02-01"),
        # Bob left before his trial was over, and Cyd pays in another currency.
        contract(BOB, "29", "2026-01-01", "2026-01-10", trial="2026-01-15"),
        contract(CYD, "29", "2026-01-01", currency="EUR"),
    ]
    assert first_payments(held, "USD") == {ADA: make.at("2026-02-01")}
