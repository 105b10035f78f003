"""What is done around every operation: its document is handed over, and its errors are covered.

The library would look anew at each operation which extension has which hooks, and make two context managers of each.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.types import ExecutionContext

from api.graphql.covering import Errors
from api.graphql.documents import KnownDocuments

_NOTHING = nullcontext()


class Step:
    """One hook: it runs to its `yield` before, and on from there once what it stands around has gone well."""

    __slots__ = ("_hook", "_running")

    def __init__(self, hook: Callable[[], Iterator[None]]) -> None:
        self._hook = hook
        self._running: Iterator[None] | None = None

    async def __aenter__(self) -> None:
        self._running = self._hook()
        next(self._running)

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        assert self._running is not None, "it was entered"
        if error is None:
            next(self._running, None)


class Steps(SchemaExtensionsRunner):
    """Runs the hooks of Errors and KnownDocuments."""

    def __init__(self, execution_context: ExecutionContext, errors: Errors, documents: KnownDocuments) -> None:
        super().__init__(execution_context, [errors, documents])
        self._errors = errors
        self._documents = documents

    def operation(self) -> Any:
        """Cover errors afterwards."""
        return Step(self._errors.on_operation)

    def parsing(self) -> Any:
        """Hand the document over."""
        return Step(self._documents.on_parse)

    def validation(self) -> Any:
        """Say that it was validated."""
        return Step(self._documents.on_validate)

    def executing(self) -> Any:
        """Do nothing."""
        return _NOTHING

    async def get_extensions_results(self, ctx: ExecutionContext) -> dict[str, Any]:
        """Return what was put beside the result: the two add nothing."""
        return dict(ctx.extensions_results)
