"""Scalars: nothing loses a digit on its way in or out."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from graphql import GraphQLError, parse_value

from api.graphql.scalars import (
    exact,
    money_of,
    read_decimal,
    read_instant,
    read_integer,
    read_json_literal,
    write_decimal,
    write_instant,
    write_json,
)
from domain.kernel.money import Money


@pytest.mark.parametrize("text", ["0", "-0.1", "12.50", "9" * 20 + "." + "9" * 18])
def test_a_decimal_is_read_from_a_plain_string(text: str) -> None:
    assert write_decimal(read_decimal(text)) == text


@pytest.mark.parametrize("value", [1.5, True, None, "", "1e3", "1.", ".5", "NaN", "1" * 21, "٣", " 1", "1\n"])
def test_what_is_no_plain_decimal_is_refused(value: Any) -> None:
    with pytest.raises(GraphQLError) as refused:
        read_decimal(value)
    assert refused.value.extensions == {"code": "input_malformed"}


@pytest.mark.parametrize(
    ("given", "written"),
    [("2.50", "2.5"), ("100", "100"), ("1E+2", "100"), ("0E-18", "0"), ("-0.10", "-0.1"), ("1E-4", "0.0001")],
)
def test_a_stored_quantity_is_written_without_needless_digits_and_exponents(given: str, written: str) -> None:
    assert write_decimal(exact(Decimal(given))) == written


@pytest.mark.parametrize(
    ("minor", "currency", "written"),
    [(2900, "USD", "29.00"), (0, "USD", "0.00"), (-5, "EUR", "-0.05"), (12345, "JPY", "12345"), (1, "KWD", "0.001")],
)
def test_money_has_exactly_the_digits_of_its_currency(minor: int, currency: str, written: str) -> None:
    assert write_decimal(money_of(Money(minor, currency)).amount) == written


def test_an_instant_is_read_with_its_offset_and_written_in_utc() -> None:
    assert read_instant("2026-01-31T10:00:00+01:00") == datetime(2026, 1, 31, 9, tzinfo=UTC)
    assert write_instant(datetime(2026, 1, 31, 9, 0, 0, 500, tzinfo=UTC)) == "2026-01-31T09:00:00.000500Z"


@pytest.mark.parametrize(
    "value",
    [
        *("2026-01-31", "2026-01-31T09:00:00", "soon", 1, None, "0001-01-01T00:00:00+14:00"),
        # The database would read them as before and after all times.
        *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_what_is_no_instant_is_refused(value: Any) -> None:
    with pytest.raises(GraphQLError):
        read_instant(value)


@pytest.mark.parametrize("value", [2**63, -(2**63), True, 1.0, "1.0", "9" * 20, None])
def test_an_integer_beyond_its_bound_is_refused(value: Any) -> None:
    with pytest.raises(GraphQLError):
        read_integer(value)
    assert read_integer("9007199254740993") == 9007199254740993


def test_numbers_inside_json_leave_as_strings() -> None:
    given = {"a": 12345678901234567890, "b": [Decimal("0.10"), True, None, "x"], "c": {"d": Decimal("1E+2")}}
    assert write_json(given) == {"a": "12345678901234567890", "b": ["0.10", True, None, "x"], "c": {"d": "100"}}


def test_json_in_a_document_is_read_exactly_with_its_variables() -> None:
    literal = parse_value('{a: [1, 0.1000000000000000055511151231257827, "x", true, null], b: {c: $v}}')
    assert read_json_literal(literal, {"v": "given"}) == {
        "a": [1, Decimal("0.1000000000000000055511151231257827"), "x", True, None],
        "b": {"c": "given"},
    }
