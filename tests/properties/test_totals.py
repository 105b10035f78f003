"""What holds for every total: it is a sum of events, however they came and however often.

That every kind of meter agrees with its rule under any order, split and repetition, and that replacing and then voiding
restores what was, is shown beside the meters, in `tests/domain/usage/test_kinds.py`.
"""

import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.db import Database
from domain.usage.event import UsageEvent
from domain.usage.verdict import COUNTED, Status
from tests.domain.usage.world import World, open_world
from tests.domain.usage.yard import BADGE, SAMPLE, STOCK, Yard, open_yard

_DAYS = st.integers(1, 31)
_PLACES = st.sampled_from(("quay", "shed"))
_SAMPLES = st.tuples(st.just(SAMPLE), _DAYS, _PLACES, st.fixed_dictionaries({"v": st.integers(0, 9)}))
_BADGES = st.tuples(st.just(BADGE), _DAYS, _PLACES, st.fixed_dictionaries({"who": st.sampled_from("abc")}))
_STOCKS = st.tuples(
    st.just(STOCK),
    _DAYS,
    _PLACES,
    st.fixed_dictionaries({"amount": st.integers(0, 9), "op": st.sampled_from(("add", "set"))}),
)
_Sent = list[tuple[str, int, str, dict[str, Any]]]
_EVENTS: st.SearchStrategy[_Sent] = st.lists(st.one_of(_SAMPLES, _BADGES, _STOCKS), min_size=1, max_size=15)


@pytest.fixture
def origin(catalogued: str) -> str:
    """Begin with both products published."""
    return catalogued


@pytest.fixture
async def world(db: Database) -> AsyncIterator[World]:
    """Stand on a seeded database with a running recorder."""
    async with open_world(db) as opened:
        yield opened


async def _send_in_batches(own: Yard, events: Sequence[UsageEvent], size: int, *, atomic: bool) -> set[Status]:
    found = set()
    for start in range(0, len(events), size):
        found |= {verdict.status for verdict in await own.send(*events[start : start + size], atomic=atomic)}
    return found


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sent=_EVENTS,
    order=st.randoms(use_true_random=False),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    atomic=st.booleans(),
)
async def test_sending_everything_again_in_another_order_and_split_changes_no_total(
    world: World, sent: _Sent, order: random.Random, sizes: tuple[int, int], *, atomic: bool
) -> None:
    own = await open_yard(world)
    events = [
        own.event(f"e{number}", kind, f"2026-01-{day:02}T10:00:00Z", place=place, **values)
        for number, (kind, day, place, values) in enumerate(sent)
    ]
    assert await _send_in_batches(own, events, sizes[0], atomic=False) == {COUNTED.status}
    before = await own.state()
    order.shuffle(events)
    assert await _send_in_batches(own, events, sizes[1], atomic=atomic) == {Status.DUPLICATE}
    assert await own.state() == before
    assert await own.measured("samples") == sum(kind == SAMPLE for kind, *_ in sent)
    assert await own.measured("total") == sum(values["v"] for kind, _, _, values in sent if kind == SAMPLE)
