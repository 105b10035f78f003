"""What a fee period bills as it is changed inside; amounts are minor units."""

from fractions import Fraction

from domain.invoices.proration import Basis, Billed, Stage, Turn, prorate, share_left
from domain.kernel.period import Period
from tests import make

_HALF, _WHOLE = Fraction(1, 2), Fraction(1)


def _minor(billed: list[Billed]) -> list[tuple[int | None, int | None]]:
    return [(each.credit.minor if each.credit else None, each.charge.minor if each.charge else None) for each in billed]


def _total(billed: list[Billed]) -> int:
    return sum((credit or 0) + (charge or 0) for credit, charge in _minor(billed))


def _start(fee: int) -> Stage:
    return Stage(Turn.START, Fraction(fee), _WHOLE)


def test_a_change_of_price_takes_back_and_charges_what_is_left_each_rounded_by_itself() -> None:
    # 16 of 30 days are left: 2900 x 16/30 = 1546.67 and 4900 x 16/30 = 2613.33; the net is 2613 - 1547 = 1066.
    left = Fraction(16, 30)
    billed = prorate([_start(2900), Stage(Turn.PRICE, Fraction(4900), left)])
    assert _minor(billed) == [(None, 2900), (-1547, 2613)]
    assert billed[1].credit is not None
    assert billed[1].credit.exact == -Fraction(2900 * 16, 30)


def test_halves_are_rounded_away_from_zero_on_both_sides() -> None:
    # 1001 x 1/2 = 500.5 both ways.
    assert _minor(prorate([_start(1001), Stage(Turn.PRICE, Fraction(2001), _HALF)]))[1] == (-501, 1001)


def test_a_change_of_quantity_is_the_difference_rounded_once() -> None:
    # 5 to 8 at 1000, half of the time left: 3000 x 1/2; back to 6 with a quarter left: -2000 x 1/4.
    stages = [
        _start(5000),
        Stage(Turn.QUANTITY, Fraction(8000), _HALF),
        Stage(Turn.QUANTITY, Fraction(6000), Fraction(1, 4)),
    ]
    assert _minor(prorate(stages)) == [(None, 5000), (None, 1500), (None, -500)]


def test_what_leaves_the_period_takes_back_what_is_left_and_charges_nothing_in_it() -> None:
    assert _minor(prorate([_start(10_000), Stage(Turn.LEAVE, Fraction(10_000), _HALF)])) == [
        (None, 10_000),
        (-5_000, None),
    ]


def test_what_cost_nothing_gives_nothing_back() -> None:
    assert _minor(prorate([_start(0), Stage(Turn.PRICE, Fraction(2900), _HALF)])) == [(None, 0), (None, 1450)]


def test_a_quantity_whose_fee_stays_the_same_bills_nothing() -> None:
    assert _minor(prorate([_start(2900), Stage(Turn.QUANTITY, Fraction(2900), _HALF)]))[1] == (None, None)


def test_several_changes_each_take_back_what_the_one_before_charged() -> None:
    # 3/4 left: 1000 -> 750 back, 2000 -> 1500; 1/4 left: 2000 -> 500 back, 1000 -> 250.
    stages = [
        _start(1000),
        Stage(Turn.PRICE, Fraction(2000), Fraction(3, 4)),
        Stage(Turn.PRICE, Fraction(1000), Fraction(1, 4)),
    ]
    billed = prorate(stages)
    assert _minor(billed) == [(None, 1000), (-750, 1500), (-500, 250)]
    # A quarter and a quarter of 1000, and half of 2000.
    assert _total(billed) == 1500


def test_a_credit_never_exceeds_what_was_billed_for_the_same_time() -> None:
    """Changing just around the instants where the old fee's share steps over a half would earn a unit each time."""
    fee, dear = 10, 1000
    stages = [_start(fee)]
    for cents in range(fee):
        # Just before and just after (cents + 1/2) of the fee are used; the dear plan costs nothing in between.
        used = Fraction(2 * cents + 1, 2 * fee)
        stages += [
            Stage(Turn.PRICE, Fraction(dear), 1 - used),
            Stage(Turn.PRICE, Fraction(fee), 1 - used - Fraction(1, 10**9)),
        ]
    billed = prorate(stages)
    # Nearly all of the time was under the plan of 10; without the cap each of the ten moments would take a unit off it.
    # When the last one ends, 9.5 are used, of which 9 are whole, and what is left is less than a half.
    assert _total(billed) == 9
    capped = [each.credit for each in billed if each.credit and each.credit.minor != round(each.credit.exact)]
    assert capped


def test_a_lower_quantity_gives_back_no_more_than_was_billed_for_the_time_left() -> None:
    """Going up where nothing is rounded up and down where something is would earn a unit each time."""
    stages = [_start(100)]
    for number in range(40):
        left = Fraction(9, 10) - Fraction(number, 100)
        stages += [
            Stage(Turn.QUANTITY, Fraction(101), left - Fraction(1, 10**6) if left == _HALF else left),
            Stage(Turn.QUANTITY, Fraction(100), left - Fraction(2, 10**6)),
        ]
    total = sum(each.charge.minor for each in prorate(stages) if each.charge)
    assert total == 100


def test_by_seconds_a_share_is_of_true_time_and_by_days_the_day_of_the_change_is_left_whole() -> None:
    # March 2026 in Vienna has 743 hours: the clocks go forward on the 29th.
    march = Period(make.at("2026-02-28T23:00"), make.at("2026-03-31T22:00"))
    noon = make.at("2026-03-29T10:00")  # 12:00 in Vienna; 60 hours are left
    assert share_left(noon, march.end, march, "Europe/Vienna", Basis.SECOND) == Fraction(60, 743)
    assert share_left(noon, march.end, march, "Europe/Vienna", Basis.DAY) == Fraction(3, 31)
    assert share_left(march.start, march.end, march, "Europe/Vienna", Basis.DAY) == 1
