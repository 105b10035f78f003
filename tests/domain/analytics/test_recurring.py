"""Recurring revenue at an instant."""

from dataclasses import replace
from fractions import Fraction

import pytest

from domain.analytics.recurring import (
    Contract,
    Discount,
    Every,
    Item,
    arr,
    contract_mrr,
    monthly,
    mrr,
    mrr_by_customer,
    mrr_by_plan,
    opening_of,
    read_at,
    trial_mrr,
)
from domain.analytics.term import month_of
from domain.kernel.period import Period
from tests import make
from tests.domain.analytics.examples import ADA, BOB, CYD, MONTH, YEAR, contract

_JUNE = make.at("2026-06-15")


@pytest.mark.parametrize(
    ("amount", "every", "worth"),
    [
        ("29", MONTH, Fraction(29)),
        ("313.20", YEAR, Fraction("26.1")),
        ("1000", YEAR, Fraction(250, 3)),
        ("300", Every(3, "month"), Fraction(100)),
        ("2400", Every(2, "year"), Fraction(100)),
        # 12 x 52 / 12 = 52 a month.
        ("12", Every(1, "week"), Fraction(52)),
        ("24", Every(2, "week"), Fraction(52)),
    ],
)
def test_prices_are_normalised_to_months_and_never_rounded(amount: str, every: Every, worth: Fraction) -> None:
    assert monthly(Fraction(amount), every) == worth


def _with(*items: Item, discounts: tuple[Discount, ...] = ()) -> Contract:
    return replace(contract(ADA, "0", "2026-01-01"), items=items, discounts=discounts)


def test_a_contract_is_worth_its_items_less_its_lasting_discounts() -> None:
    plan, setup = Item(Fraction(100), MONTH), Item(Fraction(500), None)
    addon, seats = Item(Fraction(120), YEAR), Item(Fraction(500), YEAR, Fraction(4))
    assert contract_mrr(_with(plan, addon)) == 110
    # What is charged once is not recurring.
    assert contract_mrr(_with(setup)) == 0
    # 4 x 500 a year.
    assert contract_mrr(_with(seats)) == Fraction(500, 3)
    half, ten_off = Discount(percent=Fraction(50)), Discount(amount=Fraction(10))
    assert contract_mrr(_with(plan, discounts=(half,))) == 50
    # In their order: (100 - 10) / 2 = 45, 100 / 2 - 10 = 40.
    assert contract_mrr(_with(plan, discounts=(ten_off, half))) == 45
    assert contract_mrr(_with(plan, discounts=(half, ten_off))) == 40
    # 120 off a year is 10 off a month; no discount makes a contract worth less than nothing.
    assert contract_mrr(_with(plan, discounts=(Discount(amount=Fraction(120), every=YEAR),))) == 90
    assert contract_mrr(_with(plan, discounts=(Discount(amount=Fraction(101)), half))) == 0


def test_a_contract_counts_from_its_start_to_before_its_end() -> None:
    held = [contract(ADA, "10", "2026-06-15", "2026-07-15")]
    assert mrr(held, make.at("2026-06-14T23:59:59"), "USD") == 0
    assert mrr(held, _JUNE, "USD") == 10
    assert mrr(held, make.at("2026-07-14T23:59:59"), "USD") == 10
    assert mrr(held, make.at("2026-07-15"), "USD") == 0


def test_trials_are_read_apart_and_are_paid_from_their_last_instant_on() -> None:
    held = [contract(ADA, "10", "2026-06-01", trial="2026-06-15"), contract(BOB, "7", "2026-06-01", trial="2026-06-16")]
    assert mrr(held, _JUNE, "USD") == 10
    assert trial_mrr(held, _JUNE, "USD") == 7


def test_committed_revenue_leaves_out_what_is_known_to_end() -> None:
    held = [
        contract(ADA, "10", "2026-01-01"),
        contract(BOB, "20", "2026-01-01", "2026-12-01"),
        contract(CYD, "40", "2026-01-01", "2026-12-01", known="2026-06-16"),
    ]
    assert mrr(held, _JUNE, "USD", committed=True) == 50
    assert mrr(held, make.at("2026-06-16"), "USD", committed=True) == 10
    assert mrr(held, make.at("2026-06-16"), "USD") == 70
    tried = [replace(each, trial_ends_at=make.at("2026-07-01")) for each in held]
    assert trial_mrr(tried, _JUNE, "USD", committed=True) == 50


def test_currencies_are_never_added() -> None:
    held = [contract(ADA, "10", "2026-01-01"), contract(ADA, "8", "2026-01-01", currency="EUR")]
    assert mrr(held, _JUNE, "USD") == 10
    assert mrr(held, _JUNE, "EUR") == 8
    assert trial_mrr([replace(held[1], trial_ends_at=make.at("2026-07-01"))], _JUNE, "USD") == 0


def test_revenue_is_shared_out_by_customer_and_by_plan() -> None:
    held = [
        contract(ADA, "29", "2026-01-01"),
        contract(ADA, "79", "2026-01-01", plan="pro"),
        contract(BOB, "29", "2026-01-01"),
        contract(CYD, "0", "2026-01-01", plan="free"),
        contract(CYD, "29", "2026-01-01", "2026-02-01"),
    ]
    # Who pays nothing is no paying customer.
    assert mrr_by_customer(held, _JUNE, "USD") == {ADA: 108, BOB: 29}
    assert mrr_by_plan(held, _JUNE, "USD") == {"starter": 58, "pro": 79, "free": 0}
    assert mrr(held, _JUNE, "USD") == 137
    # 12 x 137.
    assert arr(mrr(held, _JUNE, "USD")) == 1_644


def test_a_bucket_is_read_just_before_its_end_and_opens_where_the_one_before_was_read() -> None:
    june = Period(make.at("2026-06-01"), make.at("2026-07-01"))
    july = Period(make.at("2026-07-01"), make.at("2026-08-01"))
    assert read_at(june) == opening_of(july) == make.at("2026-06-30T23:59:59.999999")
    # An end of access on the boundary falls into the new bucket.
    held = [contract(ADA, "10", "2026-06-01", "2026-07-01")]
    assert mrr(held, read_at(june), "USD") == 10
    assert mrr(held, read_at(july), "USD") == 0


def test_a_month_is_that_of_the_zone() -> None:
    # 30 June, 22:30 UTC is 1 July, 00:30 in Berlin; July begins there at 22:00 UTC.
    assert month_of(make.at("2026-06-30T22:30"), "Europe/Berlin").start == make.at("2026-06-30T22:00")
    assert month_of(make.at("2026-06-30T22:30"), "UTC").start == make.at("2026-06-01")
