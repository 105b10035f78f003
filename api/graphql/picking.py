"""Selections compiled into plain look-ups: what a live frame shows is picked without executing a document for it.

Only selections of fields that are attributes, or are made of nothing but their object, can be compiled: no arguments,
directives or unions, and no resolvers that look further. What is picked is what an execution would have answered;
everything else is executed.
"""

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    InlineFragmentNode,
    SelectionSetNode,
)
from strawberry.types.field import StrawberryField

Fragments = Mapping[str, FragmentDefinitionNode]
# Makes of an object, or of a value, what is written as JSON.
Pick = Callable[[Any], Any]
_TYPE_NAME = "__typename"
_SAME = {"String", "ID", "Int", "Boolean"}


class NotPlainError(Exception):
    """A selection needs an execution."""


def pick_of(kind: Any, selections: SelectionSetNode | None, fragments: Fragments) -> Pick | None:
    """Return what picks a selection of a type from its values, or None where it needs an execution."""
    try:
        return _pick(kind, [selections] if selections else [], fragments)
    except NotPlainError:
        return None


def _pick(kind: Any, selections: list[SelectionSetNode], fragments: Fragments) -> Pick:
    if isinstance(kind, GraphQLNonNull):
        return _pick(kind.of_type, selections, fragments)
    if isinstance(kind, GraphQLList):
        part = _pick(kind.of_type, selections, fragments)
        return lambda values: None if values is None else [part(value) for value in values]
    if isinstance(kind, GraphQLObjectType):
        return _object(kind, selections, fragments)
    return _leaf(kind)


def _leaf(kind: Any) -> Pick:
    if not isinstance(kind, GraphQLScalarType | GraphQLEnumType):
        raise NotPlainError
    if kind.name in _SAME:
        return lambda value: value
    write = kind.serialize
    return lambda value: None if value is None else write(value)


def _object(kind: GraphQLObjectType, selections: list[SelectionSetNode], fragments: Fragments) -> Pick:
    fields: dict[str, list[FieldNode]] = {}
    for selected in selections:
        for node in _fields(kind, selected, fragments):
            fields.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
    picks = [(name, *_field(kind, nodes, fragments)) for name, nodes in fields.items()]

    def pick(value: Any) -> Any:
        return None if value is None else {name: write(get(value)) for name, get, write in picks}

    return pick


def _fields(kind: GraphQLObjectType, selected: SelectionSetNode, fragments: Fragments) -> Iterator[FieldNode]:
    for node in selected.selections:
        if node.directives:
            raise NotPlainError
        if isinstance(node, FieldNode):
            yield node
            continue
        assert isinstance(node, FragmentSpreadNode | InlineFragmentNode), "a selection is one of three"
        inner = fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
        # Without unions, a valid fragment is of the very type that it stands in.
        if inner.type_condition is not None and inner.type_condition.name.value != kind.name:
            raise NotPlainError
        yield from _fields(kind, inner.selection_set, fragments)


def _field(kind: GraphQLObjectType, nodes: list[FieldNode], fragments: Fragments) -> tuple[Pick, Pick]:
    """Return how a field is read from its object, and how it is written."""
    name = nodes[0].name.value
    if name == _TYPE_NAME:
        return lambda _: kind.name, lambda value: value
    definition: GraphQLField = kind.fields[name]
    inner = [node.selection_set for node in nodes if node.selection_set is not None]
    return _getter(definition), _pick(definition.type, inner, fragments)


def _getter(definition: GraphQLField) -> Pick:
    own = definition.extensions.get("strawberry-definition")
    if not isinstance(own, StrawberryField) or definition.args or own.extensions or own.is_async:
        raise NotPlainError
    if own.is_basic_field:
        return attrgetter(own.python_name)
    resolver = own.base_resolver
    if resolver is None or resolver.info_parameter is not None or resolver.self_parameter is None:
        raise NotPlainError
    return cast("Pick", resolver.wrapped_func)
