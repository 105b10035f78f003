"""One request being acted on, and the table of what the sandbox can do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.errors import missing
from sandbox.store import Document, Store


@dataclass(frozen=True, slots=True)
class Call:
    """What an operation may use: the store, checked parameters, the ids in the path and the moment.

    `request_id` and `idempotency_key` are None for what the sandbox does by itself, such as settling a bank debit.
    """

    store: Store
    now: int
    params: Mapping[str, Any]
    path: Mapping[str, str]
    request_id: str | None = None
    idempotency_key: str | None = None

    def document(self, kind: str, identifier: str, *, param: str | None = None) -> Document:
        """Read a document that must exist; deleted ones count as missing. Raises StripeError resource_missing."""
        found = self.store.find(identifier)
        if found is None or found["object"] != kind or found.get("deleted"):
            raise missing(kind, identifier, param=param)
        return found

    def target(self, kind: str) -> Document:
        """Read the document that the path names (by its first placeholder)."""
        identifier = next(iter(self.path.values()))
        found = self.store.find(identifier)
        if found is None or found["object"] != kind or found.get("deleted"):
            raise missing(kind, identifier)
        return found


Handler = Callable[[Call], Document]


@dataclass(frozen=True, slots=True)
class Route:
    """An implemented operation and the top-level parameters that it takes, `expand` apart."""

    handler: Handler
    takes: frozenset[str]


ROUTES: dict[tuple[str, str], Route] = {}
"""Every implemented operation by verb and path template; filled when `objects` is imported."""


def operation(verb: str, path: str, *, takes: str = "") -> Callable[[Handler], Handler]:
    """Register a function as an operation of Stripe's contract.

    A parameter that the contract knows and `takes` does not name is refused with 501, never silently ignored.
    """

    def register(handler: Handler) -> Handler:
        assert (verb, path) not in ROUTES
        ROUTES[verb, path] = Route(handler, frozenset(takes.split()))
        return handler

    return register
