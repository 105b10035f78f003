"""Who a server answers to: its own names, and pages of its own."""

from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from api.hosts import HostCheck, Hosts
from domain.config import read_settings


def _client(**settings: str) -> httpx2.AsyncClient:
    async def answer(_: Any) -> PlainTextResponse:
        return PlainTextResponse("yes")

    given = read_settings(settings)
    app = Starlette(routes=[Route("/", answer)], middleware=[Middleware(HostCheck, hosts=Hosts(given))])
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "LOCALHOST:8000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "localhost"}, 403),
        ({"Host": "localhost:9000"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:8000"}, 403),
        ({"Origin": "http://127.0.0.1:8000"}, 200),
        ({"Origin": "http://localhost:8000"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:3000"}, 403),
    ],
    ids=str,
)
async def test_a_loopback_server_answers_to_its_own_name_and_pages_only(headers: dict[str, str], status: int) -> None:
    async with _client() as client:
        answer = await client.get("/", headers=headers)
    assert answer.status_code == status
    assert (answer.text == "yes") is (status == 200)


@pytest.mark.parametrize(
    ("host", "status"), [("billing.example", 200), ("Billing.Example", 200), ("127.0.0.1:8000", 403), ("other", 403)]
)
async def test_a_server_that_is_told_its_names_answers_to_these(host: str, status: int) -> None:
    async with _client(TOLLGATE_HOST="0.0.0.0", TOLLGATE_ALLOWED_HOSTS="billing.example") as client:  # noqa: S104 -- the case
        assert (await client.get("/", headers={"Host": host})).status_code == status


async def test_a_loopback_server_behind_a_proxy_answers_to_both() -> None:
    async with _client(TOLLGATE_ALLOWED_HOSTS="billing.example") as client:
        for host in ("billing.example", "127.0.0.1:8000"):
            assert (await client.get("/", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("listens_on", ["0.0.0.0", "tollgate.internal", "10.0.0.5"])  # noqa: S104 -- the case
async def test_a_server_of_the_merchants_own_that_is_told_no_names_leaves_that_to_its_proxy(listens_on: str) -> None:
    async with _client(TOLLGATE_HOST=listens_on) as client:
        assert (await client.get("/", headers={"Host": "anything"})).status_code == 200
