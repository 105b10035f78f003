"""Look-ups that come at about the same time are answered by one reading: what many watch is not read one by one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Gatherer(Generic[K, V]):
    """Reads by keys, at most `most` at a time and one reading after the other.

    A look-up that finds no reading under way begins one at once, and those that come meanwhile make up the next. A key
    that is asked for while it is being read is read again, so an answer is never older than its question.
    """

    def __init__(self, read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], *, most: int) -> None:
        """Read nothing yet. What `read` leaves out is answered with None; what it raises reaches all who asked."""
        self._read = read
        self._most = most
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """Return what is read under a key, or None. Raises what the reading raises."""
        answer: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(answer)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_all())
        return await answer

    async def _read_all(self) -> None:
        try:
            while self._waiting:
                batch = {key: self._waiting.pop(key) for key in list(islice(self._waiting, self._most))}
                await self._answer(batch)
        finally:
            self._reading = None
            self._let_go()

    async def _answer(self, batch: Mapping[K, Sequence[asyncio.Future[V | None]]]) -> None:
        # Whoever was cancelled meanwhile waits no more.
        waiting = [(key, answer) for key, answers in batch.items() for answer in answers]
        try:
            found = await self._read(list(batch))
        except Exception as error:  # noqa: BLE001 -- it is raised where it was asked for
            for _, answer in waiting:
                if not answer.done():
                    answer.set_exception(error)
        else:
            for key, answer in waiting:
                if not answer.done():
                    answer.set_result(found.get(key))
        finally:
            for _, answer in waiting:
                answer.cancel()

    def _let_go(self) -> None:
        """Leave nobody waiting for a reading that will not come: the process ends."""
        for answers in self._waiting.values():
            for answer in answers:
                answer.cancel()
        self._waiting.clear()
