"""The reservations that one process holds, those it has yet to write, and those it remembers to have ended."""

from collections import OrderedDict
from collections.abc import Collection
from datetime import datetime

from domain.limits.request import LimitsBusy
from domain.limits.reservation import Name, Reservation, ReservationClosed

# What one process holds at once, and what it remembers to have ended.
RESERVATIONS_MAX = 100_000
CLOSED_MAX = 10_000


class Shelf:
    """Bounded: above `reservations_max` callers are sent away."""

    def __init__(self, reservations_max: int = RESERVATIONS_MAX) -> None:
        self._max = reservations_max
        self._held: dict[Name, Reservation] = {}
        self._unsaved: dict[Name, Reservation] = {}
        self._closed: OrderedDict[Name, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def find(self, name: Name, at: datetime) -> Reservation | None:
        """Return a reservation that is held and has not expired."""
        found = self._held.get(name)
        return found if found is not None and at < found.expires_at else None

    def check_room(self, name: Name) -> None:
        """Refuse what cannot be held. Raises ReservationClosed, LimitsBusy."""
        if name in self._closed:
            raise ReservationClosed
        if len(self._held) >= self._max:
            raise LimitsBusy

    def put(self, reservation: Reservation) -> None:
        """Hold a reservation, and have it written."""
        self._held[reservation.name] = reservation
        self._unsaved[reservation.name] = reservation

    def take(self, name: Name) -> Reservation | None:
        """Return what is held, expired or not, and hold it no more."""
        self._unsaved.pop(name, None)
        return self._held.pop(name, None)

    def close(self, name: Name) -> None:
        """Remember that a reservation has ended."""
        self._closed[name] = None
        if len(self._closed) > CLOSED_MAX:
            self._closed.popitem(last=False)

    def unsaved(self, limit: int) -> list[Reservation]:
        """Return some of what is to be written."""
        return [each for each, _ in zip(self._unsaved.values(), range(limit), strict=False)]

    def saved(self, written: Collection[Reservation]) -> None:
        """Note what was written."""
        for each in written:
            self._unsaved.pop(each.name, None)

    def unsave(self, unwritten: Collection[Reservation]) -> None:
        """Note what could not be written after all, and is still held."""
        for each in unwritten:
            if each.name in self._held:
                self._unsaved[each.name] = each

    def find_any(self, name: Name) -> Reservation | None:
        """Return what is held, expired or not."""
        return self._held.get(name)

    @property
    def times(self) -> dict[Name, datetime]:
        """Until when each reservation is held."""
        return {name: each.expires_at for name, each in self._held.items()}

    def expired(self, at: datetime) -> list[Reservation]:
        """Return what is held past its time."""
        return [each for each in self._held.values() if at >= each.expires_at]
