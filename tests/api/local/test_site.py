"""Where PostgreSQL lies and whom it runs as; the rules for root are shown when root runs the tests."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.local.errors import LocalStackError
from api.local.site import (
    SHORT,
    can_enter,
    choose_account,
    choose_place,
    own_directory,
    reachable_copy,
    socket_directory,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as somebody else")


@pytest.fixture
def closed() -> Iterator[Path]:
    """Make a directory that only its owner may enter, directly below the temporary directory."""
    directory = Path(tempfile.mkdtemp(prefix="tollgate-test-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def opened(closed: Path) -> Path:
    """Open it to everybody."""
    closed.chmod(0o711)
    return closed


def test_data_lies_in_the_home_when_the_server_can_go_there(opened: Path) -> None:
    assert choose_place(opened / "postgres", opened / "outside") == opened / "postgres"
    assert not (opened / "outside").exists()


@as_root
def test_data_lies_elsewhere_below_a_folder_that_only_root_can_enter(closed: Path, tmp_path: Path) -> None:
    outside = tmp_path / "state" / "0123"

    assert choose_place(closed / "postgres", outside) == outside
    assert stat.S_IMODE(outside.stat().st_mode) == 0o711
    # Opened later, the place that was chosen first is kept: the data is there.
    closed.chmod(0o711)
    assert choose_place(closed / "postgres", outside) == outside


@as_root
def test_root_hands_over_to_an_account_or_to_the_owner_of_the_data(opened: Path) -> None:
    account = choose_account(opened / "data")
    assert account is not None
    assert account.name in {"postgres", "nobody"}

    (opened / "data").mkdir()
    os.chown(opened / "data", 4321, 4321)
    owner = choose_account(opened / "data")
    assert owner is not None
    assert (owner.name, owner.user) == ("4321", 4321)


@as_root
def test_binaries_below_a_closed_folder_are_copied_once(closed: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (closed / "bin").mkdir()
    (closed / "bin" / "tool").write_text("first")
    account = choose_account(closed)
    target = tmp_path_factory.mktemp("copies") / "copy"

    assert reachable_copy(closed, ("bin", "absent"), target, account) == target
    (closed / "bin" / "tool").write_text("second")
    reachable_copy(closed, ("bin", "absent"), target, account)
    assert (target / "bin" / "tool").read_text() == "first"


def test_binaries_that_can_be_reached_are_not_copied(opened: Path) -> None:
    (opened / "bin").mkdir()

    assert reachable_copy(opened, ("bin",), opened / "copy", choose_account(opened / "data")) == opened
    assert not (opened / "copy").exists()


def test_a_directory_that_is_not_there_cannot_be_entered(opened: Path) -> None:
    assert not can_enter(None, opened / "absent")


@as_root
def test_a_private_directory_of_somebody_else_is_refused(opened: Path) -> None:
    (opened / "socket").mkdir()
    os.chown(opened / "socket", 4321, 4321)

    with pytest.raises(LocalStackError, match="belongs to somebody else"):
        own_directory(opened / "socket", None)
    assert (opened / "socket").stat().st_uid == 4321


@pytest.mark.parametrize("name", ["with space", "with,comma", "x" * 90])
def test_a_path_that_no_driver_or_kernel_takes_is_replaced_by_a_private_one(opened: Path, name: str) -> None:
    short = Path(tempfile.mkdtemp(prefix="tollgate-", dir="/tmp"))
    found = socket_directory(opened / name, "server", None, short)
    assert found == short / "tollgate-server"
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    assert not (opened / name).exists()
    shutil.rmtree(short)


def test_where_the_temporary_directory_has_no_such_path_either_it_lies_in_tmp(opened: Path) -> None:
    found = socket_directory(opened / "with space", f"{opened.name}-server", None, opened / ("x" * 90))
    assert found == SHORT / f"tollgate-{opened.name}-server"
    found.rmdir()
