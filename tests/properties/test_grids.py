"""Whatever bill days and zones a subscription goes through, what it pays for tiles its time."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.invoices.fees import FeePeriod, fee_lines, fee_periods_begun
from domain.invoices.invoice import LineKind
from domain.kernel.errors import DomainError
from domain.kernel.period import Period
from domain.subscriptions import grid, lifecycle
from domain.subscriptions.grid import BillDay
from domain.subscriptions.lifecycle import Step
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from domain.subscriptions.term import Term, term_of, with_term
from tests.domain.invoices import examples

_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
# After how many hours what is asked for: a bill day, the calendar's own, one now, or another zone.
_WISHES = st.lists(
    st.tuples(st.integers(1, 40 * 24), st.one_of(st.integers(1, 31), st.sampled_from(("calendar", "now", *_ZONES)))),
    max_size=8,
)


class _Life:
    """A subscription with its terms, as the steps of its life leave it."""

    def __init__(self, interval: Interval) -> None:
        self.now = examples.subscription("2026-01-31", interval=interval)
        self.terms = [term_of(self.now, self.now.started_at)]
        self.zone = "UTC"

    def go_to(self, hours: int) -> None:
        """Let hours pass, and carry out what falls due in them."""
        until = self.now.running_since + timedelta(hours=hours)
        while self.now.due_at is not None and self.now.due_at <= until:
            self._step()
        self.at = until

    def _step(self) -> None:
        before, at = self.now, self.now.due_at
        assert at is not None
        if lifecycle.next_step(before) is Step.MOVE:
            assert before.moves_to is not None
            self._over(grid.moved(before, before.moves_to, before.zone, at), known=before)
            return
        self.now = lifecycle.advance(before)
        if self.now.fee_period != before.fee_period and self.now.zone != self.zone:
            became = grid.rezoned(self.now, self.zone, self.now.fee_period.start)
            if became is not None:
                self._over(became)

    def _over(self, after: Subscription, known: Subscription | None = None) -> None:
        term = term_of(after, after.running_since, known_at=known.moves_asked_at if known else None)
        self.terms, self.now = with_term(self.terms, term), after

    def wish(self, what: int | str) -> None:
        """Ask for a bill day or a zone; what is refused changes nothing."""
        if what in _ZONES:
            self.zone = str(what)
            return
        day = what if isinstance(what, int) else None
        asked = BillDay(day, calendar=what == "calendar", now=what == "now")
        try:
            anchor_at = grid.anchor_for(self.now, asked, self.at)
            if not asked.now:
                self.now = grid.ask_move(self.now, anchor_at, self.at)
                return
            grid.check_movable(self.now)
        except DomainError:
            return
        self._over(grid.moved(self.now, self.at, self.now.zone, self.at))


def _paid_for(fee: FeePeriod, terms: list[Term]) -> Period | None:
    """Return the part of a fee period that stays paid: up to where another grid takes its rest back."""
    left = [each.starts_at for each in fee.terms[1:] if each.grid != fee.terms[0].grid]
    end = min([fee.service.end, *left])
    assert all(at in {each.starts_at for each in terms} for at in left)
    return Period(fee.service.start, end) if fee.service.start < end else None


@given(st.sampled_from(list(Interval)), _WISHES, st.integers(1, 24 * 70))
def test_what_is_paid_for_follows_without_a_gap_and_shares_add_up(
    interval: Interval, wishes: list[tuple[int, int | str]], last: int
) -> None:
    life = _Life(interval)
    life.go_to(0)
    hours = 0
    for more, what in wishes:
        hours = int((life.at - life.now.running_since) / timedelta(hours=1)) + more
        life.go_to(hours)
        life.wish(what)
    life.go_to(int((life.at - life.now.running_since) / timedelta(hours=1)) + last)
    fees = fee_periods_begun(life.now, life.terms, life.at)
    paid = [each for each in (_paid_for(fee, life.terms) for fee in fees) if each is not None]
    assert paid[0].start == life.now.started_at
    for one, other in pairwise(paid):
        assert one.end == other.start
    # The present fee period is the last one that was billed, and the usage period lies on the same grid.
    assert fees[-1].service == life.now.fee_period
    assert life.now.period.start <= life.at < life.now.period.end
    # Each period's fee and what is taken back of it are shares of one whole, which the time that passed makes up.
    for fee in fees:
        lines = fee_lines(life.now, fee, examples.catalogue())
        whole = [line for line in lines if line.identity.kind is LineKind.FEE]
        assert len(whole) == 1
        assert whole[0].derivation["share_of_time"] != "0"
        assert sum(line.amount_minor for line in lines) >= 0
