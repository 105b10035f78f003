"""What is written anew only where it moved is, to the letter, what an execution of the same document answers."""

import json
from datetime import UTC
from decimal import Decimal
from typing import Any

import msgspec
import strawberry
from graphql import parse
from hypothesis import given, settings
from hypothesis import strategies as st

from api.graphql.fields import computed
from api.graphql.frames import Shape, fragments_of, frame_of, shape_of
from api.graphql.picking import fields_of
from api.graphql.scalars import CONFIG, BigInt, Json
from api.graphql.writing import FrameWriter
from tests.api.graphql.palette import Colour, Part

TEXT = """subscription { mine: seen { sequence since
    again: whole { name }
    whole { __typename total doubled extra best { amount at } parts { ...P } words rows { of } }
    n: sequence } }
    fragment P on Part { __typename amount state at }"""


@strawberry.type
class Row:
    """Numbers in a row."""

    of: list[int | None] | None


@strawberry.type
class Whole:
    """A whole."""

    total: BigInt
    name: str
    extra: Json
    words: list[str]
    rows: list[Row | None]
    parts: list[Part]
    best: Part | None

    @computed("Twice the name.")
    def doubled(self) -> str:
        """Write it twice."""
        return self.name * 2


@strawberry.type
class Seen:
    """A frame."""

    sequence: int
    since: BigInt | None
    whole: Whole


@strawberry.type
class Query:
    """The root."""

    seen: Seen


@strawberry.type
class Live:
    """The same, to be watched."""

    seen: Seen


SCHEMA = strawberry.Schema(Query, subscription=Live, config=CONFIG)


def _shape() -> Shape:
    found = shape_of(parse(TEXT), None)
    assert found is not None
    return found


SHAPE = _shape()


def writer() -> FrameWriter:
    """Make what writes frames of the document."""
    core: Any = SCHEMA._schema
    kind = core.subscription_type.fields["seen"].type
    fields = fields_of(kind, SHAPE.node.selection_set, fragments_of(parse(TEXT)))
    assert fields is not None
    return FrameWriter(SHAPE, fields)


WORDS = st.text(st.characters(codec="utf-8"), max_size=5)
PARTS = st.builds(
    Part,
    amount=st.decimals(allow_nan=False, allow_infinity=False, places=7),
    state=st.sampled_from(Colour),
    at=st.none() | st.datetimes(timezones=st.just(UTC)),
)
ROWS = st.builds(Row, of=st.none() | st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=3))
EXTRAS = st.dictionaries(WORDS, st.none() | st.booleans() | st.integers() | WORDS, max_size=2)


@st.composite
def wholes(draw: st.DrawFn) -> list[Whole]:
    """Draw wholes of which each shares some of its values with others, the very same ones."""
    parts, rows = (
        draw(st.lists(PARTS, min_size=1, max_size=4)),
        draw(st.lists(st.none() | ROWS, min_size=1, max_size=3)),
    )
    lists = draw(st.lists(st.lists(st.sampled_from(parts), max_size=4), min_size=1, max_size=2))
    names, extras = draw(st.lists(WORDS, min_size=1, max_size=2)), draw(st.lists(EXTRAS, min_size=1, max_size=2))
    whole = st.builds(
        Whole,
        total=st.integers(0, 2**63 - 1).map(BigInt),
        name=st.sampled_from(names),
        extra=st.sampled_from(extras),
        words=st.lists(st.sampled_from(names), max_size=3),
        rows=st.lists(st.sampled_from(rows), max_size=3),
        parts=st.sampled_from(lists) | st.lists(st.sampled_from(parts), max_size=4),
        best=st.none() | st.sampled_from(parts),
    )
    several = draw(st.lists(whole, min_size=1, max_size=2))
    return draw(st.lists(st.sampled_from(several) | whole, min_size=2, max_size=5))


@settings(max_examples=60, deadline=None)
@given(shown=wholes())
def test_frame_after_frame_is_written_as_an_execution_answers_it(shown: list[Whole]) -> None:
    frames = writer()
    for number, whole in enumerate(shown, 1):
        seen = Seen(sequence=number, since=None if number == 1 else BigInt(number), whole=whole)
        executed = SCHEMA.execute_sync(TEXT.replace("subscription", "query"), root_value=Query(seen=seen))
        assert executed.errors is None
        expected = frame_of(executed.data, None, SHAPE)
        written = frames.frame(seen)
        assert (list(written.pieces), written.own) == (expected.pieces, expected.own)
        for as_snapshot in (False, True):
            message = written.encoded(b'"a"', 7, as_snapshot=as_snapshot)
            assert message == expected.encoded(b'"a"', 7, as_snapshot=as_snapshot)
            since = None if as_snapshot or number == 1 else number
            own = {"sequence": 7, "since": since, "n": 7}
            payload = {"data": {"mine": {**msgspec.json.decode(msgspec.json.encode(executed.data))["mine"], **own}}}
            assert json.loads(message) == {"id": "a", "type": "next", "payload": payload}


class Counted:
    """A value of which it is counted how often it was looked at."""

    def __init__(self) -> None:
        self.looks = 0

    def __getattr__(self, name: str) -> Any:
        """Count a look at a part of it."""
        self.looks += 1
        return {"amount": Decimal(1), "state": Colour.RED, "at": None}[name]


def test_what_is_the_very_same_is_not_looked_at_again_wherever_it_stands() -> None:
    frames, one, other = writer(), Counted(), Counted()
    whole: dict[str, Any] = {"total": BigInt(1), "name": "a", "extra": {}, "words": [], "rows": [], "best": None}

    def looks(*parts: Counted) -> tuple[int, int]:
        before = one.looks, other.looks
        frames.frame(Seen(sequence=1, since=None, whole=Whole(**whole, parts=list(parts))))  # type: ignore[arg-type]
        return one.looks - before[0], other.looks - before[1]

    # A part has three fields.
    assert looks(one, other) == (3, 3)
    assert looks(one, other) == (0, 0)
    # In another place it is another item, for the position is what tells items apart; so is one that comes back.
    assert looks(other) == (0, 3)
    assert looks(other, other) == (0, 3)
    assert looks(one, other) == (3, 0)
