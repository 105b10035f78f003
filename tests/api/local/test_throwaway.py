"""Throw-away servers leave nothing behind, even when the process that uses them is killed."""

import shutil
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import redis

from api.local import throwaway
from api.local.processes import PYTHON_ROOT, child_environment, wait_until
from api.local.throwaway import MEMORY_FREE_BYTES_MIN, temporary_servers
from tests.waiting import PATIENCE_S

USER = """
import sys
from pathlib import Path
from api.local.throwaway import temporary_servers
with temporary_servers(Path(sys.argv[1])) as servers:
    # What runs at the end is not what was started first.
    servers.postgres.stop()
    servers.postgres.start()
    print(servers.postgres.data.parent, servers.postgres.process_id, servers.valkey.process_id, flush=True)
    sys.stdin.read()
"""


async def test_both_servers_answer_and_are_gone_afterwards(tmp_path: Path) -> None:
    with temporary_servers(tmp_path) as servers:
        place = servers.postgres.data.parent
        connection = await asyncpg.connect(**servers.postgres.asyncpg_arguments())
        # What the schema needs: ids made by the server sort by time.
        assert await connection.fetchval("SELECT uuidv7() < uuidv7()")
        await connection.close()
        with redis.Redis.from_url(servers.valkey.url()) as client:
            assert client.ping()

    assert not place.exists()
    assert not servers.postgres.is_alive()
    assert not servers.valkey.is_alive()


def test_kill_9_of_the_user_ends_the_servers_and_removes_their_files(tmp_path: Path) -> None:
    with subprocess.Popen(  # noqa: S603 a fixed script
        [sys.executable, "-c", USER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PYTHON_ROOT,
        env=child_environment(),
    ) as user:
        assert user.stdout is not None
        place, *processes = user.stdout.readline().decode().split()
        servers = [psutil.Process(int(process)) for process in processes]
        user.kill()

    assert wait_until(lambda: not Path(place).exists(), PATIENCE_S)
    assert all(not server.is_running() or server.status() == psutil.STATUS_ZOMBIE for server in servers)


def test_files_lie_in_memory_where_that_is_roomy_and_programs_run_from_it(tmp_path: Path) -> None:
    has_room = shutil.disk_usage(tmp_path).free >= MEMORY_FREE_BYTES_MIN
    assert throwaway._memory(tmp_path) == (tmp_path if has_room else None)
    assert throwaway._memory(tmp_path / "absent") is None
    # Nothing can be made there, and it has no room.
    assert throwaway._memory(Path("/proc")) is None
