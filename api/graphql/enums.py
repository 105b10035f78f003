"""Enumerations of the domain under their names in the schema, with a description of every value."""

from enum import Enum
from typing import TypeVar

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from domain.contracts.ending.wish import CancelCredit
from domain.customers.customer import CollectionMethod
from domain.kernel.call import Environment, PrincipalKind

E = TypeVar("E", bound=Enum)


def name_enum(enum: type[E], name: str, description: str, **values: str) -> type[E]:
    """Make an enumeration part of the schema. `values` describes each of its members, and all of them."""
    named = strawberry.enum(enum, name=name, description=description)
    definition: StrawberryEnumDefinition = named.__strawberry_definition__  # type: ignore[attr-defined]
    assert values.keys() == {value.name for value in definition.values}, f"each value of {name} is described"
    for value in definition.values:
        value.description = values[value.name]
    return enum


# Those that several concepts have; an enumeration is named before a type mentions it.
name_enum(
    Environment,
    "Environment",
    "What a customer is, for life.",
    LIVE="Real money moves.",
    TEST="No real money moves, and time may be a test clock's.",
)
name_enum(
    PrincipalKind,
    "PrincipalKind",
    "Who acts.",
    STAFF="A person who works for the merchant.",
    MEMBER="A person who works for a customer.",
    KEY="A product of the merchant, with an API key.",
    SYSTEM="A worker or a command of the operator.",
)
name_enum(
    CancelCredit,
    "CancelCredit",
    "What becomes of paid time that an end leaves unused.",
    NONE="Nothing: it was paid for the whole period.",
    PRORATE="It goes back: off an invoice that is not paid, else as customer credit.",
)
name_enum(
    CollectionMethod,
    "CollectionMethod",
    "How invoices are paid.",
    CHARGE="The customer's payment method is charged when an invoice is due.",
    SEND="Nobody is charged: an invoice is sent with a due date, and its customer transfers the money.",
)
