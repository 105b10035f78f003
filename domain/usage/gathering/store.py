"""The statements that read many customers' running usage: of those that are known what moved, of others all of it.

What moved is told by a mark: the id of the oldest transaction that could still write when a customer was read before.
Whatever that or a later one wrote, whether it is new or was just not seen, is read again.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

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
# Customers are told apart by their places among those asked for, which begin with this one.
_FIRST = 1
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
    SELECT p.place, p.customer_id, p.subscription_id, t.{owner} AS owner, t.dimensions,
           sum(t.events)::bigint AS events, {sums}
    FROM stretch p JOIN {table} t ON t.customer_id = p.customer_id AND t.segment_id = p.segment_id
    GROUP BY p.place, p.customer_id, p.subscription_id, t.{owner}, t.dimensions{moved}"""  # noqa: S608 -- made of constants of this module


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
SELECT {_TOTAL} AS kind, t.place, t.subscription_id, t.owner, t.dimensions, d."values"::text AS named, t.events,
       v.version, {_ALL}
FROM totals t
JOIN usage_version v ON v.customer_id = t.customer_id
LEFT JOIN dimension_set d ON d.customer_id = t.customer_id AND d.id = t.dimensions
UNION ALL
SELECT {_VERSION}, a.place, NULL, NULL, NULL, NULL, NULL, v.version, {_NO_SUMS}
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
    SELECT * FROM unnest($1::uuid[], $2::xid[]) WITH ORDINALITY AS a (customer_id, mark, place)
), stretch AS (
    SELECT a.place, a.customer_id, s.id AS subscription_id, a.mark, g.id AS segment_id
    FROM asked a
    JOIN subscription s ON s.customer_id = a.customer_id AND s.status NOT IN ('incomplete', 'canceled')
    JOIN segment g ON g.customer_id = s.customer_id AND g.subscription_id = s.id
                  AND g.period_start_at = s.period_start_at AND g.period_end_at = s.period_end_at
), {_counted(since=True)}
UNION ALL
SELECT {_ANEW}, a.place, NULL, NULL, NULL, NULL, NULL, NULL, {_NO_SUMS}
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
    SELECT * FROM unnest($1::uuid[]) WITH ORDINALITY AS a (customer_id, place)
), stretch AS (
    SELECT r.place, r.customer_id, r.id AS subscription_id, g.id AS segment_id
    FROM unnest($2::bigint[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::timestamptz[])
         AS r (place, customer_id, id, start_at, end_at)
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


class Moved(msgspec.Struct):
    """What was read of one customer: its version, None where that was not read, and rows of its subscriptions.

    `is_anew`: it runs something else by now, or its clock has moved, so all of it is to be read anew, whatever else was
    read.
    """

    version: int | None = None
    rows: dict[SubscriptionId, dict[UUID, dict[UUID, Row]]] = {}
    is_anew: bool = False


class Read(NamedTuple):
    """What was read: of each customer, in the order in which they were asked for, and the meters of sets."""

    of: Sequence[Moved]
    sets: dict[UUID, dict[int, MeterId]]


async def list_moved(tx: db.Tx, customer_ids: Sequence[CustomerId], marks: Sequence[int]) -> tuple[int, Read]:
    """Return the next mark, and what of customers has changed, of each since its mark. All of one moment.

    Versions and rows that have not changed are missing.
    """
    found = await (await tx.raw()).fetch(_MOVED, customer_ids, marks)
    return next(row["version"] for row in reversed(found) if row["kind"] == _MARK), _read(found, len(customer_ids))


async def list_running(tx: db.Tx, customer_ids: Collection[CustomerId]) -> dict[CustomerId, Runner]:
    """Return what customers run, of those that exist."""
    runners: dict[CustomerId, Runner] = {}
    for row in await (await tx.raw()).fetch(_RUNNING, list(customer_ids)):
        runner = runners.setdefault(row["customer_id"], Runner(Environment(row["environment"]), row["now_at"], []))
        if row["id"] is not None:
            runner.states.append(State(row["id"], row["version"], row["epoch"]))
    return runners


async def list_totals(tx: db.Tx, customer_ids: Sequence[CustomerId], running: Sequence[Sequence[Subscription]]) -> Read:
    """Return the usage versions of customers, and all that each one's subscriptions have used in their present periods.

    All of one moment. Customers and subscriptions that have used nothing yet are missing.
    """
    owned = [(place, each) for place, own in enumerate(running, _FIRST) for each in own]
    found = await (await tx.raw()).fetch(
        _WHOLE,
        customer_ids,
        [place for place, _ in owned],
        [each.customer_id for _, each in owned],
        [each.id for _, each in owned],
        [each.period.start for _, each in owned],
        [each.period.end for _, each in owned],
    )
    return _read(found, len(customer_ids))


def _read(found: Iterable[asyncpg.Record], count: int) -> Read:
    read = Read([Moved() for _ in range(count)], {})
    for row in found:
        kind, place, subscription_id, owner, part, named, events, version = row[:_SUMS_AT]
        if kind == _TOTAL:
            moved = read.of[place - _FIRST]
            moved.version = version
            own = moved.rows.setdefault(subscription_id, {}).setdefault(owner, {})
            own[part] = Row(part, named, events, row[_SUMS_AT:])
        elif kind == _VERSION:
            read.of[place - _FIRST].version = version
        elif kind == _SET:
            read.sets.setdefault(owner, {})[events] = part
        elif kind == _ANEW:
            read.of[place - _FIRST].is_anew = True
    return read
