"""How soon an API process serves, and what it takes before the first request."""

import time

from bench.machine import cpu_s, memory_mb
from bench.report import Result, at_most, middle
from bench.serving import serving
from bench.world import Servers

START_S_MAX, IDLE_MB_MAX = 1.5, 120
SETTLE_S = 0.3


def measure(running: Servers, database: str, runs: int) -> list[Result]:
    """Return the time to the first good answer of /readyz, imports included, and the memory then."""
    started, cpu, memory = [], [], []
    for _ in range(runs):
        with serving(running, database) as api:
            started.append(api.started_in_s)
            cpu.append(cpu_s(api.process_id))
            time.sleep(SETTLE_S)
            memory.append(memory_mb(api.process_id))
    return [
        at_most("API process: start to serving", middle(started), START_S_MAX, digits=2, unit=" s"),
        Result("API process: CPU until it serves", f"{middle(cpu):.2f} s"),
        at_most("API process: memory when idle", middle(memory), IDLE_MB_MAX, digits=0, unit=" MB"),
    ]
