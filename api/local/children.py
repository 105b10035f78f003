"""The processes of the local stack: start in order, watch, start again, stop in reverse order.

A service is anything with a name that can be started (and is healthy when start returns), asked whether it lives, and
stopped. `Program` is the service for a command; the embedded servers are services too.
"""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Protocol, Self

from api.local import tether
from api.local.errors import LocalStackError
from api.local.ports import LOOPBACK
from api.local.processes import PYTHON_ROOT, bound_log, end_process, last_lines, wait_until
from domain.kernel.values import dataclass

HEALTH_TIMEOUT_S = 30.0
HEALTH_REQUEST_TIMEOUT_S = 2.0
# The API lets what is under way finish for 10 seconds, and then has to record what it cut off.
STOP_STEPS = ((signal.SIGTERM, 20.0),)
WATCH_PAUSE_S = 0.2
RESTARTS_MAX = 5
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 10.0
# A service that lived this long has recovered: its earlier restarts no longer count.
SETTLED_S = 60.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Service(Protocol):
    """What the supervisor can run."""

    name: str
    log: Path

    def start(self) -> None:
        """Start and wait until healthy; LocalStackError when that fails. May be called again after a death."""

    def is_alive(self) -> bool:
        """Tell whether it still runs."""

    def stop(self) -> None:
        """Stop within a bounded time; safe to repeat, and before start."""


@dataclass(slots=True)
class Program:
    """A command as a service: its own session, output in a bounded log, dead when the launcher is dead.

    `environment` is the whole environment of the child (see processes.child_environment).
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    log: Path
    healthy: Callable[[], bool]
    health_timeout_s: float = HEALTH_TIMEOUT_S
    stop_steps: Sequence[tuple[signal.Signals, float]] = STOP_STEPS
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def process_id(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start the command and wait for its health; LocalStackError with its last lines when it ends or is late."""
        self.launch()
        self.await_health()

    def launch(self) -> None:
        """Start the command, without waiting."""
        self.stop()
        bound_log(self.log)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 the stack's own commands
                [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=PYTHON_ROOT,
                env=dict(self.environment),
                start_new_session=True,
            )

    def await_health(self) -> None:
        """Wait until the launched command is healthy; LocalStackError with its last lines when it ends or is late."""
        process = self._process
        assert process is not None, "it was launched"
        healthy = wait_until(lambda: process.poll() is not None or self.healthy(), self.health_timeout_s)
        if process.poll() is not None:
            raise LocalStackError(self._tell(f"{self.name} {describe_end(process.returncode)} while starting"))
        if not healthy:
            self.stop()
            raise LocalStackError(self._tell(f"{self.name} was not healthy within {self.health_timeout_s:.0f} s"))

    def is_alive(self) -> bool:
        """Tell whether the process started last is still there."""
        return self.process_id is not None

    def stop(self) -> None:
        """Ask the process to end, and end it if it does not; then end what it started and left behind."""
        if self._process is None:
            return
        end_process(self._process, self.stop_steps)
        # The process led a session of its own, so its group holds whatever it forked.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process = None

    def _tell(self, what: str) -> str:
        lines = "\n".join(f"  {self.name} | {line}" for line in last_lines(self.log))
        return f"{what}; its log is {self.log}\n{lines}" if lines else f"{what}; its log {self.log} is empty"


@dataclass(slots=True)
class _Watched:
    """A running service, with what the supervisor remembers of its deaths."""

    service: Service
    started_at_s: float
    restarts: int = 0
    next_start_s: float | None = None


@dataclass(slots=True)
class Supervisor:
    """Runs services until SIGINT, SIGTERM or SIGHUP, inside a `with` block on the main thread.

    The block ends quietly on such a signal; however it ends, every service is stopped, the last started first.
    `report` receives one line at a time for the person at the terminal.
    """

    report: Callable[[str], None]
    backoff_first_s: float = BACKOFF_FIRST_S
    now_s: Callable[[], float] = time.monotonic
    _watched: list[_Watched] = field(default_factory=list)
    _handlers: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = field(
        default_factory=dict
    )

    def __enter__(self) -> Self:
        for number in STOP_SIGNALS:
            self._handlers[number] = signal.signal(number, _interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        # Stopping is bounded, and an impatient second Ctrl-C must not leave half of the services running.
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        return kind is KeyboardInterrupt

    def start(self, service: Service) -> None:
        """Start a service and watch it from now on. LocalStackError when it does not become healthy."""
        # It is listed first, so that an interrupted start is stopped as well.
        watched = _Watched(service, self.now_s())
        self._watched.append(watched)
        service.start()
        watched.started_at_s = self.now_s()

    def launch(self, programs: Sequence[Program]) -> None:
        """Start programs that do not wait for one another, and watch them from now on; await_health comes next."""
        for program in programs:
            self._watched.append(_Watched(program, self.now_s()))
            program.launch()

    def await_health(self, programs: Sequence[Program]) -> None:
        """Wait until launched programs are healthy. LocalStackError when one does not become it."""
        for program in programs:
            program.await_health()
        for watched in self._watched:
            if watched.service in programs:
                watched.started_at_s = self.now_s()

    def watch(self) -> None:
        """Start again what dies, until a stop signal; LocalStackError when a service died too often in a row."""
        while True:
            self.look()
            time.sleep(WATCH_PAUSE_S)

    def look(self) -> None:
        """Look at each service once: report and plan a restart of what died, carry out the restarts that are due."""
        for watched in self._watched:
            bound_log(watched.service.log)
            if watched.next_start_s is not None:
                self._restart_if_due(watched, watched.next_start_s)
            elif not watched.service.is_alive():
                self._plan_restart(watched, "ended unexpectedly")

    def stop(self) -> None:
        """Stop every service, the last started first. Repeatable."""
        while self._watched:
            self._watched.pop().service.stop()

    def _plan_restart(self, watched: _Watched, what: str) -> None:
        now_s = self.now_s()
        if now_s - watched.started_at_s > SETTLED_S:
            watched.restarts = 0
        if watched.restarts == RESTARTS_MAX:
            raise LocalStackError(
                f"{watched.service.name} {what} after {RESTARTS_MAX} restarts; see {watched.service.log}"
            )
        pause_s = min(self.backoff_first_s * 2**watched.restarts, BACKOFF_MAX_S)
        watched.restarts += 1
        watched.next_start_s = now_s + pause_s
        name = watched.service.name
        self.report(f"{name} {what}; starting it again in {pause_s:g} s ({watched.restarts} of {RESTARTS_MAX})")

    def _restart_if_due(self, watched: _Watched, due_s: float) -> None:
        if self.now_s() < due_s:
            return
        watched.started_at_s = self.now_s()
        watched.next_start_s = None
        try:
            watched.service.start()
        except LocalStackError as error:
            self._plan_restart(watched, f"did not start again ({error})")
        else:
            self.report(f"{watched.service.name} runs again")


def answers_http(port: int, path: str) -> Callable[[], bool]:
    """Give a health check: a GET of this path on this loopback port is answered with 200."""

    def check() -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=HEALTH_REQUEST_TIMEOUT_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return check


def describe_end(status: int) -> str:
    """Say in words how a process ended, from subprocess's return code."""
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Turn a stop signal into the exception that Ctrl-C raises, so that both unwind the same way."""
    raise KeyboardInterrupt
