"""Lists of Stripe's that are read to their end, on pages that are kept in memory."""

from dataclasses import dataclass
from typing import Any

import pytest

from domain.adapters.stripe_pages import PAGES_MAX, entries
from domain.payments.port import GatewayListTooLong


@dataclass(frozen=True)
class _Entry:
    id: int


@dataclass(frozen=True)
class _Page:
    data: list[Any]
    has_more: bool


class _List:
    """So many entries, numbered from 1, and what was asked for."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked: list[dict[str, Any]] = []

    async def read(self, params: dict[str, Any]) -> _Page:
        self.asked.append(params)
        start = params.get("starting_after", 0) + 1
        end = min(start + params["limit"], self.count + 1)
        return _Page([_Entry(number) for number in range(start, end)], has_more=end <= self.count)


async def _ids(of: _List) -> list[int]:
    return [each.id async for each in entries(of.read, {"invoice": "in_1"}, what="notes", page=2)]


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (1, 1), (2, 1), (3, 2), (PAGES_MAX * 2, PAGES_MAX)])
async def test_every_entry_is_seen_once_in_order(count: int, pages: int) -> None:
    listed = _List(count)
    assert await _ids(listed) == list(range(1, count + 1))
    assert len(listed.asked) == pages
    assert all(each["invoice"] == "in_1" for each in listed.asked)


async def test_a_list_beyond_the_bound_is_refused_and_not_taken_for_whole() -> None:
    listed = _List(PAGES_MAX * 2 + 1)
    with pytest.raises(GatewayListTooLong) as refused:
        await _ids(listed)
    assert (refused.value.what, refused.value.entries_max, len(listed.asked)) == ("notes", 40, PAGES_MAX)


async def test_who_has_found_what_it_looks_for_asks_for_no_further_page() -> None:
    listed = _List(9)
    async for each in entries(listed.read, {}, what="drafts", page=2):
        if each.id == 3:
            break
    assert len(listed.asked) == 2
