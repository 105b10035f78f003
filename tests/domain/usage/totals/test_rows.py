"""Rows of running totals come to what their meters show."""

from decimal import Decimal
from uuid import UUID

from domain.kernel.ids import MeterId
from domain.usage.reading import Combination, MeterUsage
from domain.usage.totals.rows import NOTHING, WHOLE, Row, arranged, moved, rows_of

_CALLS, _TOKENS, _BYTES = (MeterId(UUID(int=number)) for number in (1, 2, 3))
_BOTH, _ONE = UUID(int=11), UUID(int=12)
_SETS = {_BOTH: {0: _CALLS, 1: _TOKENS}, _ONE: {0: _CALLS}}
_A, _B = UUID(int=101), UUID(int=102)


def _row(part: UUID, events: int, *sums: int) -> Row:
    return Row(part, None if part == WHOLE else f'{{"place":"{part.int}"}}', events, [Decimal(each) for each in sums])


def test_rows_without_a_sum_over_all_are_added_up() -> None:
    found = arranged(rows_of([(_BOTH, _row(_A, 2, 2, 50)), (_BOTH, _row(_B, 1, 1, 30))]), _SETS)
    parts = (Combination({"place": "101"}, Decimal(50), 2), Combination({"place": "102"}, Decimal(30), 1))
    # 50 + 30 tokens of 2 + 1 events.
    assert found.meters[_TOKENS] == MeterUsage(_TOKENS, Decimal(80), 3, parts)
    assert found.meters[_CALLS].quantity == 3


def test_a_sum_over_all_stands_for_its_parts() -> None:
    # A meter by itself owns its rows: it is in no set.
    owner = UUID(_BYTES.hex)
    found = arranged(rows_of([(owner, _row(_A, 2, 5)), (owner, _row(WHOLE, 3, 9))]), _SETS)
    assert found.meters == {_BYTES: MeterUsage(_BYTES, Decimal(9), 3, (Combination({"place": "101"}, Decimal(5), 2),))}


def test_what_a_meter_counted_in_two_sets_is_added_up_by_combination() -> None:
    found = arranged(rows_of([(_BOTH, _row(_A, 2, 2, 50)), (_ONE, _row(_A, 4, 4))]), _SETS)
    # 2 + 4 calls of 2 + 4 events.
    assert found.meters[_CALLS] == MeterUsage(_CALLS, Decimal(6), 6, (Combination({"place": "101"}, Decimal(6), 6),))


def test_a_row_that_moved_moves_its_meters_and_leaves_the_others_alone() -> None:
    owner = UUID(_BYTES.hex)
    before = arranged(rows_of([(_BOTH, _row(_A, 2, 2, 50)), (owner, _row(WHOLE, 1, 7))]), _SETS)
    after = moved(before, rows_of([(_BOTH, _row(_A, 3, 3, 45))]), _SETS)
    # 50 tokens became 45 by a correction; what was arranged before still says 50.
    assert (after.meters[_TOKENS].quantity, before.meters[_TOKENS].quantity) == (Decimal(45), Decimal(50))
    assert after.meters[_BYTES] is before.meters[_BYTES]
    assert (after.size, NOTHING.size) == (2, 0)


def test_a_sum_over_all_that_begins_to_be_kept_takes_the_place_of_the_parts() -> None:
    owner = UUID(_BYTES.hex)
    before = arranged(rows_of([(owner, _row(_A, 2, 5)), (owner, _row(_B, 1, 3))]), _SETS)
    after = moved(before, rows_of([(owner, _row(WHOLE, 4, 9))]), _SETS)
    assert (before.meters[_BYTES].quantity, after.meters[_BYTES].quantity) == (Decimal(8), Decimal(9))
    later = moved(after, rows_of([(owner, _row(_A, 3, 6))]), _SETS)
    # A part that moves alone changes nothing of the sum that is kept beside it.
    assert (later.meters[_BYTES].quantity, later.meters[_BYTES].events) == (Decimal(9), 4)


def test_subscriptions_that_count_alike_are_laid_out_by_the_same_value() -> None:
    found = [arranged(rows_of([(_BOTH, _row(part, 1, 1, 5))]), _SETS) for part in (_A, _B)]
    assert found[0].layout is found[1].layout
    # A set that is new is found beside the one before, and its meter in both.
    after = moved(found[0], rows_of([(_ONE, _row(_A, 1, 1))]), _SETS)
    assert after.layout.feeds == {_CALLS: [(_BOTH, 0), (_ONE, 0)], _TOKENS: [(_BOTH, 1)]}
    assert moved(after, rows_of([(_ONE, _row(_A, 2, 2))]), {}).layout is after.layout
