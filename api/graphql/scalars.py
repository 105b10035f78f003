"""Scalars and the two kinds of amount. Decimals and big integers travel without loss."""

import re
from datetime import UTC, datetime
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, NewType

import strawberry
from graphql import (
    BooleanValueNode,
    FloatValueNode,
    GraphQLError,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    StringValueNode,
    ValueNode,
    VariableNode,
)
from strawberry.schema.config import StrawberryConfig

from api import instants
from api.graphql.permissions import public_type
from domain.kernel import money
from domain.kernel.money import round_half_up

INTEGER_MAX = 2**63
_PLAIN = Context(prec=100)
_ONE = Decimal(1)
_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,18})?")

BigInt = NewType("BigInt", int)
Json = NewType("Json", object)


def _refuse(what: str, cure: str) -> GraphQLError:
    return GraphQLError(f"That is not {what}. {cure}", extensions={"code": "input_malformed"})


def read_decimal(value: Any) -> Decimal:
    """Accept a plain decimal string of at most 20 digits before and 18 after the point. Raises GraphQLError."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise _refuse(
            "a decimal", 'Send a string such as "12.50", with at most 20 digits before and 18 after the point.'
        )
    return Decimal(text)


def write_decimal(value: Any) -> str:
    """Write a decimal without an exponent, with the digits it has."""
    assert isinstance(value, Decimal), "decimals stay decimals up to the edge"
    return format(value, "f")


def exact(value: Decimal) -> Decimal:
    """Drop trailing zeros of a stored quantity: 2.500000 becomes 2.5, and 100 stays 100."""
    whole = value.to_integral_value()
    return whole.quantize(_ONE, context=_PLAIN) if whole == value else value.normalize(_PLAIN)


def read_integer(value: Any) -> int:
    """Accept an integer below 2^63 as a number or a string. Raises GraphQLError."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= INTEGER_MAX:
        raise _refuse("an integer", "Send a whole number below 2^63, or its digits as a string.")
    return value


def read_instant(value: Any) -> datetime:
    """Accept an ISO 8601 instant with an offset, as UTC. Raises GraphQLError."""
    found = instants.read_instant(value)
    if found is None:
        years = f"in the years {instants.YEARS.start} to {instants.YEARS.stop - 1}"
        raise _refuse("an instant", f'Send ISO 8601 with an offset, such as "2026-01-31T09:00:00Z", {years}.')
    return found


def write_instant(value: datetime) -> str:
    """Write an instant in UTC with a Z."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def write_json(value: Any) -> Any:
    """Write JSON with its numbers as strings: a client's floating-point numbers would lose digits."""
    if isinstance(value, dict):
        return {name: write_json(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [write_json(part) for part in value]
    if isinstance(value, Decimal):
        return write_decimal(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def read_json(value: Any) -> Any:
    """Accept any JSON value; the transport has read its numbers exactly."""
    return value


def read_json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
    """Read JSON that is written into the document, its numbers exactly. Raises GraphQLError for a bare name."""
    match node:
        case VariableNode():
            return (variables or {}).get(node.name.value)
        case ObjectValueNode():
            return {field.name.value: read_json_literal(field.value, variables) for field in node.fields}
        case ListValueNode():
            return [read_json_literal(part, variables) for part in node.values]
        case StringValueNode() | BooleanValueNode():
            return node.value
        case IntValueNode() | FloatValueNode():
            return int(node.value) if isinstance(node, IntValueNode) else Decimal(node.value)
        case NullValueNode():
            return None
    raise _refuse("JSON", "Put text into quotes.")


CONFIG = StrawberryConfig(
    auto_camel_case=True,
    scalar_map={
        Decimal: strawberry.scalar(
            name="Decimal",
            description=(
                'An exact decimal as a string, such as "0.0072125": at most 20 digits before and 18 after the point.'
            ),
            serialize=write_decimal,
            parse_value=read_decimal,
        ),
        datetime: strawberry.scalar(
            name="DateTime",
            description=(
                'An instant in ISO 8601, in the years 1900 to 2999; written in UTC, such as "2026-01-31T09:00:00Z".'
            ),
            serialize=write_instant,
            parse_value=read_instant,
        ),
        BigInt: strawberry.scalar(
            name="BigInt",
            description="A whole number below 2^63, written as a JSON number.",
            serialize=int,
            parse_value=read_integer,
        ),
        Json: strawberry.scalar(
            name="JSON",
            description="Any JSON value. Numbers inside it are strings in answers, and read exactly in inputs.",
            serialize=write_json,
            parse_value=read_json,
            parse_literal=read_json_literal,
        ),
    },
)


@public_type("An amount owed or held: a whole number of the currency's minor unit. Negative is a credit.")
class Money:
    """What is charged and paid."""

    amount: Decimal = strawberry.field(description='Major units with the currency\'s digits, such as "29.00".')
    currency: str = strawberry.field(description="ISO 4217, such as USD.")


@public_type("An exact, unrounded amount: what usage costs before it becomes an invoice line.")
class Cost:
    """What usage costs."""

    amount: Decimal = strawberry.field(description='Major units, exact, such as "0.0072125".')
    currency: str = strawberry.field(description="ISO 4217, such as USD.")


def money_of(value: money.Money) -> Money:
    """Wrap an amount of the domain."""
    return Money(amount=Decimal(value.major), currency=value.currency)


@strawberry.input(description="An amount in major units, with at most the digits of its currency.")
class MoneyInput:
    """What is to be charged or granted."""

    amount: Decimal = strawberry.field(description='Major units, such as "29.00".')
    currency: str = strawberry.field(description="ISO 4217, such as USD.")


def money_from(value: MoneyInput) -> money.Money:
    """Read an amount exactly. Raises CurrencyUnknown, AmountMalformed."""
    return money.from_major(value.amount, value.currency)


def cost_of(value: money.Cost) -> Cost:
    """Wrap an exact amount of the domain."""
    return Cost(amount=exact(value.amount), currency=value.currency)


def percent_of(value: Fraction) -> Decimal:
    """Show an exact percentage with two digits, halves up: 16.00 for 800 of 5,000."""
    return Decimal(round_half_up(value * 100)).scaleb(-2)
