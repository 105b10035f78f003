"""Any grants and any usage: nothing is lost, and it does not matter in which pieces usage comes."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from domain.credits.burn import Grant, Moved, Used, replay
from tests import make

_START = make.at("2026-01-01")
_UNTIL = _START + timedelta(days=60)
_HOURS = st.integers(0, 60 * 24 - 1)
# Few enough that several grants begin at the same instant.
_BEGINNINGS = st.sampled_from((0, 1, 24, 100, 720))
_UNITS = st.fractions(0, 1_000, max_denominator=7)


def _every(hours: int) -> Callable[[datetime], datetime]:
    return lambda at: at + timedelta(hours=hours)


@st.composite
def _grants(draw: st.DrawFn) -> list[Grant]:
    found = []
    for number in range(draw(st.integers(0, 4))):
        begins = _START + timedelta(hours=draw(_BEGINNINGS))
        lives, every = draw(st.one_of(st.none(), st.integers(1, 900))), draw(st.one_of(st.none(), st.integers(20, 400)))
        found.append(
            Grant(
                f"g{number}",
                draw(_UNITS),
                draw(st.integers(0, 2)),
                begins,
                begins,
                expires_at=begins + timedelta(hours=lives) if lives else None,
                voided_at=draw(st.one_of(st.none(), _HOURS.map(lambda hours: _START + timedelta(hours=hours)))),
                rollover_max=draw(st.one_of(st.none(), st.just(Fraction(50)))),
                following=_every(every) if every else None,
            )
        )
    return found


_USAGE = st.lists(st.tuples(_HOURS, _UNITS), max_size=12)
_RESETS = st.lists(_HOURS, max_size=3, unique=True)


def _usage(drawn: Sequence[tuple[int, Fraction]]) -> list[Used]:
    return [Used(_START + timedelta(hours=hour), units) for hour, units in drawn]


@given(_grants(), _USAGE, _RESETS)
def test_uses_what_is_left_and_what_lapsed_are_all_that_was_granted(
    grants: list[Grant], usage: list[tuple[int, Fraction]], resets: list[int]
) -> None:
    at = [_START + timedelta(hours=hour) for hour in resets]
    book = replay(grants, _usage(usage), start=_START, until=_UNTIL, resets=at)
    for grant in grants:
        own = [move for move in book.moves if move.grant_id == grant.id]
        gained = sum(move.amount for move in own if move.amount > 0)
        lost = sum(-move.amount for move in own if move.amount < 0)
        assert gained - lost == book.balances[grant.id] >= 0
    taken = sum(-move.amount for move in book.moves if move.kind is Moved.USED)
    dropped = sum((units for _, units in usage), Fraction(0)) - taken - book.open_overage
    assert dropped >= 0
    assert resets or not dropped


@given(_grants(), _USAGE, _RESETS, st.integers(2, 5))
def test_usage_in_any_pieces_leaves_the_same_balances(
    grants: list[Grant], usage: list[tuple[int, Fraction]], resets: list[int], pieces: int
) -> None:
    at = [_START + timedelta(hours=hour) for hour in resets]
    whole = replay(grants, _usage(usage), start=_START, until=_UNTIL, resets=at)
    cut = [(hour, units / pieces) for hour, units in usage for _ in range(pieces)]
    split = replay(list(reversed(grants)), _usage(cut), start=_START, until=_UNTIL, resets=at)
    assert (split.balances, split.open_overage) == (whole.balances, whole.open_overage)
