"""Rounds of reading: whoever is watched is read together with all others that moved, by one task for all of them.

What a watch costs between two changes is its memory: it has no task and no timer of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice, takewhile
from typing import Generic, NamedTuple, Protocol, TypeVar

import structlog

# Between two frames of one watch: at most five a second.
FRAME_GAP_S = 0.2
# After a round that was not full, for each watch in it and within bounds. A round costs as much as some tens of watches
# more in one: where little moves it is read soon, and where much does, what all rounds cost together stays small. Not
# longer: of a thousand customers who move each second, 99 of 100 changes are to be shown within 150 ms.
REST_OF_EACH_S, REST_MIN_S, REST_MAX_S = 0.0015, 0.02, 0.07
# Handing out gives way to everything else after so many, about every two milliseconds.
HANDED_AT_ONCE = 16

_log = structlog.get_logger()
K = TypeVar("K")
V = TypeVar("V")


def rest_after(watches: int) -> float:
    """Return how many seconds pass after a round of so many watches before the next begins."""
    return min(max(watches * REST_OF_EACH_S, REST_MIN_S), REST_MAX_S)


class Watcher(NamedTuple, Generic[V]):
    """Who is told: `see` is given what was read, None for nothing, and says whether that was news.

    `fail` is given why there will be no more: what the reading or `see` has raised. Both return at once.
    """

    see: Callable[[V | None], bool]
    fail: Callable[[Exception], None]


class Pace(Protocol):
    """How time passes for those who watch."""

    @property
    def reread_s(self) -> float:
        """After how many seconds everything is read again though nobody has heard that it moved."""

    def pause(self, seconds: float, /) -> Awaitable[None]:
        """Wait."""


class _Watch(Generic[K, V]):
    """A watcher and where it stands. A busy one is being read, or was shown news less than FRAME_GAP_S ago."""

    __slots__ = ("has_moved", "is_busy", "key", "watcher")

    def __init__(self, key: K, watcher: Watcher[V]) -> None:
        self.key, self.watcher = key, watcher
        self.is_busy = self.has_moved = False


class Rounds(Generic[K, V]):
    """Reads under keys that are watched, at most `most` watches at a time, one round after the other.

    A watch is read when it begins, when its key has moved, and `reread_s` after it was read last. The first move after
    a quiet while is read at once; those that come while a watch is busy are one. What was read is handed out while the
    next round is being read.
    """

    def __init__(self, read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], *, most: int, pace: Pace) -> None:
        """Read nothing yet. What `read` leaves out is None; what it raises ends the watches that were to be read."""
        self._read, self._most, self._pace = read, most, pace
        # When each watch was last taken into a round; the oldest first.
        self._taken_at: dict[_Watch[K, V], float] = {}
        self._due: dict[_Watch[K, V], None] = {}
        self._bell = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._resting: set[asyncio.Task[None]] = set()

    @contextmanager
    def watch(self, key: K, watcher: Watcher[V]) -> Iterator[Callable[[], None]]:
        """Watch a key while the block runs; yield what is to be called when it has moved."""
        watch = _Watch(key, watcher)
        self._taken_at[watch] = asyncio.get_running_loop().time()
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        self._moved(watch)
        try:
            yield partial(self._moved, watch)
        finally:
            self._forget(watch)
            if not self._taken_at:
                # The task looks, and ends: a reading that is under way is not broken off.
                self._bell.set()

    def _moved(self, watch: _Watch[K, V]) -> None:
        if watch.is_busy:
            watch.has_moved = True
        elif watch in self._taken_at:
            self._due[watch] = None
            self._bell.set()

    def _forget(self, watch: _Watch[K, V]) -> None:
        self._taken_at.pop(watch, None)
        self._due.pop(watch, None)

    async def _run(self) -> None:
        handing: asyncio.Task[None] | None = None
        try:
            while await self._is_due():
                batch = self._take()
                found = await self._found(batch)
                if handing is not None:
                    await handing
                handing = asyncio.create_task(self._hand_out(batch, found))
                if len(batch) < self._most:
                    await self._pace.pause(rest_after(len(batch)))
        except Exception as error:  # noqa: BLE001 -- whatever went wrong must reach everybody who watches
            _log.exception("rounds_crashed")
            for watch in list(self._taken_at):
                self._fail(watch, error)
        finally:
            self._running = None
            if handing is not None:
                handing.cancel()

    async def _is_due(self) -> bool:
        """Wait until there is something to read: news, or what was not read for long. False: nobody watches."""
        loop = asyncio.get_running_loop()
        while self._taken_at:
            self._bell.clear()
            now = loop.time()
            for watch in self._overdue(now):
                self._touch(watch, now)
                self._moved(watch)
            if self._due:
                return True
            oldest = next(iter(self._taken_at.values()))
            # Time moves as news do: a timeout would cost more, and may lose a cancel that comes together with news.
            timer = loop.call_at(oldest + self._pace.reread_s, self._bell.set)
            try:
                await self._bell.wait()
            finally:
                timer.cancel()
        return False

    def _overdue(self, now: float) -> list[_Watch[K, V]]:
        before = now - self._pace.reread_s
        return [watch for watch, _ in takewhile(lambda one: one[1] <= before, self._taken_at.items())]

    def _touch(self, watch: _Watch[K, V], now: float) -> None:
        del self._taken_at[watch]
        self._taken_at[watch] = now

    def _take(self) -> list[_Watch[K, V]]:
        """Take those that are due into a round: what moves from now on is for the next."""
        now = asyncio.get_running_loop().time()
        batch = list(islice(self._due, self._most))
        for watch in batch:
            del self._due[watch]
            self._touch(watch, now)
            watch.is_busy = True
        return batch

    async def _found(self, batch: Sequence[_Watch[K, V]]) -> Mapping[K, V] | Exception:
        try:
            return await self._read(list({watch.key: None for watch in batch}))
        except Exception as error:  # noqa: BLE001 -- it is told to those who watch
            return error

    async def _hand_out(self, batch: Sequence[_Watch[K, V]], found: Mapping[K, V] | Exception) -> None:
        shown = []
        for number, watch in enumerate(batch, 1):
            if self._hand(watch, found):
                shown.append(watch)
            else:
                self._free(watch)
            if number % HANDED_AT_ONCE == 0:
                await asyncio.sleep(0)
        resting = asyncio.create_task(self._rest(shown))
        self._resting.add(resting)
        resting.add_done_callback(self._resting.discard)

    def _hand(self, watch: _Watch[K, V], found: Mapping[K, V] | Exception) -> bool:
        if watch not in self._taken_at:
            return False
        if isinstance(found, Exception):
            return self._fail(watch, found)
        try:
            return watch.watcher.see(found.get(watch.key))
        except Exception as error:  # noqa: BLE001 -- it is told to whoever watches
            return self._fail(watch, error)

    def _fail(self, watch: _Watch[K, V], error: Exception) -> bool:
        self._forget(watch)
        watch.watcher.fail(error)
        return False

    async def _rest(self, shown: Sequence[_Watch[K, V]]) -> None:
        await self._pace.pause(FRAME_GAP_S)
        for watch in shown:
            self._free(watch)

    def _free(self, watch: _Watch[K, V]) -> None:
        watch.is_busy = False
        if watch.has_moved:
            watch.has_moved = False
            self._moved(watch)
