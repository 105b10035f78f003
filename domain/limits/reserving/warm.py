"""What is answered from memory alone, without waiting: what is leased already, and what was read a moment ago."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from fractions import Fraction

from msgspec.structs import replace

from domain.access.roles import Permission
from domain.kernel.call import Call
from domain.kernel.values import dataclass
from domain.limits.book import Book
from domain.limits.judging import Answer, permit
from domain.limits.keeping.service import Keeper
from domain.limits.leasing.service import Leases
from domain.limits.questioning.service import Questions
from domain.limits.request import Question, Reserved, Wanted
from domain.limits.reservation import Earlier, Reservation, asked_of, check_expiry, is_metered, name_of
from domain.limits.shelf import Shelf

_NOTHING = Fraction(0)


@dataclass(slots=True)
class Memory:
    """One per process. None is no answer: then the database is to be asked. It never says no by what it remembers."""

    questions: Questions
    leases: Leases
    shelf: Shelf
    keeper: Keeper

    def check(self, call: Call, wanted: Wanted) -> Answer | None:
        """Say yes where that is sure enough. Raises Forbidden, KeyRecordsNothing."""
        call.need(Permission.LIMIT_CHECK)
        question = self.questions.at_once(call, wanted)
        return None if question is None else self.known(call, question)

    def known(self, call: Call, question: Question) -> Answer | None:
        """Say yes to what was understood; what was recorded here is asked for first, at most once a second."""
        drawer = self.leases.drawer(question.place.subscription_id)
        if drawer.book is None or self.leases.is_behind(drawer, question.place, call.at):
            return None
        return drawer.book.known(question, call.at)

    def reserve(self, call: Call, wanted: Wanted, caller_id: str, *, expires_in_s: int) -> Reserved | None:
        """Hold an estimate where it fits into what is leased, or answer as to the first call with this id.

        Raises Forbidden, KeyRecordsNothing, ReservationMalformed, ReservationClosed, ReservationConflict, LimitsBusy.
        """
        call.need(Permission.LIMIT_CHECK)
        call.need(Permission.USAGE_WRITE)
        expires_at = call.at + timedelta(seconds=check_expiry(expires_in_s))
        question = self.questions.at_once(call, wanted)
        if question is None:
            return None
        new = new_reservation(call, question, caller_id, expires_at)
        return self.held_before(new, question, call.at) or self.hold(call, question, new)

    def held_before(self, new: Reservation, question: Question, at: datetime) -> Reserved | None:
        """Answer a repeated call as the first one. Raises ReservationClosed, ReservationConflict, LimitsBusy."""
        held = self.shelf.find(new.name, at)
        if held is None:
            self.shelf.check_room(new.name)
            return None
        held.check_same(new.asked)
        return self._repeated(held, question)

    def held_elsewhere(self, new: Reservation, question: Question, earlier: Earlier) -> Reserved:
        """Answer a repeated call as the first one, which another process holds; nothing is held here."""
        held = replace(new, expires_at=earlier.expires_at, holds=dict(earlier.holds))
        return self._repeated(held, question)

    def _repeated(self, held: Reservation, question: Question) -> Reserved:
        book = self.leases.find_book(held.subscription_id)
        if book is None:
            return Reserved(Answer(()), held, is_new=False)
        asks = book.account.asks_of(question.estimate)
        answer = permit(book.account, asks, book.held_besides(asks, held.holds), question.place.now)
        return Reserved(answer, held, is_new=False)

    def hold(self, call: Call, question: Question, new: Reservation) -> Reserved | None:
        """Hold what is leased already, without asking anyone; None where that does not do."""
        place = question.place
        book = self.leases.drawer(place.subscription_id).book
        if book is None or not book.account.is_fresh(place.epoch, call.at, place.now):
            return None
        if book.account.unpriceable(question.estimate) is not None:
            return None
        asks = book.account.asks_of(question.estimate)
        if not book.can_hold(asks, call.at, place.now):
            return None
        answer = permit(book.account, asks, book.held(asks), place.now)
        self.put(call, book, asks, new)
        return Reserved(self.keeper.sampled(call, question, answer, "reserve"), new)

    def put(self, call: Call, book: Book, asks: Mapping[str, Fraction], into: Reservation) -> None:
        """Hold what is asked for beside what a reservation holds; it is there.

        What it held of a usage period that is over meanwhile it holds no more.
        """
        before = book.account.still_held(into.holds, into.period_start_at)
        over = {key: amount for key, amount in into.holds.items() if key not in before}
        book.give_back(over, into.period_start_at)
        more = book.hold(asks, call.at)
        into.period_start_at = book.account.period.start
        into.holds = more
        if before:
            into.holds = {key: before.get(key, _NOTHING) + more.get(key, _NOTHING) for key in {**before, **more}}
        self.shelf.put(into)


def new_reservation(call: Call, question: Question, caller_id: str, expires_at: datetime) -> Reservation:
    """Make what is to be held, and holds nothing yet. Raises ReservationMalformed."""
    place, event_type = question.place, question.estimate.event_type
    return Reservation(
        name_of(place.customer_id, event_type, question.source, caller_id),
        place.subscription_id,
        event_type,
        place.now,
        call.at,
        expires_at,
        asked=asked_of(question.canonical),
        cost=question.estimate.cost,
        is_metered=is_metered(caller_id),
    )
