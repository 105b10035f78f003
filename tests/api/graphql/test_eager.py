"""Coroutines that are begun without a task."""

import asyncio

import pytest

from api.graphql.eager import Rest, begin


class Pipe:
    """Takes what fits at once, and the rest when it is told that there is room."""

    def __init__(self) -> None:
        self.room = asyncio.Event()
        self.taken: list[str] = []

    async def write(self, text: str) -> None:
        """Write, after waiting for room; nothing is written for who is cancelled meanwhile."""
        await self.room.wait()
        await asyncio.sleep(0)
        self.taken.append(text)


async def _at_once(into: list[str]) -> None:
    into.append("written")


async def _fails() -> None:
    raise ConnectionResetError


async def test_what_waits_for_nothing_is_done_when_it_was_begun() -> None:
    taken: list[str] = []
    assert begin(_at_once(taken)) is None
    assert taken == ["written"]


async def test_the_rest_goes_on_where_the_coroutine_waits() -> None:
    pipe = Pipe()
    rest = begin(pipe.write("a"))
    assert isinstance(rest, Rest)
    going_on = asyncio.create_task(_await(rest))
    await asyncio.sleep(0)
    assert pipe.taken == []
    pipe.room.set()
    await going_on
    assert pipe.taken == ["a"]


async def test_a_cancel_of_who_awaits_the_rest_reaches_the_coroutine() -> None:
    pipe = Pipe()
    rest = begin(pipe.write("a"))
    assert rest is not None
    going_on = asyncio.create_task(_await(rest))
    await asyncio.sleep(0)
    going_on.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going_on
    pipe.room.set()
    await asyncio.sleep(0)
    assert pipe.taken == []


async def test_what_the_beginning_raises_is_raised_to_who_awaits_the_rest() -> None:
    rest = begin(_fails())
    assert rest is not None
    with pytest.raises(ConnectionResetError):
        await rest


async def _await(rest: Rest) -> None:
    await rest
