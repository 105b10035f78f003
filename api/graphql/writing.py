"""Writes plain objects as JSON, and anew only what is another value than the last time.

Each writer belongs to one feed and remembers what it wrote last: a value that is the very same is not written again.
So what moves seldom costs a comparison. What is remembered is bounded: the texts of the last frame's objects and lists,
each also in that of the one around it, but for objects of a few leaves, which are written as a whole. Values are taken
to stay as they are, and a writer that has failed is not used again.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from api.graphql.frames import Frame, Shape, framed, places_of
from domain.kernel.values import dataclass

# Writes a value as JSON.
Write = Callable[[Any], str]
# Reads what is shown of an object.
Read = Callable[[Any], Sequence[Any]]
NULL = "null"
# An object of so many leaves is written as a whole: to remember each would take more memory than it spares time.
WHOLE_MAX = 3
_NEVER = object()
_encoder = msgspec.json.Encoder()


def write_leaf(value: Any) -> str:
    """Write what is JSON already: a text, a number, a truth value, or what is made of them."""
    return _encoder.encode(value).decode()


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
    """The values of an object's fields, written: each behind its head."""

    __slots__ = ("_heads", "_read", "_seen", "_texts", "_writes")

    def __init__(self, fields: Fields, heads: tuple[str, ...]) -> None:
        self._heads, self._read = heads, fields.read
        self._writes = tuple([make() for make in fields.makes])
        self._seen: Sequence[Any] = (_NEVER,) * len(heads)
        self._texts = [""] * len(heads)

    def texts(self, value: Any) -> list[str]:
        values, seen, texts = self._read(value), self._seen, self._texts
        for place, now in enumerate(values):
            if now is not seen[place]:
                texts[place] = self._heads[place] + self._writes[place](now)
        self._seen = values
        return texts

    def write(self, value: Any) -> str:
        return NULL if value is None else "".join(self.texts(value)) + "}"


class _Items:
    """A list, written. What stands at the same place as the last time is taken for the same item."""

    __slots__ = ("_make", "_seen", "_texts", "_writes")

    def __init__(self, make: Make) -> None:
        self._make = make
        self._writes: list[Write] = []
        self._seen: Sequence[Any] = ()
        self._texts: list[str] = []

    def write(self, values: Sequence[Any] | None) -> str:
        if values is None:
            return NULL
        if len(values) != len(self._texts):
            self._resize(len(values))
        seen, texts = self._seen, self._texts
        for place, now in enumerate(values):
            if now is not seen[place]:
                texts[place] = self._writes[place](now)
        self._seen = tuple(values)
        return f"[{','.join(texts)}]"

    def _resize(self, count: int) -> None:
        more = count - len(self._texts)
        self._seen = (*self._seen[:count], *[_NEVER] * more)
        self._texts = [*self._texts[:count], *[""] * more]
        self._writes = [*self._writes[:count], *[self._make() for _ in range(more)]]


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

    __slots__ = ("_places", "_values")

    def __init__(self, shape: Shape, fields: Fields) -> None:
        self._places = places_of(shape, fields.names)
        self._values = _Values(fields, ("",) * len(fields.names))

    def frame(self, value: Any) -> Frame:
        """Write the next frame. It is what `frame_of` makes of the same value's execution."""
        return framed(self._places, self._values.texts(value))
