"""Selections of all there is to a type."""

from functools import cache

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

from api.graphql.owners import OF_CUSTOMERS, OF_INVOICES

DEPTH = 6
# The fields that lead from what belongs to somebody back to its owner.
OWNERS = {
    *((kind.__name__, "customer") for kind in OF_CUSTOMERS),
    *((kind.__name__, "invoice") for kind in OF_INVOICES),
}


@cache
def selection(output: GraphQLOutputType, depth: int = DEPTH) -> str:
    """Select all there is to a type, with its lists' nodes and what these hold; of owners only who they are."""
    named = get_named_type(output)
    if is_leaf_type(named):
        return ""
    if isinstance(named, GraphQLUnionType):
        return "{ __typename " + " ".join(f"... on {each.name} {selection(each, depth)}" for each in named.types) + " }"
    assert isinstance(named, GraphQLObjectType | GraphQLInterfaceType)
    parts = []
    for name, field in named.fields.items():
        is_asked = name not in {"edges", "plan", "meters", "entitlements"} and not any(
            is_required_argument(argument) for argument in field.args.values()
        )
        if is_asked and (depth > 0 or is_leaf_type(get_named_type(field.type))):
            is_owner = (named.name, name) in OWNERS
            parts.append(f"{name} {'{ id }' if is_owner else selection(field.type, depth - 1)}")
    return "{ " + (" ".join(parts) or "__typename") + " }"
