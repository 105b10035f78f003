"""Messages of an operation go to its socket at once where it takes them, and through all layers where it does not."""

from typing import Any

from starlette.websockets import WebSocket, WebSocketState

from api.direct import WriteAtOnce
from api.graphql.sockets import _Outlet


class Operation:
    """As much of an operation as an outlet asks for."""

    completed = False


def _outlet(sent: list[Any], write_at_once: WriteAtOnce | None) -> tuple[Any, Operation]:
    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    socket = WebSocket({"type": "websocket"}, receive, send)
    socket.application_state = WebSocketState.CONNECTED
    operation: Any = Operation()
    handler: Any = None
    return _Outlet(handler, socket, operation, write_at_once), operation


def test_what_a_socket_takes_at_once_is_not_sent_and_what_it_does_not_is() -> None:
    sent: list[Any] = []
    written: list[str] = []

    def write(text: str) -> bool:
        written.append(text)
        return text == "one"

    outlet, _ = _outlet(sent, write)
    assert (outlet.begin("one"), outlet.begin("two")) == (None, None)
    assert (written, sent) == (["one", "two"], [{"type": "websocket.send", "text": "two"}])


def test_under_another_server_everything_is_sent() -> None:
    sent: list[Any] = []
    outlet, _ = _outlet(sent, None)
    assert outlet.begin("one") is None
    assert sent == [{"type": "websocket.send", "text": "one"}]


def test_nothing_is_written_for_an_operation_that_has_ended() -> None:
    sent: list[Any] = []
    written: list[str] = []

    def write(text: str) -> bool:
        written.append(text)
        return True

    outlet, operation = _outlet(sent, write)
    operation.completed = True
    assert outlet.begin("one") is None
    assert (written, sent) == ([], [])
