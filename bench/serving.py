"""A real API process, and a client that costs little: one connection for each task, and requests made beforehand."""

import asyncio
import base64
import contextlib
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from api.local.ports import free_port
from api.local.processes import child_environment
from bench.world import MASTER_KEY, PEPPER, Servers
from domain.usage.event import UsageEvent

HOST = "127.0.0.1"
START_TIMEOUT_S = 30
POLL_S = 0.002
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Api:
    """One process that serves. `started_in_s` is from its start to its first good answer."""

    process_id: int
    port: int
    started_in_s: float


def settings_of(running: Servers, database: str, home: str, *, smtp_url: str = "smtp://127.0.0.1:9") -> dict[str, str]:
    """Return the environment of a process that works on a database; without more it reaches nobody outside."""
    return {
        "DATABASE_URL": running.postgres.dsn(database),
        "REDIS_URL": running.valkey.url(),
        "TOLLGATE_HOME": home,
        "TOLLGATE_DEV": "1",
        "TOLLGATE_MASTER_KEY": base64.b64encode(MASTER_KEY).decode(),
        "TOLLGATE_KEY_PEPPER": PEPPER,
        "TOLLGATE_HS256_SECRET": "s" * 32,
        "STRIPE_SECRET_KEY": "sk_test_bench",
        "STRIPE_API_BASE": "http://127.0.0.1:9",
        "SMTP_URL": smtp_url,
    }


@contextmanager
def serving(running: Servers, database: str, **more: str) -> Iterator[Api]:
    """Run `tollgate serve` until the block ends; `more` are further variables of its environment."""
    port = free_port()
    with TemporaryDirectory() as home:
        settings = {**settings_of(running, database, home), "TOLLGATE_PORT": str(port), **more}
        log = Path(home) / "api.log"
        started = time.perf_counter()
        with log.open("wb") as opened:
            process = subprocess.Popen(
                [sys.executable, "-m", "api", "serve"],
                env=child_environment(settings),
                stdout=opened,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_for(process, port, log)
            yield Api(process.pid, port, time.perf_counter() - started)
        finally:
            process.terminate()
            process.wait()


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Ask until the process serves; the first good answer ends its start."""
    deadline = time.perf_counter() + START_TIMEOUT_S
    while process.poll() is None and time.perf_counter() < deadline:
        connection = http.client.HTTPConnection(HOST, port, timeout=START_TIMEOUT_S)
        with contextlib.suppress(OSError), contextlib.closing(connection):
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        time.sleep(POLL_S)
    raise RuntimeError(f"the API does not serve: {log.read_text()[-2000:]}")


def requests_of(api: Api, secret: str, events: Sequence[UsageEvent], size: int) -> list[bytes]:
    """Make the requests that send events in batches."""
    made = []
    for start in range(0, len(events), size):
        body = msgspec.json.encode([_sent(event) for event in events[start : start + size]])
        head = (
            f"POST /v1/events HTTP/1.1\r\nHost: {HOST}:{api.port}\r\nAuthorization: Bearer {secret}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


def _sent(event: UsageEvent) -> dict[str, object]:
    return {"id": event.id, "type": event.type, "customer": event.customer, "properties": event.properties}


async def send_all(api: Api, requests: Sequence[bytes], connections: int) -> float:
    """Send all requests over some connections and return how many seconds it took. Every answer must be 200."""
    queue = iter(requests)

    async def send() -> None:
        async with connected(api) as (reader, writer):
            for request in queue:
                writer.write(request)
                await _read_answer(reader)

    started = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(connections)))
    return time.perf_counter() - started


@asynccontextmanager
async def connected(api: Api) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to the process until the block ends."""
    reader, writer = await asyncio.open_connection(HOST, api.port, limit=4_000_000)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    """Send a request and wait for its answer, which must be a good one."""
    writer.write(request)
    await _read_answer(reader)


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    head, body = await read_any(reader)
    _check_good(head, body)
    return body


def _check_good(head: bytes, body: bytes) -> None:
    if not head.startswith((b"http/1.1 200", b"http/1.1 201")) or b'"errors"' in body:
        raise RuntimeError(f"refused: {body[:500]!r}")


def ask_in_turn(api: Api, requests: Sequence[bytes]) -> list[float]:
    """Send requests one after another and return how long each took, in seconds; the client does next to nothing."""
    took = []
    with socket.create_connection((HOST, api.port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in requests:
            started = time.perf_counter()
            line.sendall(request)
            found = line.recv(_READ_BYTES)
            while not _is_whole(found):
                found += line.recv(_READ_BYTES)
            took.append(time.perf_counter() - started)
            head, _, body = found.partition(b"\r\n\r\n")
            _check_good(head.lower(), body)
    return took


def _is_whole(found: bytes) -> bool:
    head, end, body = found.partition(b"\r\n\r\n")
    return bool(end) and len(body) >= _length_of(head.lower())


def _length_of(head: bytes) -> int:
    return int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])


async def read_any(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read an answer, good or not: its head in small letters, and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    return head, await reader.readexactly(_length_of(head))
