"""The envelope of a usage event: what is accepted, how it is identified, and when it is too old or too early.

Identity is (customer, source, id). The payload digest covers everything else that was sent, in a canonical form: the
order of properties does not matter, 1.50 and 1.5 are the same number, and two ways to write an instant are the same.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import MAX_PREC, Context, Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from domain.plans.meter_definition import VOID
from domain.usage.verdict import Reason, Verdict, rejected

BATCH_MAX = 1_000
PROPERTIES_MAX = 32
ID_LENGTH_MAX = 255
TYPE_LENGTH_MAX = 100
NAME_LENGTH_MAX = 64
TEXT_LENGTH_MAX = 1_000
WHOLE_DIGITS_MAX = 20
FRACTION_DIGITS_MAX = 18
# Twelve bits of an id say which place an event had among those written together: a flush has no more.
POSITIONS = 4_096
WINDOW_BACK = timedelta(days=35)
WINDOW_AHEAD = timedelta(minutes=5)

# Digests of events are added up modulo 2^256.
DIGEST_MODULUS = 1 << 256

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECONDS_DIGITS_MAX = 12
# Ways to name properties that are remembered; they come from outside.
_NAMES_MAX = 256
# Instants at which requests came in, each of which all its events share.
_MOMENTS_MAX = 1_024
_WHOLE_BOUND = 10**WHOLE_DIGITS_MAX
_UNROUNDED = Context(prec=MAX_PREC)
_CANONICAL = msgspec.json.Encoder(order="sorted", decimal_format="number")
_ESCAPED_NUL = b"\\u0000"

Scalar = str | int | Decimal | bool | None


class UsageEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An event as it was sent. Decode it with `float_hook=Decimal`: a float is refused, its digits are lost.

    `corrects` is the id of an earlier event of the same source: it is voided by an event of the type void, and replaced
    by one of any other type.
    """

    id: str
    type: str
    customer: str
    subscription: str | None = None
    occurred_at: Any = None
    properties: dict[str, Any] = {}
    corrects: str | None = None


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A well-formed event. `occurred_at` None means: when it is received. `canonical` is the JSON of its properties."""

    event: UsageEvent
    occurred_at: datetime | None
    properties: Mapping[str, Scalar]
    canonical: bytes
    payload_digest: bytes


def read_event(event: UsageEvent) -> Envelope | Verdict:
    """Check an event and give it its payload digest; answers `rejected` where it is not well formed."""
    fault = _fault_of_head(event)
    if fault is not None:
        return fault
    occurred_at = None
    if event.occurred_at is not None:
        occurred_at = read_instant(event.occurred_at)
        if occurred_at is None:
            return rejected(Reason.TIMESTAMP_UNREADABLE)
    properties = _read_properties(event.properties)
    if isinstance(properties, Verdict):
        return properties
    canonical = _encode(properties)
    if canonical is None:
        return rejected(Reason.TEXT_MALFORMED, "properties")
    return Envelope(event, occurred_at, properties, canonical, _payload_digest(event, occurred_at, canonical))


def read_properties(sent: Mapping[str, Any]) -> tuple[Mapping[str, Scalar], bytes] | None:
    """Return properties in their plain form, and as canonical JSON; None where `read_event` would refuse them."""
    properties = _read_properties(sent)
    if isinstance(properties, Verdict):
        return None
    canonical = _encode(properties)
    return None if canonical is None else (properties, canonical)


def _fault_of_head(event: UsageEvent) -> Verdict | None:
    plain = f"{event.id}{event.type}{event.customer}"
    if plain.isascii() and "\0" not in plain and event.subscription is None and event.corrects is None:
        # One look at all of them is enough where nothing is out of the ordinary.
        lengths = len(event.id) <= ID_LENGTH_MAX and len(event.type) <= TYPE_LENGTH_MAX
        if lengths and event.id and event.type and 0 < len(event.customer) <= ID_LENGTH_MAX and event.type != VOID:
            return None
    if not (_is_text(event.id, ID_LENGTH_MAX) and _is_text(event.type, TYPE_LENGTH_MAX)):
        return rejected(Reason.TEXT_MALFORMED, "id or type")
    if not _is_text(event.customer, ID_LENGTH_MAX):
        return rejected(Reason.CUSTOMER_MALFORMED)
    if event.subscription is not None and not _is_text(event.subscription, ID_LENGTH_MAX):
        return rejected(Reason.SUBSCRIPTION_MALFORMED)
    if event.corrects is None:
        return rejected(Reason.CORRECTS_MALFORMED) if event.type == VOID else None
    return None if _is_text(event.corrects, ID_LENGTH_MAX) else rejected(Reason.CORRECTS_MALFORMED)


def read_instant(value: object) -> datetime | None:
    """Read ISO 8601 with a zone, or seconds since 1970 as an exact number; None where it is neither.

    Digits beyond the microsecond are cut off.
    """
    try:
        if isinstance(value, str):
            instant = datetime.fromisoformat(value)
            return instant.astimezone(UTC) if instant.tzinfo is not None else None
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            return _from_seconds(Decimal(value))
    except (ValueError, OverflowError):
        return None
    return None


def _from_seconds(seconds: Decimal) -> datetime | None:
    if not seconds.is_finite() or seconds.adjusted() >= _SECONDS_DIGITS_MAX:
        return None
    whole = seconds.scaleb(6, _UNROUNDED).to_integral_value("ROUND_FLOOR", _UNROUNDED)
    return _EPOCH + timedelta(microseconds=int(whole))


def in_window(occurred_at: datetime, now: datetime) -> bool:
    """Whether an instant lies 35 days back to 5 minutes ahead of business time; both ends belong to it."""
    return now - WINDOW_BACK <= occurred_at <= now + WINDOW_AHEAD


def identity_of(customer: str, source: str, event_id: str) -> bytes:
    """Digest an event's identity to 16 bytes. None of the three holds a NUL."""
    return blake2b(f"{customer}\0{source}\0{event_id}".encode(), digest_size=16).digest()


def row_id(received_at: datetime, identity: bytes, position: int = 0) -> bytes:
    """Make the uuidv7 of an event's row: the time it came in, its position among those written with it, its identity.

    Ids are in the order of arrival: of two events of one millisecond, up to POSITIONS of which are told apart, the one
    that was sent first has the lower one. No randomness is needed.
    """
    place = (0x7000 | position % POSITIONS).to_bytes(2, "big")
    return _milliseconds(received_at) + place + bytes((0x80 | identity[0] & 0x3F,)) + identity[1:8]


def row_ids_between(received_at: datetime) -> tuple[bytes, bytes]:
    """Return the lowest and the highest id that the row of an event of this millisecond can have."""
    head = _milliseconds(received_at)
    return head + bytes(10), head + bytes((255,)) * 10


@lru_cache(maxsize=_MOMENTS_MAX)
def _milliseconds(at: datetime) -> bytes:
    return ((at - _EPOCH) // timedelta(milliseconds=1)).to_bytes(6, "big")


def event_digest(identity: bytes, occurred_at: datetime, canonical: bytes, cost: Decimal | None) -> int:
    """Digest what was counted to a 256-bit number; `canonical` is the JSON of the properties that were kept.

    The digests of an hour's events are added modulo 2^256, so their order does not matter.
    """
    micros = (occurred_at - _EPOCH) // _MICROSECOND
    price = "" if cost is None else format(cost.normalize(_UNROUNDED), "f")
    whole = b"%b%d\0%b\0%b" % (identity, micros, price.encode(), canonical)
    return int.from_bytes(blake2b(whole, digest_size=32).digest(), "big")


def micros(at: datetime) -> bytes:
    """Write an instant as microseconds since 1970, in 8 bytes that sort as it does."""
    return ((at - _EPOCH) // _MICROSECOND).to_bytes(8, "big")


def instant_of(written: bytes) -> datetime:
    """Read an instant back from its 8 bytes."""
    return _EPOCH + int.from_bytes(written, "big") * _MICROSECOND


def canonical_json(properties: Mapping[str, Scalar]) -> bytes:
    """Write properties in the one form that is digested and stored: sorted names, numbers without needless digits."""
    return _CANONICAL.encode(properties)


def _is_text(text: str, length_max: int) -> bool:
    """Whether a text is there, fits, and can be stored. Lone surrogates cannot be encoded."""
    if not 0 < len(text) <= length_max or "\0" in text:
        return False
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _read_properties(sent: Mapping[str, Any]) -> Mapping[str, Scalar] | Verdict:
    """Check names and values. What came in its plain form is returned as it is."""
    if len(sent) > PROPERTIES_MAX:
        return rejected(Reason.TOO_MANY_PROPERTIES)
    if len("".join(sent)) > PROPERTIES_MAX * NAME_LENGTH_MAX or not _names_fit(tuple(sent)):
        return rejected(Reason.TEXT_MALFORMED, "the name of a property")
    for value in sent.values():
        kind = type(value)
        if kind is str and len(value) <= TEXT_LENGTH_MAX:
            continue
        if kind is not int or not -_WHOLE_BOUND < value < _WHOLE_BOUND:
            return _read_values(sent)
    return sent


@lru_cache(maxsize=_NAMES_MAX)
def _names_fit(names: tuple[str, ...]) -> bool:
    return all(0 < len(name) <= NAME_LENGTH_MAX for name in names)


def _read_values(sent: Mapping[str, Any]) -> Mapping[str, Scalar] | Verdict:
    """Bring each value into its plain form."""
    plain: dict[str, Scalar] = {}
    for name, value in sent.items():
        read = _read_value(value)
        if isinstance(read, Verdict):
            return read
        plain[name] = read
    return plain


def _read_value(value: object) -> Scalar | Verdict:
    if isinstance(value, str):
        return value if len(value) <= TEXT_LENGTH_MAX else rejected(Reason.TEXT_MALFORMED, "properties")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, Decimal)):
        number = read_number(value)
        return number if number is not None else rejected(Reason.NUMBER_OUT_OF_RANGE)
    return rejected(Reason.PROPERTY_NOT_SCALAR)


def read_number(value: int | Decimal) -> int | Decimal | None:
    """Return a number in its plain form, a whole one as int; None where it does not fit into 20.18 digits."""
    if type(value) is int:
        return value if -_WHOLE_BOUND < value < _WHOLE_BOUND else None
    assert isinstance(value, Decimal), "a number is an int or a Decimal"
    if not value.is_finite() or value.adjusted() >= WHOLE_DIGITS_MAX:
        return None
    if not value:
        return 0
    plain = value.normalize(_UNROUNDED)
    exponent = plain.as_tuple().exponent
    assert isinstance(exponent, int), "finite"
    if exponent >= 0:
        return int(plain)
    return plain if -exponent <= FRACTION_DIGITS_MAX else None


def _encode(properties: Mapping[str, Scalar]) -> bytes | None:
    """Write properties canonically; None where a text holds a NUL or half a surrogate pair."""
    try:
        canonical = canonical_json(properties)
    except UnicodeEncodeError:
        return None
    if _ESCAPED_NUL in canonical and any(
        "\0" in name or (isinstance(value, str) and "\0" in value) for name, value in properties.items()
    ):
        return None
    return canonical


def _payload_digest(event: UsageEvent, occurred_at: datetime | None, canonical: bytes) -> bytes:
    if occurred_at is None and event.subscription is None and event.corrects is None:
        head = f"{event.type}\0\0\0".encode()
    else:
        moment = "" if occurred_at is None else str((occurred_at - _EPOCH) // _MICROSECOND)
        target = f"{event.corrects}\0" if event.corrects is not None else ""
        head = f"{event.type}\0{event.subscription or ''}\0{moment}\0{target}".encode()
    return blake2b(head + canonical, digest_size=16).digest()
