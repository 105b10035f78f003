"""The client of the public API: what it sends again, and what it refuses to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from api.replay.client import TRIES_MAX, Client, Refused
from api.replay.errors import ReplayError
from api.replay.sending import send_all

Answer = Callable[[int, Any], Response]
SUCCESS = {"data": {"createThing": {"thing": {"id": "1"}}}}
BUSY = {"data": {"createThing": {"__typename": "Busy", "code": "usage_busy", "message": "Later."}}}
TAKEN = {"data": {"createThing": {"__typename": "Conflict", "code": "taken", "message": "It is taken."}}}


class Server:
    """A server whose answer is a function of the number of the request and its body."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.seen: list[Any] = []
        self.waited: list[float] = []
        routes = [Route(path, self._act, methods=["POST"]) for path in ("/graphql", "/v1/events")]
        self.app = Starlette(routes=routes)

    async def _act(self, request: Request) -> Response:
        body = await request.json()
        self.seen.append((request.url.path, request.headers["authorization"], body))
        number = len(self.seen)
        # As with a real connection, others get their turn before the answer comes.
        await asyncio.sleep(0)
        return self.answer(number, body)

    async def _wait(self, seconds: float) -> None:
        self.waited.append(seconds)

    @asynccontextmanager
    async def client(self, transport: httpx.AsyncBaseTransport | None = None) -> AsyncIterator[Client]:
        """Open a client of this server that waits no real time."""
        given = transport or httpx.ASGITransport(self.app)
        async with Client("http://127.0.0.1:1", "staff", "tg_test_k", sleep=self._wait, transport=given) as client:
            yield client


class Breaking(httpx.ASGITransport):
    """A connection that loses the first answer after the server has acted."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(app)
        self.broken = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Act, and lose the answer once."""
        response = await super().handle_async_request(request)
        if not self.broken:
            self.broken = True
            raise httpx.ReadError("the answer was lost")
        return response


def verdicts(_: int, body: Any) -> Response:
    return JSONResponse({"results": [{"status": "counted"} for _ in body]})


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_server_is_asked_again_with_the_same_events(status: int) -> None:
    server = Server(lambda number, body: Response(status_code=status) if number <= 2 else verdicts(number, body))

    async with server.client() as client:
        assert await client.send([{"id": "e1"}, {"id": "e2"}]) == [{"status": "counted"}] * 2

    assert [body for _, _, body in server.seen] == [[{"id": "e1"}, {"id": "e2"}]] * 3
    assert server.seen[0][:2] == ("/v1/events", "Bearer tg_test_k")
    assert server.waited == [0.25, 0.5]


async def test_a_server_that_stays_busy_is_given_up() -> None:
    server = Server(lambda _, __: Response(status_code=503))

    async with server.client() as client:
        with pytest.raises(ReplayError, match="does not answer: it answers 503"):
            await client.send([{"id": "e1"}])

    assert len(server.seen) == TRIES_MAX


async def test_a_lost_answer_is_asked_for_again_only_where_that_is_safe() -> None:
    server = Server(lambda _, __: JSONResponse(SUCCESS))

    async with server.client(Breaking(server.app)) as client:
        assert await client.change("mutation {}", a=1) == {"thing": {"id": "1"}}
    async with server.client(Breaking(server.app)) as client:
        with pytest.raises(ReplayError, match="the connection broke"):
            await client.change("mutation {}", repeatable=False, a=1)

    # The first was sent twice, the second once.
    assert len(server.seen) == 3
    assert server.seen[0][:2] == ("/graphql", "Bearer staff")
    assert server.seen[0][2]["variables"] == {"input": {"a": 1}}


async def test_a_server_that_is_not_there_is_named() -> None:
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    # Port 1 is never listened on.
    async with Client("http://127.0.0.1:1", "staff", sleep=wait) as client:
        with pytest.raises(ReplayError, match="cannot be reached; start it with: tollgate up"):
            await client.read("query {}")

    assert len(waited) == TRIES_MAX


async def test_a_problem_that_passes_is_asked_again_and_any_other_is_refused() -> None:
    server = Server(lambda number, _: JSONResponse(BUSY if number == 1 else TAKEN))

    async with server.client() as client:
        with pytest.raises(Refused, match=r"It is taken\. \(taken\)") as refused:
            await client.change("mutation {}")

    assert refused.value.code == "taken"
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (JSONResponse({"detail": "Say who you are."}, 401), "answers 401: Say who you are."),
        (PlainTextResponse("hello"), "answers 200 and no JSON: is it Tollgate"),
        (JSONResponse({"errors": [{"message": "No such field."}]}), "the server refused a query: No such field."),
    ],
)
async def test_an_answer_that_is_no_result_is_told_in_one_line(answer: Response, message: str) -> None:
    server = Server(lambda _, __: answer)

    async with server.client() as client:
        with pytest.raises(ReplayError, match=message) as error:
            await client.read("query {}")

    assert "\n" not in str(error.value)
    assert len(server.seen) == 1


async def test_every_event_is_sent_once_in_batches_and_tallied() -> None:
    def answer(_: int, body: Any) -> Response:
        statuses = {
            0: {"status": "duplicate"},
            1: {"status": "rejected", "reason": "outside_window"},
            2: {"status": "counted"},
        }
        return JSONResponse({"results": [statuses[min(event["n"], 2)] for event in body]})

    server = Server(answer)
    seen: list[int] = []

    async with server.client() as client:
        tally = await send_all(client, ({"n": n} for n in range(25)), 10, lambda tally: seen.append(tally.sent))

    assert sorted(len(body) for _, _, body in server.seen) == [5, 10, 10]
    assert sorted(event["n"] for _, _, body in server.seen for event in body) == list(range(25))
    assert (tally.sent, tally.lost, dict(tally.reasons)) == (25, 1, {"outside_window": 1})
    assert dict(tally.statuses) == {"duplicate": 1, "rejected": 1, "counted": 23}
    assert seen[-1] == 25


async def test_a_fault_in_one_batch_ends_the_sending() -> None:
    server = Server(lambda number, body: JSONResponse({"detail": "no"}, 403) if number == 1 else verdicts(1, body))

    async with server.client() as client:
        with pytest.raises(ReplayError, match="answers 403: no"):
            await send_all(client, ({"n": n} for n in range(1_000)), 1, lambda _: None)

    # At most what was under way beside it was sent.
    assert len(server.seen) < 20
    assert json.dumps(server.seen[0][2]) == '[{"n": 0}]'
