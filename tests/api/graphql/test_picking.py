"""Plain selections are picked, and what is written of them is what an execution answers."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import strawberry
from graphql import FieldNode, OperationDefinitionNode, parse

from api.graphql.fields import computed
from api.graphql.frames import fragments_of
from api.graphql.picking import fields_of
from api.graphql.scalars import CONFIG, BigInt
from api.graphql.writing import Fields, objects
from tests.api.graphql.palette import Colour, Part


@strawberry.type
class Other:
    """Something else."""

    name: str


@strawberry.interface
class Named:
    """What has a name."""

    name: str


@strawberry.type
class Whole(Named):
    """A whole."""

    total_count: BigInt
    parts: list[Part]
    best: Part | None = None
    either: Part | Other | None = None

    @computed("Twice the name.")
    def doubled(self) -> str:
        """Write it twice."""
        return self.name * 2

    @strawberry.field
    def asked(self, of: int) -> int:
        """Take an argument."""
        return of

    @strawberry.field
    async def looked_up(self) -> int:
        """Look further."""
        return 1

    @strawberry.field
    def informed(self, info: strawberry.Info) -> str:
        """Look at the request."""
        return info.field_name


PARTS = [Part(amount=Decimal("1.50"), state=Colour.DARK_BLUE), Part(amount=Decimal(2), state=Colour.RED)]
WHOLE = Whole(total_count=BigInt(2**40), name="a", parts=PARTS)
WHOLE.parts[1].at = datetime(2026, 1, 31, tzinfo=UTC)


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    def whole(self) -> Whole:
        """Return it."""
        return WHOLE


SCHEMA = strawberry.Schema(Query, config=CONFIG)


def _fields(text: str) -> Fields | None:
    document = parse(text)
    [operation] = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    [root] = operation.selection_set.selections
    assert isinstance(root, FieldNode)
    assert root.selection_set is not None
    core: Any = SCHEMA._schema
    return fields_of(core.query_type.fields["whole"].type, root.selection_set, fragments_of(document))


@pytest.mark.parametrize(
    "selection",
    [
        "{ totalCount name }",
        "{ n: name other: name doubled __typename }",
        "{ name }",
        "{ parts { amount state at } best { amount } }",
        "{ ...F parts { state } ... { name } } fragment F on Whole { parts { amount ...G } } fragment G on Part { at }",
        "{ ... on Whole { parts { __typename } } }",
    ],
)
def test_what_is_written_is_what_an_execution_answers(selection: str) -> None:
    selected, _, fragments = selection.partition(" fragment")
    text = f"{{ whole {selected} }}" + (f" fragment{fragments}" if fragments else "")
    fields = _fields(text)
    assert fields is not None
    executed = SCHEMA.execute_sync(text)
    assert executed.errors is None
    assert executed.data is not None
    assert objects(fields)()(WHOLE) == msgspec.json.encode(executed.data["whole"]).decode()


@pytest.mark.parametrize(
    "selection",
    [
        "{ asked(of: 1) }",
        "{ lookedUp }",
        "{ informed }",
        "{ name @skip(if: true) }",
        "{ ... @include(if: true) { name } }",
        "{ parts { amount @skip(if: true) } }",
        "{ either { ... on Part { amount } } }",
        "{ ... on Named { name } }",
    ],
)
def test_what_needs_more_than_its_object_is_executed(selection: str) -> None:
    assert _fields(f"{{ whole {selection} }}") is None
