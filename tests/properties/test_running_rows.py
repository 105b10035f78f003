"""Rows that moved, put into what was arranged before, come to the same as all rows arranged anew."""

from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from domain.kernel.ids import MeterId
from domain.usage.totals.rows import NOTHING, WHOLE, Row, arranged, moved, rows_of

_PARTS = [WHOLE, *(UUID(int=number) for number in range(101, 104))]
_METERS = [MeterId(UUID(int=number)) for number in range(1, 5)]
# Two sets that share a meter, and a meter that stands alone.
_SETS = {UUID(int=11): {0: _METERS[0], 1: _METERS[1]}, UUID(int=12): {0: _METERS[1], 1: _METERS[2]}}
_OWNERS = [*_SETS, UUID(_METERS[3].hex)]
_SUMS = st.decimals(-1_000, 1_000, places=3) | st.integers(-5, 5).map(Decimal)
_CHANGES = st.lists(
    st.tuples(
        st.sampled_from(_OWNERS), st.sampled_from(_PARTS), st.integers(0, 9), st.lists(_SUMS, min_size=2, max_size=2)
    ),
    max_size=6,
)


def _row(part: UUID, events: int, sums: list[Decimal]) -> Row:
    return Row(part, None if part == WHOLE else f'{{"place":"{part.int}"}}', events, sums)


@given(st.lists(_CHANGES, max_size=6))
def test_what_moved_step_by_step_is_what_all_rows_come_to(
    steps: list[list[tuple[UUID, UUID, int, list[Decimal]]]],
) -> None:
    running, stored = NOTHING, dict[UUID, dict[UUID, Row]]()
    for step in steps:
        changed = rows_of((owner, _row(part, events, sums)) for owner, part, events, sums in step)
        for owner, rows in changed.items():
            stored.setdefault(owner, {}).update(rows)
        before, seen = running, {each: tuple(meter.combinations) for each, meter in running.meters.items()}
        running = moved(running, changed, _SETS)
        anew = arranged(stored, _SETS)
        assert running.rows == anew.rows
        assert running.layout.owners == anew.layout.owners
        assert running.size == sum(map(len, stored.values()))
        assert running.meters.keys() == anew.meters.keys()
        for meter_id, meter in anew.meters.items():
            shown = running.meters[meter_id]
            assert (shown.quantity, shown.events) == (meter.quantity, meter.events)
            assert sorted(shown.combinations, key=str) == sorted(meter.combinations, key=str)
        # Whoever looks at what was arranged before sees it as it was.
        assert {each: tuple(meter.combinations) for each, meter in before.meters.items()} == seen
