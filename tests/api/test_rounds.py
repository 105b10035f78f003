"""Who watches is read in rounds: together, once for what comes closely, and again after a while in any case."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import pytest

from api.rounds import FRAME_GAP_S, REST_MAX_S, REST_MIN_S, REST_OF_EACH_S, Rounds, Watcher, rest_after

LONG_S = 3_600.0


class Time:
    """Pauses that last until they are ended, by their length."""

    def __init__(self) -> None:
        self.reread_s = LONG_S
        self.fault: Exception | None = None
        self._waiting: list[tuple[float, asyncio.Event]] = []

    async def pause(self, seconds: float, /) -> None:
        """Wait until a pause of that length is ended."""
        if self.fault is not None:
            raise self.fault
        event = asyncio.Event()
        self._waiting.append((seconds, event))
        await event.wait()

    async def end(self, seconds: float) -> int:
        """End all pauses of a length, let happen what follows, and return how many there were."""
        ended = [event for length, event in self._waiting if length == seconds]
        self._waiting = [one for one in self._waiting if one[0] != seconds]
        for event in ended:
            event.set()
        await settle()
        return len(ended)


class Reads:
    """Readings of numbers that grow when they are told to; odd keys are not found. A shut gate keeps them waiting."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.values: dict[int, int] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.fault: Exception | None = None

    async def read(self, keys: Sequence[int]) -> dict[int, int]:
        """Return the values of even keys."""
        self.batches.append(list(keys))
        found = {key: self.values.get(key, 0) for key in keys if key % 2 == 0}
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return found


class Eyes:
    """A watcher that notes what is new to it, and why it ended."""

    def __init__(self) -> None:
        self.seen: list[int | None] = []
        self.failures: list[str] = []

    @property
    def watcher(self) -> Watcher[int]:
        """Itself, as it is told."""
        return Watcher(self._see, lambda error: self.failures.append(str(error)))

    def _see(self, found: int | None) -> bool:
        if found == 13:
            raise ValueError("not this one")
        is_new = not self.seen or self.seen[-1] != found
        if is_new:
            self.seen.append(found)
        return is_new


async def settle() -> None:
    """Let everything happen that waits for nothing."""
    for _ in range(100):
        await asyncio.sleep(0)


@pytest.fixture
def time() -> Time:
    """Make pauses that are ended by hand."""
    return Time()


@pytest.fixture
def reads() -> Reads:
    """Make readings."""
    return Reads()


def begin(stack: ExitStack, rounds: Rounds[int, int], key: int) -> tuple[Eyes, Callable[[], None]]:
    """Begin to watch a key."""
    eyes = Eyes()
    return eyes, stack.enter_context(rounds.watch(key, eyes.watcher))


def test_a_round_of_many_is_followed_by_a_longer_rest() -> None:
    assert (rest_after(1), rest_after(12)) == (REST_MIN_S, REST_MIN_S)
    assert rest_after(30) == 30 * REST_OF_EACH_S
    assert (rest_after(50), rest_after(249)) == (REST_MAX_S, REST_MAX_S)


async def test_as_many_as_one_round_reads_decide_how_long_the_next_one_waits(time: Time, reads: Reads) -> None:
    rounds = Rounds(reads.read, most=100, pace=time)
    with ExitStack() as stack:
        for key in range(2, 62, 2):
            begin(stack, rounds, key)
        await settle()
        late, _ = begin(stack, rounds, 2)
        await settle()
        assert await time.end(REST_MIN_S) == 0
        assert late.seen == []
        assert await time.end(rest_after(30)) == 1
        assert late.seen == [0]


async def test_those_that_come_together_are_read_together_at_most_so_many_at_a_time(time: Time, reads: Reads) -> None:
    rounds = Rounds(reads.read, most=3, pace=time)
    with ExitStack() as stack:
        eyes = [begin(stack, rounds, key)[0] for key in (2, 4, 5, 4, 6)]
        await settle()
        # A full round is followed by the next at once.
        assert reads.batches == [[2, 4, 5], [4, 6]]
        assert [each.seen for each in eyes] == [[0], [0], [None], [0], [0]]
        # Whoever comes now waits until the rounds are a little apart.
        late, _ = begin(stack, rounds, 8)
        await settle()
        assert late.seen == []
        assert await time.end(REST_MIN_S) == 1
        assert (late.seen, reads.batches[2:]) == ([0], [[8]])


async def test_moves_that_follow_closely_are_one_and_the_first_after_a_rest_is_read_at_once(
    time: Time, reads: Reads
) -> None:
    rounds = Rounds(reads.read, most=3, pace=time)
    with ExitStack() as stack:
        eyes, moved = begin(stack, rounds, 2)
        await settle()
        await time.end(REST_MIN_S)
        for value in (1, 2):
            reads.values[2] = value
            moved()
        await settle()
        # It was shown news just now, and rests.
        assert (eyes.seen, len(reads.batches)) == ([0], 1)
        await time.end(FRAME_GAP_S)
        assert (eyes.seen, len(reads.batches)) == ([0, 2], 2)
        await time.end(REST_MIN_S)
        await time.end(FRAME_GAP_S)
        # Nothing moved in that rest. What moves now waits for nothing.
        assert len(reads.batches) == 2
        reads.values[2] = 3
        moved()
        await settle()
        assert (eyes.seen, len(reads.batches)) == ([0, 2, 3], 3)


async def test_what_moves_while_it_is_read_is_read_again_and_no_news_are_no_rest(time: Time, reads: Reads) -> None:
    rounds = Rounds(reads.read, most=3, pace=time)
    with ExitStack() as stack:
        eyes, moved = begin(stack, rounds, 2)
        await settle()
        await time.end(REST_MIN_S)
        await time.end(FRAME_GAP_S)
        reads.gate.clear()
        moved()
        await settle()
        reads.values[2] = 1
        moved()
        reads.gate.set()
        await settle()
        # The reading under way saw the value before; as it was no news, the next one is not kept waiting.
        assert (eyes.seen, len(reads.batches)) == ([0], 2)
        await time.end(REST_MIN_S)
        assert (eyes.seen, len(reads.batches)) == ([0, 1], 3)


async def test_everything_is_read_again_after_a_while(time: Time, reads: Reads) -> None:
    time.reread_s = 0.05
    rounds = Rounds(reads.read, most=3, pace=time)
    with ExitStack() as stack:
        eyes = [begin(stack, rounds, key)[0] for key in (2, 4)]
        await settle()
        reads.values |= {2: 1, 4: 1}
        await time.end(REST_MIN_S)
        await time.end(FRAME_GAP_S)
        async with asyncio.timeout(5):
            while [each.seen for each in eyes] != [[0, 1], [0, 1]]:
                await asyncio.sleep(0.01)
                await time.end(REST_MIN_S)
        assert reads.batches[1] == [2, 4]


async def test_a_fault_ends_those_that_were_to_be_read_and_no_others(time: Time, reads: Reads) -> None:
    rounds = Rounds(reads.read, most=3, pace=time)
    with ExitStack() as stack:
        stays, moved = begin(stack, rounds, 2)
        await settle()
        await time.end(REST_MIN_S)
        await time.end(FRAME_GAP_S)
        reads.fault = ConnectionError("gone")
        ends, ended_moves = begin(stack, rounds, 4)
        await settle()
        assert (ends.seen, ends.failures) == ([], ["gone"])
        await time.end(REST_MIN_S)
        reads.fault = None
        # One that cannot be shown what was read ends as well.
        reads.values[6] = 13
        wrong, _ = begin(stack, rounds, 6)
        ended_moves()
        reads.values[2] = 1
        moved()
        await settle()
        assert (wrong.seen, wrong.failures) == ([], ["not this one"])
        assert (stays.seen, stays.failures) == ([0, 1], [])
        assert reads.batches[-1] == [6, 2]


async def test_who_leaves_while_it_is_read_is_told_nothing_and_with_the_last_one_the_reading_ends(
    time: Time, reads: Reads
) -> None:
    rounds = Rounds(reads.read, most=3, pace=time)
    reads.gate.clear()
    with ExitStack() as stack:
        eyes, moved = begin(stack, rounds, 2)
        await settle()
    reads.gate.set()
    await settle()
    await time.end(REST_MIN_S)
    moved()
    await settle()
    assert (eyes.seen, reads.batches) == ([], [[2]])
    assert rounds._running is None
    # It begins anew with whoever comes next.
    with ExitStack() as stack:
        again, _ = begin(stack, rounds, 2)
        await settle()
        assert again.seen == [0]
        reads.gate.clear()
    await time.end(REST_MIN_S)
    assert rounds._running is None


async def test_a_crash_ends_everybody_and_whoever_comes_next_begins_anew(time: Time, reads: Reads) -> None:
    rounds = Rounds(reads.read, most=3, pace=time)
    with ExitStack() as stack:
        time.fault = RuntimeError("no clock")
        eyes = [begin(stack, rounds, key)[0] for key in (2, 4)]
        await settle()
        assert [each.failures for each in eyes] == [["no clock"], ["no clock"]]
        time.fault = None
        again, _ = begin(stack, rounds, 2)
        await settle()
        assert (again.seen, again.failures) == ([0], [])
