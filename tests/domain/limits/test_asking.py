"""What each kind of meter would count of an event that is not yet one."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from domain.kernel.ids import MeterId, ProductId
from domain.limits.asking import Addition, addition_of, asked_of, is_among
from domain.plans.meter import Meter
from domain.usage.combination import combination_of
from domain.usage.resolve import Count
from tests import make


def count(aggregation: Any, quantity: int, operation: Any = "add") -> Count:
    """Make what an event counts in Europe."""
    meter = Meter(
        MeterId(make.new_id()),
        ProductId(make.new_id()),
        "m",
        "M",
        "e",
        aggregation,
        ("v",),
        "refuse",
        ("region",),
        None,
        "u",
    )
    return Count(meter, combination_of(meter.id.bytes, ("region",), ("eu",)), Decimal(quantity), operation=operation)


@pytest.mark.parametrize(
    ("aggregation", "operation", "quantity", "sets"),
    [
        ("level", "add", 5, False),
        ("level", "set", 5, True),
        ("level", "remove", 0, False),
        ("unique_count", "add", 1, False),
        ("unique_count", "remove", 0, False),
        # What does not add up is only looked at.
        ("max", "add", 0, False),
        ("average", "add", 0, False),
    ],
)
def test_a_meter_that_is_no_counter_adds(aggregation: str, operation: str, quantity: int, *, sets: bool) -> None:
    added = addition_of(count(aggregation, 5, operation))
    assert (added.quantity, added.sets, added.combination.values) == (quantity, sets, ("eu",))


@pytest.mark.parametrize(
    ("wanted", "is_fed"),
    [(None, True), ({}, True), ({"region": "eu"}, True), ({"region": "us"}, False), ({"tier": "eu"}, False)],
)
def test_a_limit_on_some_values_asks_only_for_those(wanted: Mapping[str, str] | None, *, is_fed: bool) -> None:
    assert is_among(wanted, combination_of(bytes(16), ("region", "model"), ("eu", "pro"))) is is_fed


def test_what_is_added_is_asked_for_and_what_is_given_back_is_not() -> None:
    meter, everywhere, none = MeterId(make.new_id()), combination_of(bytes(16), (), ()), Fraction(0)

    def add(quantity: int | Decimal, *, sets: bool = False) -> Addition:
        return Addition(meter, everywhere, quantity, sets)

    assert asked_of([add(2), add(Decimal("3.5"))], used=none) == Fraction(11, 2)
    assert asked_of([add(-2), add(3)], used=none) == 3
    # A level of 4 that is set to 6 asks for 2 more, and one that is set to 3 for nothing.
    assert asked_of([add(6, sets=True)], used=Fraction(4)) == 2
    assert asked_of([add(3, sets=True)], used=Fraction(4)) == 0
