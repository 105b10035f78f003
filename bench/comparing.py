"""How long it takes to replay a month of every customer's usage against a plan."""

import base64
import time

import asyncpg

from api.whatif.run import Wish, run
from bench.report import Result, at_most, middle
from bench.world import LLM, MASTER_KEY, Servers
from domain.config import Settings
from domain.kernel.call import Environment
from domain.usage.counters.counter import SLOTS

SECONDS_MAX = 60
DAYS = 30

# One hour of each day before the present one, for every combination of every customer.
_COPY_HOURS = f"""
INSERT INTO counter_hour (customer_id, segment_id, set_id, dimensions, hour_at, events, digest,
                          {", ".join(f"q{slot}" for slot in range(SLOTS))})
SELECT customer_id, segment_id, set_id, dimensions, hour_at - n * interval '1 day', hour_events, hour_digest,
       {", ".join(f"h{slot}" for slot in range(SLOTS))}
FROM counter_total, generate_series(1, $1::int - 1) AS n
"""  # noqa: S608 -- made of constants of this module


async def measure(running: Servers, database: str, people: int, runs: int) -> list[Result]:
    """Return the time for all customers of the product; each has a month of eight combinations."""
    connection = await asyncpg.connect(**running.postgres.asyncpg_arguments(database))
    try:
        await connection.execute(_COPY_HOURS, DAYS)
        await connection.execute("VACUUM ANALYZE counter_hour")
    finally:
        await connection.close()
    settings = Settings(
        database_url=running.postgres.dsn(database), master_key=base64.b64encode(MASTER_KEY).decode(), dev=True
    )
    wish = Wish("plan", LLM, environment=Environment.LIVE)
    elapsed = []
    for _ in range(runs):
        started = time.perf_counter()
        summary = await run(settings, wish, [], progress=lambda _done, _all: None)
        elapsed.append(time.perf_counter() - started)
        assert summary.subscriptions == people, "every customer is compared"
    return [at_most(f"what-if of {people:,} customers and a month of each", middle(elapsed), SECONDS_MAX, unit=" s")]
