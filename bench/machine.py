"""What the figures were measured on, and how CPU time and memory of processes are read."""

import contextlib
import os
import platform
import resource
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil

from api.local.postgres import Address

_CLOCK_TICKS_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def apart(process_id: int) -> Iterator[None]:
    """Keep a process on one core and this one, with what it starts, on the others, where there are any."""
    before = os.sched_getaffinity(0)
    first, *others = sorted(before)
    if not others:
        yield
        return
    os.sched_setaffinity(process_id, {first})
    os.sched_setaffinity(0, set(others))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def own_cpu_s() -> float:
    """Return the CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cpu_s(process_id: int) -> float:
    """Return the CPU seconds of another process so far, from /proc."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS_S


def family_cpu_s(process_id: int) -> float:
    """Return the CPU seconds of a server, of its running connections, and of those it has waited for."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    found = sum(int(fields[index]) for index in (11, 12, 13, 14)) / _CLOCK_TICKS_S
    for child in psutil.Process(process_id).children():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += cpu_s(child.pid)
    return found


def memory_mb(process_id: int) -> float:
    """Return the resident memory of a process, in MB of 10^6 bytes."""
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * _PAGE_BYTES / 1e6


async def describe(address: Address) -> str:
    """Describe the machine and the versions in one sentence."""
    connection = await asyncpg.connect(**address)
    try:
        postgres = str(await connection.fetchval("SHOW server_version")).split()[0]
        is_durable = await connection.fetchval("SHOW fsync") == "on"
    finally:
        await connection.close()
    memory_gib = psutil.virtual_memory().total / 2**30
    return (
        f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, "
        f"CPython {platform.python_version()}, PostgreSQL {postgres} with fsync {'on' if is_durable else 'off'}; "
        "the load, the API and Postgres share the cores; "
        f"{os.getloadavg()[0]:.1f} processes were running before it began."
    )
