"""Selections compiled into plain look-ups: what a live frame shows is written without executing a document for it.

Only selections of fields that are attributes, or are made of nothing but their object, can be compiled: no arguments,
directives or unions, and no resolvers that look further. What is picked is what an execution would have answered;
everything else is executed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
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

from api.graphql.writing import NULL, Fields, Leaf, Make, Read, Write, lists, objects, write_leaf, write_word

Fragments = Mapping[str, FragmentDefinitionNode]
# Reads a field of an object.
Get = Callable[[Any], Any]
_TYPE_NAME = "__typename"
_SAME = {"ID", "Int", "Boolean"}
_WORD = "String"
# Scalars whose texts hold nothing that JSON would write in another way.
_PLAIN_TEXTS = {"Decimal", "DateTime"}


class NotPlainError(Exception):
    """A selection needs an execution."""


def fields_of(kind: Any, selections: SelectionSetNode | None, fragments: Fragments) -> Fields | None:
    """Return what a selection shows of an object's type, or None where it needs an execution."""
    kind = _bare(kind)
    assert isinstance(kind, GraphQLObjectType), "a frame is an object"
    try:
        return _object(kind, [selections] if selections else [], fragments)
    except NotPlainError:
        return None


def _bare(kind: Any) -> Any:
    return kind.of_type if isinstance(kind, GraphQLNonNull) else kind


def _make(kind: Any, selections: list[SelectionSetNode], fragments: Fragments) -> Make:
    kind = _bare(kind)
    if isinstance(kind, GraphQLList):
        return lists(_make(kind.of_type, selections, fragments))
    if isinstance(kind, GraphQLObjectType):
        return objects(_object(kind, selections, fragments))
    return Leaf(_leaf(kind))


def _leaf(kind: Any) -> Write:
    if not isinstance(kind, GraphQLScalarType | GraphQLEnumType):
        raise NotPlainError
    if kind.name in _SAME:
        return write_leaf
    if kind.name == _WORD:
        return write_word
    serialize = kind.serialize
    if isinstance(kind, GraphQLEnumType):
        return lambda value: NULL if value is None else write_word(serialize(value))
    if kind.name in _PLAIN_TEXTS:
        return lambda value: NULL if value is None else f'"{serialize(value)}"'
    return lambda value: NULL if value is None else write_leaf(serialize(value))


def _object(kind: GraphQLObjectType, selections: list[SelectionSetNode], fragments: Fragments) -> Fields:
    found: dict[str, list[FieldNode]] = {}
    for selected in selections:
        for node in _fields(kind, selected, fragments):
            found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
    fields = [_field(kind, nodes, fragments) for nodes in found.values()]
    return Fields(tuple(found), _reader([get for get, _ in fields]), tuple([make for _, make in fields]))


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


def _field(kind: GraphQLObjectType, nodes: list[FieldNode], fragments: Fragments) -> tuple[Get | str, Make]:
    """Return how a field is read from its object, an attribute by its name, and what makes its writer."""
    name = nodes[0].name.value
    if name == _TYPE_NAME:
        return lambda _: kind.name, Leaf(write_leaf)
    definition: GraphQLField = kind.fields[name]
    inner = [node.selection_set for node in nodes if node.selection_set is not None]
    return _getter(definition), _make(definition.type, inner, fragments)


def _getter(definition: GraphQLField) -> Get | str:
    own = definition.extensions.get("strawberry-definition")
    if not isinstance(own, StrawberryField) or definition.args or own.extensions or own.is_async:
        raise NotPlainError
    if own.is_basic_field:
        return own.python_name
    resolver = own.base_resolver
    if resolver is None or resolver.info_parameter is not None or resolver.self_parameter is None:
        raise NotPlainError
    return cast("Get", resolver.wrapped_func)


def _reader(gets: Sequence[Get | str]) -> Read:
    """Return what reads all fields of an object: attributes in one step where there is nothing else."""
    names = [get for get in gets if isinstance(get, str)]
    if len(names) == len(gets) > 1:
        return attrgetter(*names)
    each = [attrgetter(get) if isinstance(get, str) else get for get in gets]
    return lambda value: tuple([get(value) for get in each])
