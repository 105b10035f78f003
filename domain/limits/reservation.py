"""What a reservation is, and its name: whoever has the name can settle it, also where everything else was lost."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

import msgspec

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, IdMalformed, SubscriptionId, decode, encode
from domain.kernel.values import dataclass

# The source of the event that a settled reservation becomes.
SOURCE = "reservation"
CALLER_ID_LENGTH_MAX = 255
REFERENCE_LENGTH_MAX = 255
EXPIRES_IN_S_DEFAULT = 600
EXPIRES_IN_S_MAX = 3_600
# Types of events, customers, and what is written for them in names, that are remembered; they come from outside.
REMEMBERED_MAX = 4_096
_PREFIX = "rsv_"
_LETTERS = 26
_PARTS = 3
# The ids that meters choose: random ones, 16 bytes in hexadecimal digits.
_METERED_PREFIX = "call_"
_METERED_LENGTH = len(_METERED_PREFIX) + 32


class Measure(StrEnum):
    """How the quantities of a settled reservation came about."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


class State(StrEnum):
    """Where a reservation stands; one that is held and past its time has expired."""

    HELD = "held"
    SETTLED = "settled"
    RELEASED = "released"


@dataclass(eq=False)
class ReservationNotFound(DomainError):
    """There is no such reservation, or it has expired. Reserve anew; what was used can still be settled."""

    code = "reservation_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class ReservationClosed(DomainError):
    """This reservation was settled or released before. Reserve with an id that was not used yet."""

    code = "reservation_closed"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class ReservationConflict(DomainError):
    """Something else is held under this id. Reserve with an id of its own, or extend the reservation to hold more."""

    code = "reservation_conflict"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class ReservationMalformed(DomainError):
    """The reservation cannot be read: {what}."""

    code = "reservation_malformed"
    kind = Kind.INVALID
    what: str


class Name(msgspec.Struct, frozen=True, gc=False):
    """What the name of a reservation tells: whose it is, its key among theirs, and a digest of its type of event."""

    customer_id: CustomerId
    key: UUID
    type_digest: UUID

    def __hash__(self) -> int:
        # Thousands are looked through at once, and the key alone is as good as unique.
        return hash(self.key.int)

    @property
    def text(self) -> str:
        """The name as callers write it."""
        key = encode("reservation", self.key)
        return f"{_PREFIX}{_letters(self.customer_id)}{key[len(_PREFIX) :]}{_letters(self.type_digest)}"


class Reservation(msgspec.Struct, gc=False):
    """What a process holds for a caller until `expires_at`, in real time. `holds` are amounts by the keys of limits.

    `period_start_at` is the usage period in which it was asked for. `asked` is the digest of the properties that it was
    asked for with, empty where they are not known; `cost` what they come to at list prices, None where that is not
    known. `is_metered`: it is of a call that a meter passes on, which settles or releases whatever it reserves.
    """

    name: Name
    subscription_id: SubscriptionId
    event_type: str
    period_start_at: datetime
    created_at: datetime
    expires_at: datetime
    holds: dict[str, Fraction] = {}
    asked: bytes = b""
    cost: Decimal | None = None
    is_metered: bool = False

    def check_same(self, asked: bytes) -> None:
        """Refuse to take another request for the one that this stands for. Raises ReservationConflict."""
        _check_same(self.asked, asked)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What is stored of a reservation when its id is asked for again.

    `is_backed`: the process that holds it has a lease on all that it holds.
    """

    state: State
    expires_at: datetime
    holds: Mapping[str, Fraction]
    asked: bytes
    is_backed: bool

    def is_final(self, at: datetime) -> bool:
        """Whether it answers for the request whatever is left of the limits: it has ended, or still holds."""
        return self.state is not State.HELD or (at < self.expires_at and self.is_backed)

    def still_holds(self, asked: bytes, at: datetime) -> bool:
        """Whether the request is answered by what it holds; one that expired or was lost is reserved anew.

        Raises ReservationClosed, ReservationConflict.
        """
        if self.state is not State.HELD:
            raise ReservationClosed
        if at >= self.expires_at:
            return False
        _check_same(self.asked, asked)
        return self.is_backed


@dataclass(frozen=True, slots=True)
class StoredReservation:
    """A reservation as the database knows it. `overrun` is what was used above the hold, by the keys of limits."""

    holder: UUID
    subscription_id: SubscriptionId
    event_type: str
    period_start_at: datetime
    created_at: datetime
    expires_at: datetime
    state: State
    holds: Mapping[str, Fraction]
    overrun: Mapping[str, Fraction]
    asked: bytes = b""
    cost: Decimal | None = None
    is_metered: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a reservation in another process: it ended, went to another holder, or is held longer."""

    holder: UUID
    state: State
    expires_at: datetime


def name_of(customer_id: CustomerId, event_type: str, source: str, caller_id: str) -> Name:
    """Name a reservation by what its caller chose: the same call has the same name in every process.

    Raises ReservationMalformed.
    """
    is_text = 0 < len(caller_id) <= CALLER_ID_LENGTH_MAX and caller_id.isprintable()
    if not is_text:
        raise ReservationMalformed(f"`id` has 1 to {CALLER_ID_LENGTH_MAX} printable characters")
    return Name(customer_id, _digest(f"{source}\0{event_type}\0{caller_id}"), type_digest_of(event_type))


def asked_of(canonical: bytes) -> bytes:
    """Digest the properties that something is asked for with, by their canonical JSON."""
    return blake2b(canonical, digest_size=16).digest()


def is_metered(caller_id: str) -> bool:
    """Whether an id was made by a meter (`tollgate_meter`), which keeps no other record of what it reserves."""
    return len(caller_id) == _METERED_LENGTH and caller_id.startswith(_METERED_PREFIX)


@lru_cache(maxsize=REMEMBERED_MAX)
def _letters(part: UUID) -> str:
    """Write a part of a name that many names have."""
    return encode("reservation", part)[len(_PREFIX) :]


@lru_cache(maxsize=REMEMBERED_MAX)
def type_digest_of(event_type: str) -> UUID:
    """Digest a type of event, by which a name is understood again."""
    return _digest(event_type)


def read_name(text: str) -> Name:
    """Read a name. Raises ReservationNotFound: what is no name is the name of nothing."""
    letters = text.removeprefix(_PREFIX)
    if not text.startswith(_PREFIX) or len(letters) != _PARTS * _LETTERS:
        raise ReservationNotFound
    try:
        parts = [decode("reservation", _PREFIX + letters[n * _LETTERS : (n + 1) * _LETTERS]) for n in range(_PARTS)]
    except IdMalformed:
        raise ReservationNotFound from None
    return Name(CustomerId(parts[0]), parts[1], parts[2])


def check_expiry(expires_in_s: int) -> int:
    """Return for how many seconds to hold. Raises ReservationMalformed."""
    if not 1 <= expires_in_s <= EXPIRES_IN_S_MAX:
        raise ReservationMalformed(f"`expires_in_s` is 1 to {EXPIRES_IN_S_MAX}")
    return expires_in_s


def check_reference(reference: str | None) -> str | None:
    """Return the product's own id for what was used. Raises ReservationMalformed."""
    if reference is not None and not (0 < len(reference) <= REFERENCE_LENGTH_MAX and reference.isprintable()):
        raise ReservationMalformed(f"`reference` has 1 to {REFERENCE_LENGTH_MAX} printable characters")
    return reference


def excess_of(used: Mapping[str, Fraction], held: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Return what was used above what was held, by the keys of limits, where there is any."""
    found = {key: amount - held.get(key, Fraction(0)) for key, amount in used.items()}
    return {key: amount for key, amount in found.items() if amount > 0}


def _check_same(before: bytes, now: bytes) -> None:
    if before and now and before != now:
        raise ReservationConflict


def _digest(text: str) -> UUID:
    return UUID(bytes=blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest())
