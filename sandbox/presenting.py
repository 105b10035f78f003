"""From stored documents to what clients see: no private fields, embedded lists, and expansion of ids on request."""

from collections.abc import Callable, Sequence
from typing import Any

from sandbox.errors import invalid
from sandbox.store import Document, Store

DEPTH_MAX = 4
Include = Callable[[Store, Document], Any]

EMBEDDED: dict[str, dict[str, Include]] = {}
"""Fields that are always part of a kind but stored elsewhere, such as an invoice's first lines."""

INCLUDED: dict[str, dict[str, Include]] = {}
"""Fields that a kind has only when they are expanded, such as an invoice's payments."""


def embedded(kind: str, name: str) -> Callable[[Include], Include]:
    """Register the maker of an embedded field."""

    def register(make: Include) -> Include:
        EMBEDDED.setdefault(kind, {})[name] = make
        return make

    return register


def included(kind: str, name: str) -> Callable[[Include], Include]:
    """Register the maker of a field that is there on expansion only."""

    def register(make: Include) -> Include:
        INCLUDED.setdefault(kind, {})[name] = make
        return make

    return register


def present(store: Store, document: Document) -> Document:
    """Give the public form of a stored document, nothing expanded. Fields that begin with `_` are private."""
    shown = {name: value for name, value in document.items() if not name.startswith("_")}
    if shown.get("deleted"):
        return shown
    for name, make in EMBEDDED.get(shown.get("object", ""), {}).items():
        shown[name] = make(store, document)
    return shown


def listed(url: str, data: Sequence[Document], *, has_more: bool) -> Document:
    """Make a list object."""
    return {"object": "list", "data": list(data), "has_more": has_more, "url": url}


def expand(store: Store, shown: Document, paths: Sequence[str]) -> None:
    """Replace ids by their objects along each path, in place. Raises StripeError for what cannot be expanded."""
    for path in paths:
        names = path.split(".")
        if len(names) > DEPTH_MAX + (names[0] == "data"):
            raise invalid(
                f"You cannot expand more than {DEPTH_MAX} levels of a property. Property: {path}", param="expand"
            )
        _expand(store, shown, names, path)


def _expand(store: Store, shown: Any, names: list[str], path: str) -> None:
    if not names or shown is None:
        return
    if isinstance(shown, list):
        for item in shown:
            _expand(store, item, names, path)
        return
    if not isinstance(shown, dict):
        raise _not_expandable(path)
    _open(store, shown, names[0], path)
    _expand(store, shown[names[0]], names[1:], path)


def _open(store: Store, shown: Document, name: str, path: str) -> None:
    include = INCLUDED.get(shown.get("object", ""), {}).get(name)
    if include is not None:
        if shown.get(name) is None:
            shown[name] = include(store, shown)
        return
    if name not in shown:
        raise _not_expandable(path)
    value = shown[name]
    if isinstance(value, str):
        found = store.find(value)
        if found is None:
            raise _not_expandable(path)
        shown[name] = present(store, found)
    elif isinstance(value, list):
        shown[name] = [_opened(store, item) for item in value]
    elif isinstance(value, int | float):
        raise _not_expandable(path)


def _opened(store: Store, item: Any) -> Any:
    found = store.find(item) if isinstance(item, str) else None
    return item if found is None else present(store, found)


def _not_expandable(path: str) -> Exception:
    return invalid(f"This property cannot be expanded ({path}).", param="expand")
