"""The worker process: how it reaches its queue, and how it ends."""

import subprocess
import sys
from urllib.parse import quote

import pytest
from arq.connections import ArqRedis
from redis.exceptions import RedisError

from api.local.processes import PYTHON_ROOT, child_environment
from api.local.throwaway import TemporaryServers
from workers.settings import connect

TIMEOUT_S = 60
# Its thread waits for ever, as for the answer to a look-up of a name.
STUCK = """
import threading
from workers.__main__ import leave_soon
threading.Thread(target=threading.Event().wait).start()
leave_soon(0.05)
"""


async def test_a_password_is_written_in_the_address_as_for_any_other_client(
    servers: TemporaryServers, queue: ArqRedis
) -> None:
    name, password = "operator", "p@ss/w:rd"
    await queue.acl_setuser(name, enabled=True, passwords=[f"+{password}"], keys=["*"], categories=["+@all"])
    try:
        other = await connect(f"unix://{name}:{quote(password, safe='')}@{servers.valkey.socket_path}?db=1")
        assert await other.acl_whoami() == name
        assert await other.enqueue_job("run_job", "1", _job_id="1") is not None
        await other.flushdb()
        await other.aclose()
        with pytest.raises(RedisError):
            await connect(f"unix://{name}:wrong@{servers.valkey.socket_path}")
    finally:
        await queue.acl_deluser(name)


def test_a_thread_that_waits_for_ever_does_not_keep_a_worker_from_ending() -> None:
    ended = subprocess.run(  # noqa: S603 -- our own code
        [sys.executable, "-c", STUCK], check=False, cwd=PYTHON_ROOT, env=child_environment(), timeout=TIMEOUT_S
    )
    assert ended.returncode == 0
