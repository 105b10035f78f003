"""The supervisor: health, early death, restarts, stop order, and no survivors."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from api.local.children import Program, Supervisor
from api.local.errors import LocalStackError
from api.local.processes import LOG_BYTES_MAX, PYTHON_ROOT, bound_log, child_environment, wait_until
from tests.waiting import PATIENCE_S

SLEEPER = "import time; time.sleep(60)"
LAUNCHER = """
import sys
from pathlib import Path
from api.local.children import Program
from api.local.processes import child_environment
command = [sys.executable, "-c", "import time; time.sleep(60)"]
program = Program("sleeper", command, child_environment(), Path(sys.argv[1]), lambda: True)
program.start()
print(program.process_id, flush=True)
sys.stdin.read()
"""


def program(tmp_path: Path, script: str, healthy: Callable[[], bool] = lambda: True, **settings: str) -> Program:
    return Program(
        "worker",
        [sys.executable, "-c", script],
        child_environment(settings),
        tmp_path / "worker.log",
        healthy,
        PATIENCE_S,
    )


@dataclass
class Recorded:
    """A service in memory that writes down what happens to it, and fails to start when told so."""

    name: str
    events: list[str]
    log: Path = Path("/nonexistent/service.log")
    alive: bool = False
    failures: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Write the start down, and fail if a failure is left."""
        self.events.append(f"start {self.name}")
        if self.failures:
            raise LocalStackError(self.failures.pop())
        self.alive = True

    def is_alive(self) -> bool:
        """Tell what the test has set."""
        return self.alive

    def stop(self) -> None:
        """Write the stop down."""
        self.events.append(f"stop {self.name}")
        self.alive = False


def test_a_program_is_up_when_healthy_and_can_be_started_again_and_stopped_twice(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    worker = program(tmp_path, f"open({str(flag)!r}, 'w').close(); {SLEEPER}", flag.exists)
    worker.start()

    assert flag.exists()
    assert worker.is_alive()
    first = worker.process_id
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: not worker.is_alive(), PATIENCE_S)
    worker.start()
    assert worker.is_alive()
    worker.stop()
    worker.stop()
    assert not worker.is_alive()


def test_a_program_that_dies_while_starting_shows_its_last_lines(tmp_path: Path) -> None:
    worker = program(tmp_path, "print('the disk is full'); raise SystemExit(3)", lambda: False)

    with pytest.raises(LocalStackError, match=r"worker ended with status 3 while starting") as refusal:
        worker.start()
    assert "  worker | the disk is full" in str(refusal.value)


def test_a_program_that_does_not_become_healthy_is_stopped(tmp_path: Path) -> None:
    worker = program(tmp_path, SLEEPER, lambda: False)
    worker.health_timeout_s = 0.1

    with pytest.raises(LocalStackError, match="worker was not healthy within"):
        worker.start()
    assert not worker.is_alive()


def test_a_program_gets_the_settings_given_and_nothing_else_of_ours(tmp_path: Path) -> None:
    script = "import os; print([name for name in os.environ if name.startswith(('TOLLGATE', 'PYTEST'))])"
    worker = program(tmp_path, script, lambda: False, TOLLGATE_PORT="8001")

    with pytest.raises(LocalStackError, match=r"\['TOLLGATE_PORT'\]"):
        worker.start()


def test_a_program_that_ignores_the_request_to_end_is_ended(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    script = (
        f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({str(flag)!r}, 'w').close(); {SLEEPER}"
    )
    worker = program(tmp_path, script, flag.exists)
    worker.stop_steps = ((signal.SIGTERM, 0.1),)
    worker.start()
    worker.stop()

    assert not worker.is_alive()


def test_kill_9_of_the_launcher_ends_its_programs(tmp_path: Path) -> None:
    with subprocess.Popen(  # noqa: S603 a fixed script
        [sys.executable, "-c", LAUNCHER, str(tmp_path / "sleeper.log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PYTHON_ROOT,
        env=child_environment(),
    ) as launcher:
        assert launcher.stdout is not None
        sleeper = psutil.Process(int(launcher.stdout.readline()))
        launcher.kill()

    assert wait_until(lambda: not sleeper.is_running() or sleeper.status() == psutil.STATUS_ZOMBIE, PATIENCE_S)


def test_services_stop_in_reverse_order_and_a_stop_signal_ends_quietly() -> None:
    events: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    with Supervisor(events.append) as supervisor:
        supervisor.start(Recorded("database", events))
        supervisor.start(Recorded("api", events))
        os.kill(os.getpid(), signal.SIGTERM)
        supervisor.watch()

    assert events == ["start database", "start api", "stop api", "stop database"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_service_that_fails_to_start_stops_the_others_and_is_told() -> None:
    events: list[str] = []
    supervisor = Supervisor(events.append)
    supervisor.start(Recorded("database", events))
    with pytest.raises(LocalStackError, match="port 8000 is taken"), supervisor:
        supervisor.start(Recorded("api", events, failures=["port 8000 is taken"]))

    assert events == ["start database", "start api", "stop api", "stop database"]


def test_programs_that_do_not_wait_for_one_another_start_side_by_side(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"

    def meets(own: Path, other: Path) -> str:
        """Healthy only when the other one runs too."""
        return f"""
import pathlib, time
pathlib.Path({str(own)!r}).touch()
while not pathlib.Path({str(other)!r}).exists(): time.sleep(0.01)
pathlib.Path({str(own)!r} + ".met").touch()
{SLEEPER}"""

    programs = [
        program(tmp_path, meets(first, second), (tmp_path / "first.met").exists),
        program(tmp_path, meets(second, first), (tmp_path / "second.met").exists),
    ]
    with Supervisor(lambda _line: None) as supervisor:
        supervisor.launch(programs)
        supervisor.await_health(programs)
        assert all(each.is_alive() for each in programs)
    assert not any(each.is_alive() for each in programs)


def test_a_program_that_fails_beside_others_stops_them_and_is_told(tmp_path: Path) -> None:
    lives = program(tmp_path, SLEEPER)
    fails = program(tmp_path, "raise SystemExit(3)", lambda: False)
    with Supervisor(lambda _line: None) as supervisor:
        supervisor.launch([lives, fails])
        with pytest.raises(LocalStackError, match="ended with status 3 while starting"):
            supervisor.await_health([lives, fails])
    assert not lives.is_alive()


def test_a_service_that_dies_is_reported_and_started_again() -> None:
    events: list[str] = []
    with Supervisor(events.append, backoff_first_s=0.0) as supervisor:
        api = Recorded("api", events)
        supervisor.start(api)
        api.alive = False
        supervisor.look()
        supervisor.look()
        supervisor.look()

    assert events == [
        "start api",
        "api ended unexpectedly; starting it again in 0 s (1 of 5)",
        "start api",
        "api runs again",
        "stop api",
    ]


def test_a_service_that_keeps_dying_ends_the_stack_after_five_restarts() -> None:
    events: list[str] = []
    api = Recorded("api", events)
    supervisor = Supervisor(lambda _line: None, backoff_first_s=0.0)
    supervisor.start(api)
    api.alive = False
    api.failures = ["no luck"] * 6
    # Each restart takes two looks: one plans it, the next carries it out. The last failure is refused at once.
    for _ in range(5):
        supervisor.look()
    with pytest.raises(LocalStackError, match=r"api did not start again \(no luck\) after 5 restarts"):
        supervisor.look()

    # The first start and five restarts.
    assert events.count("start api") == 6


def test_waiting_before_a_restart_does_not_start_early() -> None:
    events: list[str] = []
    seconds = [100.0]
    with Supervisor(lambda _line: None, now_s=lambda: seconds[0]) as supervisor:
        api = Recorded("api", events)
        supervisor.start(api)
        api.alive = False
        supervisor.look()
        # The first pause is half a second.
        seconds[0] = 100.49
        supervisor.look()
        assert events == ["start api"]
        seconds[0] = 100.5
        supervisor.look()
        assert events == ["start api", "start api"]


def test_a_log_that_outgrew_its_bound_is_moved_and_emptied(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_bytes(b"x" * (LOG_BYTES_MAX + 1))
    bound_log(log)

    assert log.stat().st_size == 0
    assert (tmp_path / "worker.log.1").stat().st_size == LOG_BYTES_MAX + 1
