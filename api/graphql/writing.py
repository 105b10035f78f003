"""Writes plain objects as JSON, and anew only what is another value than the last time.

Each writer belongs to one feed and remembers what it wrote last: a value that is the very same is not written again.
So what moves seldom costs a comparison. What is remembered is bounded: the texts of the last frame's objects and lists,
each also in that of the one around it, but for objects of a few leaves, which are written as a whole. Values are taken
to stay as they are, and a writer that has failed is not used again.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from api.graphql.frames import FRAME_TAIL, Frame, Shape, places_of
from domain.kernel.values import dataclass

# Writes a value as JSON.
Write = Callable[[Any], str]
# Reads what is shown of an object.
Read = Callable[[Any], Sequence[Any]]
NULL, EMPTY = "null", "[]"
# An object of so many leaves is written as a whole: to remember each would take more memory than it spares time.
WHOLE_MAX = 3
# Texts that are not among the last so many are written again.
WORDS_KEPT_MAX = 4_096
_NEVER = object()
_encoder = msgspec.json.Encoder()


def write_leaf(value: Any) -> str:
    """Write what is JSON already: a text, a number, a truth value, or what is made of them."""
    return _encoder.encode(value).decode()


@lru_cache(maxsize=WORDS_KEPT_MAX)
def write_word(value: str | None) -> str:
    """Write a text that many objects have, such as a key or a name: each is the same text to all of them.

    So what is remembered of thousands of customers holds it once.
    """
    return write_leaf(value)


class Leaf(NamedTuple):
    """Makes what writes a value that is not remembered: it is the same for everybody."""

    write: Write

    def __call__(self) -> Write:
        """Return it."""
        return self.write


# Makes what writes one value after another, and remembers.
Make = Leaf | Callable[[], Write]


@dataclass(frozen=True, slots=True)
class Fields:
    """What is shown of an object: the names under which it is, how the values are read, and what writes each."""

    names: tuple[str, ...]
    read: Read
    makes: tuple[Make, ...]

    @property
    def heads(self) -> tuple[str, ...]:
        """What stands before each value."""
        return tuple(f"{',' if place else '{'}{write_leaf(name)}:" for place, name in enumerate(self.names))


class _Values:
    """The values of an object's fields, written: each behind its head, and all before a tail."""

    __slots__ = ("_pieces", "_read", "_seen", "_writes")

    def __init__(self, fields: Fields, heads: Sequence[str], tail: str = "}") -> None:
        self._read = fields.read
        self._writes = tuple([make() for make in fields.makes])
        self._seen: Sequence[Any] = (_NEVER,) * len(heads)
        self._pieces = [*[piece for head in heads for piece in (head, "")], tail]

    def pieces(self, value: Any) -> Sequence[str]:
        """Write what is another value, and return heads and values in turn, and the tail."""
        values, seen, pieces = self._read(value), self._seen, self._pieces
        for place, now in enumerate(values):
            if now is not seen[place]:
                pieces[2 * place + 1] = self._writes[place](now)
        self._seen = values
        return pieces

    def write(self, value: Any) -> str:
        return NULL if value is None else "".join(self.pieces(value))


class _Items:
    """A list, written. What stands at the same place as the last time is taken for the same item."""

    __slots__ = ("_make", "_pieces", "_seen", "_writes")

    def __init__(self, make: Make) -> None:
        self._make = make
        self._writes: list[Write] = []
        self._seen: Sequence[Any] = ()
        # Items, each behind what separates it from the one before, and the end.
        self._pieces = ["]"]

    def write(self, values: Sequence[Any] | None) -> str:
        if not values:
            return NULL if values is None else EMPTY
        if len(values) != len(self._writes):
            self._resize(len(values))
        seen, pieces = self._seen, self._pieces
        for place, now in enumerate(values):
            if now is not seen[place]:
                pieces[2 * place + 1] = self._writes[place](now)
        self._seen = values
        return "".join(pieces)

    def _resize(self, count: int) -> None:
        known = min(count, len(self._writes))
        self._writes = [*self._writes[:known], *[self._make() for _ in range(count - known)]]
        self._seen = [*self._seen[:known], *[_NEVER] * (count - known)]
        more = [piece for place in range(known, count) for piece in ("," if place else "[", "")]
        self._pieces = [*self._pieces[: 2 * known], *more, "]"]


def objects(fields: Fields) -> Make:
    """Return what makes a writer of objects with these fields, or null."""
    heads = fields.heads
    writes = [make.write for make in fields.makes if isinstance(make, Leaf)]
    if len(writes) < len(heads) or len(writes) > WHOLE_MAX:
        return lambda: _Values(fields, heads).write
    return Leaf(_flat(fields.read, list(zip(heads, writes, strict=True))))


def _flat(read: Read, parts: Sequence[tuple[str, Write]]) -> Write:
    def write(value: Any) -> str:
        if value is None:
            return NULL
        text = ""
        for (head, write_one), now in zip(parts, read(value), strict=True):
            text += head + write_one(now)
        return text + "}"

    return write


def lists(make: Make) -> Make:
    """Return what makes a writer of lists of what another one writes, or null."""
    return lambda: _Items(make).write


class FrameWriter:
    """Writes the frames of one feed."""

    __slots__ = ("_own", "_values")

    def __init__(self, shape: Shape, fields: Fields) -> None:
        places = places_of(shape, fields.names)
        self._values, self._own = _Values(fields, places.heads, FRAME_TAIL), places.own

    def frame(self, value: Any) -> Frame:
        """Write the next frame. It is what `frame_of` makes of the same value's execution."""
        return Frame(tuple(self._values.pieces(value)), self._own)
