"""Look-ups that come together are read together."""

import asyncio
from collections.abc import Sequence

import pytest

from api.gathering import Gatherer


class Reads:
    """A reading that waits at a gate, and notes what it was asked for."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = asyncio.Event()
        self.gate = asyncio.Semaphore(0)
        self.fault: Exception | None = None

    async def read(self, keys: Sequence[int]) -> dict[int, str]:
        """Return a text for each even key."""
        self.batches.append(list(keys))
        self.begun.set()
        await self.gate.acquire()
        if self.fault is not None:
            raise self.fault
        return {key: f"{key} in reading {len(self.batches)}" for key in keys if key % 2 == 0}


async def test_what_is_asked_for_during_a_reading_makes_up_the_next_one() -> None:
    reads = Reads()
    gatherer = Gatherer(reads.read, most=3)
    first = [asyncio.create_task(gatherer.get(key)) for key in (2, 4, 2)]
    await reads.begun.wait()
    # 2 is being read: who asks now may know of something later than that reading saw.
    later = [asyncio.create_task(gatherer.get(key)) for key in (2, 6, 7, 8, 10)]
    await asyncio.sleep(0)
    reads.gate.release()
    assert await asyncio.gather(*first) == ["2 in reading 1", "4 in reading 1", "2 in reading 1"]
    reads.gate.release()
    reads.gate.release()
    # At most three at a time; 7 is not found.
    assert await asyncio.gather(*later) == [
        "2 in reading 2",
        "6 in reading 2",
        None,
        "8 in reading 3",
        "10 in reading 3",
    ]
    assert reads.batches == [[2, 4], [2, 6, 7], [8, 10]]


async def test_a_fault_reaches_all_who_asked_and_the_next_reading_begins_anew() -> None:
    reads = Reads()
    gatherer = Gatherer(reads.read, most=3)
    reads.fault = ConnectionError("gone")
    asked = [asyncio.create_task(gatherer.get(key)) for key in (2, 4)]
    reads.gate.release()
    assert [str(error) for error in await asyncio.gather(*asked, return_exceptions=True)] == ["gone", "gone"]
    reads.fault = None
    reads.gate.release()
    assert await gatherer.get(2) == "2 in reading 2"


async def test_who_stops_waiting_takes_nothing_from_the_others() -> None:
    reads = Reads()
    gatherer = Gatherer(reads.read, most=3)
    stays, leaves = (asyncio.create_task(gatherer.get(2)) for _ in range(2))
    await reads.begun.wait()
    leaves.cancel()
    await asyncio.sleep(0)
    reads.gate.release()
    assert await stays == "2 in reading 1"
    assert leaves.cancelled()


async def test_when_the_reading_is_ended_nobody_goes_on_waiting() -> None:
    reads = Reads()
    gatherer = Gatherer(reads.read, most=1)
    asked = [asyncio.create_task(gatherer.get(key)) for key in (2, 4)]
    await reads.begun.wait()
    assert gatherer._reading is not None
    gatherer._reading.cancel()
    for task in asked:
        with pytest.raises(asyncio.CancelledError):
            await task
