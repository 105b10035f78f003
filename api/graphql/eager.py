"""Begin a coroutine without a task: most writes to a socket end before they wait for anything, and a task costs more.

What does wait is carried on by a task that awaits the rest of it.
"""

from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Rest:
    """What is left of a coroutine that was begun. Awaited once, it goes on where the coroutine waits."""

    __slots__ = ("_begun", "_failure", "_waits_for")

    def __init__(self, begun: Coroutine[Any, Any, None], waits_for: Any, failure: Exception | None = None) -> None:
        self._begun = begun
        self._waits_for = waits_for
        self._failure = failure

    def __await__(self) -> Generator[Any, Any, None]:
        """Go on, or raise what the beginning raised. Whatever is thrown in, a cancel too, reaches the coroutine."""
        if self._failure is not None:
            raise self._failure
        while True:
            try:
                sent = yield self._waits_for
            except BaseException as error:  # noqa: BLE001 -- it is the coroutine's to handle
                step: Callable[..., Any] = _throw
                given: Any = error
            else:
                step, given = _send, sent
            try:
                self._waits_for = step(self._begun, given)
            except StopIteration:
                return


def _throw(into: Coroutine[Any, Any, None], error: BaseException) -> Any:
    return into.throw(error)


def _send(into: Coroutine[Any, Any, None], sent: Any) -> Any:
    return into.send(sent)


def begin(coroutine: Coroutine[Any, Any, None]) -> Rest | None:
    """Run a coroutine until it waits. None: it has ended. What it raises is raised to whoever awaits the rest."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return None
    except Exception as error:  # noqa: BLE001 -- it is for whoever the coroutine belongs to
        return Rest(coroutine, None, error)
    return Rest(coroutine, waits_for)
