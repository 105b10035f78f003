"""The difference between what should exist and what does."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from domain.invoices.derivation import Changes, NewLine, WantedLine, changes
from domain.invoices.invoice import Identity, Line, LineKind
from domain.kernel.ids import InvoiceId, LineId, PriceId, SegmentId, SubscriptionId
from domain.kernel.money import Money
from domain.kernel.period import Period
from tests import make
from tests.domain.invoices import examples

_JANUARY = Period(make.at("2026-01-01"), make.at("2026-02-01"))
_USAGE = Identity(
    LineKind.USAGE,
    SubscriptionId(make.new_id()),
    PriceId(make.new_id()),
    SegmentId(make.new_id()),
    _JANUARY,
    "gemini",
)
_FEE = replace(_USAGE, kind=LineKind.FEE, segment_id=None, dimension_key="")
_CAP = replace(_USAGE, kind=LineKind.CAP, price_id=None, dimension_key="monthly_cost")


def _want(identity: Identity, amount_minor: int, quantity: str = "1") -> WantedLine:
    facts = {"model": "dynamic", "amount_minor": amount_minor}
    return WantedLine(identity, "usage", Decimal(quantity), "USD", amount_minor, facts)


def _stored(lines: Sequence[NewLine]) -> list[Line]:
    """Write new lines onto an invoice."""
    return [
        Line(
            LineId(make.new_id()),
            InvoiceId(make.new_id()),
            examples.CUSTOMER,
            line.identity,
            line.revision,
            line.description,
            line.quantity,
            line.unit,
            Money(line.amount_minor, "USD"),
            Money(0, "USD"),
            line.derivation,
        )
        for line in lines
    ]


def _figures(found: Changes) -> list[tuple[int, int, Decimal]]:
    return [(line.revision, line.amount_minor, line.quantity) for line in found.add]


def test_the_first_line_of_an_identity_is_revision_0_and_whole() -> None:
    found = changes([_want(_USAGE, 2503, "25.03"), _want(_FEE, 7900)], [], [])
    assert _figures(found) == [(0, 2503, Decimal("25.03")), (0, 7900, Decimal(1))]
    assert found.remove == ()


def test_a_rerun_adds_nothing_whether_the_lines_are_issued_or_still_on_the_draft() -> None:
    wanted = [_want(_USAGE, 2503), _want(_FEE, 0), _want(_CAP, -3)]
    lines = _stored(changes(wanted, [], []).add)
    assert not changes(wanted, lines, [])
    assert not changes(wanted, [], lines)
    assert not changes(wanted, lines[:1], lines[1:])


def test_a_correction_of_an_issued_line_is_revision_1_with_the_difference() -> None:
    issued = _stored(changes([_want(_USAGE, 2503, "25.03")], [], []).add)
    found = changes([_want(_USAGE, 2610, "26.1")], issued, [])
    # 26.10 - 25.03 = 1.07, of the amount as of the quantity.
    assert _figures(found) == [(1, 107, Decimal("1.07"))]
    assert found.add[0].description == "Adjustment: usage"
    assert found.add[0].derivation["amount_minor"] == 2610
    assert found.add[0].derivation["billed_before_minor"] == 2503
    assert found.add[0].derivation["billed_before_quantity"] == "25.03"
    assert found.remove == ()


def test_revisions_are_counted_from_all_that_stands() -> None:
    first = _stored(changes([_want(_USAGE, 100)], [], []).add)
    second = _stored(changes([_want(_USAGE, 150)], first, []).add)
    assert not changes([_want(_USAGE, 150)], first + second, [])
    assert _figures(changes([_want(_USAGE, 120, "3")], first + second, [])) == [(2, -30, Decimal(2))]


def test_a_difference_in_quantity_alone_is_shown_though_it_costs_nothing() -> None:
    issued = _stored(changes([_want(_USAGE, 0, "10")], [], []).add)
    assert _figures(changes([_want(_USAGE, 0, "12")], issued, [])) == [(1, 0, Decimal(2))]


def test_what_should_not_exist_any_more_is_taken_back_to_zero_once() -> None:
    issued = _stored(changes([_want(_CAP, -2057, "20.57")], [], []).add)
    back = changes([], issued, [])
    assert _figures(back) == [(1, 2057, Decimal("-20.57"))]
    assert back.add[0].derivation["amount_minor"] == 0
    assert not changes([], issued + _stored(back.add), [])


def test_a_line_on_the_draft_is_replaced_not_adjusted() -> None:
    drafted = _stored(changes([_want(_USAGE, 2503)], [], []).add)
    found = changes([_want(_USAGE, 2610)], [], drafted)
    assert found.remove == (drafted[0].id,)
    assert _figures(found) == [(0, 2610, Decimal(1))]
    assert found.add[0].description == "usage"


def test_a_line_on_the_draft_that_is_not_wanted_is_taken_off() -> None:
    drafted = _stored(changes([_want(_USAGE, 2503)], [], []).add)
    found = changes([], [], drafted)
    assert (found.remove, found.add) == ((drafted[0].id,), ())


def test_a_drafted_adjustment_goes_when_the_news_are_taken_back() -> None:
    issued = _stored(changes([_want(_USAGE, 100)], [], []).add)
    drafted = _stored(changes([_want(_USAGE, 150)], issued, []).add)
    assert not changes([_want(_USAGE, 150)], issued, drafted)
    found = changes([_want(_USAGE, 100)], issued, drafted)
    assert (found.remove, found.add) == ((drafted[0].id,), ())


def test_voiding_releases_lines_and_the_next_derivation_brings_them_back() -> None:
    wanted = [_want(_USAGE, 150), _want(_FEE, 7900)]
    first = _stored(changes([_want(_USAGE, 100), _want(_FEE, 7900)], [], []).add)
    adjustment = _stored(changes(wanted, first, []).add)
    # The first invoice is void: its lines do not stand. The adjustment of 0.50 does.
    found = changes(wanted, adjustment, [])
    assert _figures(found) == [(2, 100, Decimal(1)), (0, 7900, Decimal(1))]
    # Everything void: as if nothing had been billed.
    assert _figures(changes(wanted, [], [])) == [(0, 150, Decimal(1)), (0, 7900, Decimal(1))]


def test_nothing_is_left_of_any_segment_of_a_line_that_is_taken_back() -> None:
    parts = [{"segment_id": name, "share_of_time": "1/2", "quantity": "3", "events": 2, "digest": "7"} for name in "ab"]
    wish = replace(_want(_USAGE, 600), derivation={"events": 4, "digest": "e", "segments": parts})
    standing = _stored(changes([wish], [], []).add)
    [line] = changes([], standing, []).add
    nothing = {"share_of_time": "1/2", "quantity": "0", "events": 0, "digest": "0" * 64}
    assert line.derivation["segments"] == [{"segment_id": name, **nothing} for name in "ab"]
