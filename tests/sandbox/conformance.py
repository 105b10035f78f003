"""Check what the sandbox answers against the response classes of the `stripe` package, read from its sources."""

import ast
from functools import cache
from pathlib import Path
from typing import Any

import stripe
from stripe._object_classes import OBJECT_CLASSES

PACKAGE = Path(stripe.__file__).parent
PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "Decimal": (str,),
    "Any": (object,),
}
# Words that the package's requests take and its answers, which end in `str`, do not list.
WIDER = {"funding_instructions.bank_transfer.type": ("us_bank_transfer", "gb_bank_transfer", "mx_bank_transfer")}


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    tree = ast.parse(PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py").read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def faults(document: Any, path: str = "") -> list[str]:
    """List everything in an object, a list of objects or an error that the package does not know or misses."""
    if "error" in document and "object" not in document:
        return _fields(document["error"], _classes("stripe._error_object")["ErrorObject"], (), f"{path}.error")
    kind = document["object"]
    if kind == "list":
        missing = [f"{path}.{name} is missing" for name in ("data", "has_more", "url") if name not in document]
        return missing + [fault for item in document["data"] for fault in faults(item, f"{path}[]")]
    module, name = OBJECT_CLASSES[kind]
    found = _fields(document, _classes(module)[name], (), path or kind)
    if kind == "event":
        found += faults(document["data"]["object"], f"event {document['type']} data.object")
    return found


def _fields(value: Any, node: ast.ClassDef, scope: tuple[ast.ClassDef, ...], path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path} should be an object"]
    known = _known(node)
    found = [f"{path}.{name} is unknown" for name in value if name not in known]
    for name, annotation in known.items():
        if name in value:
            is_wider = value[name] in WIDER.get(f"{path}.{name}", ())
            if not is_wider and not _fits(value[name], annotation, (*scope, node), path):
                found.append(f"{path}.{name} does not fit {ast.unparse(annotation)[:80]}: {str(value[name])[:80]}")
            found += _inside(value[name], annotation, (*scope, node), f"{path}.{name}")
        elif not _optional(annotation) and not value.get("deleted") and name != "OBJECT_NAME":
            found.append(f"{path}.{name} is missing")
    return found


@cache
def _known(node: ast.ClassDef) -> dict[str, ast.expr]:
    return {
        each.target.id: each.annotation
        for each in node.body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }


def _optional(annotation: ast.expr) -> bool:
    return _parts(annotation)[0] == "Optional"


@cache
def _parts(annotation: ast.expr) -> tuple[str, list[ast.expr]]:
    if isinstance(annotation, ast.Constant):
        return str(annotation.value), []
    if not isinstance(annotation, ast.Subscript):
        return ast.unparse(annotation), []
    inner = annotation.slice
    return ast.unparse(annotation.value), inner.elts if isinstance(inner, ast.Tuple) else [inner]


def _nested(name: str, scope: tuple[ast.ClassDef, ...]) -> ast.ClassDef | None:
    for owner in reversed(scope):
        for node in owner.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return node
    return None


def _fits(value: Any, annotation: ast.expr, scope: tuple[ast.ClassDef, ...], path: str) -> bool:
    """Tell whether the outer form of a value is right; `_inside` looks into objects and lists."""
    head, inner = _parts(annotation)
    if head == "Optional":
        return value is None or _fits(value, inner[0], scope, path)
    if head == "Union":
        closed = [part for part in inner if _parts(part)[0] == "Literal"]
        return any(_fits(value, part, scope, path) for part in closed or inner)
    if head == "Literal":
        return value in [ast.literal_eval(word) for word in inner]
    if head == "List":
        return isinstance(value, list) and all(_fits(item, inner[0], scope, path) for item in value)
    if head == "ExpandableField":
        return isinstance(value, str | dict)
    expected = PLAIN.get(head, (dict,))
    return isinstance(value, expected) and (head != "int" or not isinstance(value, bool))


def _inside(value: Any, annotation: ast.expr, scope: tuple[ast.ClassDef, ...], path: str) -> list[str]:
    if isinstance(value, list):
        _, inner = _parts(annotation)
        return [fault for item in value for fault in _inside(item, inner[-1], scope, f"{path}[]")]
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("object"), str):
        return faults(value, path)
    head, inner = _parts(annotation)
    nested = _nested(head, scope)
    if nested is not None:
        return _fields(value, nested, scope, path)
    return [fault for part in inner[:1] for fault in _inside(value, part, scope, path)]
