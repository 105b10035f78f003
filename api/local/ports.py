"""Which loopback ports the local stack listens on.

The API's port is fixed, because people write it into scripts. The others are free ports, chosen once and remembered
in the home, so that their addresses stay the same from start to start.

Between the choice of a port and the server that listens on it lies a while in which another launcher could choose the
same. So whoever chooses claims: it binds the UDP port of the same number for as long as its process lives. Nobody
listens there, it does not hinder a TCP server, and the kernel takes it back from a process that dies.
"""

import json
import secrets
import socket
from collections.abc import Sequence

from api.local.errors import LocalStackError
from api.local.home import Home, write_private

LOOPBACK = "127.0.0.1"
API_PORT = 8000
# Above 32767 the kernel hands ports to outgoing connections; below 20000 well-known services live.
PORT_MIN = 20_000
PORT_MAX = 32_767
TRIES_MAX = 100
# The ports that this process has claimed.
_claims: set[int] = set()


def claim_api_port(requested: int | None) -> int:
    """Give the API's port, 8000 unless another is requested; LocalStackError when it cannot be listened on."""
    port = API_PORT if requested is None else requested
    if not 1 <= port <= 65_535:
        raise LocalStackError(f"{port} is no port; set TOLLGATE_PORT=… to a number from 1 to 65535")
    if not is_free(port):
        raise LocalStackError(
            f"port {port} is taken; set TOLLGATE_PORT=… to a free port above 1023, or stop what listens there"
        )
    return port


def remembered_ports(home: Home, names: Sequence[str]) -> dict[str, int]:
    """Give each name its port of last time, or a new free one when there was none or it is taken by now.

    All are claimed by this process. Raises LocalStackError when no free port is found.
    """
    remembered = _read(home)
    ports: dict[str, int] = {}
    for name in names:
        before = remembered.get(name)
        usable = before is not None and before not in ports.values() and is_free(before) and _claim(before)
        ports[name] = before if before is not None and usable else free_port()
    write_private(home.path / "ports.json", json.dumps({**remembered, **ports}, indent=2) + "\n")
    return ports


def free_port() -> int:
    """Find a free loopback port and claim it for this process; LocalStackError when there is none.

    No caller here or in another process is given the same one. A program that knows nothing of claims may take it.
    """
    for _ in range(TRIES_MAX):
        port = PORT_MIN + secrets.randbelow(PORT_MAX - PORT_MIN + 1)
        if port not in _claims and is_free(port) and _claim(port):
            return port
    raise LocalStackError(f"no free port was found between {PORT_MIN} and {PORT_MAX}; end some listening programs")


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        # Servers set this too: without it, closed connections of the last run would make the port look taken.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def check_listening(host: str, port: int) -> None:
    """Refuse an address that this machine has not, or a name that is none. Raises LocalStackError."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        raise LocalStackError(
            f"nothing can listen on {host} port {port} ({error.strerror}); see TOLLGATE_HOST and TOLLGATE_PORT"
        ) from None


def _claim(port: int) -> bool:
    """Claim the port until this process ends; False when another process has claimed it."""
    if port in _claims:
        return True
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        claim.bind((LOOPBACK, port))
    except OSError:
        claim.close()
        return False
    # The kernel closes it with the process.
    claim.detach()
    _claims.add(port)
    return True


def _read(home: Home) -> dict[str, int]:
    file = home.path / "ports.json"
    if not file.exists():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return {name: port for name, port in found.items() if isinstance(port, int)} if isinstance(found, dict) else {}
