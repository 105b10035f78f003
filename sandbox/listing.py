"""Lists as Stripe pages them: newest first, `limit` 1..100 (10 unless told), cursors are ids of the same kind."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sandbox.call import Call
from sandbox.errors import invalid, missing
from sandbox.presenting import listed, present
from sandbox.store import Document, Query, Store

LIMIT_DEFAULT = 10
LIMIT_MAX = 100
PAGING = "limit starting_after ending_before"
"""The parameters that every list takes."""


def page(
    call: Call,
    kind: str,
    url: str,
    *,
    fields: Mapping[str, str | int | bool | None] | None = None,
    types: Sequence[str] = (),
    absent: str | None = None,
    delivered: bool | None = None,
    oldest_first: bool = False,
) -> Document:
    """Answer a list request. Fields whose value is None do not filter; `created` is read from the parameters."""
    known = {name: value for name, value in (fields or {}).items() if value is not None}
    query = Query(
        kind,
        known,
        tuple(types),
        _created(call),
        absent,
        delivered,
        oldest_first=oldest_first,
        limit=_limit(call) + 1,
    )
    before, after = call.params.get("ending_before"), call.params.get("starting_after")
    if before and after:
        raise invalid("You may not specify both ending_before and starting_after.", code="parameters_exclusive")
    rows = _rows(call, query, after, before)
    more = len(rows) == query.limit
    rows = rows[: query.limit - 1]
    if before:
        rows.reverse()
    return listed(url, [present(call.store, row) for row in rows], has_more=more)


def _rows(call: Call, query: Query, after: str | None, before: str | None) -> list[Document]:
    if after:
        place = _place(call, query.kind, after, "starting_after")
        bounded = replace(query, above=place) if query.oldest_first else replace(query, below=place)
        return call.store.select(bounded)
    if before:
        place = _place(call, query.kind, before, "ending_before")
        bounded = replace(query, below=place) if query.oldest_first else replace(query, above=place)
        return call.store.select(replace(bounded, oldest_first=not query.oldest_first))
    return call.store.select(query)


def _place(call: Call, kind: str, identifier: str, param: str) -> int:
    place = call.store.sequence(kind, identifier)
    if place is None:
        raise missing(kind, identifier, param=param)
    return place


def _limit(call: Call) -> int:
    limit = int(call.params.get("limit", LIMIT_DEFAULT))
    if not 1 <= limit <= LIMIT_MAX:
        raise invalid(
            f"This value must be between 1 and {LIMIT_MAX} (inclusive): limit.",
            code="parameter_invalid_integer",
            param="limit",
        )
    return limit


def _created(call: Call) -> Mapping[str, int]:
    created = call.params.get("created", {})
    return {"eq": created} if isinstance(created, int) else created


def first(store: Store, query: Query, url: str) -> Document:
    """Make the list object that an object embeds: the first ten, and whether there are more."""
    rows = store.select(replace(query, limit=LIMIT_DEFAULT + 1))
    shown = [present(store, row) for row in rows[:LIMIT_DEFAULT]]
    return listed(url, shown, has_more=len(rows) > LIMIT_DEFAULT)
