"""The whole system as a person starts it: up, used, killed, up again with nothing lost, stopped."""

import json
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from api.local.ports import free_port
from api.local.processes import PYTHON_ROOT, child_environment

STOPS_WITHIN_S = 40
TRACE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
2023-11-16 18:17:04.0781490,110,27
"""


def environment(home: Path, port: int) -> dict[str, str]:
    return child_environment({"TOLLGATE_HOME": str(home), "TOLLGATE_PORT": str(port)})


@contextmanager
def running(home: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """Start the system and wait until it says that it runs; whatever happens, nothing of it is left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "up"],
        cwd=PYTHON_ROOT,
        env=environment(home, port),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Tollgate runs"):
                break
        else:
            pytest.fail("".join(said))
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOPS_WITHIN_S)
        finally:
            process.stdout.close()


def replay(home: Path, port: int, trace: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "api", "replay", str(trace), "--customers", "2", "--json", *options]
    done = subprocess.run(  # noqa: S603 -- our own command
        command, check=False, capture_output=True, text=True, cwd=PYTHON_ROOT, env=environment(home, port), timeout=120
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_was_replayed_survives_the_death_of_the_launcher_and_is_paid(passable: Path) -> None:
    home = passable / "home"
    port = free_port()
    trace = passable / "trace.csv"
    trace.write_text(TRACE, "ascii")
    with running(home, port) as launcher:
        demo = json.loads((home / "demo.json").read_text("utf-8"))
        first = replay(home, port, trace)
        children = psutil.Process(launcher.pid).children(recursive=True)
        launcher.kill()
        launcher.wait(STOPS_WITHIN_S)

    assert list(demo) == [
        "api_url",
        "graphql_url",
        "ws_url",
        "sandbox_url",
        "sandbox_key",
        "mail_url",
        "api_key",
        "staff_token",
        "customer_id",
        "customer_token",
    ]
    assert demo["ws_url"] == f"ws://127.0.0.1:{port}/graphql"
    assert stat.S_IMODE((home / "demo.json").stat().st_mode) == 0o600
    assert (first["sent"], first["counted"], first["duplicate"]) == (3, 3, 0)
    # 4808 + 3180 + 110 tokens at 1.25, and 10 + 8 + 27 at 10.00 USD a million: 0.0101225 + 0.00045.
    assert (first["tokens_in"], first["tokens_out"], first["list_cost"]) == (8098, 45, "0.0105725")
    assert (first["invoices"], first["paid"]) == (2, "158.00")

    with running(home, port) as launcher:
        again = json.loads((home / "demo.json").read_text("utf-8"))
        closed = replay(home, port, trace, "--close")
        children += psutil.Process(launcher.pid).children(recursive=True)

    assert (again["customer_id"], again["api_key"]) == (demo["customer_id"], demo["api_key"])
    assert (closed["sent"], closed["counted"], closed["duplicate"]) == (3, 0, 3)
    assert (closed["tokens_in"], closed["tokens_out"], closed["list_cost"]) == (8098, 45, "0.0105725")
    # Two fees of 79.00 each; rows 1 and 3 cost 0.0065175 (0.01), row 2 costs 0.004055 (0.00).
    assert (closed["invoices"], closed["paid"]) == (4, "316.01")
    assert psutil.wait_procs(children, timeout=STOPS_WITHIN_S)[1] == []
