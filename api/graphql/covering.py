"""Errors of operations: each has a code, and those that nobody expected are covered."""

from typing import Any

from graphql import GraphQLError
from strawberry.extensions.mask_errors import MaskErrors

from api.graphql.documents import INVALID
from api.problems import CRASH_CODE, CRASH_MESSAGE


class Errors(MaskErrors):
    """Give every error a code, and cover those that are nobody's business but ours."""

    def __init__(self) -> None:
        super().__init__(is_crash, CRASH_MESSAGE)

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        """Cover an error that no one expected."""
        covered = super().anonymise_error(error)
        covered.extensions = {"code": CRASH_CODE}
        return covered

    def _process_result(self, result: Any) -> None:
        """Cover the errors of a result; the library would first look at what all it can do."""
        if getattr(result, "errors", None):
            result.errors = self._process_errors(result.errors)

    def _process_errors(self, errors: list[GraphQLError]) -> list[GraphQLError]:
        processed = super()._process_errors(errors)
        for error in processed:
            error.extensions = {"code": INVALID, **(error.extensions or {})}
        return processed


def is_crash(error: GraphQLError) -> bool:
    """Whether an error began as something else than a fault of the request."""
    origin: Exception | None = error
    while isinstance(origin, GraphQLError):
        origin = origin.original_error
    return origin is not None
