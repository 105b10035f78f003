"""What each operation accepts: the parameter classes of the `stripe` package, read into small values.

One file of the package is parsed when its operation is first used (a few milliseconds) and kept.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from sandbox.contract_index import Operation, package


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value: `str`, `int`, `bool`, `float`, `Decimal` or `Any`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a closed set of words; the empty word unsets a parameter."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """An array."""

    of: "Spec"


@dataclass(frozen=True, slots=True)
class Mapped:
    """An object with free keys, such as metadata."""

    of: "Spec"


@dataclass(frozen=True, slots=True)
class OneOf:
    """Alternatives."""

    options: tuple["Spec", ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """An object with known fields; each is its spec and whether it must be given."""

    name: str
    fields: Mapping[str, tuple["Spec", bool]]


Spec = Scalar | Choice | Listed | Mapped | OneOf | Shape


@cache
def accepted(operation: Operation) -> Shape:
    """Read what an operation accepts; fields of the SDK's own request options are not parameters."""
    shape = _Source(operation.module).shape(operation.shape)
    assert isinstance(shape, Shape)
    return shape


class _Source:
    """One parsed file of parameter classes, alive only while its shapes are built."""

    def __init__(self, module: str) -> None:
        path = package().joinpath(*module.split(".")[1:]).with_suffix(".py")
        tree = ast.parse(path.read_text())
        self._classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}

    def shape(self, name: str) -> Spec:
        fields = {}
        for node in self._classes[name].body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                fields[node.target.id] = self._field(node.annotation)
        return Shape(name, fields)

    def _field(self, annotation: ast.expr) -> tuple[Spec, bool]:
        if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "NotRequired":
            return self._spec(annotation.slice), False
        return self._spec(annotation), True

    def _spec(self, node: ast.expr) -> Spec:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self._spec(ast.parse(node.value.strip(), mode="eval").body)
        if isinstance(node, ast.BinOp):
            return _one_of([self._spec(part) for part in _alternatives(node)])
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        name = ast.unparse(node)
        return self.shape(name) if name in self._classes else Scalar(name)

    def _subscript(self, node: ast.Subscript) -> Spec:
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        kind = ast.unparse(node.value)
        if kind == "Literal":
            return Choice(tuple(ast.literal_eval(word) for word in inner))
        if kind == "Union":
            return _one_of([self._spec(part) for part in inner])
        return Listed(self._spec(inner[-1])) if kind == "List" else Mapped(self._spec(inner[-1]))


def _alternatives(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return _alternatives(node.left) + _alternatives(node.right)
    return [node]


def _one_of(options: list[Spec]) -> Spec:
    """Join alternatives; a set of words beside `str` is closed.

    The package writes enumerations as `Literal[…] | str` so that newer words still type-check. Stripe's servers refuse
    a word that they do not know, so the open `str` is dropped where any word is listed.
    """
    words = tuple(word for option in options if isinstance(option, Choice) for word in option.words)
    rest = [option for option in options if not isinstance(option, Choice)]
    if any(words):
        rest = [option for option in rest if option != Scalar("str")]
    joined = ([Choice(words)] if words else []) + rest
    return joined[0] if len(joined) == 1 else OneOf(tuple(joined))
