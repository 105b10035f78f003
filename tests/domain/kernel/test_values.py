"""Dataclasses whose methods are made late are those of the standard library in every respect."""

import copy
import dataclasses
import pickle

import pytest

from domain.kernel.values import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """A value with a default and a field that is left out of comparisons."""

    x: int
    y: int = 2
    note: list[str] = dataclasses.field(default_factory=list, compare=False)


@dataclass(frozen=True, slots=True)
class Even:
    """A value with a rule."""

    number: int

    def __post_init__(self) -> None:
        """Refuse odd numbers."""
        if self.number % 2:
            raise ValueError(self.number)


@dataclass(frozen=True, slots=True)
class Keyed:
    """A value that says itself what it is equal to."""

    key: str
    rest: int

    def __eq__(self, other: object) -> bool:
        """Compare the keys."""
        return isinstance(other, Keyed) and other.key == self.key

    def __hash__(self) -> int:
        """Hash the key."""
        return hash(self.key)


@dataclass(slots=True)
class Counter:
    """A thing that changes."""

    count: int = 0


@dataclass(eq=False)
class Refused(Exception):
    """An error with facts."""

    name: str


@dataclass(frozen=True, slots=True)
class Far(Point):
    """A value that has another's fields before its own."""

    z: int = 3


def test_the_first_call_of_any_method_finds_it() -> None:
    @dataclass(frozen=True, slots=True)
    class Fresh:
        a: int

    first = object.__new__(Fresh)
    object.__setattr__(first, "a", 1)

    assert first == Fresh(1)
    assert repr(first).endswith("Fresh(a=1)")


def test_a_value_is_made_of_its_fields_in_order_or_by_name_and_with_its_defaults() -> None:
    assert repr(Point(1)) == "Point(x=1, y=2, note=[])"
    assert repr(Point(y=5, x=4, note=["n"])) == "Point(x=4, y=5, note=['n'])"
    assert repr(Far(1, z=9)) == "Far(x=1, y=2, note=[], z=9)"
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]


def test_values_are_equal_by_what_they_compare_and_hash_alike() -> None:
    assert Point(1) == Point(1, note=["other"])
    assert Point(1) != Point(2)
    assert Point(1) != Far(1)
    assert len({Point(1), Point(1, 2), Point(1, 3)}) == 2
    assert Keyed("a", 1) == Keyed("a", 2)
    assert len({Keyed("a", 1), Keyed("a", 2)}) == 1


def test_a_frozen_value_can_be_neither_changed_nor_extended() -> None:
    point = Point(1)

    for name in ("x", "other"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(point, name, 5)
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(point, name)
    assert point.x == 1
    assert not hasattr(point, "__dict__")


def test_a_rule_is_checked_when_a_value_is_made_and_when_it_is_changed() -> None:
    assert dataclasses.replace(Even(2), number=4) == Even(4)
    with pytest.raises(ValueError, match="3"):
        Even(3)
    with pytest.raises(ValueError, match="5"):
        dataclasses.replace(Even(2), number=5)


def test_what_is_not_frozen_changes_and_has_no_hash() -> None:
    counter = Counter()
    counter.count += 1

    assert counter == Counter(1)
    with pytest.raises(TypeError, match="unhashable"):
        hash(counter)


def test_an_error_is_equal_to_itself_alone_and_tells_its_facts() -> None:
    error = Refused("a")

    assert error != Refused("a")
    assert {error: 1}[error] == 1
    assert dataclasses.asdict(error) == {"name": "a"}
    assert repr(error) == "Refused(name='a')"


def test_values_can_be_taken_apart_copied_and_sent() -> None:
    point = Point(1, 2, ["n"])

    match point:
        case Point(x, y):
            assert (x, y) == (1, 2)
    assert dataclasses.astuple(point) == (1, 2, ["n"])
    assert copy.deepcopy(point) == point
    assert pickle.loads(pickle.dumps(point)).note == ["n"]  # noqa: S301 -- made in this line
