"""The statements that read many customers' running usage: of those that are known what moved, of others all of it.

What moved is told by a mark: the id of the oldest transaction that could still write when a customer was read before.
Whatever that or a later one wrote, whether it is new or was just not seen, is read again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from domain import db
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, MeterId, SubscriptionId
from domain.subscriptions.subscription import Subscription
from domain.usage.counters.counter import SLOTS
from domain.usage.totals.rows import Row

_Q = [f"q{slot}" for slot in range(SLOTS)]
_ALL, _SUMMED = ", ".join(_Q), ", ".join(f"sum(t.{name}) AS {name}" for name in _Q)
_NO_SUMS, _NO_MORE_SUMS = ", ".join(["NULL::numeric"] * SLOTS), ", NULL" * (SLOTS - 1)
_MARK, _ANEW, _VERSION, _SET, _TOTAL = range(5)
# Sums are the last columns of a total.
_SUMS_AT = 8


def _summed(table: str, owner: str, sums: str, *, since: bool) -> str:
    """Write the selection of what subscriptions have counted in a table; `since`: only what moved since their marks.

    What is of several segments is added up, and all of it is needed where a part of it moved. Ages are compared, as ids
    of transactions begin anew some day. Each row is looked at once: were those that moved looked up first and joined,
    a planner that expects few would compare each with each.
    """
    moved = ", p.mark HAVING min(age(t.xmin)) <= age(p.mark)" if since else ""
    return f"""
    SELECT p.customer_id, p.subscription_id, t.{owner} AS owner, t.dimensions, sum(t.events)::bigint AS events, {sums}
    FROM stretch p JOIN {table} t ON t.customer_id = p.customer_id AND t.segment_id = p.segment_id
    GROUP BY p.customer_id, p.subscription_id, t.{owner}, t.dimensions{moved}"""  # noqa: S608 -- made of constants of this module


def _counted(*, since: bool) -> str:
    """Write what both statements read: versions of `asked` customers, and totals of each `stretch`.

    That is a segment of a present usage period. `since`: of all that, what moved since the customers' marks. Whoever
    has counted anything has a version: every commit that moves totals raises it.
    """
    moved = "AND age(v.xmin) <= age(a.mark)" if since else ""
    return f"""
counters AS ({_summed("counter_total", "set_id", _SUMMED, since=since)}
), totals AS (
    SELECT * FROM counters
    UNION ALL {_summed("usage_total", "meter_id", f"sum(t.quantity){_NO_MORE_SUMS}", since=since)}
)
SELECT {_TOTAL} AS kind, t.customer_id, t.subscription_id, t.owner, t.dimensions, d."values"::text AS named, t.events,
       v.version, {_ALL}
FROM totals t
JOIN usage_version v ON v.customer_id = t.customer_id
LEFT JOIN dimension_set d ON d.customer_id = t.customer_id AND d.id = t.dimensions
UNION ALL
SELECT {_VERSION}, a.customer_id, NULL, NULL, NULL, NULL, NULL, v.version, {_NO_SUMS}
FROM asked a JOIN usage_version v ON v.customer_id = a.customer_id
WHERE a.customer_id NOT IN (SELECT customer_id FROM totals) {moved}
UNION ALL
SELECT {_SET}, NULL, NULL, id, meter_id, NULL, slot, NULL, {_NO_SUMS}
FROM meter_set WHERE id IN (SELECT owner FROM counters)
"""  # noqa: S608 -- made of constants of this module


# Whoever runs something else by now, or whose clock has moved, is told and is to be read anew; of all others the
# subscriptions, and so their periods, are those that were read before.
_MOVED = f"""
WITH asked AS (
    SELECT * FROM unnest($1::uuid[], $2::xid[]) AS a (customer_id, mark)
), stretch AS (
    SELECT a.customer_id, s.id AS subscription_id, a.mark, g.id AS segment_id
    FROM asked a
    JOIN subscription s ON s.customer_id = a.customer_id AND s.status NOT IN ('incomplete', 'canceled')
    JOIN segment g ON g.customer_id = s.customer_id AND g.subscription_id = s.id
                  AND g.period_start_at = s.period_start_at AND g.period_end_at = s.period_end_at
), {_counted(since=True)}
UNION ALL
SELECT {_ANEW}, a.customer_id, NULL, NULL, NULL, NULL, NULL, NULL, {_NO_SUMS}
FROM asked a JOIN customer c ON c.customer_id = a.customer_id LEFT JOIN test_clock k ON k.id = c.clock_id
WHERE age(c.xmin) <= age(a.mark) OR age(k.xmin) <= age(a.mark) OR EXISTS (
    SELECT FROM subscription o WHERE o.customer_id = a.customer_id AND age(o.xmin) <= age(a.mark)
)
UNION ALL
SELECT {_MARK}, NULL, NULL, NULL, NULL, NULL, NULL, xid(pg_snapshot_xmin(pg_current_snapshot()))::text::bigint,
       {_NO_SUMS}
"""  # noqa: S608 -- made of constants of this module

_RUNNING = """
SELECT c.customer_id, c.environment, k.now_at, s.id, s.version, s.epoch
FROM customer c
LEFT JOIN test_clock k ON k.id = c.clock_id
LEFT JOIN subscription s ON s.customer_id = c.customer_id AND s.status NOT IN ('incomplete', 'canceled')
WHERE c.customer_id = ANY($1::uuid[])
ORDER BY s.id DESC
"""

_WHOLE = f"""
WITH asked AS (
    SELECT * FROM unnest($1::uuid[]) AS a (customer_id)
), stretch AS (
    SELECT r.customer_id, r.id AS subscription_id, g.id AS segment_id
    FROM unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[]) AS r (customer_id, id, start_at, end_at)
    JOIN segment g ON g.customer_id = r.customer_id AND g.subscription_id = r.id
                  AND g.period_start_at = r.start_at AND g.period_end_at = r.end_at
), {_counted(since=False)}
"""  # noqa: S608 -- made of constants of this module


class State(NamedTuple):
    """A running subscription and which state of it is the present one."""

    id: SubscriptionId
    version: int
    epoch: int


class Runner(NamedTuple):
    """A customer: what its test clock shows (None without one), and what it runs, the newest first."""

    environment: Environment
    clock_now: datetime | None
    states: list[State]


class Read(NamedTuple):
    """What was read: versions of customers, meters of sets, and rows of subscriptions; and who is to be read anew."""

    versions: dict[CustomerId, int]
    sets: dict[UUID, dict[int, MeterId]]
    rows: dict[CustomerId, dict[SubscriptionId, dict[UUID, dict[UUID, Row]]]]
    anew: set[CustomerId]


async def list_moved(tx: db.Tx, marks: Mapping[CustomerId, int]) -> tuple[int, Read]:
    """Return the next mark, and what of customers has changed, of each since its mark. All of one moment.

    Versions and rows that have not changed are missing. Who runs something else by now, or whose clock has moved, is to
    be read anew, whatever else was read.
    """
    found = await (await tx.raw()).fetch(_MOVED, list(marks), list(marks.values()))
    return next(row["version"] for row in reversed(found) if row["kind"] == _MARK), _read(found)


async def list_running(tx: db.Tx, customer_ids: Collection[CustomerId]) -> dict[CustomerId, Runner]:
    """Return what customers run, of those that exist."""
    runners: dict[CustomerId, Runner] = {}
    for row in await (await tx.raw()).fetch(_RUNNING, list(customer_ids)):
        runner = runners.setdefault(row["customer_id"], Runner(Environment(row["environment"]), row["now_at"], []))
        if row["id"] is not None:
            runner.states.append(State(row["id"], row["version"], row["epoch"]))
    return runners


async def list_totals(tx: db.Tx, customer_ids: Collection[CustomerId], running: Sequence[Subscription]) -> Read:
    """Return the usage versions of customers, and all that subscriptions have used in their present usage periods.

    All of one moment. Customers and subscriptions that have used nothing yet are missing.
    """
    found = await (await tx.raw()).fetch(
        _WHOLE,
        list(customer_ids),
        [each.customer_id for each in running],
        [each.id for each in running],
        [each.period.start for each in running],
        [each.period.end for each in running],
    )
    return _read(found)


def _read(found: Iterable[asyncpg.Record]) -> Read:
    read = Read({}, {}, {}, set())
    for row in found:
        kind, customer_id, subscription_id, owner, part, named, events, version = row[:_SUMS_AT]
        if kind == _TOTAL:
            read.versions[customer_id] = version
            own = read.rows.setdefault(customer_id, {}).setdefault(subscription_id, {}).setdefault(owner, {})
            own[part] = Row(part, named, events, row[_SUMS_AT:])
        elif kind == _VERSION:
            read.versions[customer_id] = version
        elif kind == _SET:
            read.sets.setdefault(owner, {})[events] = part
        elif kind == _ANEW:
            read.anew.add(customer_id)
    return read
