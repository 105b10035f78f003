"""Frames of live executions: encoded once for everybody, but for the few fields that are each socket's own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_operation_ast,
)

from api.problems import CRASH_CODE, CRASH_MESSAGE
from domain.kernel.values import dataclass

# Fields of a frame that are each socket's own: its number, and what moved since the frame that it saw before.
SEQUENCE, SINCE, CHANGES = "sequence", "since", "changes"
_OWN = {SEQUENCE: "0", SINCE: "null", CHANGES: "[]"}
# What ends a frame: its object, the data and the result.
FRAME_TAIL = "}}}"
# Clients name their operations alike, so a frame is written as one of a few texts. More are written and not kept.
TEXTS_KEPT_MAX = 16
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Shape:
    """Which field of the root is watched, under which name, and which field each of the frame's names stands for."""

    operation: OperationDefinitionNode
    node: FieldNode
    fields: Mapping[str, str]

    @property
    def name(self) -> str:
        """The field of the root."""
        return self.node.name.value

    @property
    def root(self) -> str:
        """The name under which it is answered."""
        return _name(self.node)


def shape_of(document: DocumentNode, operation_name: str | None) -> Shape | None:
    """Return the shape of a subscription with one plain root field; None for everything else, which is not shared."""
    operation = get_operation_ast(document, operation_name)
    if operation is None or operation.operation is not OperationType.SUBSCRIPTION:
        return None
    [root, *others] = operation.selection_set.selections
    if others or not isinstance(root, FieldNode) or root.directives or root.selection_set is None:
        return None
    fields: dict[str, str] = {}
    _collect(root.selection_set, fragments_of(document), fields, set())
    return Shape(operation, root, fields)


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """Return a document's fragments by name."""
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def _name(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value


def _collect(
    selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], into: dict[str, str], seen: set[str]
) -> None:
    """Collect the names under which a frame's fields are answered; each fragment is visited once."""
    for node in selections.selections:
        if isinstance(node, FieldNode):
            into[_name(node)] = node.name.value
        elif isinstance(node, FragmentSpreadNode):
            if node.name.value not in seen:
                seen.add(node.name.value)
                _collect(fragments[node.name.value].selection_set, fragments, into, seen)
        else:
            assert isinstance(node, InlineFragmentNode), "a selection is one of three"
            _collect(node.selection_set, fragments, into, seen)


class Frame(msgspec.Struct, eq=False):
    """One result, encoded once in pieces, which make it up one after the other.

    `own`: which of them are each socket's own fields, by their places. `is_last`: the execution has ended with it, by
    an error; `is_refused`: it never began.
    """

    pieces: Sequence[str]
    own: Sequence[tuple[int, str]] = ()
    is_last: bool = False
    is_refused: bool = False
    _texts: dict[tuple[bytes, int, bool], str] = {}

    def encoded(self, name: bytes, number: int, *, as_snapshot: bool, is_shared: bool = True) -> str:
        """Return the message for a socket's operation, whose name is JSON already. A snapshot tells of no changes.

        Sockets that have named their operations alike and came together are sent the same text. For one that is alone,
        and so not `is_shared`, it is not kept.
        """
        if not is_shared:
            return self._written(name.decode(), number, as_snapshot=as_snapshot)
        key = (name, number, as_snapshot)
        text = self._texts.get(key)
        if text is None:
            text = self._written(name.decode(), number, as_snapshot=as_snapshot)
            if len(self._texts) < TEXTS_KEPT_MAX:
                self._texts[key] = text
        return text

    def _written(self, name: str, number: int, *, as_snapshot: bool) -> str:
        kind_of_message = "error" if self.is_refused else "next"
        pieces = list(self.pieces)
        for place, kind in self.own:
            if kind == SEQUENCE:
                pieces[place] = str(number)
            elif as_snapshot:
                pieces[place] = _OWN[kind]
        return f'{{"id":{name},"type":"{kind_of_message}","payload":{"".join(pieces)}}}'


def frame_of(data: Any, errors: list[GraphQLError] | None, shape: Shape) -> Frame:
    """Encode a result of a shared execution. One that is not whole is for everybody the same, and the last."""
    body = data.get(shape.root) if data else None
    if errors or body is None:
        formatted = {"errors": [error.formatted for error in errors]} if errors else {}
        return Frame([_text({"data": data, **formatted})], is_last=body is None)
    places = places_of(shape, body)
    fields = zip(places.heads, body.values(), strict=True)
    return Frame([*[piece for head, value in fields for piece in (head, _text(value))], FRAME_TAIL], places.own)


class Places(NamedTuple):
    """Where the fields of a frame stand: each behind a head; and which pieces of it are each socket's own fields."""

    heads: Sequence[str]
    own: Sequence[tuple[int, str]]


def places_of(shape: Shape, names: Iterable[str]) -> Places:
    """Return the places of a frame's fields, which are answered under these names."""
    begin = f'{{"data":{{{_text(shape.root)}:{{'
    kinds = [shape.fields.get(name, "") for name in names]
    return Places(
        [f"{',' if number else begin}{_text(name)}:" for number, name in enumerate(names)],
        [(2 * number + 1, kind) for number, kind in enumerate(kinds) if kind in _OWN],
    )


def _text(value: Any) -> str:
    return _encoder.encode(value).decode()


def refusal_of(errors: list[GraphQLError]) -> Frame:
    """Encode why an execution never began."""
    return Frame([_text([error.formatted for error in errors])], is_last=True, is_refused=True)


def crash_frame() -> Frame:
    """Encode that an execution ended by a fault of ours."""
    error = {"message": CRASH_MESSAGE, "extensions": {"code": CRASH_CODE}}
    return Frame([_text({"data": None, "errors": [error]})], is_last=True)
