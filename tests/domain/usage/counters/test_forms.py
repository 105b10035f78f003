"""How counters that share rows read an event: by the names of its properties, or one after another."""

from decimal import Decimal
from typing import Any

import pytest

from domain.kernel.ids import MeterId, ProductId
from domain.plans.meter import Meter, WrongValue
from domain.usage.counters.counter import COMBINATIONS_MAX, FORMS_MAX, Group, groups_of, packs_of
from tests import make

_PRODUCT = ProductId(make.new_id())


def _meter(key: str, aggregation: str = "sum", *values: str, **changes: Any) -> Meter:
    given: dict[str, Any] = {
        "id": MeterId(make.new_id()),
        "product_id": _PRODUCT,
        "key": key,
        "name": key,
        "event_type": "llm.call",
        "aggregation": aggregation,
        "value_properties": values,
        "when_missing": "skip",
        "dimensions": ("model",),
        "event_filter": None,
        "unit": "unit",
        **changes,
    }
    return Meter(**given)


def _group(*meters: Meter) -> Group:
    [group] = groups_of(meters)
    return group


def _read(group: Group, cost: str | None = "0.5", **properties: Any) -> dict[str, Any] | WrongValue:
    """Return what an event adds by the key of each meter, and the value of the dimension."""
    found = packs_of(group, properties, None if cost is None else Decimal(cost))
    if isinstance(found, WrongValue):
        return found
    [pack] = found
    quantities = zip(pack.counters.meters, pack.quantities, strict=True)
    return {**{meter.key: quantity for meter, quantity in quantities}, "model": pack.combination.values}


def _usual() -> Group:
    tokens = _meter("tokens", "sum", "read", "written")
    return _group(_meter("calls", "count"), _meter("read", "sum", "read"), tokens, _meter("cost", "cost"))


def test_each_counter_gets_its_own_number_of_an_event() -> None:
    group = _usual()
    for read in (7, 0, 10**19):
        found = _read(group, read=read, written=3, model="pro")
        # Those that are read and those that are written are its tokens.
        assert found == {"calls": 1, "read": read, "tokens": read + 3, "cost": Decimal("0.5"), "model": ("pro",)}


def test_counters_of_which_an_event_lacks_every_property_do_not_count_it() -> None:
    group = _usual()
    assert _read(group, written=3, model="pro") == {
        "calls": 1,
        "tokens": 3,
        "cost": Decimal("0.5"),
        "model": ("pro",),
    }
    assert _read(group, model="pro") == {"calls": 1, "cost": Decimal("0.5"), "model": ("pro",)}
    # The same names again, and now without a price.
    assert _read(group, None, written=3, model="pro") == {"calls": 1, "tokens": 3, "model": ("pro",)}


@pytest.mark.parametrize(("when_missing", "quantity"), [("one", 1), ("skip", None)])
def test_what_a_missing_value_means_is_up_to_the_meter(when_missing: str, quantity: int | None) -> None:
    group = _group(_meter("calls", "count"), _meter("read", "sum", "read", when_missing=when_missing))
    for _ in range(2):
        found = _read(group, model="pro")
        assert isinstance(found, dict)
        assert found.get("read") == quantity


def test_a_value_that_must_be_there_and_is_not_is_a_fault_every_time() -> None:
    group = _group(_meter("read", "sum", "read", when_missing="refuse"))
    for _ in range(2):
        assert _read(group, model="pro") == WrongValue("read", "read", "is missing")


@pytest.mark.parametrize("value", [-1, True, "7", None])
def test_a_value_that_is_no_number_of_at_least_0_is_a_fault_among_events_that_have_one(value: Any) -> None:
    group = _usual()
    assert isinstance(_read(group, read=7, written=3, model="pro"), dict)
    assert _read(group, read=value, written=3, model="pro") == WrongValue(
        "read", "read", "is not a number that can be counted"
    )


def test_numbers_with_a_point_are_added_exactly() -> None:
    found = _read(_usual(), read=Decimal("0.1"), written=3, model="pro")
    assert isinstance(found, dict)
    assert (found["read"], found["tokens"]) == (Decimal("0.1"), Decimal("3.1"))


def test_a_filter_looks_at_each_event() -> None:
    group = _group(_meter("calls", "count"), _meter("good", "count", event_filter={"status": "ok"}))
    assert [_read(group, status=status, model="pro") for status in ("ok", "bad")] == [
        {"calls": 1, "good": 1, "model": ("pro",)},
        {"calls": 1, "model": ("pro",)},
    ]


def test_values_of_dimensions_that_are_equal_and_not_the_same_stay_apart() -> None:
    group = _usual()
    for _ in range(2):
        models = [_read(group, model=model) for model in (1, True, "1", "true", Decimal("1.0"), None, "")]
        found = [each["model"] for each in models if isinstance(each, dict)]
        assert found == [("1",), ("true",), ("1",), ("true",), ("1.0",), ("",), ("",)]
    assert isinstance(_read(group, model="m" * 201), WrongValue)


def test_what_is_remembered_of_what_senders_name_is_bounded() -> None:
    group = _usual()
    for number in range(FORMS_MAX + 10):
        assert isinstance(packs_of(group, {"model": "pro", f"name {number}": 1}, None), tuple)
    for number in range(COMBINATIONS_MAX + 10):
        assert isinstance(_read(group, model=f"model {number}"), dict)
    # 266 forms with a number and the one without, less 256 that were forgotten; 1 + 4,106 models, less 4,096.
    assert (len(group.forms), len(group.combinations)) == (11, 11)
    assert _read(group, read=7, written=3, model="model 3") == {
        "calls": 1,
        "read": 7,
        "tokens": 10,
        "cost": Decimal("0.5"),
        "model": ("model 3",),
    }
