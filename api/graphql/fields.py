"""The kinds of field with a resolver: one that reads, one that changes, one that watches, and one that only computes.

Each of the first three names the permission it needs and asks for it before it resolves; without one none can be made.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import strawberry
from graphql import GraphQLError
from strawberry.extensions import FieldExtension
from strawberry.types import Info

from api.graphql.permissions import PERMISSION, SIGNED_IN
from api.graphql.problems import problem_of
from api.problems import PASSING_FAULTS, DatabaseUnreachable
from domain.access.roles import Permission
from domain.kernel.errors import DomainError

_F = TypeVar("_F", bound=Callable[..., Any])


def coded(error: DomainError) -> GraphQLError:
    """Write a refusal as an error of a query, with its code in the extensions."""
    return GraphQLError(error.message, extensions={"code": error.code})


class _Ask(FieldExtension):
    """Ask for the permission, and give a refusal its code."""

    def __init__(self, permission: str) -> None:
        self._permission = permission

    async def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: Info, **arguments: Any
    ) -> Any:
        """Resolve if the caller holds the permission. A refusal becomes an error with `extensions.code`."""
        try:
            if self._permission != SIGNED_IN:
                info.context.call.need(self._permission)
            return await next_(source, info, **arguments)
        except DomainError as error:
            raise coded(error) from error
        except PASSING_FAULTS as fault:
            raise coded(DatabaseUnreachable()) from fault


class _AskOrProblem(FieldExtension):
    """Ask for the permission; every refusal becomes a member of the result union."""

    def __init__(self, permission: Permission) -> None:
        self._permission = permission

    async def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: Info, **arguments: Any
    ) -> Any:
        """Resolve if the caller holds the permission."""
        try:
            info.context.call.need(self._permission)
            return await next_(source, info, **arguments)
        except DomainError as error:
            return problem_of(error)
        except PASSING_FAULTS:
            return problem_of(DatabaseUnreachable())


def reading(permission: Permission | str, description: str) -> Callable[[_F], _F]:
    """Make a field with a resolver that needs `permission`; refusals are errors with `extensions.code`."""
    made: Callable[[_F], _F] = strawberry.field(
        description=description, metadata={PERMISSION: permission}, extensions=[_Ask(permission)]
    )
    return made


def computed(description: str) -> Callable[[_F], _F]:
    """Make a field that is made of its object alone: it needs what the type's plain fields need."""
    made: Callable[[_F], _F] = strawberry.field(description=description)
    return made


def changing(permission: Permission, description: str) -> Callable[[_F], _F]:
    """Make a mutation that needs `permission`; refusals are problems of its result union."""
    made: Callable[[_F], _F] = strawberry.mutation(
        description=description, metadata={PERMISSION: permission}, extensions=[_AskOrProblem(permission)]
    )
    return made


def watching(permission: Permission, description: str) -> Callable[[_F], _F]:
    """Make a live field. Its resolver asks for the permission itself, at the start and while it runs."""
    made: Callable[[_F], _F] = strawberry.subscription(description=description, metadata={PERMISSION: permission})
    return made
