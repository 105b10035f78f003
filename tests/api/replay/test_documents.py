"""Every document that the replay, the demo and the clock commands send fits the schema."""

import pytest
from graphql import GraphQLSchema, build_schema, parse, validate

from api.graphql.schema import schema
from api.replay import documents

DOCUMENTS = {name: text for name, text in vars(documents).items() if name.isupper() and not name.startswith("_")}


@pytest.fixture(scope="module")
def graphql() -> GraphQLSchema:
    return build_schema(schema.as_str())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_fits_the_schema(name: str, graphql: GraphQLSchema) -> None:
    assert validate(graphql, parse(DOCUMENTS[name])) == []
