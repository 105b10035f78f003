"""Refuse requests that a browser was tricked into: a loopback server answers only to its own name and its own pages."""

import ipaddress
from collections.abc import Iterable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from domain.config import Settings


class HostCheck:
    """Check Host, and Origin where a browser sends one, against the names this server goes by."""

    def __init__(self, app: ASGIApp, hosts: "Hosts") -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] in {"http", "websocket"} and not self._hosts.are_named(scope["headers"]):
            if scope["type"] == "websocket":
                await WebSocketClose(1008, "This host or origin is not allowed")(scope, receive, send)
            else:
                refusal = PlainTextResponse("This host or origin is not allowed; see TOLLGATE_ALLOWED_HOSTS.", 403)
                await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


class Hosts:
    """The names this server goes by."""

    def __init__(self, settings: Settings) -> None:
        self._hosts = _names(settings)

    def are_named(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a request means one of them: its first Host, and its first Origin where there is one.

        They are looked at in one go: this is asked of every request.
        """
        if not self._hosts:
            return True
        host: bytes | None = None
        origin: bytes | None = None
        for name, value in headers:
            if name == b"host" and host is None:
                host = value
            elif name == b"origin" and origin is None:
                origin = value
        if origin is not None and origin.decode("latin-1").partition("://")[2].lower() not in self._hosts:
            return False
        return (host or b"").decode("latin-1").lower() in self._hosts


def _names(settings: Settings) -> frozenset[str]:
    """Return the allowed values of Host; empty where a server of the merchant's own is not told its names."""
    names = {name.lower() for name in settings.allowed_hosts}
    if _is_loopback(settings.host):
        names |= {f"{name}:{settings.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
    return frozenset(names)


def _is_loopback(host: str) -> bool:
    """Whether an address that a server listens on is reached from this machine only; other names may be anything."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
