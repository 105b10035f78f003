"""Reading a body: what was held is given back, however the reading ends."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from api.intake import BodyTooSlow, Inflow, body_of
from domain.usage.verdict import UsageBusy


def _request(receive: Callable[[], Coroutine[Any, Any, Any]]) -> Request:
    return Request({"type": "http", "method": "POST", "path": "/v1/events", "headers": []}, receive)


async def test_a_sender_that_stops_in_the_middle_loses_its_room() -> None:
    parts = iter([{"type": "http.request", "body": b"[1", "more_body": True}])

    async def receive() -> Any:
        found = next(parts, None)
        return found or await asyncio.Event().wait()

    inflow = Inflow()
    with pytest.raises(BodyTooSlow):
        async with body_of(_request(receive), inflow, timeout_s=0.01):
            raise AssertionError("there is no whole body")
    assert inflow.held == 0


async def test_a_sender_that_hangs_up_leaves_nothing_behind() -> None:
    parts = iter([{"type": "http.request", "body": b"[1", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(parts)

    inflow = Inflow()
    with pytest.raises(ClientDisconnect):
        async with body_of(_request(receive), inflow):
            raise AssertionError("there is no whole body")
    assert inflow.held == 0


async def test_many_small_parts_are_counted_together() -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"x" * 10, "more_body": True}

    inflow = Inflow(bytes_max=95)
    with pytest.raises(UsageBusy):
        async with body_of(_request(receive), inflow):
            raise AssertionError("there is no room for it")
    assert inflow.held == 0


async def test_a_body_is_held_while_it_is_worked_on() -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"[1]", "more_body": False}

    inflow = Inflow()
    async with body_of(_request(receive), inflow) as body:
        assert body == b"[1]"
        assert inflow.held == 3
    assert inflow.held == 0
