"""The difference between the lines that should exist and those that do: closing, repairing and re-running in one."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from domain.invoices.document import describe_adjustment
from domain.invoices.invoice import Identity, Line
from domain.kernel.ids import LineId
from domain.kernel.money import exact_text
from domain.kernel.values import dataclass
from domain.plans.exact import EXACT

# The digest of a line is the sum of its events' hashes modulo 2^256, written in as many hexadecimal digits.
_DIGEST_DIGITS = 64


@dataclass(frozen=True, slots=True)
class WantedLine:
    """A line that should exist, whole: what was billed of it before is not taken off yet."""

    identity: Identity
    description: str
    quantity: Decimal
    unit: str
    amount_minor: int
    derivation: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NewLine:
    """A line for the draft. Revision 0 is the first of its identity; a later one holds only the difference."""

    identity: Identity
    revision: int
    description: str
    quantity: Decimal
    unit: str
    amount_minor: int
    derivation: dict[str, Any]

    def is_written_as(self, line: Line) -> bool:
        """Whether a stored line says exactly this."""
        return (self.revision, self.description, self.quantity, self.unit, self.amount_minor, self.derivation) == (
            line.revision,
            line.description,
            line.quantity,
            line.unit,
            line.amount.minor,
            line.derivation,
        )


@dataclass(frozen=True, slots=True)
class Changes:
    """What makes the draft right: lines to take off it, then lines to put on it. Empty when it is right already."""

    remove: tuple[LineId, ...]
    add: tuple[NewLine, ...]

    def __bool__(self) -> bool:
        return bool(self.remove or self.add)

    def __add__(self, other: "Changes") -> "Changes":
        """Both, of different identities."""
        return Changes((*self.remove, *other.remove), (*self.add, *other.add))


def changes(wanted: Sequence[WantedLine], issued: Iterable[Line], drafted: Iterable[Line]) -> Changes:
    """Compare what should exist with the lines of opened invoices and with those of the draft.

    Lines of opened invoices stand: what differs becomes the next revision with the difference in quantity and amount,
    also back to zero where nothing should exist any more. Lines of the draft are replaced. `issued` and `drafted` hold
    no lines of void invoices, and no identities outside of what `wanted` was derived for. Applied and run again, the
    result is empty.
    """
    standing, present = _by_identity(issued), _by_identity(drafted)
    wishes = {wish.identity: wish for wish in wanted}
    assert len(wishes) == len(wanted), "an identity is wanted once"
    remove, add = list[LineId](), list[NewLine]()
    for identity in dict.fromkeys((*wishes, *standing, *present)):
        line = _due(wishes.get(identity), standing[identity])
        on_draft = present[identity]
        if line is not None and len(on_draft) == 1 and line.is_written_as(on_draft[0]):
            continue
        remove.extend(found.id for found in on_draft)
        if line is not None:
            add.append(line)
    return Changes(tuple(remove), tuple(add))


def digest_text(digest: int) -> str:
    """Write a digest of events as a line holds it."""
    return f"{digest:0{_DIGEST_DIGITS}x}"


def _by_identity(lines: Iterable[Line]) -> defaultdict[Identity, list[Line]]:
    found = defaultdict[Identity, list[Line]](list)
    for line in lines:
        found[line.identity].append(line)
    return found


def _due(wish: WantedLine | None, standing: Sequence[Line]) -> NewLine | None:
    """Return the line that is missing beside those that stand, or None."""
    if not standing:
        return _first(wish) if wish else None
    billed_minor = sum(line.amount.minor for line in standing)
    billed_quantity = Decimal(0)
    for line in standing:
        billed_quantity = EXACT.add(billed_quantity, line.quantity)
    amount_minor = (wish.amount_minor if wish else 0) - billed_minor
    quantity = EXACT.subtract(wish.quantity if wish else Decimal(0), billed_quantity)
    if not amount_minor and not quantity:
        return None
    latest = max(standing, key=lambda line: line.revision)
    whole = wish.derivation if wish else _undone(latest.derivation)
    return NewLine(
        identity=latest.identity,
        revision=latest.revision + 1,
        description=describe_adjustment(wish.description if wish else latest.description),
        quantity=quantity,
        unit=latest.unit,
        amount_minor=amount_minor,
        derivation={
            **whole,
            "billed_before_minor": billed_minor,
            "billed_before_quantity": exact_text(billed_quantity),
        },
    )


def _undone(derivation: dict[str, Any]) -> dict[str, Any]:
    """Write the derivation of a line of which nothing is left."""
    nothing: dict[str, Any] = {"quantity": "0", "exact_amount": "0", "amount_minor": 0}
    no_events = {"events": 0, "digest": digest_text(0)}
    if "granted" in derivation:
        nothing["granted"] = {"quantity": "0", "grants": []}
    if "events" in derivation:
        nothing |= no_events
        if "segments" in derivation:
            nothing["segments"] = [{**part, "quantity": "0", **no_events} for part in derivation["segments"]]
    return {**derivation, **nothing}


def _first(wish: WantedLine) -> NewLine:
    return NewLine(wish.identity, 0, wish.description, wish.quantity, wish.unit, wish.amount_minor, wish.derivation)
