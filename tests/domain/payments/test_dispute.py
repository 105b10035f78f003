"""What each state of a dispute means for the money, and that the order of news does not matter."""

import dataclasses
import itertools

import pytest

from domain.kernel.ids import encode
from domain.payments.declines import DeclineClass
from domain.payments.dispute import (
    RETURNS,
    TAKEN,
    UNDECIDED,
    Dispute,
    DisputeStatusUnknown,
    Move,
    Stance,
    agrees,
    facts_of,
    follow,
    return_of,
    stance_of,
)
from domain.payments.listed import GatewayDispute
from tests import make
from tests.domain.payments.examples import dispute

NOON = make.at("2026-01-15T12:00")
LATER = make.at("2026-02-15T12:00")
# What each move does to cash, disputed funds, and what is given up or owed again, for an amount of 1.
_BOOKS = {
    Move.WITHHOLD: (-1, 1, 0),
    Move.RELEASE: (1, -1, 0),
    Move.LOSE: (0, -1, 1),
    Move.RETURN: (0, -1, 1),
    Move.REINSTATE: (1, 0, -1),
}
# How a dispute may go at the payment provider.
_LIVES = (
    ("needs_response", "under_review", "won"),
    ("needs_response", "under_review", "lost"),
    ("warning_needs_response", "warning_under_review", "warning_closed"),
    ("warning_needs_response", "needs_response", "lost", "appeal_under_review", "won"),
    ("needs_response", "lost", "appeal_needs_response", "lost"),
    ("needs_response", "prevented"),
    ("lost",),
)


def _seen(status: str, reason: str = "fraudulent", minor: int = 2_900) -> GatewayDispute:
    return GatewayDispute("dp_1", status, reason, "USD", minor, "pi_1", NOON, LATER)


def _dispute(stance: Stance = Stance.INQUIRY, reason: str = "fraudulent", status: str = "") -> Dispute:
    return dispute(stance=stance, reason=reason, status=status)


def _lived(statuses: tuple[str, ...], reason: str) -> tuple[Dispute, tuple[int, ...]]:
    """Follow what was fetched, one after the other; return where it ends and what the books show then."""
    found = _dispute(reason=reason)
    books: tuple[int, ...] = (0, 0, 0)
    for status in statuses:
        found, moves = follow(found, _seen(status, reason), NOON)
        for move in moves:
            books = tuple(have + change for have, change in zip(books, _BOOKS[move], strict=True))
    return found, books


@pytest.mark.parametrize("reason", ["fraudulent", "insufficient_funds"])
@pytest.mark.parametrize("life", _LIVES)
def test_news_that_are_missed_or_repeated_lead_to_the_same_end(life: tuple[str, ...], reason: str) -> None:
    whole, books = _lived(life, reason)
    assert sum(books) == 0
    # Each fetch shows the state of that moment: any choice of moments that has the last one, each any number of times.
    for kept in itertools.product((0, 1, 2), repeat=len(life) - 1):
        some = [status for status, times in zip(life, (*kept, 2), strict=True) for _ in range(times)]
        found, same = _lived(tuple(some), reason)
        assert (found.stance, found.status, same) == (whole.stance, whole.status, books)


@pytest.mark.parametrize(
    ("before", "after", "moves"),
    [
        (Stance.INQUIRY, Stance.HELD, (Move.WITHHOLD,)),
        (Stance.INQUIRY, Stance.LOST, (Move.WITHHOLD, Move.LOSE)),
        (Stance.INQUIRY, Stance.WON, ()),
        (Stance.HELD, Stance.WON, (Move.RELEASE,)),
        (Stance.HELD, Stance.LOST, (Move.LOSE,)),
        (Stance.HELD, Stance.INQUIRY, (Move.RELEASE,)),
        (Stance.LOST, Stance.WON, (Move.REINSTATE,)),
        # What is decided is not opened again, and what was won stays won.
        (Stance.LOST, Stance.HELD, None),
        (Stance.LOST, Stance.INQUIRY, None),
        (Stance.WON, Stance.HELD, None),
        (Stance.WON, Stance.LOST, None),
        (Stance.WON, Stance.INQUIRY, None),
    ],
)
def test_each_step_between_stances_is_a_move_or_none(
    before: Stance, after: Stance, moves: tuple[Move, ...] | None
) -> None:
    statuses = {
        Stance.INQUIRY: "prevented",
        Stance.HELD: "under_review",
        Stance.LOST: "lost",
        Stance.WON: "won",
    }
    known = _dispute(before, status="known")
    found, done = follow(known, _seen(statuses[after]), NOON)
    if moves is None:
        assert (found, done) == (known, ())
    else:
        assert done == moves
        assert found.status == statuses[after]


def test_what_was_prevented_after_it_was_taken_is_not_taken_again() -> None:
    prevented = dataclasses.replace(_dispute(status="prevented"), is_booked=True)
    assert follow(prevented, _seen("lost"), NOON) == (prevented, ())


def test_a_return_is_taken_at_once_and_is_over() -> None:
    found, moves = follow(_dispute(reason="insufficient_funds"), _seen("lost", "insufficient_funds"), LATER)
    assert (found.stance, found.closed_at, found.is_open, found.is_return) == (Stance.RETURNED, LATER, False, True)
    assert moves == (Move.WITHHOLD, Move.RETURN)
    held = _dispute(Stance.HELD, "debit_not_authorized")
    assert follow(held, _seen("lost", "debit_not_authorized"), LATER)[1] == (Move.RETURN,)
    returned = _dispute(Stance.RETURNED, "debit_not_authorized")
    assert follow(returned, _seen("won", "debit_not_authorized"), LATER)[1] == (Move.REINSTATE,)


@pytest.mark.parametrize(
    ("status", "stance"),
    [
        ("warning_needs_response", Stance.INQUIRY),
        ("warning_under_review", Stance.INQUIRY),
        ("warning_closed", Stance.INQUIRY),
        ("prevented", Stance.INQUIRY),
        ("needs_response", Stance.HELD),
        ("under_review", Stance.HELD),
        ("appeal_needs_response", Stance.LOST),
        ("appeal_under_review", Stance.LOST),
        ("lost", Stance.LOST),
        ("won", Stance.WON),
    ],
)
def test_every_status_says_where_the_money_is(status: str, stance: Stance) -> None:
    assert stance_of(status, "fraudulent") is stance


def test_a_status_that_is_not_known_moves_nothing() -> None:
    with pytest.raises(DisputeStatusUnknown):
        follow(_dispute(), _seen("a_status_of_next_year"), NOON)


def test_a_dispute_is_open_until_it_is_decided() -> None:
    opened, _ = follow(_dispute(), _seen("needs_response"), NOON)
    assert (opened.is_open, opened.closed_at, opened.evidence_due_at) == (True, None, LATER)
    asked, _ = follow(_dispute(), _seen("warning_needs_response"), NOON)
    assert asked.is_open
    closed, _ = follow(asked, _seen("warning_closed"), LATER)
    assert (closed.stance, closed.is_open, closed.closed_at) == (Stance.INQUIRY, False, LATER)
    won, _ = follow(opened, _seen("won"), LATER)
    assert (won.is_open, won.closed_at) == (False, LATER)
    # The instant of its end stays.
    assert follow(won, _seen("won"), make.at("2026-03-01"))[0] == won
    assert {Stance.HELD} == TAKEN & UNDECIDED


def test_only_a_lack_of_funds_can_pass() -> None:
    assert {reason: return_of(reason).kind for reason in RETURNS} == {
        "insufficient_funds": DeclineClass.SOFT,
        "incorrect_account_details": DeclineClass.HARD,
        "bank_cannot_process": DeclineClass.HARD,
        "debit_not_authorized": DeclineClass.HARD,
    }
    assert return_of("insufficient_funds").code == "insufficient_funds"


def test_our_row_agrees_with_the_gateway_or_not() -> None:
    known = _dispute(Stance.HELD, status="needs_response")
    assert agrees(known, _seen("needs_response"))
    assert not agrees(known, _seen("under_review"))
    assert not agrees(known, _seen("needs_response", minor=1))


def test_staff_are_told_ids_amount_and_until_when() -> None:
    known = _dispute(Stance.HELD, status="needs_response")
    told = facts_of(known)
    assert told["due"] == "its end"
    assert facts_of(follow(known, _seen("needs_response"), NOON)[0])["due"] == "2026-02-15 12:00 UTC"
    assert told["customer_id"] == encode("customer", known.customer_id)
    assert (told["amount"], told["currency"], told["reason"]) == ("29.00", "USD", "fraudulent")
