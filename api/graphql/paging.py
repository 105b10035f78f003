"""Relay connections over stores that page by the id of the last row seen."""

import base64
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Generic, TypeVar
from uuid import UUID

import strawberry

from api.graphql.context import Context
from api.graphql.permissions import public_type
from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass

PAGE_MAX = 100
PAGE_DEFAULT = 20
T = TypeVar("T")
First = Annotated[int, strawberry.argument(description="How many nodes, 0 to 100.")]
After = Annotated[
    str | None, strawberry.argument(description="The `endCursor` of the page before; null for the first.")
]
_CURSOR = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(eq=False)
class PageMalformed(DomainError):
    """A page has 0 to {page_max} nodes, and `after` is a cursor that an earlier page returned."""

    code = "page_malformed"
    kind = Kind.INVALID
    page_max: int = PAGE_MAX


@public_type("Where a page ends.")
class PageInfo:
    """Relay's page mark; pages go forward only."""

    has_next_page: bool = strawberry.field(description="Whether more nodes follow.")
    end_cursor: str | None = strawberry.field(
        description="The place of the page's last node; pass it as `after`. Null for an empty page."
    )


@public_type("A node and its place.")
class Edge(Generic[T]):
    """One element of a page."""

    cursor: str = strawberry.field(description="This node's place; pass it as `after`.")
    node: T = strawberry.field(description="The element.")


@public_type("A page of a list.")
class Connection(Generic[T]):
    """A page."""

    edges: list[Edge[T]] = strawberry.field(description="The nodes with their cursors, at most `first`.")
    nodes: list[T] = strawberry.field(description="The same nodes, without cursors.")
    page_info: PageInfo = strawberry.field(description="Where the page ends.")


def cursor_of(value: UUID) -> str:
    """Write a row's id as an opaque cursor."""
    return base64.urlsafe_b64encode(value.bytes).decode().rstrip("=")


def read_cursor(text: str | None) -> UUID | None:
    """Read a cursor. Raises PageMalformed."""
    if text is None:
        return None
    if not _CURSOR.fullmatch(text):
        raise PageMalformed
    return UUID(bytes=base64.urlsafe_b64decode(text + "=="))


async def page(
    context: Context,
    first: int,
    after: str | None,
    load: Callable[[UUID | None, int], Awaitable[Sequence[tuple[UUID, T]]]],
) -> Connection[T]:
    """Load one page; `load(after, limit)` returns ids with nodes, one more than the page to tell whether it ends.

    Raises PageMalformed, QueryTooLarge.
    """
    if not 0 <= first <= PAGE_MAX:
        raise PageMalformed
    found = await load(read_cursor(after), first + 1)
    edges = [Edge(cursor=cursor_of(key), node=node) for key, node in found[:first]]
    context.spend(len(edges))
    return Connection(
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=PageInfo(has_next_page=len(found) > first, end_cursor=edges[-1].cursor if edges else None),
    )
