"""Small rules about operating-system processes that every part of the local stack shares."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

POLL_S = 0.01
TAIL_BYTES = 16_384
TAIL_LINES = 12
LOG_BYTES_MAX = 5_000_000
PYTHON_ROOT = Path(__file__).resolve().parents[2]
INHERITED = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY")


def child_environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the whole environment of a child: a short list of inherited variables, and the settings named by the caller.

    Nothing else of the launcher's environment reaches a child, so that a stray variable cannot configure it.
    """
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}  # noqa: TID251 a child needs PATH and HOME
    return {**inherited, **(settings or {})}


def python_module(module: str, *arguments: str) -> list[str]:
    """Give the command that runs a module of this tree with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Poll until the condition holds; False when it still does not after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def end_process(process: subprocess.Popen[bytes], steps: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn and wait up to its seconds, until the process is gone; end with SIGKILL. Repeatable."""
    for number, patience_s in steps:
        if process.poll() is not None:
            return
        process.send_signal(number)
        if wait_until(lambda: process.poll() is not None, patience_s):
            return
    process.kill()
    process.wait()


def leftovers_in(directory: Path) -> list[psutil.Process]:
    """List the living processes that work in a directory, oldest first.

    PostgreSQL with all its children, and Valkey, work in their data directory, so this finds exactly the processes
    that still have the data open, whatever a process id in a file says. Zombies hold nothing open and are left out.
    """
    target = directory.resolve()
    found = [process for process in psutil.process_iter() if _works_in(process, target)]
    return sorted(found, key=lambda process: (process.create_time(), process.pid))


def end_leftovers(directory: Path, steps: Sequence[tuple[signal.Signals, float]]) -> int:
    """End every process left over in a directory and tell how many there were.

    The first signal goes to the oldest alone (a server ends its own children in order), the later ones to all that
    remain, and SIGKILL at the end: both servers recover what they acknowledged from their logs.
    """
    before = leftovers_in(directory)
    for index, (number, patience_s) in enumerate(steps):
        remaining = leftovers_in(directory)
        _signal(remaining[:1] if index == 0 else remaining, number)
        if wait_until(lambda: not leftovers_in(directory), patience_s):
            return len(before)
    _signal(leftovers_in(directory), signal.SIGKILL)
    psutil.wait_procs(before, timeout=1)
    return len(before)


def last_lines(log: Path, lines_max: int = TAIL_LINES, *, after: int = 0) -> list[str]:
    """Read the end of a log, from byte `after` at the earliest; an empty list when there is none."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(after, log.stat().st_size - TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return text.splitlines()[-lines_max:]


def bound_log(log: Path) -> None:
    """Move a log that has grown past LOG_BYTES_MAX to `.1` and empty it in place; its writer appends, so it goes on."""
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.with_name(f"{log.name}.1").write_bytes(log.read_bytes())
        os.truncate(log, 0)


def _works_in(process: psutil.Process, directory: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == directory
    except (psutil.Error, OSError):
        return False


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
