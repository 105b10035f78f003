"""Dataclasses whose methods are made when the first of them is needed.

For each dataclass the standard library compiles the text of up to six functions as the module is loaded. That is half
a millisecond for each of hundreds of classes, a third of the start of a process, and a process never uses most of them.
Here a class has its fields and its slots at once. Its methods are the standard library's own as well, and are put in
place by the first call of any of them.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(field_specifiers=(dataclasses.field, dataclasses.Field))
def dataclass(*, eq: bool = True, frozen: bool = False, slots: bool = False) -> Callable[[type[_T]], type[_T]]:
    """Make a class a dataclass. The options mean what they mean to `dataclasses.dataclass`."""

    def decorate(cls: type[_T]) -> type[_T]:
        own = {name for name, value in vars(cls).items() if value is not None}
        made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
        if eq and not frozen and "__hash__" not in own:
            made.__hash__ = None
        if frozen:
            made.__setattr__, made.__delattr__ = _refuse_to_set, _refuse_to_delete
        late = [name for name in _methods(eq=eq, frozen=frozen, slots=slots) if name not in own]

        def complete() -> None:
            twin = _twin(made, eq=eq, frozen=frozen, slots=slots)
            for name in late:
                setattr(made, name, getattr(twin, name))

        for name in late:
            setattr(made, name, _late(made, name, complete))
        return made  # type: ignore[no-any-return]

    return decorate


def _methods(*, eq: bool, frozen: bool, slots: bool) -> Iterator[str]:
    """Name what the standard library would make."""
    yield from ("__init__", "__repr__")
    if eq:
        yield "__eq__"
    if eq and frozen:
        yield "__hash__"
    if frozen and slots:
        yield from ("__getstate__", "__setstate__")


def _twin(cls: Any, *, eq: bool, frozen: bool, slots: bool) -> Any:
    """Let the standard library make a class with the same fields; none of the methods asks whose it is."""
    after = {"__post_init__": cls.__post_init__} if hasattr(cls, "__post_init__") else {}
    fields = [(each.name, Any, _copied(each)) for each in dataclasses.fields(cls)]
    return dataclasses.make_dataclass(cls.__name__, fields, namespace=after, eq=eq, frozen=frozen, slots=slots)


def _copied(field: Any) -> Any:
    """Copy what a field says of itself: to make a class is to change its fields."""
    names = ("default", "default_factory", "init", "repr", "hash", "compare")
    return dataclasses.field(**{name: getattr(field, name) for name in names})


def _late(cls: Any, name: str, complete: Callable[[], None]) -> Callable[..., Any]:
    def method(self: Any, *given: Any, **named: Any) -> Any:
        complete()
        return getattr(cls, name)(self, *given, **named)

    return method


def _refuse_to_set(_: object, name: str, __: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_: object, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
