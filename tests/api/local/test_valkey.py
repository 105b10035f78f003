"""The embedded Valkey: what it holds survives a stop, and a leftover server is taken over."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from api.local.errors import LocalStackError
from api.local.processes import end_leftovers, leftovers_in
from api.local.valkey import Valkey, valkey_at


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = valkey_at(tmp_path / "valkey", tmp_path.name, tmp_path / "valkey.log")
    yield server
    server.stop()
    end_leftovers(server.data, ((signal.SIGTERM, 5.0),))


def test_values_survive_a_stop(valkey: Valkey) -> None:
    valkey.start()
    with redis.Redis.from_url(valkey.url()) as client:
        client.set("kept", "1")
    valkey.stop()
    valkey.start()

    with redis.Redis.from_url(valkey.url()) as client:
        assert client.get("kept") == b"1"
        assert client.config_get("port") == {"port": "0"}


def test_a_server_left_over_from_a_killed_launcher_is_taken_over(valkey: Valkey) -> None:
    valkey.start()
    with redis.Redis.from_url(valkey.url()) as client:
        client.set("kept", "1")
    heir = valkey_at(valkey.data, "heir", valkey.log)
    heir.start()

    assert not valkey.is_alive()
    assert [process.pid for process in leftovers_in(valkey.data)] == [heir.process_id]
    with redis.Redis.from_url(heir.url()) as client:
        assert client.get("kept") == b"1"
    heir.stop()


def test_a_broken_file_is_one_clear_line(valkey: Valkey) -> None:
    valkey.start()
    valkey.stop()
    (valkey.data / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")

    with pytest.raises(LocalStackError, match="move that directory away: what it held is rebuilt from PostgreSQL"):
        valkey.start()
