"""Answer what memory can answer as soon as it is read, before a task is made for it.

A warm check takes less time than the way to it: a task, a turn of the loop, and the layers of the application. Here it
is answered while the request is being read. Whatever cannot be answered so, and every refusal, goes the way of every
request through the application, which alone knows all the rules; under another server everything does.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.context import Serving
from api.hosts import Hosts
from api.rest.limits import Endpoint, Said

# Whoever sends a request in drops, or none at all, holds a connection no longer than this.
WHOLE_WITHIN_S = 120.0
# Requests that one connection sent together and that are answered in a row, before others have their turn.
AT_ONCE_MAX = 16
_log = structlog.get_logger()


class AtOnce:
    """The routes for POST whose answers may be ready, by their paths. One per process; `count` are those it gave."""

    def __init__(self, hosts: Hosts, routes: Mapping[str, Endpoint]) -> None:
        self._hosts = hosts
        self._routes = routes
        self._serving: Serving | None = None
        self.count = 0

    def serve(self, serving: Serving) -> None:
        """Begin to serve: the process has opened what it holds."""
        self._serving = serving

    def answer(self, scope: Mapping[str, Any], body: bytes | bytearray) -> Said | None:
        """Return an app that sends the answer to a request whose whole body is there, or None."""
        route = self._routes.get(scope["path"])
        if route is None or self._serving is None or scope["method"] != "POST":
            return None
        if not self._hosts.are_named(scope["headers"]):
            return None
        try:
            said = route.at_once(self._serving, scope["headers"], body)
        except Exception:  # noqa: BLE001 -- whatever it is, the application meets it too, and tells and logs it
            _log.warning("not_answered_at_once", path=scope["path"])
            return None
        self.count += said is not None
        return said


class AtOnceProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, which looks first for what is answered at once. A subclass names it as `known`.

    A connection whose first request, or any later one from its first byte on, is not there whole within
    `whole_within_s` is closed.
    """

    known: AtOnce
    whole_within_s: float

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._is_reading = False
        self._next: tuple[RequestResponseCycle, Any] | None = None
        self._is_begun = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Give the first request its time."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.whole_within_s, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._let_go()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the protocol of sockets."""
        self._is_begun = False
        self._let_go()
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._is_begun = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Note that it is there whole."""
        self._is_begun = False
        super().on_message_complete()

    def _let_go(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def data_received(self, data: bytes) -> None:
        """Read what came, and only then begin the request in it: its body may be there too."""
        self._is_reading = True
        super().data_received(data)
        left = AT_ONCE_MAX
        while self._next is not None:
            (cycle, app), self._next = self._next, None
            said = self._answer(cycle) if left else None
            left -= 1
            if said is None:
                super()._start_asgi_task(cycle, app)
            else:
                self._send(cycle, said)
        self._is_reading = False
        if not self._is_begun:
            self._let_go()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.whole_within_s, self.transport.close)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Begin a request; one at a time, since uvicorn begins the next when the answer before it is complete."""
        if self._is_reading:
            self._next = (cycle, app)
        else:
            super()._start_asgi_task(cycle, app)

    def _answer(self, cycle: RequestResponseCycle) -> Said | None:
        if cycle.more_body or cycle.disconnected or self.transport.is_closing():
            return None
        return self.known.answer(cycle.scope, cycle.body)

    def _send(self, cycle: RequestResponseCycle, said: Said) -> None:
        """Send an answer in one piece: head and body apart are two system calls here and two at the caller.

        Where the caller is slow to read, it waits for its turn as an answer of the application does.
        """
        if self.flow.write_paused:
            super()._start_asgi_task(cycle, said)  # type: ignore[arg-type]  # uvicorn's messages have types of their own
            return
        lines = [STATUS_LINE[said.status], *(b"%b: %b\r\n" % each for each in cycle.default_headers), said.head]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        self.transport.write(b"".join((*lines, b"\r\n", said.body)))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        # As uvicorn does: protocol and cycle refer to each other, and what goes in rings is looked for rarely.
        cycle.on_response = _nothing


def _nothing() -> None:
    """Stand where an answer was waited for."""


def protocol_of(known: AtOnce, whole_within_s: float = WHOLE_WITHIN_S) -> type[AtOnceProtocol]:
    """Return the protocol of a server that has these answers."""
    return type("Protocol", (AtOnceProtocol,), {"known": known, "whole_within_s": whole_within_s})
