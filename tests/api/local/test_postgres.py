"""The embedded PostgreSQL: first start, next start, kill -9 of everything, and directories that cannot be used."""

import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from api.local import processes
from api.local.errors import LocalStackError
from api.local.home import Home
from api.local.postgres import Postgres, local_postgres, postgres_at
from api.local.site import choose_account, socket_directory
from api.local.valkey import answers, local_valkey
from tests.waiting import PATIENCE_S


@pytest.fixture
def place() -> Iterator[Path]:
    """Make a directory that the server's account can enter, which pytest's own is not when root runs the tests."""
    directory = Path(tempfile.mkdtemp(prefix="tollgate-test-"))
    directory.chmod(0o711)
    yield directory
    processes.end_leftovers(directory / "data", ((signal.SIGQUIT, 5.0),))
    shutil.rmtree(directory)


def prepare(place: Path) -> Postgres:
    sockets = socket_directory(place / "socket", "test", choose_account(place / "data"))
    return postgres_at(place, sockets, place / "postgres.log")


async def write(postgres: Postgres, number: int) -> None:
    connection = await asyncpg.connect(**postgres.asyncpg_arguments())
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
    await connection.execute("INSERT INTO kept VALUES ($1)", number)
    await connection.close()


async def read(postgres: Postgres) -> list[int]:
    connection = await asyncpg.connect(**postgres.asyncpg_arguments())
    rows = await connection.fetch("SELECT number FROM kept ORDER BY number")
    await connection.close()
    return [row["number"] for row in rows]


async def test_rows_survive_a_stop_and_kill_9_of_everything(place: Path) -> None:
    first = prepare(place)
    first.start()
    await write(first, 1)
    first.stop()
    assert not first.is_alive()

    second = prepare(place)
    second.start()
    await write(second, 2)
    for process in processes.leftovers_in(place / "data"):
        process.kill()

    third = prepare(place)
    third.start()
    # Nobody had asked after the killed server, so until here it was a zombie that its files still named.
    assert not second.is_alive()
    assert await read(third) == [1, 2]
    third.stop()


async def test_a_server_whose_launcher_was_killed_is_taken_over_with_nothing_lost(place: Path) -> None:
    orphan = prepare(place)
    orphan.start()
    await write(orphan, 1)

    heir = prepare(place)
    heir.start()

    assert await read(heir) == [1]
    assert not orphan.is_alive()
    assert {process.pid for process in processes.leftovers_in(place / "data")} >= {heir.process_id}
    heir.stop()
    assert processes.leftovers_in(place / "data") == []


async def test_a_pid_file_that_names_a_living_stranger_does_not_block_a_start(place: Path) -> None:
    first = prepare(place)
    first.start()
    await write(first, 1)
    for process in processes.leftovers_in(place / "data"):
        process.kill()
    assert processes.wait_until(lambda: not first.is_alive(), PATIENCE_S)
    stale = (place / "data" / "postmaster.pid").read_text().splitlines()
    (place / "data" / "postmaster.pid").write_text("\n".join([str(os.getpid()), *stale[1:]]) + "\n")

    second = prepare(place)
    second.start()

    assert await read(second) == [1]
    second.stop()


async def test_it_listens_on_a_private_socket_only_and_is_durable(place: Path) -> None:
    postgres = prepare(place)
    postgres.start()
    connection = await asyncpg.connect(**postgres.asyncpg_arguments())
    names = ("listen_addresses", "fsync", "synchronous_commit", "server_encoding", "TimeZone")
    settings = [await connection.fetchval("SELECT current_setting($1)", name) for name in names]
    await connection.close()

    assert settings == ["", "on", "on", "UTF8", "UTC"]
    assert stat.S_IMODE(postgres.sockets.stat().st_mode) == 0o700
    assert psutil.Process(postgres.process_id).uids().real != 0
    assert postgres.dsn("other") == f"postgresql+asyncpg://tollgate@/other?host={postgres.sockets}"
    postgres.stop()


def test_a_broken_data_directory_is_one_clear_line(place: Path) -> None:
    (place / "data").mkdir()
    (place / "data" / "notes.txt").write_text("not a database")

    with pytest.raises(LocalStackError, match=r"it holds files but no PG_VERSION; restore .* or move it away"):
        prepare(place).start()
    assert [file.name for file in (place / "data").iterdir()] == ["notes.txt"]


def test_damaged_data_is_one_clear_line_with_the_servers_reason(place: Path) -> None:
    postgres = prepare(place)
    postgres.start()
    postgres.stop()
    (place / "data" / "global" / "pg_control").write_bytes(b"\0" * 8192)

    with pytest.raises(LocalStackError) as refusal:
        prepare(place).start()
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith(f"PostgreSQL cannot start on {place}/data: ")
    assert "move it away to begin with an empty database" in str(refusal.value)


def test_data_of_another_version_is_one_clear_line(place: Path) -> None:
    (place / "data").mkdir()
    (place / "data" / "PG_VERSION").write_text("15\n")

    with pytest.raises(LocalStackError, match="it was made by PostgreSQL 15, and this one is 18"):
        prepare(place).start()


def test_a_home_with_a_long_path_gets_short_sockets(place: Path) -> None:
    home = Home(place / ("deep" * 30))
    for directory in (home.path, home.logs, home.valkey):
        directory.mkdir(mode=0o711)
    postgres = local_postgres(home, "0123456789abcdef")
    valkey = local_valkey(home, "0123456789abcdef")
    try:
        valkey.start()
        assert answers(valkey.socket_path)
        assert max(len(str(postgres.sockets)), len(str(valkey.sockets))) < 86
        assert str(home.path) in postgres.describe()
    finally:
        valkey.stop()
        shutil.rmtree(postgres.sockets)
        shutil.rmtree(valkey.sockets)
