"""The committed schema is the code's, and says what everything in it means."""

from collections.abc import Iterator
from pathlib import Path

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    is_introspection_type,
    is_specified_scalar_type,
)

from api.graphql.schema import schema

COMMITTED = Path(__file__).resolve().parents[1] / "schema.graphql"
CORE = schema._schema


def described() -> Iterator[tuple[str, str | None]]:
    """Give everything in the schema that can have a description, with its description."""
    for name, named in CORE.type_map.items():
        if is_introspection_type(named) or is_specified_scalar_type(named):
            continue
        yield name, named.description
        if isinstance(named, GraphQLEnumType):
            yield from ((f"{name}.{value}", each.description) for value, each in named.values.items())
        if isinstance(named, GraphQLInputObjectType):
            yield from ((f"{name}.{field}", each.description) for field, each in named.fields.items())
        if isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
            for field, output in named.fields.items():
                yield f"{name}.{field}", output.description
                yield from ((f"{name}.{field}({argument})", each.description) for argument, each in output.args.items())


def test_the_committed_schema_is_the_one_that_is_served() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == schema.as_str() + "\n", "run `make schema` and commit it"


def test_everything_is_described() -> None:
    assert not [name for name, description in described() if not (description or "").strip()]
    assert len(list(described())) > 500


def test_descriptions_are_sentences() -> None:
    # An id's description is its form: `cus_…`.
    assert not [
        f"{name}: {description}"
        for name, description in described()
        if not (description or "").endswith((".", "`", "…"))
    ]


def test_every_mutation_has_one_input_and_a_result_union_with_one_success() -> None:
    assert CORE.mutation_type is not None
    for name, field in CORE.mutation_type.fields.items():
        capital = name[0].upper() + name[1:]
        assert {argument: str(each.type) for argument, each in field.args.items()} == {"input": f"{capital}Input!"}
        assert str(field.type) == f"{capital}Result!"
        union = CORE.type_map[f"{capital}Result"]
        assert isinstance(union, GraphQLUnionType)
        problem = CORE.type_map["Problem"]
        successes = [each.name for each in union.types if problem not in each.interfaces]
        assert len(successes) == 1, f"{name} succeeds in one way; {successes}"


def test_every_growing_list_is_a_connection() -> None:
    assert CORE.query_type is not None
    for name in ("customers", "apiKeys", "testClocks", "auditEntries", "ledgerEntries", "usageEvents"):
        field = CORE.query_type.fields[name]
        assert str(field.type).endswith("Connection!")
        assert {"first", "after"} <= set(field.args)
        assert field.args["first"].default_value == 20
