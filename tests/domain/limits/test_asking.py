"""What each kind of meter would count of an event that is not yet one."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from domain.kernel.ids import MeterId, ProductId
from domain.limits.asking import Addition, addition_of, asked_of
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
    assert (int(added.quantity), added.sets, dict(added.dimensions)) == (quantity, sets, {"region": "eu"})


def test_a_limit_on_some_values_asks_only_for_those() -> None:
    meter = MeterId(make.new_id())
    additions = [Addition(meter, {"region": "eu"}, Decimal(2)), Addition(meter, {"region": "us"}, Decimal(3))]
    none = Fraction(0)
    assert asked_of(additions, None, used=none) == 5
    assert asked_of(additions, {"region": "us"}, used=none) == 3
    assert asked_of(additions, {"region": "asia"}, used=none) is None
