"""Yearly fees beside monthly ones."""

from decimal import Decimal
from fractions import Fraction
from importlib import resources

import pytest

from domain.kernel.money import Money
from domain.plans.definition import read_product
from domain.plans.yearly import saving_percent, yearly_fee


@pytest.mark.parametrize(
    ("monthly", "percent", "currency", "minor"),
    [
        # 12 x 29 x 0.9 = 313.20; 12 x 99 x 0.9 = 1,069.20; 12 x 500 x 0.9 = 5,400.
        ("29", "10", "USD", 31_320),
        ("99", "10", "USD", 106_920),
        ("500", "10", "USD", 540_000),
        ("79", "0", "USD", 94_800),
        ("0", "10", "USD", 0),
        # 12 x 9.99 x 0.875 = 104.895, half-up.
        ("9.99", "12.5", "USD", 10_490),
        # 12 x 333 x 0.9 = 3,596.4 yen.
        ("333", "10", "JPY", 3_596),
        ("29", "100", "USD", 0),
    ],
)
def test_a_year_costs_twelve_months_less_a_discount_rounded_once(
    monthly: str, percent: str, currency: str, minor: int
) -> None:
    assert yearly_fee(Decimal(monthly), Decimal(percent), currency) == Money(minor, currency)


def test_a_saving_is_the_exact_part_of_twelve_months() -> None:
    assert saving_percent(Decimal(29), Decimal("313.20")) == 10
    # 100 of 12 x 10 leaves 1/6.
    assert saving_percent(Decimal(10), Decimal(100)) == Fraction(50, 3)
    assert saving_percent(Decimal(10), Decimal(132)) == -10
    assert saving_percent(Decimal(0), Decimal(0)) is None


@pytest.mark.parametrize(("catalogue", "saving"), [("edge", 10), ("llm", 0)])
def test_every_plan_of_the_delivered_catalogues_with_a_price_saves_as_much_by_the_year(
    catalogue: str, saving: int
) -> None:
    product = read_product(resources.files("domain.plans.catalogue").joinpath(f"{catalogue}.json").read_bytes())
    found = {}
    for plan in product.plans:
        fees = {price.interval: Decimal(price.definition["amount"]) for price in plan.prices if price.kind == "fee"}
        if fees["month"]:
            found[plan.key] = saving_percent(fees["month"], fees["year"])
    assert len(found) == 3
    assert set(found.values()) == {saving}
