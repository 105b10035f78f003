"""Deny by default: every field of every type names the permission it needs.

A type states the permission of its plain fields; reaching such an object needs a field that asks for at least that.
Fields with resolvers (`fields.py`) ask at run time. `tests/test_permissions.py` walks the schema and proves both.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import TypeVar, dataclass_transform

import strawberry
from strawberry.types.base import get_object_definition

from domain.access.roles import Permission

# The key under which a field's metadata holds its permission.
PERMISSION = "permission"
# Needs no permission beyond being signed in: problems, page marks, and what merely groups other fields.
SIGNED_IN = "signed-in"

_T = TypeVar("_T")


def _mark(cls: type[_T], permission: str) -> type[_T]:
    definition = get_object_definition(cls, strict=True)
    for field in definition.fields:
        field.metadata = MappingProxyType({PERMISSION: permission, **(field.metadata or {})})
    return cls


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def guarded_type(permission: Permission, description: str) -> Callable[[type[_T]], type[_T]]:
    """Make an object type whose plain fields need `permission`."""

    def decorate(cls: type[_T]) -> type[_T]:
        return _mark(strawberry.type(cls, description=description), permission)

    return decorate


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def public_type(description: str) -> Callable[[type[_T]], type[_T]]:
    """Make an object type that anyone who is signed in may read: it holds no one's data of its own."""

    def decorate(cls: type[_T]) -> type[_T]:
        return _mark(strawberry.type(cls, description=description), SIGNED_IN)

    return decorate
