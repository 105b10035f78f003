"""Voiding and replacing: which events stand, and what a correction takes back or counts again.

An event that voids another undoes it; one that replaces another takes its place. Each can be corrected like any other
event: voiding a replacement, or a void, brings back what it had put away. Only an event that stands can be corrected,
so that of two corrections of one event the second is told which to correct instead.
"""

from dataclasses import field
from typing import NamedTuple

from domain.kernel.values import dataclass
from domain.usage.event import identity_of, in_window
from domain.usage.recount import CountedEvent
from domain.usage.resolve import Row
from domain.usage.tally import Entry
from domain.usage.verdict import DUPLICATE, Reason, Verdict, quarantined, rejected

# A correction of a correction of a correction...: what is looked at for one event, and no chain can become longer.
CHAIN_MAX = 16


@dataclass(slots=True)
class Known:
    """A counted event while corrections are decided. `target` is the identity of what it corrects.

    `put_away_by_void`: it does not stand, because it was voided and not replaced. `stored` is the event where it was
    read from the database.
    """

    identity: bytes
    entry: Entry
    is_void: bool
    target: bytes | None
    stands: bool = True
    put_away_by_void: bool = False
    stored: CountedEvent | None = None


class Toggle(NamedTuple):
    """An event that is taken back (-1) or counted again (1)."""

    sign: int
    known: Known


@dataclass(slots=True)
class Chronicle:
    """The events that corrections speak of, by identity, with those they correct themselves."""

    known: dict[bytes, Known] = field(default_factory=dict)

    def add(self, row: Row, entry: Entry) -> None:
        """Note an event that was counted a moment ago: another one may correct it."""
        self.known[row.identity] = Known(row.identity, entry, row.is_void, target_of(row))

    def decide(self, row: Row) -> Verdict | tuple[Toggle, ...]:
        """Say what a correction puts away or brings back; a verdict where it does neither. Changes what stands."""
        target = self._target_or_verdict(row)
        if isinstance(target, Verdict):
            return target
        toggles: list[Toggle] = []
        if row.is_void:
            self._undo(target, toggles)
        else:
            self._put_away(target, toggles)
        target.put_away_by_void = row.is_void
        return tuple(toggles)

    def revert(self, toggles: tuple[Toggle, ...]) -> None:
        """Let everything stand as before a decision that came to nothing."""
        for toggle in toggles:
            toggle.known.stands = toggle.sign < 0

    def _target_or_verdict(self, row: Row) -> Known | Verdict:
        identity = target_of(row)
        target = self.known.get(identity) if identity is not None else None
        if target is None:
            return quarantined(Reason.UNKNOWN_EVENT)
        if target.entry.place.subscription.product_id != row.request.sender.product_id:
            return rejected(Reason.WRONG_PRODUCT)
        if not in_window(target.entry.occurred_at, row.now):
            return rejected(Reason.OUTSIDE_WINDOW, "of the event that is corrected")
        if not target.stands:
            again = row.is_void and target.put_away_by_void
            return DUPLICATE if again else rejected(Reason.CORRECTED_ALREADY)
        return target if self._is_short(target) else rejected(Reason.CORRECTED_ALREADY, "too often")

    def _is_short(self, known: Known) -> bool:
        for _ in range(CHAIN_MAX):
            if known.target is None:
                return True
            found = self.known.get(known.target)
            if found is None:
                return False
            known = found
        return False

    def _undo(self, known: Known, toggles: list[Toggle]) -> None:
        """Put an event away with all it did to others."""
        self._put_away(known, toggles)
        if known.target is not None:
            (self._redo if known.is_void else self._bring_back)(self.known[known.target], toggles)

    def _redo(self, known: Known, toggles: list[Toggle]) -> None:
        """Bring an event back with all it did to others."""
        self._bring_back(known, toggles)
        if known.target is not None:
            (self._undo if known.is_void else self._put_away)(self.known[known.target], toggles)

    def _put_away(self, known: Known, toggles: list[Toggle]) -> None:
        known.stands = False
        toggles.append(Toggle(-1, known))

    def _bring_back(self, known: Known, toggles: list[Toggle]) -> None:
        known.stands = True
        toggles.append(Toggle(1, known))


def target_of(row: Row) -> bytes | None:
    """Return the identity of what a row corrects: an event of the same customer and source."""
    event = row.envelope.event
    return (
        identity_of(event.customer, row.request.sender.source, event.corrects) if event.corrects is not None else None
    )
