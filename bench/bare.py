"""A server that does nothing but send: the least that frames to sockets cost with the same libraries.

Each second it writes one text of the length of a live frame to every socket, in turn, with the instant at which the
turn began.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.local.ports import free_port
from api.local.processes import child_environment
from bench.serving import HOST, Api, wait_for

FRAME_BYTES = 700
EVERY_S = 1.0
_AT = '{"at":%.6f,"rest":"%s"}'
# Finds that instant in a frame.
NUMBER = r'"at":([0-9.]+)'


class _Sockets:
    """The sockets that are open."""

    def __init__(self) -> None:
        self._opened: set[WebSocket] = set()

    async def take(self, socket: WebSocket) -> None:
        """Keep a socket until its client closes it."""
        await socket.accept()
        self._opened.add(socket)
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            self._opened.discard(socket)

    async def send_forever(self) -> None:
        """Send every socket a frame each second."""
        rest = "x" * (FRAME_BYTES - len(_AT % (0, "")))
        while True:
            await asyncio.sleep(EVERY_S)
            text = _AT % (time.perf_counter(), rest)
            for socket in tuple(self._opened):
                await socket.send_text(text)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Send while the server runs."""
        sending = asyncio.create_task(self.send_forever())
        yield
        sending.cancel()


async def _ready(_: Request) -> Response:
    return JSONResponse({})


def _app() -> Starlette:
    sockets = _Sockets()
    routes = [Route("/readyz", _ready), WebSocketRoute("/bare", sockets.take)]
    return Starlette(routes=routes, lifespan=sockets.lifespan)


@contextmanager
def serving_bare() -> Iterator[Api]:
    """Run the server in a process of its own until the block ends."""
    port = free_port()
    with TemporaryDirectory() as home:
        log = Path(home) / "bare.log"
        started = time.perf_counter()
        with log.open("wb") as opened:
            process = subprocess.Popen(  # noqa: S603 -- this very module
                [sys.executable, "-m", "bench.bare", str(port)],
                env=child_environment({}),
                stdout=opened,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_for(process, port, log)
            yield Api(process.pid, port, time.perf_counter() - started)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    uvicorn.run(
        _app(),
        host=HOST,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
    )
