"""The Stripe adapter against several servers: the sandbox always, `localstripe` and Stripe's test mode where given."""

import asyncio
import os
import shlex
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from api.local.ports import free_port
from domain.adapters.stripe import StripeGateway
from tests.domain.payments.gateways import API_KEY
from tests.waiting import PATIENCE_S

GATEWAYS = {"sandbox": "stripe_gateway", "localstripe": "localstripe_gateway", "test mode": "test_mode_gateway"}
TARGETS = tuple(GATEWAYS)
NO_LOCALSTRIPE = "LOCALSTRIPE is not set: give the command that starts localstripe 1.15 (docs/stripe-targets.md)"
NO_TEST_KEY = "STRIPE_TEST_KEY is not set: give a secret key of Stripe's test mode (docs/stripe-targets.md)"


@pytest.fixture(scope="session")
def localstripe_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the command in LOCALSTRIPE as a process of its own, without what an earlier one kept."""
    command = os.environ.get("LOCALSTRIPE")  # noqa: TID251 -- asked of the developer, not a setting of Tollgate.
    if not command:
        pytest.skip(NO_LOCALSTRIPE)
    port = free_port()
    place: Path = tmp_path_factory.mktemp("localstripe")
    with place.joinpath("log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 -- the command that the developer has named
            [*shlex.split(command), "--from-scratch", "--port", str(port)], stdout=log, stderr=log, cwd=place
        )
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/js.stripe.com/v3/")
        yield url
        process.terminate()
        process.wait(PATIENCE_S)


def _wait_for(url: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"{url} does not answer within {PATIENCE_S} s")


@pytest.fixture
async def localstripe_gateway(localstripe_url: str) -> AsyncIterator[StripeGateway]:
    """Give the adapter on localstripe."""
    gateway = StripeGateway(API_KEY, localstripe_url)
    yield gateway
    await gateway.close()


@pytest.fixture
async def test_mode_gateway() -> AsyncIterator[StripeGateway]:
    """Give the adapter on Stripe's test mode; StripeGateway refuses what is no secret key."""
    key = os.environ.get("STRIPE_TEST_KEY")  # noqa: TID251 -- asked of the developer, not a setting of Tollgate.
    if not key:
        pytest.skip(NO_TEST_KEY)
    if not key.startswith(("sk_test_", "rk_test_")):
        pytest.fail("STRIPE_TEST_KEY is not a key of test mode")
    gateway = StripeGateway(key)
    yield gateway
    await gateway.close()


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> StripeGateway:
    """Give the adapter on one server after the other; those that are not given are skipped, and that is said."""
    gateway: StripeGateway = request.getfixturevalue(GATEWAYS[request.param])
    return gateway


class Hook:
    """A webhook endpoint on loopback that keeps what it is sent, with its signature."""

    def __init__(self) -> None:
        self.url = ""
        self.got: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hook"

    async def stop(self) -> None:
        """Close the port."""
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = [line.partition(": ") for line in head.split("\r\n")[1:-2]]
        headers = {name.lower(): value for name, _, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        self.got.put_nowait((body, headers["stripe-signature"]))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    """Give a listening webhook endpoint."""
    listening = Hook()
    await listening.start()
    yield listening
    await listening.stop()
