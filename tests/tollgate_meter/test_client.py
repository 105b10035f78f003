"""What the meter does when Tollgate refuses, does not answer, or has no reservations."""

from typing import Any

import pytest

from tests.tollgate_meter.tollbooth import Tollbooth
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


async def test_without_reservations_calls_are_recorded_as_events_and_not_enforced(
    tollbooth: Tollbooth, caplog: pytest.LogCaptureFixture
) -> None:
    tollbooth.mode = "routeless"
    async with tollbooth.client() as tolls:
        first = await tolls.reserve("cus_1", PROPERTIES)
        second = await tolls.reserve("cus_1", PROPERTIES)
        tolls.settle(first, Certainty.ESTIMATED, PROPERTIES)
        tolls.extend(first)
    assert (first.is_enforced, second.is_enforced) == (False, False)
    assert first.id != second.id
    assert tollbooth.events == [
        {
            "id": first.id,
            "type": "llm.call",
            "customer": "cus_1",
            "properties": {**PROPERTIES, "certainty": "estimated"},
        }
    ]
    # The missing route was asked for once and is remembered; then came the event.
    assert tollbooth.asked == 2
    assert caplog.text.count("limits_not_enforced") == 1


async def test_a_route_that_vanishes_during_a_call_loses_nothing(tollbooth: Tollbooth) -> None:
    async with tollbooth.client() as tolls:
        hold = await tolls.reserve("cus_1", PROPERTIES)
        tollbooth.mode = "routeless"
        tolls.settle(hold, Certainty.MEASURED, PROPERTIES)
    assert [event["id"] for event in tollbooth.events] == [hold.id]


async def test_a_customer_that_is_not_found_is_no_missing_route(tollbooth: Tollbooth) -> None:
    # As is a 404 with a code: what is asked is wrong, and the route is there.
    tollbooth.mode = "misconfigured"
    async with tollbooth.client() as tolls:
        with pytest.raises(TollsMisconfigured, match="403: forbidden"):
            await tolls.reserve("cus_1", PROPERTIES)
        tollbooth.mode = "open"
        assert (await tolls.reserve("cus_1", PROPERTIES)).is_enforced


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (404, b'{"code": "customer_not_found"}', TollsMisconfigured),
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
        tollbooth.mode = "routeless"
        unenforced = tolls.reserve("cus_1", PROPERTIES)
        tolls.settle(unenforced, Certainty.UNKNOWN, PROPERTIES)
    assert [body["status"] for body in tollbooth.settled] == ["measured"]
    assert tollbooth.extended == ["/v1/reservations/rsv_1/extend"]
    found: list[Any] = [(event["id"], event["properties"]["certainty"]) for event in tollbooth.events]
    assert found == [(unenforced.id, "unknown")]
