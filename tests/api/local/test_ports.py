"""Ports: the API's is fixed, the others are remembered."""

import json
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.local.errors import LocalStackError
from api.local.home import Home, open_home
from api.local.ports import claim_api_port, free_port, remembered_ports
from api.local.processes import PYTHON_ROOT

CLAIM = "from api.local.ports import free_port; print(free_port(), flush=True); input()"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        yield server.getsockname()[1]


@contextmanager
def claimed_elsewhere() -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Let another process choose a port and live on; give the process and the port."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", CLAIM]
    with subprocess.Popen(command, cwd=PYTHON_ROOT, stdin=pipe, stdout=pipe, text=True) as program:  # noqa: S603 -- ours
        assert program.stdout is not None
        yield program, int(program.stdout.readline())
        program.kill()


def test_a_free_api_port_is_taken_as_asked() -> None:
    port = free_port()

    assert claim_api_port(port) == port


def test_a_taken_api_port_says_which_setting_to_change(taken: int) -> None:
    with pytest.raises(LocalStackError, match=f"port {taken} is taken; set TOLLGATE_PORT="):
        claim_api_port(taken)


def test_a_number_that_is_no_port_is_refused() -> None:
    with pytest.raises(LocalStackError, match="70000 is no port"):
        claim_api_port(70_000)


def test_other_ports_stay_the_same_from_start_to_start(home: Home) -> None:
    first = remembered_ports(home, ["mail", "sandbox"])

    assert remembered_ports(home, ["mail", "sandbox"]) == first
    assert remembered_ports(home, ["sandbox", "mail", "smtp"])["mail"] == first["mail"]
    assert len(set(first.values())) == 2
    assert all(20_000 <= port <= 32_767 for port in first.values())


def test_a_remembered_port_that_is_taken_by_now_is_replaced(home: Home) -> None:
    first = remembered_ports(home, ["mail", "sandbox"])
    with socket.create_server(("127.0.0.1", first["mail"])):
        second = remembered_ports(home, ["mail", "sandbox"])

    assert second["mail"] != first["mail"]
    assert second["sandbox"] == first["sandbox"]


def test_a_port_is_given_once_though_nobody_listens_on_it_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    first = free_port()
    other = free_port()
    turns = iter([first, first, other, 32_000, 32_001, 32_002])
    monkeypatch.setattr(secrets, "randbelow", lambda _bound: next(turns) - 20_000)

    assert free_port() in {32_000, 32_001, 32_002}


def test_a_port_that_another_process_has_claimed_is_left_to_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with claimed_elsewhere() as (program, port):
        (home.path / "ports.json").write_text(json.dumps({"mail": port}))
        given = remembered_ports(home, ["mail"])["mail"]
        assert given != port

        monkeypatch.setattr(secrets, "randbelow", lambda _bound: port - 20_000)
        with pytest.raises(LocalStackError, match="no free port was found"):
            free_port()

        program.kill()
        program.wait()
        assert free_port() == port


def test_a_claim_does_not_hinder_the_server_it_is_meant_for() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        assert server.getsockname()[0] == "127.0.0.1"


def test_a_damaged_memory_of_ports_is_made_anew(home: Home) -> None:
    (home.path / "ports.json").write_text("{")

    assert set(remembered_ports(home, ["mail"])) == {"mail"}
