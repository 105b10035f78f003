"""What the meter does when Tollgate refuses, does not answer, or somebody else answers in its place."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.tollgate_meter.tollbooth import Tollbooth
from tollgate_meter import BlockingTollsClient, TollsClient
from tollgate_meter.reading import Certainty
from tollgate_meter.tolls import CallRefused, Hold, TollsMisconfigured, TollsUnavailable

PROPERTIES = {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 10, "output_tokens": 5}


async def test_a_lost_answer_is_asked_for_again_and_settles_the_same_hold(tollbooth: Tollbooth) -> None:
    async with tollbooth.client() as tolls:
        hold = await tolls.reserve("cus_1", PROPERTIES)
        tollbooth.lost_answers = 3
        tolls.settle(hold, Certainty.MEASURED, PROPERTIES)
    assert hold == Hold(tollbooth.reserved[0]["id"], "cus_1", is_enforced=True, reservation="rsv_1")
    assert tollbooth.settled == [{"status": "measured", "properties": PROPERTIES, "reference": hold.id}]
    # One reservation, three lost settles and the one that was heard.
    assert tollbooth.asked == 5


async def test_somebody_else_who_answers_in_tollgates_place_lets_no_call_pass(tollbooth: Tollbooth) -> None:
    # As what stands before it does while no way leads to it, and any server at a wrong address.
    tollbooth.mode = "elsewhere"
    async with tollbooth.client() as tolls:
        with pytest.raises(TollsUnavailable, match="status 404"):
            await tolls.reserve("cus_1", PROPERTIES)


async def test_a_call_is_recorded_although_no_way_led_to_tollgate_for_a_while(tollbooth: Tollbooth) -> None:
    async with tollbooth.client() as tolls:
        hold = await tolls.reserve("cus_1", PROPERTIES)
        tollbooth.astray = 3
        tolls.settle(hold, Certainty.MEASURED, PROPERTIES)
    assert tollbooth.settled == [{"status": "measured", "properties": PROPERTIES, "reference": hold.id}]
    assert (tollbooth.asked, tollbooth.events) == (5, [])


@pytest.mark.parametrize("has_begun", [False, True])
async def test_a_call_whose_recording_is_cut_off_is_left_in_the_log(
    tollbooth: Tollbooth, caplog: pytest.LogCaptureFixture, *, has_begun: bool
) -> None:
    tolls = tollbooth.client()
    hold = await tolls.reserve("cus_1", PROPERTIES)
    tollbooth.mode = "down"
    tolls.settle(hold, Certainty.MEASURED, PROPERTIES)
    if has_begun:
        await asyncio.sleep(0)
    # As asyncio.run does with what an app that ends without closing the client leaves behind.
    [recording] = tolls._tasks
    recording.cancel()
    await tolls.aclose()
    assert f"call_not_recorded id={hold.id} customer=cus_1" in caplog.text
    assert "error=CancelledError" in caplog.text


async def test_what_is_wrong_with_the_key_is_told_and_not_asked_for_again(tollbooth: Tollbooth) -> None:
    tollbooth.mode = "misconfigured"
    async with tollbooth.client() as tolls:
        with pytest.raises(TollsMisconfigured, match="403: forbidden"):
            await tolls.reserve("cus_1", PROPERTIES)
        tollbooth.mode = "open"
        hold = await tolls.reserve("cus_1", PROPERTIES)
        tolls.release(hold)
    assert hold.is_enforced


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (404, b'{"code": "customer_not_found"}', TollsMisconfigured),
        (404, b"default backend - 404", TollsUnavailable),
        (429, b'{"code": "usage_busy"}', TollsUnavailable),
        (503, b"", TollsUnavailable),
        (200, b"<html>", TollsUnavailable),
        (302, b"", TollsUnavailable),
        (201, b'{"reservation": "rsv_1/../x"}', TollsUnavailable),
        (429, b'{"allowed": false}', CallRefused),
    ],
)
def test_what_an_answer_means(status: int, content: bytes, expected: type[Exception]) -> None:
    from tollgate_meter.tolls import read_reservation  # noqa: PLC0415 -- the rule by itself

    with pytest.raises(expected):
        read_reservation("call_1", "cus_1", status, {}, content)


async def test_an_unreachable_tollgate_refuses_calls_unless_told_to_allow_them(tollbooth: Tollbooth) -> None:
    tollbooth.mode = "down"
    async with tollbooth.client() as tolls:
        with pytest.raises(TollsUnavailable):
            await tolls.reserve("cus_1", PROPERTIES)
    assert tollbooth.asked == 2, "asked twice"
    async with tollbooth.client(unreachable="allow") as tolls:
        hold = await tolls.reserve("cus_1", PROPERTIES)
        tollbooth.mode = "open"
        tolls.settle(hold, Certainty.MEASURED, PROPERTIES)
    assert not hold.is_enforced
    assert len(tollbooth.events) == 1


async def test_an_answer_that_is_no_text_is_somebody_elses() -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        return httpx2.Response(201, content=b'{"reservation": "\xff"}')

    async with TollsClient("http://tollgate", "tg_test_key", transport=httpx2.MockTransport(answer)) as tolls:
        with pytest.raises(TollsUnavailable):
            await tolls.reserve("cus_1", PROPERTIES)
    assert set(asked) == {"/v1/reservations"}


async def test_closing_waits_for_calls_that_are_cut_off_in_the_same_moment(tollbooth: Tollbooth) -> None:
    tolls = tollbooth.client()
    settled, released = await tolls.reserve("cus_1", PROPERTIES), await tolls.reserve("cus_1", PROPERTIES)
    # As a server does that ends: the calls hear of it only after the closing has begun.
    closing = asyncio.create_task(tolls.aclose())
    for _ in range(5):
        await asyncio.sleep(0)
    tolls.settle(settled, Certainty.ESTIMATED, PROPERTIES)
    assert not closing.done()
    tolls.release(released)
    await closing
    assert [body["reference"] for body in tollbooth.settled] == [settled.id]
    assert tollbooth.released == ["/v1/reservations/rsv_2/release"]


async def test_closing_does_not_wait_for_ever_for_a_call_that_nobody_ends(tollbooth: Tollbooth) -> None:
    tolls = tollbooth.client(close_within_s=0.01)
    await tolls.reserve("cus_1", PROPERTIES)
    await tolls.aclose()
    assert tollbooth.settled == []


async def test_what_cannot_be_recorded_is_left_in_the_log_with_all_its_numbers(
    tollbooth: Tollbooth, caplog: pytest.LogCaptureFixture
) -> None:
    async with tollbooth.client() as tolls:
        hold = await tolls.reserve("cus_1", PROPERTIES)
        tollbooth.mode = "down"
        tolls.settle(hold, Certainty.MEASURED, PROPERTIES)
    assert f"call_not_recorded id={hold.id} customer=cus_1" in caplog.text
    assert "'output_tokens': 5" in caplog.text


def test_the_client_without_async_keeps_the_same_rules(tollbooth: Tollbooth) -> None:
    with tollbooth.blocking_client() as tolls:
        hold = tolls.reserve("cus_1", PROPERTIES)
        tollbooth.lost_answers = 2
        tolls.settle(hold, Certainty.MEASURED, PROPERTIES)
        tolls.extend(hold)
        tollbooth.mode = "refuses"
        with pytest.raises(CallRefused, match="5,000 of 5,000"):
            tolls.reserve("cus_1", PROPERTIES)
        tollbooth.mode = "down"
        with pytest.raises(TollsUnavailable):
            tolls.reserve("cus_1", PROPERTIES)
    with tollbooth.blocking_client(unreachable="allow") as tolls:
        unenforced = tolls.reserve("cus_1", PROPERTIES)
        tollbooth.mode = "open"
        tolls.settle(unenforced, Certainty.UNKNOWN, PROPERTIES)
    assert [body["status"] for body in tollbooth.settled] == ["measured"]
    assert tollbooth.extended == ["/v1/reservations/rsv_1/extend"]
    found: list[Any] = [(event["id"], event["properties"]["certainty"]) for event in tollbooth.events]
    assert found == [(unenforced.id, "unknown")]


async def test_a_tollgate_that_takes_calls_and_does_not_answer_is_waited_for_as_long_as_was_said() -> None:
    over = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with TollsClient(url, "tg_test_key", unreachable="allow", timeout_s=0.05) as tolls:
        hold = await tolls.reserve("cus_1", PROPERTIES)
        tolls.release(hold)
    with BlockingTollsClient(url, "tg_test_key", timeout_s=0.05) as waiting, pytest.raises(TollsUnavailable):
        await asyncio.to_thread(waiting.reserve, "cus_1", PROPERTIES)
    over.set()
    server.close()
    assert not hold.is_enforced
