"""PostgreSQL and Valkey for one run of tests or measurements: fast to start, lossy, gone afterwards."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.local.home import PASSABLE_DIRECTORY
from api.local.postgres import Postgres, postgres_at
from api.local.processes import child_environment
from api.local.site import choose_account, socket_directory
from api.local.valkey import Valkey, valkey_at
from domain.kernel.values import dataclass

# Reads until its input ends, which happens when the process that holds the other end of the pipe is gone. Postgres may
# have been started again meanwhile, so its process is the one that its own file names.
CLEANER = 'cat >/dev/null; kill -9 "$(head -n 1 "$1/data/postmaster.pid")" "$2"; sleep 1; rm -rf -- "$1"'
RESERVED_CONNECTIONS = 10
# Files in memory: where a file system takes long to make a file, a database of 750 files takes ten times as long there.
MEMORY = Path("/dev/shm")  # noqa: S108 -- a directory below it is made as any temporary one is
MEMORY_FREE_BYTES_MIN = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class TemporaryServers:
    """Two running servers; see Postgres.dsn, Postgres.asyncpg_arguments and Valkey.url for their addresses."""

    postgres: Postgres
    valkey: Valkey


@contextmanager
def temporary_servers(logs: Path, *, durable: bool = False) -> Iterator[TemporaryServers]:
    """Start both servers on empty data in memory or a temporary directory; stop and remove them at the end.

    Logs stay in `logs`. Unless Postgres is durable, the servers lose data when they are killed, not when a client is.
    When this process is killed, a waiting shell ends the servers and removes their files.
    """
    place = Path(tempfile.mkdtemp(prefix="tollgate-", dir=None if durable else _memory(MEMORY)))
    place.chmod(PASSABLE_DIRECTORY)
    postgres = _postgres(place, logs, durable=durable)
    valkey = valkey_at(place / "valkey", place.name, logs / "valkey.log", durable=False)
    try:
        postgres.start()
        valkey.start()
        with _cleaner(place, valkey.process_id):
            yield TemporaryServers(postgres, valkey)
    finally:
        valkey.stop()
        postgres.stop()
        shutil.rmtree(place, ignore_errors=True)


def _memory(directory: Path) -> Path | None:
    """Give a directory in memory if programs run from there and it has room for servers of several processes."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return None
    has_room = found.f_bavail * found.f_frsize >= MEMORY_FREE_BYTES_MIN
    is_usable = not found.f_flag & os.ST_NOEXEC and os.access(directory, os.W_OK)
    return directory if has_room and is_usable else None


def _postgres(place: Path, logs: Path, *, durable: bool) -> Postgres:
    account = choose_account(place / "data")
    sockets = socket_directory(place / "s", secrets.token_hex(4), account)
    return postgres_at(place, sockets, logs / "postgres.log", durable=durable)


@contextmanager
def _cleaner(place: Path, valkey: int | None) -> Iterator[None]:
    """Keep a shell waiting for our death, in a session of its own so that Ctrl-C does not reach it."""
    with subprocess.Popen(  # noqa: S603 a fixed script, and our own ids and path as arguments
        ["/bin/sh", "-c", CLEANER, "sh", str(place), str(valkey)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=child_environment(),
        start_new_session=True,
    ) as shell:
        try:
            yield
        finally:
            shell.kill()
