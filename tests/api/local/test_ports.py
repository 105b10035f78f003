"""Ports: the API's is fixed, the others are remembered."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.local.errors import LocalStackError
from api.local.home import Home, open_home
from api.local.ports import claim_api_port, free_port, remembered_ports


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", free_port(set()))) as server:
        yield server.getsockname()[1]


def test_a_free_api_port_is_taken_as_asked() -> None:
    port = free_port(set())

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


def test_a_damaged_memory_of_ports_is_made_anew(home: Home) -> None:
    (home.path / "ports.json").write_text("{")

    assert set(remembered_ports(home, ["mail"])) == {"mail"}
