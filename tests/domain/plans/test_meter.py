"""Which events a meter counts, by what value and dimensions."""

from decimal import Decimal
from typing import Any

import pytest

from domain.kernel.ids import MeterId, ProductId
from domain.plans.meter import Contribution, Meter, WrongValue, contribution
from tests import make


def _meter(**changes: Any) -> Meter:
    values: dict[str, Any] = {
        "id": MeterId(make.new_id()),
        "product_id": ProductId(make.new_id()),
        "key": "tokens",
        "name": "Tokens",
        "event_type": "llm.call",
        "aggregation": "sum",
        "value_properties": ("input_tokens", "output_tokens"),
        "when_missing": "refuse",
        "dimensions": ("provider", "model"),
        "event_filter": None,
        "unit": "token",
        **changes,
    }
    return Meter(**values)


def test_a_sum_adds_its_properties_and_takes_the_dimensions_in_order() -> None:
    event = {"model": "gemini-2.5-pro", "provider": "gemini", "input_tokens": 1_234, "output_tokens": Decimal(567)}
    assert contribution(_meter(), event, None) == Contribution(Decimal(1_801), ("gemini", "gemini-2.5-pro"))
    assert contribution(_meter(), {"output_tokens": 3}, None) == Contribution(Decimal(3), ("", ""))


def test_a_missing_value_is_refused_skipped_or_one_as_the_meter_says() -> None:
    assert contribution(_meter(), {}, None) == WrongValue("tokens", "input_tokens", "is missing")
    assert contribution(_meter(when_missing="skip"), {}, None) is None
    assert contribution(_meter(when_missing="one", dimensions=()), {}, None) == Contribution(Decimal(1), ())


@pytest.mark.parametrize(
    "value",
    [
        "5",
        True,
        None,
        -1,
        10**20,
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("-0.5"),
        Decimal("1e20"),
        Decimal("0.0000000000000000001"),
    ],
)
def test_a_value_that_cannot_be_counted_exactly_is_a_wrong_value(value: Any) -> None:
    found = contribution(_meter(), {"input_tokens": value}, None)
    assert found == WrongValue("tokens", "input_tokens", "is not a number that can be counted")


def test_only_a_level_may_go_down() -> None:
    level = _meter(aggregation="level", value_properties=("delta",), dimensions=())
    assert contribution(level, {"delta": -2}, None) == Contribution(Decimal(-2), ())


def test_sums_do_not_round() -> None:
    # 99999999999999999999 + 0.000000000000000001 needs 38 digits.
    event = {"input_tokens": 10**20 - 1, "output_tokens": Decimal("0.000000000000000001")}
    found = contribution(_meter(dimensions=()), event, None)
    assert found == Contribution(Decimal("99999999999999999999.000000000000000001"), ())


def test_a_cost_meter_counts_only_what_has_a_price() -> None:
    cost = _meter(aggregation="cost", value_properties=(), dimensions=())
    assert contribution(cost, {}, Decimal("0.0072125")) == Contribution(Decimal("0.0072125"), ())
    assert contribution(cost, {}, None) is None


def test_a_filter_selects_one_value_or_one_of_several() -> None:
    one = _meter(aggregation="count", value_properties=(), dimensions=(), event_filter={"provider": "gemini"})
    several = _meter(
        aggregation="count", value_properties=(), dimensions=(), event_filter={"provider": ["exa", "tavily"]}
    )
    found = [
        [contribution(meter, {"provider": name}, None) is not None for name in ("gemini", "exa", "openai")]
        for meter in (one, several)
    ]
    assert found == [[True, False, False], [False, True, False]]
    assert contribution(one, {}, None) is None


def test_a_dimension_value_is_text_of_bounded_length() -> None:
    meter = _meter(aggregation="count", value_properties=(), dimensions=("region",))
    assert contribution(meter, {"region": True}, None) == Contribution(Decimal(1), ("true",))
    assert contribution(meter, {"region": "x" * 200}, None) == Contribution(Decimal(1), ("x" * 200,))
    found = contribution(meter, {"region": "x" * 201}, None)
    assert found == WrongValue("tokens", "region", "is not text of up to 200 characters")


def test_a_meter_names_every_property_it_reads() -> None:
    meter = _meter(event_filter={"status": "ok"})
    assert meter.properties == {"input_tokens", "output_tokens", "provider", "model", "status"}
