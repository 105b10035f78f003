"""Start the sandbox: `python -m sandbox --port 12111 --data .tollgate/sandbox`. It listens on 127.0.0.1 only."""

import argparse
import logging
import socket
import sys
from pathlib import Path

from sandbox.app import DEFAULT_KEY, Sandbox

PORT_MAX = 65_535


def _arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A local stand-in for Stripe.")
    parser.add_argument("--port", type=int, required=True, help="TCP port on 127.0.0.1")
    parser.add_argument("--data", type=Path, required=True, help="directory or .sqlite3 file of the durable data")
    parser.add_argument("--api-key", default=DEFAULT_KEY, help="the only accepted key; begins with sk_test_")
    arguments = parser.parse_args(given)
    if not 1 <= arguments.port <= PORT_MAX:
        parser.error(f"--port must be 1..{PORT_MAX}")
    if not arguments.api_key.startswith("sk_test_"):
        parser.error("--api-key must begin with sk_test_: this is not a place for live keys")
    return arguments


def listen(port: int) -> socket.socket:
    """Bind a TCP port of 127.0.0.1, any free one for 0. Raises OSError when it is taken.

    The protocol is named because asyncio switches Nagle's delay off (40 ms an answer) only for sockets that name it.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    return listener


def main(given: list[str]) -> int:
    """Serve until stopped by a signal. Gives 1 when the port is taken."""
    import uvicorn  # noqa: PLC0415 -- `--help` and wrong arguments answer without it.

    arguments = _arguments(given)
    logging.basicConfig(format="sandbox: %(message)s", level=logging.WARNING)
    try:
        listener = listen(arguments.port)
    except OSError:
        sys.stderr.write(f"sandbox: port {arguments.port} is taken; stop what listens there or pass another --port\n")
        return 1
    app = Sandbox(arguments.data, arguments.port, arguments.api_key)
    config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="on", ws="none")
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
