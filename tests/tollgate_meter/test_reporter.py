"""The usage reporter against a server in memory."""

from collections.abc import Callable
from decimal import Decimal

import httpx2
import msgspec
import pytest

from tollgate_meter import ReportRefused, ReportUnanswered, UsageEvent, UsageReporter


def _reporter(answer: Callable[[httpx2.Request], httpx2.Response]) -> UsageReporter:
    return UsageReporter("http://tollgate", "tg_test_key", first_pause_s=0, transport=httpx2.MockTransport(answer))


def _event(number: int) -> UsageEvent:
    return UsageEvent(id=f"e{number}", type="llm.call", customer="cus_1", properties={"cost": Decimal("0.10")})


def _counted(request: httpx2.Request) -> httpx2.Response:
    sent = msgspec.json.decode(request.content)
    return httpx2.Response(200, json={"results": [{"id": event["id"], "status": "counted"} for event in sent]})


async def test_events_are_sent_a_thousand_at_a_time_and_answered_in_order() -> None:
    sizes: list[int] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.headers["authorization"] == "Bearer tg_test_key"
        sizes.append(len(msgspec.json.decode(request.content)))
        return _counted(request)

    async with _reporter(answer) as client:
        answers = await client.report([_event(number) for number in range(1_001)])
    assert sizes == [1_000, 1]
    assert [given.id for given in answers] == [f"e{number}" for number in range(1_001)]


async def test_what_is_too_large_for_one_request_is_sent_in_halves() -> None:
    sizes: list[int] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sizes.append(len(msgspec.json.decode(request.content)))
        return httpx2.Response(413, json={"code": "body_too_large"}) if sizes[-1] > 2 else _counted(request)

    async with _reporter(answer) as client:
        answers = await client.report([_event(number) for number in range(5)])
    # Five are too many, two are not, three are too many again.
    assert sizes == [5, 2, 3, 1, 2]
    assert [given.id for given in answers] == ["e0", "e1", "e2", "e3", "e4"]


async def test_one_event_that_is_too_large_is_refused() -> None:
    async with _reporter(lambda _: httpx2.Response(413, json={"code": "body_too_large"})) as client:
        with pytest.raises(ReportRefused, match="body_too_large"):
            await client.report([_event(1), _event(2)])


async def test_a_lost_answer_is_asked_for_again_with_the_same_bytes() -> None:
    bodies: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        bodies.append(request.content)
        if len(bodies) == 1:
            raise httpx2.ReadError("the connection broke")
        others = {
            2: httpx2.Response(503),
            3: httpx2.Response(500),
            4: httpx2.Response(200, text="<html>a proxy</html>"),
            5: httpx2.Response(200, content=b'{"results": [{"id": "\xff"}]}'),
        }
        return others.get(len(bodies)) or _counted(request)

    async with _reporter(answer) as client:
        [given] = await client.report([_event(1)])
    assert given.status == "counted"
    assert len(bodies) == 6
    assert len(set(bodies)) == 1
    assert b'"cost":0.10' in bodies[0]


async def test_a_server_that_never_answers_is_reported_after_six_tries() -> None:
    tries = 0

    def answer(_: httpx2.Request) -> httpx2.Response:
        nonlocal tries
        tries += 1
        return httpx2.Response(429)

    async with _reporter(answer) as client:
        with pytest.raises(ReportUnanswered):
            await client.report([_event(1)])
    assert tries == 6


async def test_a_refused_batch_is_not_sent_again() -> None:
    tries = 0

    def answer(_: httpx2.Request) -> httpx2.Response:
        nonlocal tries
        tries += 1
        return httpx2.Response(401, text="credentials_rejected")

    async with _reporter(answer) as client:
        with pytest.raises(ReportRefused, match="credentials_rejected"):
            await client.report([_event(1)])
    assert tries == 1
